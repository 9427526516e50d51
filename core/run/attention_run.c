/* attention_run.c - attention by itself on the device: the kernels on matrix units against those in fp32, and the time
 * that a pass takes. */
#include "products.h"

#include "attention_matrix.h"
#include "bank.h"
#include "engine.h"
#include "error.h"
#include "memory.h"
#include "rng.h"
#include "run.h"
#include "timing.h"

#include <math.h>
#include <string.h>

/* Some turns of the loops and a rest, of queries and of keys, which are not the same tokens. */
enum { TOKENS = 77, HEADS = 2, OUTPUTS = 3 };
static const struct attention part = {HEADS, 3, TOKENS - 5, 2};

/* Inputs are stored as floats, their double as a step has its own: as halves where kernels store these. */
static const float twice = 2;

struct small {
    struct tape *tape;
    value qkv, gradient, out[OUTPUTS]; /* operands before they are doubled; result, log-sum-exp, gradient */
};

static void trace_small(struct small *s, uint32_t width)
{
    struct tape *t = s->tape;
    const int32_t all = HEADS * (int32_t)width;
    s->qkv = tape_leaf(t, LEAF_INPUT, SHAPE(1, TOKENS, 3 * all), 0, "qkv");
    s->gradient = tape_leaf(t, LEAF_INPUT, SHAPE(1, part.q_to - part.q_from, all), 1, "gradient");
    const value qkv = tape_affine(t, s->qkv, twice, 0), gradient = tape_affine(t, s->gradient, twice, 0);
    s->out[0] = tape_attention_part(t, qkv, part);
    s->out[1] = tape_attention_lse(t, qkv, part);
    s->out[2] = tape_attention_back(t, qkv, s->out[0], s->out[1], gradient, part);
}

static size_t size_of(const struct tape *t, value v)
{
    return (size_t)shape_count(tape_shape(t, v));
}

static int fill(struct run *run, const struct tape *t, value leaf, uint64_t stream, enum number number)
{
    const size_t count = size_of(t, leaf);
    struct rng g = {.seed = 17, .stream = stream};
    float *x = mem_alloc(count, sizeof *x);
    for (size_t i = 0; x && i < count; i++)
        x[i] = number_round(number, (float)rng_normal(&g)) / twice;
    int rc = x ? run_write(run, leaf, x) : ERR_MEMORY;
    mem_free(x);
    return rc;
}

/* By the kernels of number `by`, with inputs that `number` has; results lie behind one another. */
static int compute(const struct small *s, struct bank *bank, enum number by, enum number number,
                   float *results)
{
    struct run *run = NULL;
    int rc;
    TRY_OUT(run_create(
        &run,
        &(struct run_spec){
            .tape = s->tape, .bank = bank, .number = by, .logs = s->out, .log_count = OUTPUTS, .series = 1}));
    TRY_OUT(fill(run, s->tape, s->qkv, 1, number));
    TRY_OUT(fill(run, s->tape, s->gradient, 2, number));
    TRY_OUT(run_begin(run, &(struct run_series){.steps = 1}));
    TRY_OUT(run_go(run, 1));
    TRY_OUT(run_wait(run, 0));
    for (uint32_t i = 0; i < OUTPUTS; results += size_of(s->tape, s->out[i]), i++)
        TRY_OUT(run_log(run, i, 0, 1, results));
out:
    run_destroy(run);
    return rc;
}

static double largest_error(const struct small *s, const float *got, const float *expected)
{
    double largest = 0;
    for (int i = 0; i < OUTPUTS; i++) {
        const size_t count = size_of(s->tape, s->out[i]);
        double top = 1e-30, worst = 0;
        for (size_t k = 0; k < count; k++) {
            const double d = fabs((double)got[k] - (double)expected[k]);
            top = fmax(top, fabs((double)expected[k]));
            worst = isnan(d) ? INFINITY : fmax(worst, d);
        }
        largest = fmax(largest, worst / top);
        got += count;
        expected += count;
    }
    return largest;
}

int attention_check(struct engine *e, uint32_t width, enum number number, double *error)
{
    int rc;
    size_t count = 0;
    float *results[2] = {NULL, NULL};
    struct bank *bank = NULL;
    struct small s = {.tape = NULL};
    *error = 0;
    if (!attention_matrix_unit(e, number, width))
        return 0;
    TRY_OUT((s.tape = tape_create()) ? 0 : ERR_MEMORY);
    trace_small(&s, width);
    TRY_OUT(tape_why(s.tape) ? fail(ERR_INPUT, "%s", tape_why(s.tape)) : 0);
    TRY_OUT(bank_create(&bank, e, NULL, 0));
    for (int i = 0; i < OUTPUTS; i++)
        count += size_of(s.tape, s.out[i]);
    for (int i = 0; i < 2; i++) {
        TRY_OUT((results[i] = mem_alloc(count, sizeof(float))) ? 0 : ERR_MEMORY);
        TRY_OUT(compute(&s, bank, i == 0 ? number : NUMBER_FP32, number, results[i]));
    }
    *error = largest_error(&s, results[0], results[1]);
out:
    mem_free(results[0]);
    mem_free(results[1]);
    bank_destroy(bank);
    tape_destroy(s.tape);
    return rc < 0 ? rc : 1;
}

/* --- time */

enum { LEAVES = 4 };
struct pass {
    struct tape *tape;
    value leaves[LEAVES]; /* what it reads; 0: not there */
    value result;
};

static value input(struct tape *t, struct shape shape, const char *name, uint32_t id)
{
    return tape_leaf(t, LEAF_INPUT, shape, id, name);
}

static void trace_pass(struct pass *p, const struct attention_task *task)
{
    struct tape *t = p->tape;
    const int32_t all = (int32_t)(task->heads * task->width), queries = (int32_t)task->queries;
    const struct attention range = {(int32_t)task->heads, 0, queries, (int32_t)(task->tokens - task->keys)};
    const struct shape rows = SHAPE((int32_t)task->batch, queries, all);
    p->leaves[0] = input(t, SHAPE((int32_t)task->batch, (int32_t)task->tokens, 3 * all), "qkv", 0);
    const value qkv = tape_affine(t, p->leaves[0], twice, 0);
    if (task->pass == ATTENTION_FORWARD) {
        p->result = tape_attention_part(t, qkv, range);
    } else {
        const value lse = tape_attention_lse(t, qkv, range); /* for its shape */
        p->leaves[1] = input(t, rows, "result", 1);
        p->leaves[2] = input(t, tape_shape(t, lse), "log-sum-exp", 2);
        p->leaves[3] = input(t, rows, "gradient", 3);
        p->result = tape_attention_back(t, qkv, p->leaves[1], p->leaves[2],
                                        tape_affine(t, p->leaves[3], twice, 0), range);
    }
}

int attention_time(struct engine *e, const struct attention_task *task, const char *choice, int repeats,
                   double slow, double *seconds)
{
    static const char *const kernels[ATTENTION_PASSES] = {"attention", "back_q", "back_kv"};
    const int clocked = device_info(engine_device(e))->timestamp_ns > 0;
    struct bank *bank = NULL;
    struct run *run = NULL;
    struct pass p = {.tape = tape_create()};
    int rc;
    products_pin_attention(e, task->pass, choice);
    TRY_OUT(p.tape ? 0 : ERR_MEMORY);
    trace_pass(&p, task);
    const value sum = tape_sum(p.tape, p.result, 1u << 2); /* what is logged stays small */
    TRY_OUT(tape_why(p.tape) ? fail(ERR_INPUT, "%s", tape_why(p.tape)) : 0);
    TRY_OUT(bank_create(&bank, e, NULL, 0));
    TRY_OUT(run_create(&run, &(struct run_spec){.tape = p.tape,
                                                .bank = bank,
                                                .number = task->number,
                                                .logs = &sum,
                                                .log_count = 1,
                                                .series = 1,
                                                .profile = clocked}));
    for (uint64_t i = 0; i < LEAVES && p.leaves[i]; i++)
        TRY_OUT(time_fill(run, p.tape, p.leaves[i], i + 1, task->number));
    TRY_OUT(time_steps(run, clocked ? kernels[task->pass] : NULL, repeats, slow, seconds));
out:
    products_pin_attention(e, task->pass, NULL);
    run_destroy(run);
    bank_destroy(bank);
    tape_destroy(p.tape);
    return rc;
}
