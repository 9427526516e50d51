/* attention.c - attention in fp16 and bf16 by the kernels on matrix units, held against the reference. Inputs are
 * rounded to the precision first, so that what is left is the rounding of weights and ds inside; what needs none of
 * that, the log-sum-exp, must agree as in fp32. Heads too odd for matrices must be left to the fp32 kernels. */
#include "check_private.h"

#include "attention_matrix.h"
#include "bank.h"
#include "error.h"

#include <stdio.h>
#include <string.h>

/* Relative to the largest number of an output: as ATTENTION in cases.c, where nothing is rounded inside. */
static const double exact_tolerance = 2e-5;
/* Weights and ds have 11 or 8 bits: errors of half a unit in the last place, of independent sign. */
static const double rounded_tolerance[NUMBER_COUNT] = {2e-5, 1e-3, 8e-3};

static const struct attention_case {
    int32_t batch, tokens, heads, width;
    int32_t q_from, q_to, k_from;
    float times; /* of the inputs, a power of two: how steep scores are */
    const char *what;
} cases[] = {
    {2, 197, 3, 64, 0, 197, 0, 1, ""},
    {2, 197, 3, 64, 0, 1, 0, 1, ", first row asks"},
    {2, 207, 1, 64, 10, 207, 0, 1, ", rows from 10 ask"},
    {1, 197, 1, 64, 0, 197, 0, 4, ", steep"},
    {3, 37, 3, 32, 0, 37, 0, 1, ""},
    {1, 257, 1, 32, 0, 257, 0, 1, ""},
    {2, 101, 1, 32, 7, 95, 11, 1, ", 7 to 95 ask from 11"},
    {2, 83, 2, 32, 0, 83, 17, 1, ", all ask from 17"},
    {2, 64, 2, 32, 0, 64, 0, 1, ""},
    {2, 197, 1, 16, 0, 197, 0, 1, ""},
    {2, 1, 2, 16, 0, 1, 0, 1, ""},
    {2, 67, 2, 16, 66, 67, 0, 1, ", last row asks"},
    {2, 21, 2, 16, 3, 20, 20, 1, ", 3 to 20 ask the last"},
    {2, 21, 2, 16, 3, 20, 5, 2, ", doubled"},
    {2, 90, 2, 16, 0, 40, 45, 1, ", to 40 ask from 45"},
    {2, 5, 3, 8, 0, 5, 0, 1, ""},
    {1, 50, 2, 80, 0, 50, 0, 1, ""},
    {1, 20, 1, 128, 0, 20, 0, 1, ""},
    {2, 21, 2, 12, 3, 20, 0, 1, ""},
};
enum { CASES = sizeof cases / sizeof *cases };

enum part { ALL, LSE };

static void trace(struct check_net *n, const struct attention_case *c, enum part part)
{
    const struct attention range = {c->heads, c->q_from, c->q_to, c->k_from};
    value qkv = check_input(n, SHAPE(c->batch, c->tokens, 3 * c->heads * c->width));
    qkv = tape_affine(n->tape, qkv, c->times, 0); /* which may store halves, other than 1 */
    value lse = tape_attention_lse(n->tape, qkv, range);
    if (part == LSE) {
        check_output(n, lse);
        return;
    }
    value out = tape_attention_part(n->tape, qkv, range);
    value gradient = check_input(n, SHAPE(c->batch, c->q_to - c->q_from, c->heads * c->width));
    gradient = tape_affine(n->tape, gradient, c->times, 0);
    check_output(n, out);
    check_output(n, tape_attention_back(n->tape, qkv, out, lse, gradient, range));
}

static void check_case(struct check_walk *w, const struct attention_case *c, enum number number,
                       enum part part)
{
    char name[128];
    const int units = attention_matrix_unit(w->engine, number, (uint32_t)c->width) != NULL;
    snprintf(name, sizeof name, "attention %s %s %dx%d, %dx%d%s%s", units ? "subgroup" : "tiled",
             number_names[number], c->batch, c->tokens, c->heads, c->width, c->what,
             part == LSE ? ", log-sum-exp" : "");
    if (w->filter && !strstr(name, w->filter))
        return;
    struct check_net n = {.tape = tape_create(), .number = number, .inputs = number};
    struct check_result result = {
        .name = name, .tolerance = part == ALL && units ? rounded_tolerance[number] : exact_tolerance};
    if (n.tape) {
        trace(&n, c, part);
        result.rc = check_run(&n, w->bank, w->repeats, &result);
    } else {
        result.rc = ERR_MEMORY;
    }
    /* kernels that a program's first check finds wrong are not used, and fail here */
    const int used = attention_matrix_unit(w->engine, number, (uint32_t)c->width) != NULL;
    result.passed = result.rc == 0 && result.error <= result.tolerance && used == units;
    w->failed += !result.passed;
    w->report(w->context, &result);
    tape_destroy(n.tape);
}

int check_attention(struct engine *engine, const char *filter, int repeats,
                    void (*report)(void *context, const struct check_result *result), void *context)
{
    enum { USUAL_WIDTH = 64 };
    struct check_walk w = {
        .engine = engine, .filter = filter, .repeats = repeats, .report = report, .context = context};
    TRY(bank_create(&w.bank, engine, NULL, 0));
    for (int number = NUMBER_FP16; number < NUMBER_COUNT; number++)
        for (int i = 0; i < CASES && attention_matrix_unit(engine, (enum number)number, USUAL_WIDTH); i++)
            for (int part = ALL; part <= LSE; part++)
                check_case(&w, &cases[i], (enum number)number, (enum part)part);
    bank_destroy(w.bank);
    return w.failed;
}
