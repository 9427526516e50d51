/* products.c - matrix products by every tile of the ladder, held against the reference. Inputs are rounded to
 * the product's precision first, so that what is left is the rounding of fp32 sums: a tile that rounded its
 * operands otherwise, or summed in less, would show. */
#include "check_private.h"

#include "bank.h"
#include "error.h"
#include "ladder.h"

#include <stdio.h>
#include <string.h>

/* Relative to the largest number of an output: fp32 sums of up to 600 terms, as for PRODUCT in cases.c. */
static const double product_tolerance = 4e-6;
/* A number in between is rounded to 8 or 11 bits: errors of a half in the last place, of independent sign, keep
 * below 2^-8 (bf16) and 2^-11 of the largest sum. */
static const double chained_tolerance[NUMBER_COUNT] = {4e-6, 1e-3, 8e-3};

enum epilogue { PLAIN, BIAS_GELU_KEPT, GELU_BACK, ACCUMULATE, SCALED, CHAINED };
static const char *const epilogues[] = {"",      " + bias + gelu, kept", " x gelu'", " + sum", " scaled",
                                        " twice"};

/* batch 0: no batch axis; k of at least 8 slices a share where splits are more than 1 */
static const struct product_case {
    int32_t batch, m, n, k;
    int a_t, b_t;
    enum epilogue epilogue;
    uint32_t splits;
} product_cases[] = {
    {0, 70, 76, 72, 0, 1, BIAS_GELU_KEPT, 1}, {0, 37, 45, 51, 0, 1, BIAS_GELU_KEPT, 1},
    {0, 72, 40, 67, 0, 0, GELU_BACK, 1},      {0, 35, 61, 30, 0, 0, GELU_BACK, 1},
    {0, 44, 72, 66, 1, 0, ACCUMULATE, 1},     {0, 43, 33, 29, 1, 0, ACCUMULATE, 1},
    {0, 40, 36, 64, 1, 1, SCALED, 1},         {0, 13, 19, 23, 1, 1, PLAIN, 1},
    {3, 37, 40, 48, 0, 0, PLAIN, 1},          {3, 21, 19, 17, 0, 1, PLAIN, 1},
    {0, 36, 44, 520, 1, 0, ACCUMULATE, 2},    {0, 5, 7, 517, 0, 1, BIAS_GELU_KEPT, 2},
    {0, 8, 64, 520, 0, 0, GELU_BACK, 2},      {0, 48, 56, 64, 0, 1, CHAINED, 1},
    {0, 160, 264, 72, 0, 1, PLAIN, 1},
};
enum { CASES = sizeof product_cases / sizeof *product_cases };

static struct shape matrix(int32_t batch, int32_t rows, int32_t columns)
{
    return batch ? SHAPE(batch, rows, columns) : SHAPE(rows, columns);
}

static void trace(struct check_net *n, const struct product_case *c)
{
    value a = check_input(n, matrix(c->batch, c->a_t ? c->k : c->m, c->a_t ? c->m : c->k));
    value b = check_input(n, matrix(c->batch, c->b_t ? c->n : c->k, c->b_t ? c->k : c->n));
    value y = tape_matmul(n->tape, a, b, c->a_t, c->b_t), pre;
    switch (c->epilogue) {
    case PLAIN: break;
    case BIAS_GELU_KEPT:
        pre = tape_add(n->tape, y, check_input(n, SHAPE(c->n)));
        y = tape_unary(n->tape, pre, UNARY_GELU);
        check_output(n, tape_unary_back(n->tape, pre, y, UNARY_GELU));
        break;
    case GELU_BACK: y = tape_unary_back(n->tape, check_input(n, SHAPE(c->m, c->n)), y, UNARY_GELU); break;
    case ACCUMULATE: y = tape_add(n->tape, check_input(n, SHAPE(c->m, c->n)), y); break;
    case SCALED: y = tape_affine(n->tape, y, -0.5f, 0); break;
    case CHAINED: y = tape_matmul(n->tape, y, check_input(n, SHAPE(c->n, 60)), 0, 0); break;
    }
    check_output(n, y);
}

static void check_case(struct check_walk *w, const struct product_case *c, const struct ladder_choice *choice,
                       enum number number)
{
    char name[128], text[LADDER_TEXT];
    snprintf(name, sizeof name, "%s: %c%c %s %dx%dx%d%s", ladder_text(choice, text), c->a_t ? 't' : 'n',
             c->b_t ? 't' : 'n', number_names[number], c->m, c->n, c->k, epilogues[c->epilogue]);
    if (w->filter && !strstr(name, w->filter))
        return;
    struct check_net n = {.tape = tape_create(), .number = number, .inputs = number};
    struct check_result result = {
        .name = name, .tolerance = c->epilogue == CHAINED ? chained_tolerance[number] : product_tolerance};
    ladder_pin(w->engine, choice);
    if (n.tape) {
        trace(&n, c);
        result.rc = check_run(&n, w->bank, w->repeats, &result);
    } else {
        result.rc = ERR_MEMORY;
    }
    ladder_pin(w->engine, NULL);
    result.passed = result.rc == 0 && result.error <= result.tolerance;
    w->failed += !result.passed;
    w->report(w->context, &result);
    tape_destroy(n.tape);
}

/* What the tile computes of the case: it may not suit its shape or precision. */
static int suits(const struct check_walk *w, const struct product_case *c, const struct tile *t,
                 enum number number)
{
    const struct product p = {.batches = c->batch ? (uint32_t)c->batch : 1,
                              .m = (uint32_t)c->m,
                              .n = (uint32_t)c->n,
                              .k = (uint32_t)c->k,
                              .a_t = c->a_t,
                              .b_t = c->b_t,
                              .a_batched = c->batch != 0,
                              .b_batched = c->batch != 0,
                              .number = number};
    return ladder_serves(w->engine, t) && ladder_suits(w->engine, t, &p) &&
           (c->splits == 1 || t->rung != RUNG_CPU);
}

int check_products(struct engine *engine, const char *filter, int repeats,
                   void (*report)(void *context, const struct check_result *result), void *context)
{
    struct check_walk w = {
        .engine = engine, .filter = filter, .repeats = repeats, .report = report, .context = context};
    TRY(bank_create(&w.bank, engine, NULL, 0));
    for (const struct tile *t = ladder_tiles; t->name; t++)
        for (int number = 0; number < NUMBER_COUNT; number++)
            for (int i = 0; i < CASES; i++) {
                const struct product_case *c = &product_cases[i];
                const struct ladder_choice choice = {t, c->splits};
                if (suits(&w, c, t, (enum number)number))
                    check_case(&w, c, &choice, (enum number)number);
            }
    bank_destroy(w.bank);
    return w.failed;
}
