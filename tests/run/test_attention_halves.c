/* test_attention_halves.c - attention on matrix units reads halves and stores them where only products go on with its
 * results, and every bit is that of the same step with floats. In the GPU style, with narrow heads, which compile soon. */
#include "device_world.h"
#include "memory.h"
#include "program.h"
#include "rng.h"
#include "run.h"
#include "take_only.h"

#include <string.h>

enum { BATCH = 2, TOKENS = 37, HEADS = 2, WIDTH = 8, DIM = HEADS * WIDTH, INNER = 12, PROMPTS = 3 };
enum { LEAVES = 8, LOGS = 2, FORWARD = 0, BACK, WAYS };

struct net {
    struct tape *t;
    value leaves[LEAVES], logs[LOGS];
    uint32_t count, log_count;
};

static value in(struct net *n, struct shape s)
{
    value v = tape_leaf(n->t, LEAF_INPUT, s, n->count, "input");
    n->leaves[n->count++] = v;
    return v;
}

/* [BATCH rows width], by a product */
static value product(struct net *n, int32_t rows, int32_t width)
{
    return tape_matmul(n->t, in(n, SHAPE(BATCH, rows, INNER)), in(n, SHAPE(width, INNER)), 0, 1);
}

static void give(struct net *n, value v)
{
    n->logs[n->log_count++] = v;
}

/* What a product makes of v. */
static void give_product(struct net *n, value v)
{
    const int32_t width = tape_shape(n->t, v).dim[2];
    give(n, tape_matmul(n->t, v, in(n, SHAPE(INNER, width)), 0, 1));
}

static value gradient(struct net *n, value qkv, struct attention a)
{
    const value out = tape_attention_part(n->t, qkv, a);
    return tape_attention_back(n->t, qkv, out, tape_attention_lse(n->t, qkv, a),
                               product(n, a.q_to - a.q_from, tape_shape(n->t, qkv).dim[2] / 3), a);
}

static const struct attention all = {HEADS, 0, TOKENS, 0}, part = {HEADS, 5, TOKENS - 2, 3};

static void forward(struct net *n)
{
    const value qkv = tape_add(n->t, product(n, TOKENS, 3 * DIM), in(n, SHAPE(3 * DIM)));
    give_product(n, tape_attention_part(n->t, qkv, all));
}

static void forward_of_a_part(struct net *n)
{
    give_product(n, tape_attention_part(n->t, product(n, TOKENS, 3 * DIM), part));
}

static void training(struct net *n)
{
    const value qkv = product(n, TOKENS, 3 * DIM);
    give_product(n, gradient(n, qkv, part));
    give_product(n, tape_attention_part(n->t, qkv, part)); /* whose gradient reads it, too */
}

/* As of a bias. */
static void training_with_a_sum(struct net *n)
{
    const value d_qkv = gradient(n, product(n, TOKENS, 3 * DIM), all);
    give_product(n, d_qkv);
    give(n, tape_sum(n->t, d_qkv, 3));
}

/* Prompts that serve as keys and values, in front of what a product gives: copied, as floats. */
static void training_with_prompts(struct net *n)
{
    const struct attention a = {HEADS, PROMPTS, PROMPTS + TOKENS, 0};
    const value qkv =
        tape_concat(n->t, in(n, SHAPE(BATCH, PROMPTS, 3 * DIM)), product(n, TOKENS, 3 * DIM), 1);
    give_product(n, gradient(n, qkv, a));
}

/* Others read what attention and products would take as halves. */
static void forward_with_witnesses(struct net *n)
{
    const value qkv = product(n, TOKENS, 3 * DIM), out = tape_attention_part(n->t, qkv, all);
    give(n, tape_affine(n->t, qkv, 1, 0.125f));
    give(n, tape_affine(n->t, out, 1, 0.125f));
}

static void odd_heads(struct net *n)
{
    give_product(n, gradient(n, product(n, TOKENS, 3 * HEADS * 12), all));
}

enum { QKV = 1, D_OUT = 2, TO = 4 }; /* what kernels read and write */

static const struct step {
    const char *name;
    void (*trace)(struct net *n);
    int units;        /* kernels on matrix units */
    int halves[WAYS]; /* what is halves to them */
} steps[] = {
    {"forward", forward, 1, {QKV | TO, 0}},
    {"forward of a part", forward_of_a_part, 1, {QKV | TO, 0}},
    {"training", training, 3, {QKV, QKV | D_OUT | TO}},
    {"training with a sum", training_with_a_sum, 3, {QKV, QKV | D_OUT}},
    {"training with prompts", training_with_prompts, 3, {0, D_OUT | TO}},
    {"forward with witnesses", forward_with_witnesses, 1, {0, 0}},
    {"heads of 12", odd_heads, 0, {0, 0}},
};
enum { STEPS = sizeof steps / sizeof *steps };

struct result {
    float *numbers[LOGS];
    size_t counts[LOGS];
    uint64_t activations;
    int units, halves[WAYS]; /* as of a step */
};

/* The last constants of attention's kernels on matrix units say what is halves. */
static void look(const struct program *p, struct result *r)
{
    enum { OF_QKV = 8, OF_D_OUT, OF_TO };
    for (uint32_t i = 0; i < p->work_count; i++) {
        const struct work *w = &p->works[i];
        const int back =
            w->shader == SHADER_ATTENTION_MATRIX_BACK_Q || w->shader == SHADER_ATTENTION_MATRIX_BACK_KV;
        if (!back && w->shader != SHADER_ATTENTION_MATRIX)
            continue;
        r->units++;
        r->halves[back ? BACK : FORWARD] |= (w->constants[OF_QKV] ? QKV : 0) |
                                            (w->constants[OF_D_OUT] ? D_OUT : 0) |
                                            (w->constants[OF_TO] ? TO : 0);
    }
}

static void fill(struct run *run, const struct net *n)
{
    for (uint32_t i = 0; i < n->count; i++) {
        const size_t count = (size_t)shape_count(tape_shape(n->t, n->leaves[i]));
        float *data = mem_alloc(count, sizeof *data);
        struct rng g = {.seed = 3, .stream = i};
        assert_non_null(data);
        for (size_t k = 0; k < count; k++)
            data[k] = (float)rng_normal(&g);
        must(run_write(run, n->leaves[i], data));
        mem_free(data);
    }
}

static struct result compute(struct engine *e, const struct step *s, int halves)
{
    struct net n = {.t = tape_create()};
    struct result r = {.units = 0};
    struct bank *bank;
    struct run *run;
    assert_non_null(n.t);
    s->trace(&n);
    assert_null(tape_why(n.t));
    engine_want_halves(e, halves);
    must(bank_create(&bank, e, NULL, 0));
    must(run_create(&run, &(struct run_spec){.tape = n.t,
                                             .bank = bank,
                                             .number = NUMBER_FP16,
                                             .logs = n.logs,
                                             .log_count = n.log_count,
                                             .series = 1}));
    fill(run, &n);
    must(run_begin(run, &(struct run_series){.steps = 1}));
    must(run_go(run, 1));
    must(run_wait(run, 0));
    for (uint32_t i = 0; i < n.log_count; i++) {
        r.counts[i] = (size_t)shape_count(tape_shape(n.t, n.logs[i]));
        r.numbers[i] = mem_alloc(r.counts[i], sizeof(float));
        assert_non_null(r.numbers[i]);
        must(run_log(run, i, 0, 1, r.numbers[i]));
    }
    r.activations = run_memory(run).activations;
    look((const struct program *)(const void *)run, &r); /* its first member */
    run_destroy(run);
    bank_destroy(bank);
    tape_destroy(n.t);
    return r;
}

static void check(struct engine *e, const struct step *s, int units, const int *stored)
{
    struct result floats = compute(e, s, 0), halves = compute(e, s, 1);
    assert_int_equal(floats.units, units);
    assert_int_equal(halves.units, units);
    for (int i = 0; i < WAYS; i++) {
        assert_int_equal(floats.halves[i], 0);
        if (halves.halves[i] != stored[i])
            fail_msg("%s, %s: %d and not %d are halves", s->name, i == BACK ? "back" : "forward",
                     halves.halves[i], stored[i]);
    }
    assert_int_equal(halves.activations < floats.activations, stored[FORWARD] || stored[BACK]);
    for (int i = 0; i < LOGS; i++) {
        for (size_t k = 0; k < floats.counts[i]; k++)
            if (memcmp(&floats.numbers[i][k], &halves.numbers[i][k], sizeof(float)) != 0)
                fail_msg("%s, log %d, number %zu: %.9g with floats, %.9g with halves", s->name, i, k,
                         (double)floats.numbers[i][k], (double)halves.numbers[i][k]);
        mem_free(floats.numbers[i]);
        mem_free(halves.numbers[i]);
    }
}

static void attention_on_matrix_units_takes_and_gives_halves_in_the_bits_of_floats(void **state)
{
    struct engine *e;
    (void)state;
    need_units();
    must(engine_create(&e, device, ENGINE_GPU));
    take_beside_units(e, "tiled 32x32");
    for (int i = 0; i < STEPS; i++)
        check(e, &steps[i], steps[i].units, steps[i].halves);
    engine_destroy(e);
}

static void attention_in_fp32_reads_and_stores_floats(void **state)
{
    static const int none[WAYS] = {0};
    struct engine *e;
    (void)state;
    must(engine_create(&e, device, ENGINE_GPU));
    assert_true(take_only(e, "tiled 32x32", NUMBER_FP16));
    check(e, &steps[0], 0, none);
    check(e, &steps[2], 0, none);
    engine_destroy(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_on_matrix_units_takes_and_gives_halves_in_the_bits_of_floats),
        cmocka_unit_test(attention_in_fp32_reads_and_stores_floats),
        cmocka_unit_test(the_validation_layers_have_nothing_to_say),
    };
    return RUN_ON_DEVICE(with_matrix_units(), tests);
}
