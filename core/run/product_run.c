/* product_run.c - one product by itself on the device: its numbers against sums in double, and its time. */
#include "products.h"

#include "bank.h"
#include "error.h"
#include "memory.h"
#include "rng.h"
#include "run.h"
#include "timing.h"

#include <math.h>
#include <string.h>

enum { CHECK_M = 72, CHECK_N = 76, CHECK_K = 96, LAYOUTS = 3 };

static float *draw(size_t count, uint64_t stream, enum number number)
{
    struct rng g = {.seed = 17, .stream = stream};
    float *x = mem_alloc(count, sizeof *x);
    for (size_t i = 0; x && i < count; i++)
        x[i] = number_round(number, (float)(2 * rng_uniform(&g) - 1));
    return x;
}

static float *transposed(const float *x, uint32_t rows, uint32_t columns)
{
    float *y = mem_alloc((size_t)rows * columns, sizeof *y);
    for (uint32_t i = 0; y && i < rows; i++)
        for (uint32_t j = 0; j < columns; j++)
            y[(size_t)j * rows + i] = x[(size_t)i * columns + j];
    return y;
}

/* Largest difference of c [m, n] from a [m, k] x b [k, n], relative to the largest number. */
static double error_of(const float *a, const float *b, const float *c)
{
    double top = 1e-30, worst = 0;
    for (uint32_t i = 0; i < CHECK_M; i++)
        for (uint32_t j = 0; j < CHECK_N; j++) {
            double sum = 0;
            for (uint32_t k = 0; k < CHECK_K; k++)
                sum += (double)a[i * CHECK_K + k] * (double)b[k * CHECK_N + j];
            const double d = fabs((double)c[i * CHECK_N + j] - sum);
            top = fmax(top, fabs(sum));
            worst = isnan(d) ? INFINITY : fmax(worst, d);
        }
    return worst / top;
}

struct small { /* the same product in three layouts, in one program */
    struct tape *tape;
    value a, a_t, b, b_t, out[LAYOUTS];
};

static void trace_small(struct small *s)
{
    struct tape *t = s->tape;
    s->a = tape_leaf(t, LEAF_INPUT, SHAPE(CHECK_M, CHECK_K), 0, "a");
    s->a_t = tape_leaf(t, LEAF_INPUT, SHAPE(CHECK_K, CHECK_M), 1, "a transposed");
    s->b = tape_leaf(t, LEAF_INPUT, SHAPE(CHECK_K, CHECK_N), 2, "b");
    s->b_t = tape_leaf(t, LEAF_INPUT, SHAPE(CHECK_N, CHECK_K), 3, "b transposed");
    s->out[0] = tape_matmul(t, s->a, s->b_t, 0, 1);
    s->out[1] = tape_matmul(t, s->a, s->b, 0, 0);
    s->out[2] = tape_matmul(t, s->a_t, s->b, 1, 0);
}

static int run_small(const struct small *s, struct bank *bank, enum number number, double *error)
{
    struct run *run = NULL;
    float *a = draw(CHECK_M * CHECK_K, 1, number), *b = draw(CHECK_K * CHECK_N, 2, number);
    float *c = mem_alloc(CHECK_M * CHECK_N, sizeof *c);
    float *a_t = a ? transposed(a, CHECK_M, CHECK_K) : NULL,
          *b_t = b ? transposed(b, CHECK_K, CHECK_N) : NULL;
    int rc = a && b && c && a_t && b_t ? 0 : ERR_MEMORY;
    TRY_OUT(rc);
    TRY_OUT(run_create(&run, &(struct run_spec){.tape = s->tape,
                                                .bank = bank,
                                                .number = number,
                                                .logs = s->out,
                                                .log_count = LAYOUTS,
                                                .series = 1}));
    TRY_OUT(run_write(run, s->a, a));
    TRY_OUT(run_write(run, s->a_t, a_t));
    TRY_OUT(run_write(run, s->b, b));
    TRY_OUT(run_write(run, s->b_t, b_t));
    TRY_OUT(run_begin(run, &(struct run_series){.steps = 1}));
    TRY_OUT(run_go(run, 1));
    TRY_OUT(run_wait(run, 0));
    for (size_t i = 0; i < LAYOUTS; i++) {
        TRY_OUT(run_log(run, i, 0, 1, c));
        *error = fmax(*error, error_of(a, b, c));
    }
out:
    run_destroy(run);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(a_t);
    mem_free(b_t);
    return rc;
}

int product_check(struct engine *e, const struct tile *tile, enum number number, double *error)
{
    static const struct product any = {.batches = 1, .m = CHECK_M, .n = CHECK_N, .k = CHECK_K};
    const struct ladder_choice choice = {tile, 1};
    struct product p = any;
    int suits = 0, rc;
    for (int layout = 0; layout < LAYOUTS; layout++) {
        p.number = number;
        p.a_t = layout == 2;
        p.b_t = layout == 0;
        suits |= ladder_suits(e, tile, &p);
    }
    *error = 0;
    if (!suits)
        return 0;
    struct bank *bank = NULL;
    struct small s = {.tape = tape_create()};
    const struct ladder_choice pinned = ladder_pin(e, &choice);
    TRY_OUT(s.tape ? 0 : ERR_MEMORY);
    trace_small(&s);
    TRY_OUT(bank_create(&bank, e, NULL, 0));
    TRY_OUT(run_small(&s, bank, number, error));
out:
    ladder_pin(e, &pinned);
    bank_destroy(bank);
    tape_destroy(s.tape);
    return rc < 0 ? rc : 1;
}

/* --- time */

static struct shape matrix(int batched, uint32_t batches, uint32_t rows, uint32_t columns)
{
    return batched ? SHAPE((int32_t)batches, (int32_t)rows, (int32_t)columns)
                   : SHAPE((int32_t)rows, (int32_t)columns);
}

int product_time(struct engine *e, const struct product *p, const struct ladder_choice *choice, int repeats,
                 double slow, double *seconds)
{
    int rc;
    const int clocked = device_info(engine_device(e))->timestamp_ns > 0;
    struct bank *bank = NULL;
    struct run *run = NULL;
    struct tape *t = tape_create();
    const struct ladder_choice pinned = ladder_pin(e, choice);
    TRY_OUT(t ? 0 : ERR_MEMORY);
    value a = tape_leaf(t, LEAF_INPUT,
                        matrix(p->a_batched, p->batches, p->a_t ? p->k : p->m, p->a_t ? p->m : p->k), 0, "a");
    value b = tape_leaf(t, LEAF_INPUT,
                        matrix(p->b_batched, p->batches, p->b_t ? p->n : p->k, p->b_t ? p->k : p->n), 1, "b");
    const value c = tape_matmul(t, a, b, p->a_t, p->b_t);
    const value sum = tape_sum(t, c, 1u << (tape_shape(t, c).rank - 1)); /* what is logged stays small */
    TRY_OUT(tape_why(t) ? fail(ERR_INPUT, "%s", tape_why(t)) : 0);
    TRY_OUT(bank_create(&bank, e, NULL, 0));
    TRY_OUT(run_create(&run, &(struct run_spec){.tape = t,
                                                .bank = bank,
                                                .number = p->number,
                                                .logs = &sum,
                                                .log_count = 1,
                                                .series = 1,
                                                .profile = clocked}));
    TRY_OUT(time_fill(run, t, a, 1, p->number));
    TRY_OUT(time_fill(run, t, b, 2, p->number));
    TRY_OUT(time_steps(run, clocked ? "gemm" : NULL, repeats, slow, seconds));
out:
    ladder_pin(e, &pinned);
    run_destroy(run);
    bank_destroy(bank);
    tape_destroy(t);
    return rc;
}
