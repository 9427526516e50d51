/* check.c - runs one case on the device and in double, and compares. */
#include "check.h"

#include "check_private.h"
#include "error.h"
#include "memory.h"
#include "ref.h"
#include "rng.h"
#include "run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 11, STEP = 5 };

value check_input(struct check_net *n, struct shape s)
{
    return check_ranged(n, s, -INFINITY, INFINITY);
}

value check_ranged(struct check_net *n, struct shape s, double low, double high)
{
    if (n->leaf_count == CHECK_LEAVES)
        return tape_fail(n->tape, "a check has too many inputs");
    value v = tape_leaf(n->tape, LEAF_INPUT, s, 100 + n->leaf_count, "input");
    n->leaves[n->leaf_count++] = (struct check_leaf){v, low, high};
    return v;
}

void check_output(struct check_net *n, value v)
{
    if (n->output_count < CHECK_OUTPUTS)
        n->outputs[n->output_count++] = v;
}

/* Normal numbers folded into the leaf's range; whole numbers where the range asks for indices. */
static float draw(struct rng *g, const struct check_leaf *l)
{
    if (isinf(l->low))
        return (float)rng_normal(g);
    if (l->high - l->low >= 1 && floor(l->low) == l->low && floor(l->high) == l->high && l->high > 2)
        return (float)(l->low + rng_below(g, (uint32_t)(l->high - l->low)));
    return (float)(l->low + (l->high - l->low) * rng_uniform(g));
}

static int fill_leaves(struct check_net *n, struct run *run, struct ref *ref)
{
    for (uint32_t i = 0; i < n->leaf_count; i++) {
        int64_t count = shape_count(tape_shape(n->tape, n->leaves[i].leaf));
        float *data = mem_alloc((size_t)count, sizeof *data);
        double *reference = ref_leaf(ref, n->leaves[i].leaf);
        if (!data)
            return ERR_MEMORY;
        struct rng g = {.seed = SEED, .stream = i};
        for (int64_t k = 0; k < count; k++) {
            data[k] = number_round(n->inputs, draw(&g, &n->leaves[i]));
            if (reference)
                reference[k] = (double)data[k];
        }
        int rc = run_write(run, n->leaves[i].leaf, data);
        mem_free(data);
        TRY(rc);
    }
    return 0;
}

/* Largest difference of output i relative to its largest number; NaN counts as infinite. */
static int compare(const struct check_net *n, struct run *run, const struct ref *ref, uint32_t i,
                   double *worst)
{
    int64_t count = shape_count(tape_shape(n->tape, n->outputs[i]));
    const double *expected = ref_value(ref, n->outputs[i]);
    float *got = mem_alloc((size_t)count, sizeof *got);
    if (!got)
        return ERR_MEMORY;
    int rc = run_log(run, i, 0, 1, got);
    double top = 1e-30, error = 0;
    for (int64_t k = 0; rc == 0 && k < count; k++) {
        double d = fabs((double)got[k] - expected[k]);
        top = fmax(top, fabs(expected[k]));
        error = isnan(d) ? INFINITY : fmax(error, d);
    }
    *worst = fmax(*worst, error / top);
    mem_free(got);
    return rc;
}

static int by_time(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int time_run(struct run *run, int repeats, struct check_result *result)
{
    enum { REPEATS_MAX = 32 };
    double times[REPEATS_MAX];
    if (repeats > REPEATS_MAX)
        repeats = REPEATS_MAX;
    const struct run_series series = {.first = STEP, .steps = 1, .seed = SEED};
    double flops = 0, bytes = 0;
    for (int i = 0; i < repeats; i++) {
        TRY(run_begin(run, &series));
        TRY(run_go(run, 1));
        TRY(run_wait(run, 0));
        times[i] = flops = bytes = 0;
        for (uint32_t k = 0; k < run_profile_count(run); k++) {
            struct run_time t;
            TRY(run_profile(run, k, &t));
            if (!strcmp(t.kernel, "record") || !strcmp(t.kernel, "advance"))
                continue;
            times[i] += t.ns * 1e-9;
            flops += t.flops;
            bytes += t.bytes;
        }
    }
    qsort(times, (size_t)repeats, sizeof *times, by_time);
    result->seconds = times[repeats / 2];
    result->gflops = result->seconds > 0 ? flops / result->seconds * 1e-9 : 0;
    result->gbytes = result->seconds > 0 ? bytes / result->seconds * 1e-9 : 0;
    return 0;
}

int check_run(struct check_net *n, struct bank *bank, int repeats, struct check_result *result)
{
    int rc;
    struct ref *ref = NULL;
    struct run *run = NULL;
    if (tape_why(n->tape))
        return fail(ERR_INPUT, "%s", tape_why(n->tape));
    struct run_spec spec = {.tape = n->tape,
                            .bank = bank,
                            .logs = n->outputs,
                            .log_count = n->output_count,
                            .series = 1,
                            .number = n->number,
                            .profile = repeats > 0};
    const struct run_series series = {.first = STEP, .steps = 1, .seed = SEED};
    TRY_OUT(ref_create(&ref, n->tape, n->outputs, n->output_count));
    TRY_OUT(run_create(&run, &spec));
    TRY_OUT(fill_leaves(n, run, ref));
    TRY_OUT(run_begin(run, &series));
    TRY_OUT(run_go(run, 1));
    TRY_OUT(run_wait(run, 0));
    ref_seed(ref, SEED, STEP);
    TRY_OUT(ref_run(ref));
    for (uint32_t i = 0; i < n->output_count; i++)
        TRY_OUT(compare(n, run, ref, i, &result->error));
    TRY_OUT(time_run(run, repeats, result));
out:
    run_destroy(run);
    ref_destroy(ref);
    return rc;
}

int check_ops(struct engine *engine, const char *filter, int repeats,
              void (*report)(void *context, const struct check_result *result), void *context)
{
    int failed = 0;
    struct bank *bank = NULL;
    TRY(bank_create(&bank, engine, NULL, 0));
    for (const struct check_case *c = check_cases; c->name; c++) {
        if (filter && !strstr(c->name, filter))
            continue;
        struct check_net n = {.tape = tape_create()};
        struct check_result result = {.name = c->name, .tolerance = c->tolerance};
        if (n.tape) {
            c->trace(&n);
            result.rc = check_run(&n, bank, repeats, &result);
        } else {
            result.rc = ERR_MEMORY;
        }
        result.passed = result.rc == 0 && result.error <= result.tolerance;
        failed += !result.passed;
        report(context, &result);
        tape_destroy(n.tape);
    }
    bank_destroy(bank);
    return failed;
}
