/* test_vk_device.c - buffers, kernels and streams on whatever device there is, four times over: as it is, with
 * device memory that cannot be mapped, and both under the validation layer. */
#include "buffer.h"
#include "device.h"
#include "kernel.h"
#include "memory.h"
#include "stream.h"
#include "vk_private.h"

#include "vk_test_add_spv.h"
#include "vk_test_lanes_spv.h"
#include "vk_test_step_spv.h"
#include "vk_test_turn_spv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define assert_ok(expr)                                        \
    do {                                                       \
        if ((expr) < 0)                                        \
            fail_msg("%s: %s", #expr, error_text());           \
    } while (0)
#define assert_says(words)                                                 \
    do {                                                                   \
        if (!strstr(error_text(), words))                                  \
            fail_msg("'%s' does not say '%s'", error_text(), words);       \
    } while (0)

static struct device *d; /* the group's device */

static struct buffer make(enum buffer_kind kind, size_t size, const char *name)
{
    struct buffer b;
    assert_ok(buffer_create(&b, d, kind, size, name));
    return b;
}

static struct kernel *make_kernel(const char *name, const uint32_t *spirv, size_t bytes, uint32_t push_bytes)
{
    struct kernel *k;
    assert_ok(kernel_create(&k, d, &(struct kernel_spec){
        .name = name, .spirv = spirv, .spirv_bytes = bytes, .push_bytes = push_bytes}));
    return k;
}

/* ---- buffers ---- */

static void a_buffer_starts_zeroed_up_to_its_slack(void **state)
{
    (void)state;
    enum { SIZE = 1001 };
    static const unsigned char zeros[SIZE];
    unsigned char bytes[SIZE];
    for (int kind = 0; kind < 2; kind++) {
        struct buffer b = make((enum buffer_kind)kind, SIZE, "zeroed");
        assert_int_equal(b.size, SIZE);
        assert_true(b.address != 0 && b.address % 16 == 0);
        memset(bytes, 1, SIZE);
        assert_ok(buffer_read(d, &b, 0, bytes, SIZE));
        assert_memory_equal(bytes, zeros, SIZE);
        buffer_destroy(d, &b);
        assert_null(b.object);
    }
}

static void what_is_written_at_any_offset_is_read_back(void **state)
{
    (void)state;
    enum { SIZE = 20 * 1000 * 1000 + 3 }; /* more than two staging buffers */
    static const size_t pieces[][2] = {{0, 1}, {1, 2}, {3, 4097}, {4099, 9 * 1000 * 1000}, {SIZE - 1, 1}, {SIZE, 0}};
    unsigned char *written = mem_alloc(SIZE, 1), *read = mem_alloc(SIZE, 1);
    assert_non_null(written);
    assert_non_null(read);
    uint32_t x = 1;
    for (size_t i = 0; i < SIZE; i++)
        written[i] = (unsigned char)((x = x * 1664525u + 1013904223u) >> 24);
    struct buffer b = make(BUFFER_DEVICE, SIZE, "round trip");
    assert_ok(buffer_write(d, &b, 0, written, SIZE));
    assert_ok(buffer_read(d, &b, 0, read, SIZE));
    assert_memory_equal(read, written, SIZE);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        size_t at = pieces[i][0], size = pieces[i][1];
        for (size_t k = 0; k < size; k++)
            written[at + k] ^= 0x5a;
        assert_ok(buffer_write(d, &b, at, written + at, size));
        memset(read, 0, SIZE);
        assert_ok(buffer_read(d, &b, at, read, size));
        assert_memory_equal(read, written + at, size);
    }
    assert_ok(buffer_read(d, &b, 0, read, SIZE));
    assert_memory_equal(read, written, SIZE);
    buffer_destroy(d, &b);
    mem_free(written);
    mem_free(read);
}

static void a_copy_beyond_the_buffer_is_refused(void **state)
{
    (void)state;
    unsigned char bytes[8] = {0};
    struct buffer b = make(BUFFER_DEVICE, 6, "small");
    assert_int_equal(buffer_write(d, &b, 0, bytes, 7), ERR_INPUT);
    assert_says("7 bytes at offset 0 cannot be written: the buffer has 6");
    assert_int_equal(buffer_read(d, &b, 7, bytes, 0), ERR_INPUT);
    assert_int_equal(buffer_read(d, &b, 1, bytes, SIZE_MAX), ERR_INPUT);
    buffer_destroy(d, &b);
}

static void memory_is_accounted_for(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    uint64_t peak, before = device_memory(d, NULL);
    struct buffer a = make(BUFFER_DEVICE, SIZE, "a"), b = make(BUFFER_DEVICE, SIZE, "b");
    uint64_t both = device_memory(d, &peak);
    assert_true(both >= before + 2 * SIZE && peak >= both);
    buffer_destroy(d, &a);
    buffer_destroy(d, &b);
    assert_true(device_memory(d, &peak) == before && peak >= both);
}

static void a_buffer_larger_than_the_device_is_refused_with_the_numbers(void **state)
{
    (void)state;
    struct buffer b;
    assert_int_equal(buffer_create(&b, d, BUFFER_DEVICE, (size_t)1 << 50, "activations"), ERR_DEVICE);
    assert_says("buffer 'activations' of 1.0 PiB does not fit on ");
    assert_says("in use by this program); use a smaller batch");
    assert_null(b.object);
    assert_int_equal(buffer_create(&b, d, BUFFER_DEVICE, SIZE_MAX, "wraps"), ERR_DEVICE);
    assert_int_equal(buffer_create(&b, d, BUFFER_DEVICE, SIZE_MAX - 70000, "wraps"), ERR_DEVICE);
}

/* ---- kernels ---- */

struct add_push {
    uint64_t a, b, result;
    uint32_t count;
};

static void a_kernel_adds_two_arrays_by_its_constants(void **state)
{
    (void)state;
    enum { COUNT = 1003, GROUP = 32 };
    static float a[COUNT], b[COUNT], result[COUNT];
    for (int i = 0; i < COUNT; i++) {
        a[i] = (float)i;
        b[i] = (float)(i * i % 97);
    }
    struct buffer ba = make(BUFFER_DEVICE, sizeof a, "a"), bb = make(BUFFER_HOST, sizeof b, "b");
    struct buffer br = make(BUFFER_DEVICE, sizeof result, "result");
    assert_ok(buffer_write(d, &ba, 0, a, sizeof a));
    assert_ok(buffer_write(d, &bb, 0, b, sizeof b));
    struct kernel_spec spec = {
        .name = "add", .spirv = vk_test_add_spv, .spirv_bytes = sizeof vk_test_add_spv,
        .push_bytes = sizeof(struct add_push) - 4, .constant_count = 3, .constants = {GROUP, 0, (uint32_t)-3},
    };
    float scale = 0.5f;
    memcpy(&spec.constants[1], &scale, sizeof scale);
    struct kernel *k;
    struct stream *s;
    assert_ok(kernel_create(&k, d, &spec));
    assert_string_equal(kernel_name(k), "add");
    assert_ok(stream_create(&s, d, 0));
    assert_ok(stream_begin(s));
    struct add_push push = {ba.address, bb.address, br.address, COUNT};
    stream_dispatch(s, &(struct dispatch){k, &push, {(COUNT + GROUP - 1) / GROUP, 1, 1}, "add", 0, 0});
    assert_ok(stream_end(s));
    assert_ok(stream_submit(s));
    assert_ok(stream_wait(s, 0));
    assert_ok(buffer_read(d, &br, 0, result, sizeof result));
    for (int i = 0; i < COUNT; i++)
        assert_true(result[i] == a[i] + 0.5f * b[i] - 3.0f); /* exact: small multiples of 1/2 */
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &ba);
    buffer_destroy(d, &bb);
    buffer_destroy(d, &br);
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
        assert_ok(kernel_create(&k, d, &(struct kernel_spec){
            .name = "lanes", .spirv = vk_test_lanes_spv, .spirv_bytes = sizeof vk_test_lanes_spv, .push_bytes = 8,
            .constant_count = 1, .constants = {lanes}, .subgroup_size = size}));
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
    spec.constant_count = 13;
    assert_int_equal(kernel_create(&k, d, &spec), ERR_INPUT);
    spec.constant_count = 0;
    spec.subgroup_size = 3;
    assert_int_equal(kernel_create(&k, d, &spec), ERR_DEVICE);
    assert_says("kernel beads: subgroups of 3 are not to be had on ");
    assert_null(k);
    kernel_destroy(d, NULL);
}

/* ---- streams ---- */

struct step_push {
    uint64_t state;
    uint32_t factor, term;
};

static struct stream *record_steps(const struct kernel *k, const struct buffer *b, uint32_t factor, uint32_t term,
                                   int times)
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
    struct kernel *k = make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
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
    struct kernel *k = make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
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

static void a_stream_can_be_recorded_again(void **state)
{
    (void)state;
    struct kernel *k = make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
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
    struct kernel *k = make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
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
    struct kernel *k = make_kernel("step", vk_test_step_spv, sizeof vk_test_step_spv, sizeof(struct step_push));
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

/* ---- the device ---- */

static void a_failed_allocation_is_one_sentence_and_leaves_nothing(void **state)
{
    (void)state;
    struct device *own;
    struct buffer b[3];
    assert_ok(device_open(&own, &(struct device_spec){.index = -1, .fail_allocation_after = 3}));
    assert_ok(buffer_create(&b[0], own, BUFFER_DEVICE, 4096, "first"));
    assert_ok(buffer_create(&b[1], own, BUFFER_HOST, 4096, "second"));
    uint64_t used = device_memory(own, NULL);
    assert_int_equal(buffer_create(&b[2], own, BUFFER_DEVICE, 3 << 20, "third"), ERR_DEVICE);
    assert_says("buffer 'third' of 3.0 MiB does not fit on ");
    assert_says("the driver is out of memory (");
    assert_true(device_memory(own, NULL) == used);
    assert_ok(buffer_create(&b[2], own, BUFFER_DEVICE, 4096, "fourth"));
    for (int i = 0; i < 3; i++)
        buffer_destroy(own, &b[i]);
    device_close(own);
    assert_says("the driver is out of memory ("); /* closing keeps the reason */
}

static void failing_host_memory_is_survived(void **state)
{
    (void)state;
    for (long i = 0;; i++) {
        struct device *own = NULL;
        struct buffer b = {0};
        struct kernel *k = NULL;
        struct stream *s = NULL;
        struct kernel_spec spec = {.name = "step", .spirv = vk_test_step_spv,
                                   .spirv_bytes = sizeof vk_test_step_spv, .push_bytes = 16};
        mem_fail_after(i);
        int rc = device_open(&own, &(struct device_spec){.index = -1, .stage_copies = 1});
        if (rc == 0)
            rc = buffer_create(&b, own, BUFFER_DEVICE, 64, "b");
        if (rc == 0)
            rc = buffer_write(own, &b, 0, &i, sizeof i);
        if (rc == 0)
            rc = kernel_create(&k, own, &spec);
        if (rc == 0)
            rc = stream_create(&s, own, 1);
        if (rc == 0)
            rc = stream_begin(s);
        if (rc == 0) {
            struct step_push push = {b.address, 1, 1};
            stream_dispatch(s, &(struct dispatch){k, &push, {1, 1, 1}, "step", 0, 0});
            rc = stream_end(s);
        }
        mem_fail_after(-1);
        stream_destroy(s);
        kernel_destroy(own, k);
        if (own)
            buffer_destroy(own, &b);
        device_close(own);
        if (rc == 0) {
            assert_true(i >= 6); /* device, buffer object, staging, kernel, stream, records, queries */
            break;
        }
        assert_int_equal(rc, ERR_MEMORY);
    }
}

static void a_device_that_is_not_there_is_refused(void **state)
{
    (void)state;
    struct device *own;
    assert_int_equal(device_open(&own, &(struct device_spec){.index = 99}), ERR_DEVICE);
    assert_says("device 99 was asked for, but there are only ");
    assert_null(own);
    device_close(NULL);
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

static void the_list_agrees_with_the_opened_device(void **state)
{
    (void)state;
    struct device_info infos[INSTANCE_DEVICES_MAX];
    int count = device_list(infos, INSTANCE_DEVICES_MAX), found = 0;
    const struct device_info *own = device_info(d);
    assert_true(count > 0);
    for (int i = 0; i < count; i++)
        found |= memcmp(&infos[i], own, sizeof *own) == 0;
    assert_true(found);
    assert_int_equal(device_list(NULL, 0), count);
    assert_true(own->name[0] && own->driver[0] && own->heap_bytes > 0 && own->max_allocation > 0);
    assert_true(own->subgroup_min <= own->subgroup_size && own->subgroup_size <= own->subgroup_max);
    assert_true(own->shared_bytes >= 16384 && own->max_invocations >= 128); /* what Vulkan guarantees */
}

/* ---- the file of compiled pipelines ---- */

static void replace_byte(const char *path, long offset)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, offset, SEEK_SET), 0);
    fputc(c ^ 1, f);
    fclose(f);
}

static void a_damaged_pipeline_file_is_ignored_and_replaced(void **state)
{
    (void)state;
    static const long damages[] = {0, 20, 90}; /* in the magic words, the fingerprint, the driver's data */
    char folder[] = "/tmp/vitro_test_XXXXXX", path[64];
    struct pipeline_cache cache;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pipelines", folder);
    assert_ok(pipeline_cache_open(&cache, d, path));
    assert_string_equal(cache.loaded, "");
    pipeline_cache_close(&cache, d);
    assert_ok(pipeline_cache_open(&cache, d, path));
    assert_int_equal(strlen(cache.loaded), HASH_TEXT - 1);
    pipeline_cache_close(&cache, d);
    for (int i = 0; i < 3; i++) {
        replace_byte(path, damages[i]);
        assert_ok(pipeline_cache_open(&cache, d, path));
        assert_string_equal(cache.loaded, "");
        pipeline_cache_close(&cache, d);
        assert_ok(pipeline_cache_open(&cache, d, path));
        assert_int_equal(strlen(cache.loaded), HASH_TEXT - 1);
        pipeline_cache_close(&cache, d);
    }
    assert_int_equal(truncate(path, 60), 0);
    assert_ok(pipeline_cache_open(&cache, d, path));
    assert_string_equal(cache.loaded, "");
    pipeline_cache_close(&cache, d);
    unlink(path);
    rmdir(folder);
}

/* ---- groups ---- */

static void the_validation_layer_is_heard(void **state)
{
    (void)state;
    struct device *own;
    if (!d->set_name)
        skip(); /* only under the layer */
    assert_ok(device_open(&own, &(struct device_spec){.index = -1, .validate = 1}));
    assert_ok(device_check(own));
    VkBufferCreateInfo nothing = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                  .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    VkBuffer b = VK_NULL_HANDLE; /* of 0 bytes, which Vulkan forbids */
    if (own->vk.vkCreateBuffer(own->handle, &nothing, NULL, &b) == VK_SUCCESS)
        own->vk.vkDestroyBuffer(own->handle, b, NULL);
    assert_int_equal(device_check(own), ERR_DEVICE);
    assert_says("the validation layer reported ");
    device_close(own);
}

static void nothing_was_reported_and_nothing_leaked(void **state)
{
    (void)state;
    assert_ok(device_check(d));
    buffer_destroy(d, &d->staging); /* the one buffer that the device keeps */
    assert_int_equal(device_memory(d, NULL), 0);
}

static int run_group(const char *name, const struct device_spec *spec)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_starts_zeroed_up_to_its_slack),
        cmocka_unit_test(what_is_written_at_any_offset_is_read_back),
        cmocka_unit_test(a_copy_beyond_the_buffer_is_refused),
        cmocka_unit_test(memory_is_accounted_for),
        cmocka_unit_test(a_buffer_larger_than_the_device_is_refused_with_the_numbers),
        cmocka_unit_test(a_kernel_adds_two_arrays_by_its_constants),
        cmocka_unit_test(a_kernel_has_full_subgroups_of_the_size_it_asks_for),
        cmocka_unit_test(a_bad_kernel_is_refused_by_name),
        cmocka_unit_test(a_stream_replays_exactly_as_often_as_it_is_submitted),
        cmocka_unit_test(submits_of_two_streams_run_in_the_order_of_submission),
        cmocka_unit_test(a_barrier_orders_dependent_dispatches_and_copies),
        cmocka_unit_test(a_stream_can_be_recorded_again),
        cmocka_unit_test(a_bad_recording_keeps_its_first_error_and_is_not_submitted),
        cmocka_unit_test(a_profile_times_every_dispatch),
        cmocka_unit_test(a_failed_allocation_is_one_sentence_and_leaves_nothing),
        cmocka_unit_test(failing_host_memory_is_survived),
        cmocka_unit_test(a_device_that_is_not_there_is_refused),
        cmocka_unit_test(two_devices_can_be_open_at_once),
        cmocka_unit_test(the_list_agrees_with_the_opened_device),
        cmocka_unit_test(a_damaged_pipeline_file_is_ignored_and_replaced),
        cmocka_unit_test(the_validation_layer_is_heard),
        cmocka_unit_test(nothing_was_reported_and_nothing_leaked),
    };
    if (device_open(&d, spec) < 0) {
        print_message("%s: not run: %s\n", name, error_text());
        return 77;
    }
    print_message("%s: %s (%s), subgroups of %u\n", name, d->info.name, d->info.driver, d->info.subgroup_size);
    int failures = cmocka_run_group_tests_name(name, tests, NULL, NULL);
    device_close(d);
    d = NULL;
    return failures;
}

/* Without a device there is nothing to test (77); without the layer the first two groups count. */
int main(void)
{
    int failures = run_group("mapped", &(struct device_spec){.index = -1});
    if (failures == 77)
        return 77;
    failures += run_group("staged", &(struct device_spec){.index = -1, .stage_copies = 1});
    int checked = run_group("validated", &(struct device_spec){.index = -1, .validate = 1});
    if (checked != 77)
        failures += checked + run_group("validated and staged",
                                        &(struct device_spec){.index = -1, .validate = 1, .stage_copies = 1});
    return failures ? 1 : 0;
}
