/* test_attention_matrix.c - attention on the matrix units of subgroups: right where a software driver has them, taken
 * where style, rung and width ask for it and nowhere else, dropped where it is wrong. Wider heads take a
 * software driver up to a minute and a half to compile: `VITRO_LADDER=subgroup vitro selftest --filter "attention
 * subgroup"` has them. */
#include "../run/listening.h"
#include "attention_matrix.h"
#include "bank.h"
#include "check_report.h"
#include "ladder.h"
#include "memory.h"
#include "rng.h"
#include "run.h"

#include <math.h>
#include <string.h>

#include "wrong_attention_spv.h"

enum { TOKENS = 45, HEADS = 2, WIDTH = 8, OUTPUTS = 2 };
static const struct attention part = {HEADS, 3, TOKENS - 4, 2};

static void note_kernel(void *context, const struct kernel *kernel, const uint32_t *constants, uint32_t count)
{
    int *seen = context;
    (void)constants;
    (void)count;
    *seen |= !strcmp(kernel_name(kernel), "attention_matrix") ? 1 : 0;
    *seen |= !strcmp(kernel_name(kernel), "attention_matrix_back_q") ? 2 : 0;
    *seen |= !strcmp(kernel_name(kernel), "attention_matrix_back_kv") ? 4 : 0;
}

static void agrees(const char *const *filters)
{
    need_units();
    struct engine *e = make_engine(ENGINE_GPU);
    for (int ran = 0, kernels = 0; *filters; filters++, ran = 0) {
        assert_int_equal(check_attention(e, *filters, 0, report, &ran), 0);
        assert_true(ran > 0);
        engine_kernels(e, note_kernel, &kernels);
        assert_int_equal(kernels, 7);
    }
    assert_string_equal(said, "");
    engine_destroy(e);
}

static void attention_in_fp16_agrees_for_any_count_of_tokens_and_any_range(void **state)
{
    (void)state;
    agrees((const char *const[]){"subgroup fp16 2x197, 1x16", "subgroup fp16 2x1, 2x16",
                                 "subgroup fp16 2x67, 2x16", "subgroup fp16 2x21, 2x16",
                                 "subgroup fp16 2x90, 2x16", "subgroup fp16 2x5, 3x8",
                                 "tiled fp16 2x21, 2x12", NULL});
}

static void rung_style_width_and_precision_say_which_kernels_are_taken(void **state)
{
    static const enum rung fp32[] = {RUNG_PACKED, RUNG_TILED, RUNG_CPU};
    (void)state;
    need_units();
    struct engine *gpu = make_engine(ENGINE_GPU), *cpu = make_engine(ENGINE_CPU);
    assert_non_null(attention_matrix_unit(gpu, NUMBER_FP16, 64));
    assert_null(attention_matrix_unit(gpu, NUMBER_FP32, 64));
    assert_null(attention_matrix_unit(gpu, NUMBER_FP16, 12));
    assert_true(attention_matrix_unit(gpu, NUMBER_BF16, 64) || !device_info(device)->has_bf16);
    assert_null(attention_matrix_unit(cpu, NUMBER_FP16, 64));
    for (size_t i = 0; i < sizeof fp32 / sizeof *fp32; i++) {
        ladder_only(gpu, fp32[i]);
        assert_null(attention_matrix_unit(gpu, NUMBER_FP16, 64));
    }
    ladder_only(gpu, RUNG_WORKGROUP);
    assert_non_null(attention_matrix_unit(gpu, NUMBER_FP16, 64));
    ladder_only(cpu, RUNG_SUBGROUP);
    assert_non_null(attention_matrix_unit(cpu, NUMBER_FP16, 64));
    engine_destroy(gpu);
    engine_destroy(cpu);
}

static void workgroups_fit_every_usual_device(void **state)
{
    static const struct {
        uint32_t lanes, shared_bytes;
        struct device_matrix unit;
        uint32_t widest; /* that must have a workgroup */
        int brief;
    } devices[] = {{32, 49152, {NUMBER_FP16, 16, 16, 16}, 80, 0}, /* NVIDIA */
                   {32, 49152, {NUMBER_FP16, 16, 8, 16}, 80, 0},
                   {32, 65536, {NUMBER_FP16, 16, 16, 16}, 80, 0}, /* AMD */
                   {64, 65536, {NUMBER_FP16, 16, 16, 16}, 128, 0},
                   {16, 65536, {NUMBER_FP16, 8, 16, 16}, 80, 0}, /* Intel */
                   {8, 32768, {NUMBER_FP16, 8, 8, 8}, 128, 1}};  /* lavapipe */
    static const uint32_t counts[] = {1, 50, 197, 257};
    (void)state;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        for (uint32_t width = 16; width <= 256; width += 16)
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
                for (int pass = ATTENTION_FORWARD; pass <= ATTENTION_BACK_KV; pass++) {
                    const struct attention_limits limits = {devices[i].lanes, 256, devices[i].shared_bytes,
                                                            devices[i].brief};
                    struct attention_tile t;
                    const uint32_t fits = attention_matrix_list(&t, 1, (enum attention_pass)pass, width, counts[c],
                                                       &limits, &devices[i].unit);
                    assert_true(fits || width > devices[i].widest);
                    if (!fits)
                        continue;
                    assert_true(t.shared_bytes <= limits.shared_bytes && t.group <= limits.max_invocations);
                    assert_int_equal(t.group % limits.lanes, 0);
                    assert_int_equal(t.owned, t.group / limits.lanes * devices[i].unit.m);
                    assert_int_equal(t.step / devices[i].unit.n % t.unroll, 0);
                }
}

static void what_does_not_fit_matrices_has_no_workgroup(void **state)
{
    const struct attention_limits wide = {64, 1024, 65536, 0}, usual = {32, 1024, 49152, 0},
                                  small = {32, 1024, 4096, 0};
    const struct device_matrix low = {NUMBER_FP16, 8, 8, 8}, square = {NUMBER_FP16, 16, 16, 16};
    struct attention_tile t;
    (void)state;
    assert_false(attention_matrix_list(&t, 1, ATTENTION_FORWARD, 72, 197, &usual, &square));
    assert_false(attention_matrix_list(&t, 1, ATTENTION_FORWARD, 64, 197, &small, &square));
    assert_false(attention_matrix_list(&t, 1, ATTENTION_FORWARD, 64, 197, &wide, &low)); /* 8 lanes a row */
}

struct net {
    struct tape *tape;
    value qkv, gradient, outputs[OUTPUTS]; /* result and gradient */
    size_t counts[OUTPUTS];
};

static struct net trace(void)
{
    struct net n = {.tape = tape_create()};
    const int32_t all = HEADS * WIDTH;
    assert_non_null(n.tape);
    n.qkv = tape_leaf(n.tape, LEAF_INPUT, SHAPE(2, TOKENS, 3 * all), 1, "qkv");
    n.gradient = tape_leaf(n.tape, LEAF_INPUT, SHAPE(2, part.q_to - part.q_from, all), 2, "gradient");
    /* inputs are floats; half of them is computed, and stored as halves where attention rounds them */
    const value qkv = tape_affine(n.tape, n.qkv, 0.5f, 0), gradient = tape_affine(n.tape, n.gradient, 0.5f, 0);
    n.outputs[0] = tape_attention_part(n.tape, qkv, part);
    n.outputs[1] = tape_attention_back(n.tape, qkv, n.outputs[0], tape_attention_lse(n.tape, qkv, part),
                                       gradient, part);
    assert_null(tape_why(n.tape));
    for (size_t i = 0; i < OUTPUTS; i++)
        n.counts[i] = (size_t)shape_count(tape_shape(n.tape, n.outputs[i]));
    return n;
}

static void fill(struct run *run, const struct net *n, value leaf, uint64_t stream, float times)
{
    const size_t count = (size_t)shape_count(tape_shape(n->tape, leaf));
    float *data = mem_alloc(count, sizeof *data);
    struct rng g = {.seed = 3, .stream = stream};
    assert_non_null(data);
    for (size_t k = 0; k < count; k++)
        data[k] = times * (float)rng_normal(&g);
    must(run_write(run, leaf, data));
    mem_free(data);
}

/* Gradients come in `times` as large; out[i] holds the repeats of output i, one behind another. */
static void compute(struct engine *e, const struct net *n, enum number number, float times, uint32_t repeats,
                    float *out[OUTPUTS])
{
    struct run *run;
    struct bank *bank;
    must(bank_create(&bank, e, NULL, 0));
    must(run_create(&run, &(struct run_spec){.tape = n->tape,
                                             .bank = bank,
                                             .number = number,
                                             .logs = n->outputs,
                                             .log_count = OUTPUTS,
                                             .series = repeats}));
    fill(run, n, n->qkv, 0, 1);
    fill(run, n, n->gradient, 1, times);
    must(run_begin(run, &(struct run_series){.steps = repeats}));
    must(run_go(run, repeats));
    must(run_wait(run, 0));
    for (size_t i = 0; i < OUTPUTS; i++) {
        out[i] = mem_alloc(repeats * n->counts[i], sizeof(float));
        assert_non_null(out[i]);
        must(run_log(run, (uint32_t)i, 0, repeats, out[i]));
    }
    run_destroy(run);
    bank_destroy(bank);
}

static void release(float *out[OUTPUTS])
{
    for (size_t i = 0; i < OUTPUTS; i++)
        mem_free(out[i]);
}

static int all_finite(const float *x, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!isfinite(x[k]))
            return 0;
    return 1;
}

static void it_gives_the_same_bits_each_time(void **state)
{
    enum { REPEATS = 3 };
    float *out[OUTPUTS];
    (void)state;
    need_units();
    struct engine *e = make_engine(ENGINE_GPU);
    struct net n = trace();
    compute(e, &n, NUMBER_FP16, 1, REPEATS, out);
    for (size_t i = 0; i < OUTPUTS; i++)
        for (uint32_t r = 1; r < REPEATS; r++)
            assert_memory_equal(out[i], out[i] + r * n.counts[i], n.counts[i] * sizeof(float));
    release(out);
    tape_destroy(n.tape);
    engine_destroy(e);
}

/* A loss's scale that is too large must show: numbers that fp16 lacks become infinite and are not clamped. */
static void gradients_beyond_fp16_are_not_finite(void **state)
{
    float *out[OUTPUTS];
    (void)state;
    need_units();
    struct engine *e = make_engine(ENGINE_GPU);
    struct net n = trace();
    compute(e, &n, NUMBER_FP16, 1e3f, 1, out);
    assert_true(all_finite(out[1], n.counts[1]));
    release(out);
    compute(e, &n, NUMBER_FP16, 1e6f, 1, out);
    assert_true(all_finite(out[0], n.counts[0]));
    assert_false(all_finite(out[1], n.counts[1]));
    release(out);
    tape_destroy(n.tape);
    engine_destroy(e);
}

static void a_wrong_kernel_is_told_and_fp32_is_taken(enum shader wrong)
{
    float *out[OUTPUTS], *expected[OUTPUTS];
    need_units();
    struct engine *e = make_engine(ENGINE_GPU);
    struct net n = trace();
    engine_replace(e, wrong, wrong_attention_spv, sizeof wrong_attention_spv);
    compute(e, &n, NUMBER_FP16, 1, 1, out);
    assert_non_null(
        strstr(said, "warning: attention on matrix units, with heads of width 8 in fp16, is wrong"));
    compute(e, &n, NUMBER_FP32, 1, 1, expected);
    for (size_t i = 0; i < OUTPUTS; i++)
        assert_memory_equal(out[i], expected[i], n.counts[i] * sizeof(float));
    release(out);
    release(expected);
    tape_destroy(n.tape);
    engine_destroy(e);
}

static void a_wrong_forward_is_told_and_fp32_is_taken(void **state)
{
    (void)state;
    a_wrong_kernel_is_told_and_fp32_is_taken(SHADER_ATTENTION_MATRIX);
}

static void a_wrong_gradient_is_told_and_fp32_is_taken(void **state)
{
    (void)state;
    a_wrong_kernel_is_told_and_fp32_is_taken(SHADER_ATTENTION_MATRIX_BACK_KV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workgroups_fit_every_usual_device),
        cmocka_unit_test(what_does_not_fit_matrices_has_no_workgroup),
        cmocka_unit_test(rung_style_width_and_precision_say_which_kernels_are_taken),
        cmocka_unit_test(attention_in_fp16_agrees_for_any_count_of_tokens_and_any_range),
        cmocka_unit_test(it_gives_the_same_bits_each_time),
        cmocka_unit_test(gradients_beyond_fp16_are_not_finite),
        cmocka_unit_test(a_wrong_forward_is_told_and_fp32_is_taken),
        cmocka_unit_test(a_wrong_gradient_is_told_and_fp32_is_taken),
        cmocka_unit_test(the_validation_layers_have_nothing_to_say),
    };
    return RUN_ON_DEVICE(with_matrix_units(), tests);
}
