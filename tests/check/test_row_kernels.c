/* test_row_kernels.c - kernels along rows and over tokens at sizes that no table lists: every count of tokens, the
 * same bits from the same input, the tiles that devices of any size get. */
#include "attention_tile.h"
#include "error.h"
#include "memory.h"
#include "rng.h"
#include "run.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Relative to the largest number: two products, an exponential, a division, in two different orders. */
#define ATTENTION_TOLERANCE 2e-5

enum { WIDTH = 16, HEADS = 2, OUTPUTS = 3 };

static struct device *device;
static struct engine *engines[ENGINE_GPU + 1]; /* by style */
static struct bank *banks[ENGINE_GPU + 1];

struct net {
    struct tape *tape;
    value leaves[2], outputs[OUTPUTS];
};

static void trace_attention(struct net *n, int32_t tokens, struct attention part)
{
    int32_t queries = part.q_to - part.q_from, all = HEADS * WIDTH;
    n->tape = tape_create();
    assert_non_null(n->tape);
    n->leaves[0] = tape_leaf(n->tape, LEAF_INPUT, SHAPE(2, tokens, 3 * all), 1, "qkv");
    n->leaves[1] = tape_leaf(n->tape, LEAF_INPUT, SHAPE(2, queries, all), 2, "gradient");
    n->outputs[0] = tape_attention_part(n->tape, n->leaves[0], part);
    n->outputs[1] = tape_attention_lse(n->tape, n->leaves[0], part);
    n->outputs[2] =
        tape_attention_back(n->tape, n->leaves[0], n->outputs[0], n->outputs[1], n->leaves[1], part);
    assert_null(tape_why(n->tape));
}

static size_t size_of(const struct net *n, value v)
{
    return (size_t)shape_count(tape_shape(n->tape, v));
}

/* Runs the net `repeats` times on random leaves; out[i] holds the repeats of output i, one behind another. */
static void compute(const struct net *n, enum engine_style style, uint32_t repeats, float *out[OUTPUTS])
{
    struct run *run;
    const struct run_spec spec = {
        .tape = n->tape, .bank = banks[style], .logs = n->outputs, .log_count = OUTPUTS, .series = repeats};
    if (run_create(&run, &spec) < 0)
        fail_msg("%s", error_text());
    for (uint32_t i = 0; i < 2; i++) {
        size_t count = size_of(n, n->leaves[i]);
        float *data = mem_alloc(count, sizeof *data);
        assert_non_null(data);
        struct rng g = {.seed = 3, .stream = i};
        for (size_t k = 0; k < count; k++)
            data[k] = (float)rng_normal(&g);
        assert_int_equal(run_write(run, n->leaves[i], data), 0);
        mem_free(data);
    }
    assert_int_equal(run_begin(run, &(struct run_series){.steps = repeats}), 0);
    assert_int_equal(run_go(run, repeats), 0);
    assert_int_equal(run_wait(run, 0), 0);
    for (size_t i = 0; i < OUTPUTS; i++) {
        out[i] = mem_alloc(repeats * size_of(n, n->outputs[i]), sizeof(float));
        assert_non_null(out[i]);
        assert_int_equal(run_log(run, i, 0, repeats, out[i]), 0);
    }
    run_destroy(run);
}

static double difference(const float *a, const float *b, size_t count)
{
    double top = 1e-30, worst = 0;
    for (size_t k = 0; k < count; k++) {
        double d = fabs((double)a[k] - (double)b[k]);
        top = fmax(top, fabs((double)b[k]));
        worst = isnan(d) ? INFINITY : fmax(worst, d);
    }
    return worst / top;
}

static void compare_styles(int32_t tokens, struct attention part)
{
    struct net n;
    float *gpu[OUTPUTS], *cpu[OUTPUTS];
    trace_attention(&n, tokens, part);
    compute(&n, ENGINE_GPU, 1, gpu);
    compute(&n, ENGINE_CPU, 1, cpu);
    for (size_t i = 0; i < OUTPUTS; i++) {
        double d = difference(gpu[i], cpu[i], size_of(&n, n.outputs[i]));
        if (d > ATTENTION_TOLERANCE)
            fail_msg("%d tokens, output %zu: the styles differ by %.2g", tokens, i, d);
        mem_free(gpu[i]);
        mem_free(cpu[i]);
    }
    tape_destroy(n.tape);
}

static void attention_of_any_count_of_tokens_is_the_same_in_both_styles(void **state)
{
    static const int32_t counts[] = {1,  2,  3,  5,  8,  15,  16,  17,  31,  32,
                                     33, 50, 63, 64, 65, 101, 128, 197, 255, 257};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        compare_styles(counts[i], (struct attention){HEADS, 0, counts[i], 0});
}

static void attention_of_any_range_is_the_same_in_both_styles(void **state)
{
    static const int32_t parts[][4] = {/* tokens, q_from, q_to, k_from */
                                       {197, 0, 1, 0},
                                       {207, 10, 207, 0},
                                       {70, 3, 68, 69},
                                       {90, 0, 40, 45},
                                       {257, 64, 128, 16}};
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        compare_styles(parts[i][0], (struct attention){HEADS, parts[i][1], parts[i][2], parts[i][3]});
}

static void attention_gives_the_same_bits_each_time(void **state)
{
    enum { REPEATS = 3 };
    struct net n;
    float *out[OUTPUTS];
    (void)state;
    trace_attention(&n, 101, (struct attention){HEADS, 7, 95, 11});
    compute(&n, ENGINE_GPU, REPEATS, out);
    for (size_t i = 0; i < OUTPUTS; i++) {
        size_t count = size_of(&n, n.outputs[i]);
        for (uint32_t r = 1; r < REPEATS; r++)
            assert_memory_equal(out[i], out[i] + r * count, count * sizeof(float));
        mem_free(out[i]);
    }
    tape_destroy(n.tape);
}

static void check_tile(const struct attention_tile *t, const struct attention_limits *l)
{
    assert_true(t->shared_bytes <= l->shared_bytes);
    assert_true(t->group <= l->max_invocations);
    assert_int_equal(t->group % l->lanes, 0);      /* subgroups are full */
    assert_int_equal(l->lanes % (t->step / 4), 0); /* a row of invocations lies within one */
    assert_int_equal(t->owned, t->group / (t->step / 4) * t->rows);
}

static void attention_has_tiles_for_every_usual_device(void **state)
{
    static const uint32_t lanes[] = {4, 8, 16, 32, 64}, counts[] = {1, 50, 197, 257};
    (void)state;
    for (size_t l = 0; l < sizeof lanes / sizeof *lanes; l++)
        for (uint32_t width = 2; width <= 128; width += 2)
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
                for (int pass = ATTENTION_FORWARD; pass <= ATTENTION_BACK_KV; pass++)
                    for (int brief = 0; brief < 2; brief++) {
                        /* 48 KiB: the least of any GPU on a desk; 16 KiB: the least that Vulkan allows, where
                         * some widths go without */
                        const struct attention_limits usual = {lanes[l], 256, 49152, brief},
                                                      least = {lanes[l], 128, 16384, brief};
                        struct attention_tile t;
                        assert_true(
                            attention_tile_list(&t, 1, (enum attention_pass)pass, width, counts[c], &usual));
                        check_tile(&t, &usual);
                        const uint32_t small =
                            attention_tile_list(&t, 1, (enum attention_pass)pass, width, counts[c], &least);
                        assert_true(small || width > 32 || lanes[l] == 64);
                        if (small)
                            check_tile(&t, &least);
                    }
}

static void the_validation_layers_have_nothing_to_say(void **state)
{
    (void)state;
    assert_int_equal(device_check(device), 0);
}

static int open_engines(void **state)
{
    (void)state;
    for (int style = ENGINE_CPU; style <= ENGINE_GPU; style++)
        if (engine_create(&engines[style], device, (enum engine_style)style) < 0 ||
            bank_create(&banks[style], engines[style], NULL, 0) < 0)
            return -1;
    return 0;
}

static int close_engines(void **state)
{
    (void)state;
    for (int style = ENGINE_CPU; style <= ENGINE_GPU; style++) {
        bank_destroy(banks[style]);
        engine_destroy(engines[style]);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_has_tiles_for_every_usual_device),
        cmocka_unit_test(attention_of_any_count_of_tokens_is_the_same_in_both_styles),
        cmocka_unit_test(attention_of_any_range_is_the_same_in_both_styles),
        cmocka_unit_test(attention_gives_the_same_bits_each_time),
        cmocka_unit_test(the_validation_layers_have_nothing_to_say),
    };
    const struct device_spec spec = {.index = -1, .validate = getenv("VITRO_VALIDATE") != NULL};
    if (device_open(&device, &spec) < 0) {
        fprintf(stderr, "no device to test: %s\n", error_text());
        return 77;
    }
    int rc = cmocka_run_group_tests(tests, open_engines, close_engines);
    device_close(device);
    return rc;
}
