/* check_interpolate.c - the way from the backbone to the tuned model, at its ends and in the middle. */
#include "sets.h"

#include "error.h"
#include "memory.h"

#include <string.h>

/* One rounding of each weight to float on the way, seen through two blocks. */
static const double ROUNDED = 1e-5;
/* At alpha 0: neutral values make exact zeros and ones, but a quotient by a norm may round. */
static const double EXACT = 1e-12;

static int merged_values(struct lab *l, value **out)
{
    *out = mem_alloc(l->vit->count + 1, sizeof **out);
    return *out ? method_merge(l->method, l->tape, *out) : ERR_MEMORY;
}

/* Writes into leaf `x` what tensor `id` is at alpha when `theta` is its tuned content. */
static int lead(const struct lab *l, size_t id, float alpha, float *theta, double *x)
{
    size_t count = (size_t)shape_count(l->tensors[id].shape);
    TRY(method_interpolate(l->method, id, alpha, theta, theta));
    for (size_t k = 0; k < count; k++)
        x[k] = (double)theta[k];
    return 0;
}

/* The hooked network with every tensor at alpha. */
static int by_parameters(struct lab *l, uint64_t seed, float alpha, double *logits)
{
    struct ref *r = NULL;
    TRY(lab_ref(&r, l, &l->trace->logits, 1, LAB_TUNED, seed));
    for (size_t i = 0; i < l->tensor_count; i++) {
        double *x = ref_leaf(r, l->trace->leaves[i]);
        float *theta = x ? lab_floats(l, i) : NULL;
        int rc = !x ? 0 : !theta ? ERR_MEMORY : lab_tensor(l, i, LAB_TUNED, seed, theta);
        if (x && rc == 0)
            rc = lead(l, i, alpha, theta, x);
        mem_free(theta);
        TRY(rc);
    }
    TRY(ref_run(r));
    memcpy(logits, ref_value(r, l->trace->logits), (size_t)lab_logit_count(l) * sizeof *logits);
    ref_destroy(r);
    return 0;
}

/* The plain network with the merged weights at alpha. */
static int by_merged(struct lab *l, uint64_t seed, float alpha, double *logits)
{
    struct ref *merging = NULL, *plain = NULL;
    value *merged;
    TRY(merged_values(l, &merged));
    TRY(lab_ref(&merging, l, merged, l->vit->count, LAB_TUNED, seed));
    TRY(ref_run(merging));
    value root = lab_plain(l, NULL);
    TRY(lab_ref(&plain, l, &root, 1, LAB_TUNED, seed));
    for (size_t i = 0; i < l->vit->count; i++) {
        double *x = ref_leaf(plain, l->trace->leaves[i]);
        const double *from = ref_value(merging, merged[i]);
        float *theta = lab_floats(l, i);
        int rc = theta ? 0 : ERR_MEMORY;
        for (int64_t k = 0; rc == 0 && k < shape_count(l->tensors[i].shape); k++)
            theta[k] = (float)from[k];
        if (x && rc == 0)
            rc = lead(l, i, alpha, theta, x);
        mem_free(theta);
        TRY(rc);
    }
    TRY(ref_run(plain));
    memcpy(logits, ref_value(plain, root), (size_t)lab_logit_count(l) * sizeof *logits);
    mem_free(merged);
    ref_destroy(merging);
    ref_destroy(plain);
    return 0;
}

struct ends {
    double backbone[LAB_LOGITS], tuned[LAB_LOGITS], at_0[LAB_LOGITS], at_half[LAB_LOGITS], at_1[LAB_LOGITS];
};

static int compute_ends(struct lab *l, uint64_t seed, enum interpolation by, struct ends *e)
{
    int (*const at)(struct lab *, uint64_t, float, double *) =
        by == INTERPOLATES_MERGED ? by_merged : by_parameters;
    TRY(lab_logits(l, lab_plain(l, NULL), LAB_INITIAL, seed, e->backbone));
    TRY(lab_logits(l, l->trace->logits, LAB_TUNED, seed, e->tuned));
    TRY(at(l, seed, 0, e->at_0));
    TRY(at(l, seed, 0.5f, e->at_half));
    return at(l, seed, 1, e->at_1);
}

static enum lint_result judge_ends(struct subject *s, const struct lab *l, enum interpolation by,
                                   const struct ends *e, const char *options)
{
    int64_t count = lab_logit_count(l);
    double off_0 = lab_distance(e->at_0, e->backbone, count), off_1 = lab_distance(e->at_1, e->tuned, count);
    const char *way = by == INTERPOLATES_MERGED ? "by merged weights" : "by parameters";
    if (!(off_0 <= EXACT))
        return verdict(s, LINT_FAIL,
                       "at alpha 0 (%s) the logits are off by %.2g, relative, from the backbone's, "
                       "with [%s]; give TO_ZERO or TO_ONE to what must vanish for the effect to",
                       way, off_0, options);
    if (!(off_1 <= (by == INTERPOLATES_MERGED ? ROUNDED : 0)))
        return verdict(s, LINT_FAIL,
                       "at alpha 1 (%s) the logits are off by %.2g, relative, from the tuned "
                       "model's, with [%s]",
                       way, off_1, options);
    if (!lab_finite(e->at_half, count))
        return verdict(s, LINT_FAIL, "at alpha 0.5 the logits hold infinities or are no numbers, with [%s]",
                       options);
    return verdict(s, LINT_PASS, "%s; alpha 0 is the backbone%s", way, off_0 == 0 ? " exactly" : "");
}

static enum lint_result interpolate_one(struct subject *s, const char *options, const struct vit_shape *shape,
                                        const char **refused)
{
    char text[LAB_TEXT];
    struct lab l;
    struct ends e;
    struct method_part part;
    enum interpolation by;
    note(s, "with [%.200s]", options);
    MUST(s, lab_open(&l, s, lab_text(s, text, "", options, ""), shape));
    if (method_interpolation(l.method, &by) < 0) {
        MUST(s, method_part(l.method, 0, &part));
        *refused = part.interpolates_why; /* a constant of the host */
        return LINT_SKIP;
    }
    MUST(s, lab_record(&l, &(struct lab_run){.training = 0}));
    MUST(s, compute_ends(&l, s->seed, by, &e));
    enum lint_result r = judge_ends(s, &l, by, &e, options);
    lab_close(&l);
    return r;
}

enum lint_result check_interpolate(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct sets sets;
    const char *refused = NULL;
    size_t compared = 0;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, sets_make(&sets, s, SETS_USUAL));
    for (size_t i = 0; i < sets.count; i++) {
        struct lab l;
        int taken = lab_declare(&l, s, lab_text(s, text, "", sets.text[i], ""), &shape) == 0;
        lab_close(&l);
        enum lint_result r = taken ? interpolate_one(s, sets.text[i], &shape, &refused) : LINT_SKIP;
        if (r >= LINT_FAIL)
            return r;
        compared += r == LINT_PASS;
    }
    if (!compared)
        return verdict(s, LINT_SKIP, "it cannot be interpolated with the backbone: %s",
                       refused ? refused : "?");
    return LINT_PASS;
}
