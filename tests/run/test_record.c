/* test_record.c - a device that pretends to work backwards does: within a group the last work comes first, and the last part
 * of a dispatch, while groups stay in order. Wrong programs show it: who writes last wins. */
#include "device_world.h"
#include "engine.h"
#include "record.h"

#include <string.h>

enum { ROWS = 4 }; /* no more than a dispatch has parts then: each row is one */

struct bench { /* a program made by hand, whose slots lie in one buffer of the host's */
    struct device *device;
    struct engine *engine;
    struct program p;
    struct memory memory;
    struct buffer buffer;
    uint32_t slots; /* in it, of ROWS floats each */
};

static struct bench open_bench(int backwards)
{
    struct bench b = {0};
    const struct device_limits limits = {.backwards = backwards};
    must(device_open(&b.device, &(struct device_spec){.index = -1, .limits = &limits}));
    assert_int_equal(device_info(b.device)->backwards, backwards);
    must(engine_create(&b.engine, b.device, ENGINE_AUTO));
    must(buffer_create(&b.buffer, b.device, BUFFER_HOST, 1024, "bench"));
    b.p.engine = b.engine;
    return b;
}

static struct ref slot(struct bench *b)
{
    enum { BYTES = ROWS * sizeof(float) };
    return (struct ref){program_slot_at(&b->p, "slot", BYTES, b->buffer.address + BYTES * b->slots++), 0};
}

static float *contents(const struct bench *b, struct ref of)
{
    return (float *)(void *)((unsigned char *)b->buffer.mapped +
                             (b->p.slots[of.slot].address - b->buffer.address));
}

/* Both of to = from[row] for each of `rows` rows, or, from nowhere, the number. */
static void emit(struct bench *b, struct ref to, struct ref from, uint32_t rows, float number, int32_t group)
{
    const struct map_work m = {.map = from.slot ? MAP_COPY : MAP_FILL,
                               .out = to,
                               .a = from,
                               .shift = number,
                               .view = {.size = {1, 1, rows, 2}, .out = {0, 0, 0, 1}, .a = {0, 0, 1, 0}}};
    map_emit(&b->p, &m);
    must(b->p.rc);
    b->p.works[b->p.work_count - 1].group = group;
}

static void go(struct bench *b, uint32_t dispatches)
{
    struct pace pace = {0};
    struct stream *stream;
    program_slot(&b->p, "unused", 4);
    must(memory_plan(&b->memory, &b->p));
    must(pace_begin(&pace, &b->p));
    must(stream_create(&stream, b->device, 0));
    must(record_work(&b->p, stream, 0, &pace));
    assert_int_equal(stream_dispatch_count(stream), dispatches);
    must(stream_submit(stream));
    must(stream_wait(stream, 0));
    stream_destroy(stream);
    pace_finish(&pace);
}

static void close_bench(struct bench *b)
{
    memory_finish(&b->memory, b->device);
    program_finish(&b->p);
    buffer_destroy(b->device, &b->buffer);
    engine_destroy(b->engine);
    device_close(b->device);
}

static void backwards_the_last_of_a_group_comes_first_and_groups_stay_in_order(void **state)
{
    (void)state;
    for (int backwards = 0; backwards < 2; backwards++) {
        struct bench b = open_bench(backwards);
        const struct ref none = {0}, one = slot(&b), two = slot(&b);
        emit(&b, one, none, 1, 1, 0);
        emit(&b, one, none, 1, 2, 0);
        emit(&b, two, one, 1, 0, 1);
        emit(&b, one, none, 1, 3, 2);
        emit(&b, one, none, 1, 4, 2);
        go(&b, 5);
        assert_true(*contents(&b, two) == (backwards ? 1.0f : 2.0f));
        assert_true(*contents(&b, one) == (backwards ? 3.0f : 4.0f));
        close_bench(&b);
    }
}

static void backwards_the_last_part_of_a_dispatch_comes_first(void **state)
{
    (void)state;
    struct bench b = open_bench(1);
    const struct ref from = slot(&b), to = slot(&b);
    for (int i = 0; i < ROWS; i++)
        contents(&b, from)[i] = 1 + (float)i;
    emit(&b, to, from, ROWS, 0, 0);
    go(&b, ROWS);
    assert_true(*contents(&b, to) == 1.0f);
    close_bench(&b);
}

enum { M = 8, K = 40, N = 24 };

/* Part 0 computes x B, part 1 the constant A B, whose product reads the copy of B that part 0's set-up makes. */
static void multiply(struct engine *e, float products[2][M * N])
{
    const struct bank_tensor tensors[] = {
        {.name = "A", .shape = SHAPE(M, K), .kind = LEAF_FROZEN, .shared = 1},
        {.name = "B", .shape = SHAPE(K, N), .kind = LEAF_FROZEN, .shared = 1},
    };
    static float a[M * K], b[K * N];
    struct frozen *shared;
    struct bank *bank[2];
    struct tape *t[2];
    struct run_spec spec[2];
    struct run *run;
    value left[2], log[2];
    for (int i = 0; i < K * N; i++)
        b[i] = (float)(i % 7) - 3;
    for (int i = 0; i < M * K; i++)
        a[i] = (float)(i % 5) - 2;
    must(frozen_create(&shared, e));
    for (int i = 0; i < 2; i++) {
        must(bank_create_beside(&bank[i], e, tensors, 2, shared));
        must(i ? 0 : bank_write(bank[i], 0, a));
        must(i ? 0 : bank_write(bank[i], 1, b));
        t[i] = tape_create();
        assert_non_null(t[i]);
        left[i] = tape_leaf(t[i], i ? LEAF_FROZEN : LEAF_INPUT, SHAPE(M, K), i ? 0 : 7, "left");
        log[i] = tape_matmul(t[i], left[i], tape_leaf(t[i], LEAF_FROZEN, SHAPE(K, N), 1, "B"), 0, 0);
        spec[i] =
            (struct run_spec){.tape = t[i], .bank = bank[i], .logs = &log[i], .log_count = 1, .series = 1};
    }
    must(run_create_packed(&run, spec, 2, RUN_SIDE_BY_SIDE));
    must(run_write(run, left[0], a));
    for (uint32_t i = 0; i < 2; i++)
        must(run_begin(run, &(struct run_series){.part = i, .steps = 1}));
    must(run_go(run, 1));
    must(run_wait(run, 0));
    for (uint32_t i = 0; i < 2; i++)
        must(run_log(run, i, 0, 1, products[i]));
    run_destroy(run);
    for (int i = 0; i < 2; i++) {
        bank_destroy(bank[i]);
        tape_destroy(t[i]);
    }
    frozen_destroy(shared);
}

static void backwards_a_part_still_finds_what_the_set_up_of_another_made(void **state)
{
    (void)state;
    static float products[2][M * N];
    struct bench b = open_bench(1);
    multiply(b.engine, products);
    for (int i = 0; i < M * N; i++) {
        float sum = 0; /* of small whole numbers: exact */
        for (int k = 0; k < K; k++)
            sum += (float)((i / N * K + k) % 5 - 2) * (float)((k * N + i % N) % 7 - 3);
        assert_true(products[0][i] == sum && products[1][i] == sum);
    }
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backwards_the_last_of_a_group_comes_first_and_groups_stay_in_order),
        cmocka_unit_test(backwards_the_last_part_of_a_dispatch_comes_first),
        cmocka_unit_test(backwards_a_part_still_finds_what_the_set_up_of_another_made),
    };
    struct device_info info;
    if (device_list(&info, 1) < 1 || !info.is_cpu) {
        fprintf(stderr, "no device on which one dispatch ends before the next begins\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
