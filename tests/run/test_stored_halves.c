/* test_stored_halves.c - each kernel that can store halves, beside itself storing floats: products with the identity hand
 * on what they read, which must be the same bits, those that the host rounds the floats to. In the GPU style, by every rung
 * that this machine's device can run. */
#include "device_world.h"
#include "memory.h"
#include "program.h"
#include "rng.h"
#include "run.h"
#include "take_only.h"

#include <string.h>

enum { LEAVES = 6, BATCH = 3, TOKENS = 9, WIDE = 72, ODD = 51 };

struct net {
    struct tape *t;
    value leaves[LEAVES], identity;
    uint32_t count;
};

static value in(struct net *n, struct shape s)
{
    value v = tape_leaf(n->t, LEAF_INPUT, s, n->count, "input");
    n->leaves[n->count++] = v;
    return v;
}

static value layernorm(struct net *n)
{
    return tape_layernorm(n->t, in(n, SHAPE(BATCH, TOKENS, WIDE)), in(n, SHAPE(WIDE)), in(n, SHAPE(WIDE)),
                          1e-6f);
}
static value layernorm_odd(struct net *n)
{
    return tape_layernorm(n->t, in(n, SHAPE(BATCH, TOKENS, ODD)), in(n, SHAPE(ODD)), in(n, SHAPE(ODD)),
                          1e-6f);
}
static value normalize_sum(struct net *n)
{
    value x = tape_add(n->t, in(n, SHAPE(BATCH, TOKENS, WIDE)), in(n, SHAPE(BATCH, TOKENS, WIDE)));
    return tape_normalize(n->t, x, 1e-6f);
}

static value product(struct net *n)
{
    return tape_matmul(n->t, in(n, SHAPE(BATCH, TOKENS, ODD)), in(n, SHAPE(WIDE, ODD)), 0, 1);
}
static value product_odd(struct net *n)
{
    return tape_matmul(n->t, in(n, SHAPE(BATCH, TOKENS, WIDE)), in(n, SHAPE(WIDE, ODD)), 0, 0);
}
static value product_batched(struct net *n)
{
    return tape_matmul(n->t, in(n, SHAPE(BATCH, TOKENS, ODD)), in(n, SHAPE(BATCH, ODD, WIDE)), 0, 0);
}
static value product_gelu(struct net *n)
{
    value x = tape_add(n->t, product(n), in(n, SHAPE(WIDE)));
    return tape_unary(n->t, x, UNARY_GELU);
}
static value product_residual(struct net *n)
{
    return tape_add(n->t, product(n), in(n, SHAPE(BATCH, TOKENS, WIDE)));
}
static value product_gelu_back(struct net *n)
{
    return tape_unary_back(n->t, in(n, SHAPE(BATCH, TOKENS, WIDE)), product(n), UNARY_GELU);
}
static value product_long(struct net *n) /* k is cut where the ladder finds that to pay */
{
    return tape_matmul(n->t, in(n, SHAPE(2048, 8)), in(n, SHAPE(2048, WIDE)), 1, 0);
}

static value dropout(struct net *n)
{
    return tape_dropout(n->t, in(n, SHAPE(BATCH, TOKENS, WIDE)), 0.3f, 7, ~0u);
}
static value scale_shift(struct net *n)
{
    value x = tape_mul(n->t, in(n, SHAPE(BATCH, 45, 30)), in(n, SHAPE(30)));
    return tape_add(n->t, x, in(n, SHAPE(30)));
}
static value scale_odd(struct net *n)
{
    return tape_mul(n->t, in(n, SHAPE(BATCH, TOKENS, ODD)), in(n, SHAPE(ODD)));
}
static value affine(struct net *n) /* more than a chunk */
{
    return tape_affine(n->t, in(n, SHAPE(40, WIDE)), -1.5f, 0.25f);
}
static value permute(struct net *n)
{
    return tape_permute(n->t, in(n, SHAPE(3, 5, 7, 6)), (const int32_t[SHAPE_RANK]){0, 2, 1, 3});
}
static value permute_last(struct net *n)
{
    return tape_permute(n->t, in(n, SHAPE(3, 50, 7)), (const int32_t[SHAPE_RANK]){0, 2, 1, 3});
}
static value expand(struct net *n)
{
    return tape_expand(n->t, in(n, SHAPE(1, 7, 10)), SHAPE(BATCH, 7, 10));
}
static value unfold(struct net *n)
{
    return tape_unfold(n->t, in(n, SHAPE(2, 6, 5, 14)), 3);
}
static value unfold_odd(struct net *n)
{
    return tape_unfold(n->t, in(n, SHAPE(2, 6, 5, 3)), 3);
}

static const struct producer {
    const char *name;
    value (*trace)(struct net *n);
    int halves; /* it stores them */
} producers[] = {
    /* those whose kernels depend on the rung first */
    {"layernorm", layernorm, 1},
    {"product", product, 1},
    {"product + bias + gelu", product_gelu, 1},
    {"long product", product_long, 1},
    {"product of odd rows", product_odd, 0},
    {"batched product", product_batched, 1},
    {"product + residual", product_residual, 1},
    {"product x gelu'", product_gelu_back, 1},
    {"layernorm of odd rows", layernorm_odd, 0},
    {"normalize of a sum", normalize_sum, 1},
    {"dropout", dropout, 1},
    {"scale and shift", scale_shift, 1},
    {"scale of odd rows", scale_odd, 0},
    {"affine", affine, 1},
    {"permute", permute, 1},
    {"permute, rows to columns", permute_last, 1},
    {"expand", expand, 1},
    {"unfold", unfold, 1},
    {"unfold of odd channels", unfold_odd, 0},
};
enum { PRODUCERS = sizeof producers / sizeof *producers };

static const struct rung_case {
    const char *tile;
    enum number number;
    int producers; /* how many: kernels take their time to compile */
} rungs[] = {
    {"tiled 32x32", NUMBER_FP16, PRODUCERS},
    {"tiled 32x32", NUMBER_BF16, 3},
    {"packed 32x32", NUMBER_FP16, 4},
    {"subgroup 32x32", NUMBER_FP16, 2},
    {"cpu", NUMBER_FP16, 3},
    {"cpu", NUMBER_BF16, 1},
};
enum { RUNG_CASES = sizeof rungs / sizeof *rungs };

/* Normal numbers, with some that are tiny, large, or halfway between two halves. */
static void fill(struct run *run, const struct net *n)
{
    for (uint32_t i = 0; i < n->count; i++) {
        const size_t count = (size_t)shape_count(tape_shape(n->t, n->leaves[i]));
        const int32_t across = tape_shape(n->t, n->leaves[i]).dim[1];
        float *data = mem_alloc(count, sizeof *data);
        assert_non_null(data);
        struct rng g = {.seed = 3, .stream = i};
        for (size_t k = 0; k < count; k++) {
            data[k] = (float)rng_normal(&g) * (k % 7 == 0 ? 1e-6f : k % 11 == 0 ? 16 : 1);
            if (n->leaves[i] == n->identity)
                data[k] = k % (size_t)across == k / (size_t)across;
        }
        must(run_write(run, n->leaves[i], data));
        mem_free(data);
    }
}

/* The producer's floats, or what a product reads of them; *activations: bytes. */
static float *compute(struct bank *bank, const struct producer *p, enum number number, int product,
                      size_t *count, uint64_t *activations)
{
    struct net n = {.t = tape_create()};
    struct run *run;
    assert_non_null(n.t);
    value v = p->trace(&n);
    if (product) {
        const struct shape s = tape_shape(n.t, v);
        const int32_t width = s.dim[s.rank - 1];
        n.identity = in(&n, SHAPE(width, width));
        v = tape_matmul(n.t, v, n.identity, 0, 0);
    }
    assert_null(tape_why(n.t));
    must(run_create(
        &run, &(struct run_spec){
                  .tape = n.t, .bank = bank, .number = number, .logs = &v, .log_count = 1, .series = 1}));
    fill(run, &n);
    must(run_begin(run, &(struct run_series){.steps = 1, .seed = 5}));
    must(run_go(run, 1));
    must(run_wait(run, 0));
    *count = (size_t)shape_count(tape_shape(n.t, v));
    *activations = run_memory(run).activations;
    float *out = mem_alloc(*count, sizeof *out);
    assert_non_null(out);
    must(run_log(run, 0, 0, 1, out));
    run_destroy(run);
    tape_destroy(n.t);
    return out;
}

static void check(struct engine *e, struct bank *bank, const struct producer *p, const struct rung_case *c)
{
    size_t count, same;
    uint64_t bytes[3];
    float *exact = compute(bank, p, c->number, 0, &count, &bytes[0]);
    engine_want_halves(e, 0);
    float *floats = compute(bank, p, c->number, 1, &same, &bytes[1]);
    engine_want_halves(e, 1);
    float *halves = compute(bank, p, c->number, 1, &same, &bytes[2]);
    assert_int_equal(count, same);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&floats[i], &halves[i], 4) != 0)
            fail_msg("%s by %s %s, number %zu: %.9g as floats, %.9g as halves", p->name, c->tile,
                     number_names[c->number], i, (double)floats[i], (double)halves[i]);
        const float rounded = number_round(c->number, exact[i]);
        if (halves[i] != rounded)
            fail_msg("%s by %s %s, number %zu: %.9g is not %.9g", p->name, c->tile, number_names[c->number],
                     i, (double)halves[i], (double)rounded);
    }
    if (strcmp(c->tile, "cpu") != 0)
        assert_int_equal(bytes[2] < bytes[1], p->halves);
    mem_free(exact);
    mem_free(floats);
    mem_free(halves);
}

static void stored_halves_are_what_products_round_floats_to(void **state)
{
    (void)state;
    for (int r = 0; r < RUNG_CASES; r++) {
        struct engine *e;
        struct bank *bank;
        must(engine_create(&e, device, ENGINE_GPU));
        must(bank_create(&bank, e, NULL, 0));
        if (take_only(e, rungs[r].tile, rungs[r].number))
            for (int i = 0; i < rungs[r].producers; i++)
                check(e, bank, &producers[i], &rungs[r]);
        bank_destroy(bank);
        engine_destroy(e);
    }
}

/* Logged, or added to: a product reads it beside them. */
static void what_others_read_too_stays_floats(void **state)
{
    enum { SEEN = BATCH * TOKENS * WIDE };
    static float out[2][2][SEEN];
    struct engine *e;
    struct bank *bank;
    (void)state;
    must(engine_create(&e, device, ENGINE_GPU));
    must(bank_create(&bank, e, NULL, 0));
    for (int logged = 0; logged < 2; logged++)
        for (int halves = 0; halves < 2; halves++) {
            struct net n = {.t = tape_create()};
            struct run *run;
            engine_want_halves(e, halves);
            const value v = layernorm(&n), logs[] = {logged ? v : tape_affine(n.t, v, 1, 0.125f),
                                                     tape_matmul(n.t, v, in(&n, SHAPE(WIDE, WIDE)), 0, 0)};
            must(run_create(&run, &(struct run_spec){.tape = n.t,
                                                     .bank = bank,
                                                     .number = NUMBER_FP16,
                                                     .logs = logs,
                                                     .log_count = 2,
                                                     .series = 1}));
            fill(run, &n);
            must(run_begin(run, &(struct run_series){.steps = 1}));
            must(run_go(run, 1));
            must(run_wait(run, 0));
            for (size_t i = 0; i < 2; i++)
                must(run_log(run, i, 0, 1, out[halves][i]));
            assert_memory_equal(out[0], out[halves], sizeof *out);
            run_destroy(run);
            tape_destroy(n.t);
        }
    bank_destroy(bank);
    engine_destroy(e);
}

/* How many copies of operands a program makes; it is planned for and does not run. */
static int copies_of(struct engine *e, struct bank *bank, const struct producer *p, int halves)
{
    struct net n = {.t = tape_create()};
    struct run *run;
    int copies = 0;
    engine_want_halves(e, halves);
    value v = p->trace(&n);
    v = tape_matmul(n.t, v, in(&n, SHAPE(WIDE, WIDE)), 0, 0);
    assert_null(tape_why(n.t));
    must(run_create(
        &run,
        &(struct run_spec){
            .tape = n.t, .bank = bank, .number = NUMBER_FP16, .logs = &v, .log_count = 1, .series = 1}));
    const struct program *program = (const struct program *)(const void *)run; /* its first member */
    for (uint32_t i = 0; i < program->work_count; i++)
        copies += program->works[i].shader == SHADER_NARROW;
    run_destroy(run);
    tape_destroy(n.t);
    return copies;
}

/* As if the device had them: no driver here does. */
static void matrix_units_of_workgroups_take_halves_as_they_are_stored(void **state)
{
    struct device_info *info = (struct device_info *)device_info(device), honest = *info;
    struct engine *e;
    struct bank *bank;
    (void)state;
    device_rehearse_begin(device);
    must(engine_create(&e, device, ENGINE_GPU));
    must(bank_create(&bank, e, NULL, 0));
    if (engine_has(e, SHADER_GEMM_WORKGROUP)) {
        info->has_coopmat2 = 1;
        info->flexible[0] = (struct device_flexible){{NUMBER_FP16, 16, 16, 16}, 128};
        info->flexible_count = 1;
        info->flexible_invocations = info->flexible_dimension = 256;
        info->flexible_reserved = 0;
        ladder_only(e, RUNG_WORKGROUP);
        assert_int_equal(copies_of(e, bank, &producers[0], 0), 2); /* and the weights */
        assert_int_equal(copies_of(e, bank, &producers[0], 1), 1);
    }
    bank_destroy(bank);
    engine_destroy(e);
    *info = honest;
    device_rehearse_end(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_halves_are_what_products_round_floats_to),
        cmocka_unit_test(what_others_read_too_stays_floats),
        cmocka_unit_test(matrix_units_of_workgroups_take_halves_as_they_are_stored),
        cmocka_unit_test(the_validation_layers_have_nothing_to_say),
    };
    return RUN_ON_DEVICE(with_matrix_units(), tests);
}
