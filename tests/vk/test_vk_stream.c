/* test_vk_stream.c - kernels, and streams that record and replay them. */
#include "memory.h"
#include "vk_add.h"

#include "vk_test_lanes_spv.h"
#include "vk_test_step_spv.h"
#include "vk_test_turn_spv.h"

static struct kernel *make_kernel(const char *name, const uint32_t *spirv, size_t bytes, uint32_t push_bytes)
{
    struct kernel *k;
    assert_ok(kernel_create(
        &k, d,
        &(struct kernel_spec){.name = name, .spirv = spirv, .spirv_bytes = bytes, .push_bytes = push_bytes}));
    return k;
}

struct step_push { /* of vk_test_step.comp */
    uint64_t state;
    uint32_t factor, term;
};

/* ---- kernels ---- */

static void a_kernel_adds_two_arrays_by_its_constants(void **state)
{
    (void)state;
    adds_right(0.5f, -3);
}

static void a_kernel_has_full_subgroups_of_the_size_it_asks_for(void **state)
{
    (void)state;
    const struct device_info *info = device_info(d);
    enum { GROUPS = 3 };
    for (uint32_t size = info->subgroup_min; size <= info->subgroup_max; size *= 2) {
        uint32_t lanes = 4 * size, read[4 * 128 * GROUPS];
        if (lanes > info->max_invocations || size > 128)
            break;
        struct buffer b = make(BUFFER_DEVICE, sizeof read, "lanes");
        struct kernel *k;
        struct stream *s;
        assert_ok(kernel_create(&k, d,
                                &(struct kernel_spec){.name = "lanes",
                                                      .spirv = vk_test_lanes_spv,
                                                      .spirv_bytes = sizeof vk_test_lanes_spv,
                                                      .push_bytes = 8,
                                                      .constant_count = 1,
                                                      .constants = {lanes},
                                                      .subgroup_size = size}));
        assert_ok(stream_create(&s, d, 0));
        assert_ok(stream_begin(s));
        stream_dispatch(s, &(struct dispatch){k, &b.address, {GROUPS, 1, 1}, "lanes", 0, 0});
        assert_ok(stream_end(s));
        assert_ok(stream_submit(s));
        assert_ok(stream_wait(s, 0));
        assert_ok(buffer_read(d, &b, 0, read, sizeof read));
        for (uint32_t i = 0; i < GROUPS * lanes; i++)
            assert_int_equal(read[i], 4000 + size);
        stream_destroy(s);
        kernel_destroy(d, k);
        buffer_destroy(d, &b);
    }
}

static void a_bad_kernel_is_refused_by_name(void **state)
{
    (void)state;
    static const uint32_t text[8] = {0x64616562};
    struct kernel *k = NULL;
    struct kernel_spec spec = {.name = "beads", .spirv = text, .spirv_bytes = sizeof text};
    assert_int_equal(kernel_create(&k, d, &spec), ERR_INPUT);
    assert_says("kernel beads: 32 bytes that are no SPIR-V module");
    spec.spirv = vk_test_step_spv;
    spec.spirv_bytes = sizeof vk_test_step_spv - 2;
    assert_int_equal(kernel_create(&k, d, &spec), ERR_INPUT);
    spec.spirv_bytes = sizeof vk_test_step_spv;
    spec.push_bytes = 132;
    assert_int_equal(kernel_create(&k, d, &spec), ERR_INPUT);
    spec.push_bytes = 16;
    spec.constant_count = KERNEL_CONSTANTS_MAX + 1;
    assert_int_equal(kernel_create(&k, d, &spec), ERR_INPUT);
    spec.constant_count = 0;
    spec.subgroup_size = 3;
    assert_int_equal(kernel_create(&k, d, &spec), ERR_DEVICE);
    assert_says("kernel beads: subgroups of 3 are not to be had on ");
    assert_null(k);
    kernel_destroy(d, NULL);
}

/* ---- streams ---- */

static struct stream *record_steps(const struct kernel *k, const struct buffer *b, uint32_t factor,
                                   uint32_t term, int times)
{
    struct stream *s;
    assert_ok(stream_create(&s, d, 0));
    assert_ok(stream_begin(s));
    struct step_push push = {b->address, factor, term};
    for (int i = 0; i < times; i++) {
        stream_dispatch(s, &(struct dispatch){k, &push, {1, 1, 1}, "step", 0, 0});
        stream_barrier(s);
    }
    assert_ok(stream_end(s));
    return s;
}

static uint32_t read_word(const struct buffer *b, size_t offset)
{
    uint32_t word;
    assert_ok(buffer_read(d, b, offset, &word, sizeof word));
    return word;
}

static void a_stream_replays_exactly_as_often_as_it_is_submitted(void **state)
{
    (void)state;
    enum { SUBMITS = 100, TIMES = 3 };
    struct kernel *k =
        make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
    struct buffer b = make(BUFFER_DEVICE, 4, "counter");
    struct stream *s = record_steps(k, &b, 1, 1, TIMES);
    for (int i = 0; i < SUBMITS; i++)
        assert_ok(stream_submit(s));
    assert_ok(stream_wait(s, 0));
    assert_int_equal(read_word(&b, 0), SUBMITS * TIMES);
    assert_ok(stream_submit(s));
    assert_ok(stream_wait(s, 5)); /* one is pending: nothing to wait for */
    assert_ok(stream_wait(s, 0));
    assert_int_equal(read_word(&b, 0), (SUBMITS + 1) * TIMES);
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &b);
}

static void submits_of_two_streams_run_in_the_order_of_submission(void **state)
{
    (void)state;
    enum { SUBMITS = 60 };
    struct kernel *k =
        make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
    struct buffer b = make(BUFFER_DEVICE, 4, "state");
    struct stream *s[2] = {record_steps(k, &b, 3, 1, 1), record_steps(k, &b, 5, 2, 1)};
    uint32_t expected = 0; /* x -> 3x + 1 and x -> 5x + 2 do not commute */
    for (uint32_t i = 0; i < SUBMITS; i++) {
        int which = (i * i / 3) % 2;
        assert_ok(stream_submit(s[which]));
        expected = which ? expected * 5 + 2 : expected * 3 + 1;
    }
    assert_ok(stream_wait(s[0], 0));
    assert_ok(stream_wait(s[1], 0));
    assert_int_equal(read_word(&b, 0), expected);
    stream_destroy(s[0]);
    stream_destroy(s[1]);
    kernel_destroy(d, k);
    buffer_destroy(d, &b);
}

static void a_barrier_orders_dependent_dispatches_and_copies(void **state)
{
    (void)state;
    enum { COUNT = 50000, TURNS = 20 };
    struct turn_push {
        uint64_t from, to;
        uint32_t count;
    };
    struct kernel *k = make_kernel("turn", vk_test_turn_spv, sizeof vk_test_turn_spv, 20);
    struct buffer b[3];
    for (int i = 0; i < 3; i++)
        b[i] = make(i == 2 ? BUFFER_HOST : BUFFER_DEVICE, COUNT * 4, "turn");
    uint32_t *x = mem_alloc(COUNT, 4);
    assert_non_null(x);
    for (uint32_t i = 0; i < COUNT; i++)
        x[i] = 1000 * i;
    assert_ok(buffer_write(d, &b[0], 0, x, COUNT * 4));
    struct stream *s;
    assert_ok(stream_create(&s, d, 0));
    assert_ok(stream_begin(s));
    for (int i = 0; i < TURNS; i++) {
        struct turn_push push = {b[i % 2].address, b[1 - i % 2].address, COUNT};
        stream_dispatch(s, &(struct dispatch){k, &push, {(COUNT + 63) / 64, 1, 1}, "turn", 0, 0});
        stream_barrier(s);
    }
    stream_copy(s, &b[0], 4, &b[2], 8, (COUNT - 2) * 4);
    assert_ok(stream_end(s));
    for (int i = 0; i < 2; i++)
        assert_ok(stream_submit(s));
    assert_ok(stream_wait(s, 0));
    memcpy(x, b[2].mapped, COUNT * 4);
    assert_int_equal(x[0], 0);
    for (uint32_t i = 2; i < COUNT; i++)
        assert_int_equal(x[i], 1000 * (i - 1) + 2 * TURNS);
    mem_free(x);
    stream_destroy(s);
    kernel_destroy(d, k);
    for (int i = 0; i < 3; i++)
        buffer_destroy(d, &b[i]);
}

/* x -> 3x + 1 and x -> 5x + 2 do not commute: order shows. */
static void a_recording_cut_into_segments_runs_in_order(void **state)
{
    (void)state;
    enum { TIMES = 40, REPEATS = 7 };
    struct kernel *k =
        make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
    struct buffer b = make(BUFFER_DEVICE, 4, "state");
    struct stream *s;
    double seconds[TIMES];
    uint32_t expected = 0;
    assert_ok(stream_create(&s, d, 0));
    assert_ok(stream_begin(s));
    stream_cut(s); /* nothing before it: no segment of nothing */
    for (uint32_t i = 0; i < TIMES; i++) {
        struct step_push push = {b.address, i % 2 ? 5 : 3, i % 2 ? 2 : 1};
        stream_dispatch(s, &(struct dispatch){k, &push, {1, 1, 1}, "step", 0, 0});
        stream_cut(s);
        stream_cut(s);
    }
    assert_ok(stream_end(s));
    assert_int_equal(stream_segment_count(s), TIMES); /* nor one behind */
    assert_ok(stream_repeat(s, REPEATS - 1, 4));      /* a cut recording goes one by one */
    assert_ok(stream_wait(s, 2));
    assert_ok(stream_wait(s, 0));
    for (uint32_t i = 0; i < (REPEATS - 1) * TIMES; i++)
        expected = i % 2 ? expected * 5 + 2 : expected * 3 + 1;
    assert_int_equal(read_word(&b, 0), expected);
    assert_ok(stream_submit_timed(s, seconds));
    for (uint32_t i = 0; i < TIMES; i++) {
        assert_true(seconds[i] > 0);
        expected = i % 2 ? expected * 5 + 2 : expected * 3 + 1;
    }
    assert_int_equal(read_word(&b, 0), expected);
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &b);
}

static void a_repeat_runs_as_often_as_it_says(void **state)
{
    (void)state;
    enum { TIMES = 3 };
    struct kernel *k =
        make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
    struct buffer b = make(BUFFER_DEVICE, 4, "counter");
    struct stream *s = record_steps(k, &b, 1, 1, TIMES);
    static const uint32_t times[] = {1, 5, 0, 200, 63, 64, 65}, at_once[] = {0, 2, 9, 1000, 63, 64, 64};
    uint32_t all = 0;
    for (int i = 0; i < 7; i++) {
        assert_ok(stream_repeat(s, times[i], at_once[i]));
        all += times[i];
        if (i % 2)
            assert_ok(stream_wait(s, 3));
    }
    assert_ok(stream_wait(s, 0));
    assert_int_equal(read_word(&b, 0), TIMES * all);
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &b);
}

static void parts_of_a_dispatch_make_the_whole(void **state)
{
    (void)state;
    enum { COUNT = 1003, GROUPS = (COUNT + 63) / 64 };
    struct {
        uint64_t from, to;
        uint32_t count;
    } push;
    static uint32_t x[COUNT], y[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        x[i] = 1000 * i;
    struct buffer from = make(BUFFER_DEVICE, sizeof x, "from"), to = make(BUFFER_DEVICE, sizeof x, "to");
    assert_ok(buffer_write(d, &from, 0, x, sizeof x));
    push.from = from.address;
    push.to = to.address;
    push.count = COUNT;
    struct kernel *k;
    struct stream *s;
    struct kernel_spec spec = {
        .name = "turn", .spirv = vk_test_turn_spv, .spirv_bytes = sizeof vk_test_turn_spv, .push_bytes = 20};
    assert_ok(kernel_create(&k, d, &spec));
    assert_ok(stream_create(&s, d, 0));
    assert_ok(stream_begin(s));
    stream_dispatch_part(s, &(struct dispatch){k, &push, {1, 1, 1}, "turn", 0, 0}, (uint32_t[]){1, 0, 0});
    assert_int_equal(stream_end(s), ERR_INPUT);
    assert_says("needs a kernel that was made for parts");
    kernel_destroy(d, k);
    spec.in_parts = 1;
    assert_ok(kernel_create(&k, d, &spec));
    assert_ok(stream_begin(s));
    for (uint32_t at = 0; at < GROUPS; at += 5) {
        uint32_t count = GROUPS - at < 5 ? GROUPS - at : 5;
        stream_dispatch_part(s, &(struct dispatch){k, &push, {count, 1, 1}, "turn", 0, 0},
                             (uint32_t[]){at, 0, 0});
        stream_cut(s);
    }
    assert_ok(stream_end(s));
    assert_ok(stream_submit(s));
    assert_ok(stream_wait(s, 0));
    assert_ok(buffer_read(d, &to, 0, y, sizeof y));
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(y[i], x[COUNT - 1 - i] + 1);
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &from);
    buffer_destroy(d, &to);
}

static void a_stream_can_be_recorded_again(void **state)
{
    (void)state;
    struct kernel *k =
        make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
    struct buffer b = make(BUFFER_DEVICE, 4, "counter");
    struct stream *s = record_steps(k, &b, 1, 1, 200);
    for (uint32_t i = 1; i <= 3; i++) {
        assert_ok(stream_submit(s));
        assert_ok(stream_begin(s)); /* waits for the submit that still uses the old recording */
        struct step_push push = {b.address, 1, 1000 * i};
        stream_dispatch(s, &(struct dispatch){k, &push, {1, 1, 1}, "step", 0, 0});
        assert_ok(stream_end(s));
        assert_int_equal(stream_dispatch_count(s), 1);
    }
    assert_int_equal(read_word(&b, 0), 200 + 1000 + 2000);
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &b);
}

static void a_bad_recording_keeps_its_first_error_and_is_not_submitted(void **state)
{
    (void)state;
    const uint32_t *most = device_info(d)->max_groups;
    struct kernel *k =
        make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
    struct buffer b = make(BUFFER_DEVICE, 64, "state");
    struct stream *s;
    struct step_push push = {b.address, 1, 1};
    assert_ok(stream_create(&s, d, 0));
    assert_int_equal(stream_submit(s), ERR_INPUT);
    assert_int_equal(stream_end(s), ERR_INPUT);
    assert_ok(stream_begin(s));
    stream_dispatch(s, &(struct dispatch){k, &push, {1, most[1] + 1, 1}, "step", 0, 0});
    stream_copy(s, &b, 0, &b, 8, 4000);
    assert_int_equal(stream_end(s), ERR_DEVICE);
    assert_says("kernel step: ");
    assert_says("workgroups along axis 1");
    assert_int_equal(stream_submit(s), ERR_INPUT);
    assert_ok(stream_begin(s));
    stream_copy(s, &b, 0, &b, 8, 9);
    assert_int_equal(stream_end(s), ERR_INPUT);
    assert_says("overlaps itself");
    assert_ok(stream_begin(s));
    stream_copy(s, &b, 60, &b, 0, 5);
    assert_int_equal(stream_end(s), ERR_INPUT);
    assert_says("leaves its buffer");
    assert_ok(stream_begin(s));
    stream_dispatch(s, &(struct dispatch){k, NULL, {1, 1, 1}, "step", 0, 0});
    assert_int_equal(stream_end(s), ERR_INPUT);
    stream_destroy(s);
    stream_destroy(NULL);
    kernel_destroy(d, k);
    buffer_destroy(d, &b);
}

static void a_profile_times_every_dispatch(void **state)
{
    (void)state;
    enum { COUNT = 300 }; /* more than one query pool */
    struct kernel *k =
        make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
    struct buffer b = make(BUFFER_DEVICE, 4, "counter");
    struct step_push push = {b.address, 1, 1};
    struct stream *s;
    const char *label;
    const struct kernel *kernel;
    double ns, flops, bytes, sum = 0;
    assert_ok(stream_create(&s, d, 1));
    assert_ok(stream_begin(s));
    for (int i = 0; i < COUNT; i++) {
        stream_dispatch(s, &(struct dispatch){k, &push, {1, 1, 1}, i % 2 ? "odd" : "even", i, 4});
        stream_barrier(s);
    }
    assert_ok(stream_end(s));
    assert_int_equal(stream_dispatch_count(s), COUNT);
    assert_int_equal(stream_time(s, 0, &label, &kernel, &ns, &flops, &bytes), ERR_INPUT); /* not submitted */
    for (int i = 0; i < 3; i++)
        assert_ok(stream_submit(s));
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_ok(stream_time(s, i, &label, &kernel, &ns, &flops, &bytes));
        assert_string_equal(label, i % 2 ? "odd" : "even");
        assert_true(kernel == k && flops == (double)i && bytes == 4.0);
        assert_true(ns >= 0.0 && ns < 10e9); /* more than 10 s is a wrong unit or a wrapped counter */
        sum += ns;
    }
    assert_true(sum > 0.0);
    assert_int_equal(stream_time(s, COUNT, &label, &kernel, &ns, &flops, &bytes), ERR_INPUT);
    assert_int_equal(read_word(&b, 0), 3 * COUNT);
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &b);
}

static void two_devices_can_be_open_at_once(void **state)
{
    (void)state;
    struct device *outer = d, *other;
    assert_ok(device_open(&other, &(struct device_spec){.index = -1}));
    d = other;
    a_kernel_adds_two_arrays_by_its_constants(NULL);
    d = outer;
    a_kernel_adds_two_arrays_by_its_constants(NULL);
    device_close(other);
    a_kernel_adds_two_arrays_by_its_constants(NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_adds_two_arrays_by_its_constants),
        cmocka_unit_test(a_kernel_has_full_subgroups_of_the_size_it_asks_for),
        cmocka_unit_test(a_bad_kernel_is_refused_by_name),
        cmocka_unit_test(a_stream_replays_exactly_as_often_as_it_is_submitted),
        cmocka_unit_test(submits_of_two_streams_run_in_the_order_of_submission),
        cmocka_unit_test(a_barrier_orders_dependent_dispatches_and_copies),
        cmocka_unit_test(a_recording_cut_into_segments_runs_in_order),
        cmocka_unit_test(a_repeat_runs_as_often_as_it_says),
        cmocka_unit_test(parts_of_a_dispatch_make_the_whole),
        cmocka_unit_test(a_stream_can_be_recorded_again),
        cmocka_unit_test(a_bad_recording_keeps_its_first_error_and_is_not_submitted),
        cmocka_unit_test(a_profile_times_every_dispatch),
        cmocka_unit_test(two_devices_can_be_open_at_once),
        cmocka_unit_test(nothing_was_reported_and_nothing_leaked),
    };
    return run_groups(tests, sizeof tests / sizeof tests[0]);
}
