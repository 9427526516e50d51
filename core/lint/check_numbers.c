/* check_numbers.c - arithmetic, in double: what the plugin computes and the derivatives of it. */
#include "kernels.h"
#include "sets.h"

#include "error.h"
#include "memory.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The same sums in another order. */
static const double SAME = 1e-10;
/* Differences of step h err by h^2 f''' / 6 + eps / (h f'): where a gradient is small or a kink near, one of
 * these steps is too long or too short; a wrong formula fails at all. Large scales bend the loss strongly,
 * so a little more is allowed than for the shipped defaults, which reach 1e-6. */
static const double STEPS[] = {1e-5, 1e-4, 1e-6, 1e-7}, DIFFERENCED = 1e-5;
enum { NUMERIC_SETS = 6 }; /* option sets that are computed with, the subject's own first */

/* --- logits */

/* A copy of the logits, or NULL with a sentence. Index k of the batch is image[k]. */
static double *logits_of(const struct lab *l, enum lab_fill fill, uint64_t seed, const int32_t *image)
{
    struct ref *r = NULL;
    struct shape shape = tape_shape(l->tape, l->trace->logits);
    size_t count = (size_t)shape_count(shape);
    double *out = mem_alloc(count, sizeof *out);
    if (!out || lab_ref(&r, l, &l->trace->logits, 1, fill, seed) < 0) {
        mem_free(out);
        return NULL;
    }
    for (int32_t k = 0; image && k < shape.dim[0]; k++)
        ref_leaf(r, l->index)[k] = image[k];
    ref_run(r);
    memcpy(out, ref_value(r, l->trace->logits), count * sizeof *out);
    ref_destroy(r);
    return out;
}

/* The logits of these images by a fresh record; the caller frees them. */
static double *logits_for(struct lab *l, uint64_t seed, int32_t batch, const int32_t *image)
{
    return lab_record(l, &(struct lab_run){.batch = batch}) < 0 ? NULL : logits_of(l, LAB_TUNED, seed, image);
}

enum lint_result check_batch(struct subject *s)
{
    static const int32_t batch[] = {3, 1, 0, 2};
    enum { BATCH = sizeof batch / sizeof *batch };
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct lab l;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, lab_open(&l, s, text, &shape));
    double *all = logits_for(&l, s->seed, BATCH, batch), worst = 0;
    for (int32_t i = 0; all && i < BATCH; i++) {
        double *one = logits_for(&l, s->seed, 1, &batch[i]);
        if (!one)
            return verdict_of_error(s);
        double off = lab_distance(one, all + i * shape.classes, shape.classes);
        worst = off > worst ? off : worst;
        if (!(off <= SAME))
            return verdict(s, LINT_FAIL,
                           "alone, image %d of a batch of %d has logits that are off by %.2g; a "
                           "result must not depend on the batch",
                           i, BATCH, off);
        mem_free(one);
    }
    return all ? verdict(s, LINT_PASS, "off by at most %.1g", worst) : verdict_of_error(s);
}

/* --- derivatives */

struct gradients { /* a recorded step with its numbers */
    struct lab lab;
    struct ref *ref;
};

static void close_gradients(struct gradients *g)
{
    ref_destroy(g->ref);
    g->ref = NULL;
    lab_close(&g->lab);
}

static int open_gradients(struct gradients *g, struct subject *s, const char *text,
                          const struct vit_shape *shape, const struct lab_run *run, enum lab_fill fill)
{
    *g = (struct gradients){0};
    TRY(lab_open(&g->lab, s, text, shape));
    TRY(lab_record(&g->lab, run));
    value *roots = mem_alloc(g->lab.count + 1, sizeof *roots);
    if (!roots)
        return ERR_MEMORY;
    memcpy(roots, g->lab.grads, g->lab.count * sizeof *roots);
    roots[g->lab.count] = g->lab.loss;
    int rc = lab_ref(&g->ref, &g->lab, roots, g->lab.count + 1, fill, s->seed);
    mem_free(roots);
    return rc < 0 ? rc : ref_run(g->ref);
}

static enum lint_result compare_gradients(struct subject *s, const char *what, const struct gradients *own,
                                          const struct gradients *derived, double *worst)
{
    for (size_t i = 0; i < own->lab.count; i++) {
        const struct tensor *t = &own->lab.tensors[own->lab.ids[i]];
        double off = lab_distance(ref_value(own->ref, own->lab.grads[i]),
                                  ref_value(derived->ref, derived->lab.grads[i]), shape_count(t->shape));
        *worst = off > *worst ? off : *worst;
        if (!(off <= SAME))
            return verdict(s, LINT_FAIL,
                           "its gradient of %s is off by %.2g, relative, from the derivative of its "
                           "forward, %s",
                           t->name, off, what);
    }
    return LINT_PASS;
}

static enum lint_result compare_backward(struct subject *s, const char *text, const char *what,
                                         const struct vit_shape *shape, double *worst)
{
    static const struct lab_run own = {.training = 1, .drop_path = 0.2f};
    static const struct lab_run derived = {.training = 1, .drop_path = 0.2f, .derive = 1};
    struct gradients a, b;
    note(s, "%s", what);
    MUST(s, open_gradients(&a, s, text, shape, &own, LAB_TUNED));
    MUST(s, open_gradients(&b, s, text, shape, &derived, LAB_TUNED));
    enum lint_result r = compare_gradients(s, what, &a, &b, worst);
    close_gradients(&a);
    close_gradients(&b);
    return r;
}

/* Whether the set is one that the method takes; others were the business of the check sets. */
static int is_taken(struct subject *s, const char *text, const struct vit_shape *shape)
{
    struct lab l;
    int rc = lab_declare(&l, s, text, shape);
    if (rc == 0)
        rc = lab_record(&l, &(struct lab_run){.training = 1});
    lab_close(&l);
    return rc == 0;
}

enum lint_result check_backward(struct subject *s)
{
    char text[LAB_TEXT], what[LAB_TEXT];
    struct vit_shape shape;
    const struct plugin *plugin;
    struct sets sets;
    double worst = 0;
    size_t compared = 0;
    MUST(s, plugins_load(s->plugins, s->path, &plugin));
    if (!plugin->info.backward && !kernels_derive(s))
        return verdict(s, LINT_SKIP, "it has no backward of its own; the host derives it");
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, sets_make(&sets, s, SETS_USUAL));
    for (size_t i = 0; i < sets.count; i++) {
        lab_text(s, text, "", sets.text[i], "");
        if (!is_taken(s, text, &shape))
            continue;
        snprintf(what, sizeof what, "with [%s]", sets.text[i]);
        enum lint_result r = compare_backward(s, text, what, &shape, &worst);
        if (r != LINT_PASS)
            return r;
        compared++;
    }
    return verdict(s, LINT_PASS, "off by at most %.1g over %zu option sets, dropout included", worst,
                   compared);
}

/* The loss with `direction` times step added to the leaf. */
static double loss_along(const struct lab *l, struct ref *r, value leaf, const double *direction,
                         int64_t count, double step)
{
    double *x = ref_leaf(r, leaf);
    for (int64_t i = 0; i < count; i++)
        x[i] += step * direction[i];
    ref_run(r);
    double loss = ref_value(r, l->loss)[0];
    for (int64_t i = 0; i < count; i++)
        x[i] -= step * direction[i];
    return loss;
}

/* Relative distance of the gradient from differences along a random direction and along one axis. */
static double distance_at(const struct gradients *g, struct ref *r, size_t i, double step, double *direction)
{
    const struct tensor *t = &g->lab.tensors[g->lab.ids[i]];
    int64_t count = shape_count(t->shape);
    const double *gradient = ref_value(g->ref, g->lab.grads[i]);
    struct rng draws = rng_named(3, "directions");
    double found[2], wanted[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        int64_t entry = rng_below(&draws, (uint32_t)count);
        for (int64_t j = 0; j < count; j++) {
            direction[j] = k ? j == entry : rng_normal(&draws);
            wanted[k] += direction[j] * gradient[j];
        }
        double up = loss_along(&g->lab, r, g->lab.wrt[i], direction, count, step);
        double down = loss_along(&g->lab, r, g->lab.wrt[i], direction, count, -step);
        found[k] = (up - down) / (2 * step);
    }
    return lab_distance(found, wanted, 2);
}

static enum lint_result difference_tensor(struct subject *s, const struct gradients *g, struct ref *r,
                                          size_t i, const char *options, double *worst)
{
    const struct tensor *t = &g->lab.tensors[g->lab.ids[i]];
    double off = INFINITY, *direction = NULL;
    if (!ref_leaf(r, g->lab.wrt[i])) /* the loss does not depend on it: a gradient of zeros by construction */
        return LINT_PASS;
    direction = mem_alloc((size_t)shape_count(t->shape), sizeof *direction);
    if (!direction)
        return verdict_of_error(s);
    for (size_t k = 0; k < sizeof STEPS / sizeof *STEPS && !(off <= DIFFERENCED); k++)
        off = fmin(off, distance_at(g, r, i, STEPS[k], direction));
    mem_free(direction);
    *worst = off > *worst ? off : *worst;
    if (off <= DIFFERENCED)
        return LINT_PASS;
    return verdict(s, LINT_FAIL,
                   "the gradient of %s is off by %.2g, relative, from central differences, with [%s]",
                   t->name, off, options);
}

static enum lint_result difference_all(struct subject *s, const char *options, const struct vit_shape *shape,
                                       double *worst)
{
    static const struct lab_run derived = {.training = 1, .drop_path = 0.2f, .derive = 1};
    char text[LAB_TEXT];
    struct gradients g;
    struct ref *r = NULL;
    enum lint_result result = LINT_PASS;
    note(s, "with [%.200s]", options);
    MUST(s, open_gradients(&g, s, lab_text(s, text, "", options, ""), shape, &derived, LAB_TUNED));
    MUST(s, lab_ref(&r, &g.lab, &g.lab.loss, 1, LAB_TUNED, s->seed));
    MUST(s, ref_run(r));
    ref_hold_detached(r);
    for (size_t i = 0; i < g.lab.count && result == LINT_PASS; i++)
        if (g.lab.tensors[g.lab.ids[i]].owner >= 0 || i % 4 == 0) /* of the backbone's a quarter will do */
            result = difference_tensor(s, &g, r, i, options, worst);
    ref_destroy(r);
    close_gradients(&g);
    return result;
}

/* Where training begins, a zero under a root or in a quotient makes gradients that are no numbers. */
static enum lint_result first_gradients_are_finite(struct subject *s, const char *text,
                                                   const struct vit_shape *shape)
{
    static const struct lab_run own = {.training = 1};
    struct gradients g;
    MUST(s, open_gradients(&g, s, text, shape, &own, LAB_INITIAL));
    for (size_t i = 0; i < g.lab.count; i++) {
        const struct tensor *t = &g.lab.tensors[g.lab.ids[i]];
        if (!lab_finite(ref_value(g.ref, g.lab.grads[i]), shape_count(t->shape)))
            return verdict(s, LINT_FAIL,
                           "where training starts, the gradient of %s holds infinities or is no "
                           "number",
                           t->name);
    }
    close_gradients(&g);
    return LINT_PASS;
}

enum lint_result check_differences(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct sets sets;
    double worst = 0;
    size_t compared = 0;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, sets_make(&sets, s, SETS_USUAL));
    enum lint_result r = first_gradients_are_finite(s, text, &shape);
    clock_t half = (clock_t)(s->seconds / 2 * (double)CLOCKS_PER_SEC); /* a slow one compares fewer sets */
    for (size_t i = 0; i < sets.count && compared < NUMERIC_SETS && r == LINT_PASS; i++) {
        if (compared && clock() > half)
            break;
        if (!is_taken(s, lab_text(s, text, "", sets.text[i], ""), &shape))
            continue;
        r = difference_all(s, sets.text[i], &shape, &worst);
        compared++;
    }
    return r == LINT_PASS ? verdict(s, LINT_PASS, "off by at most %.1g over %zu option sets", worst, compared)
                          : r;
}
