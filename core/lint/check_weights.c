/* check_weights.c - the tuned model as numbers to keep: folded into the weights, led back to the backbone,
 * saved and read again. */
#include "sets.h"

#include "error.h"
#include "memory.h"
#include "safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The same sums in double, in another order. */
static const double SAME = 1e-10;
/* One rounding of each weight to float on the way, seen through two blocks. */
static const double ROUNDED = 1e-5;
/* At alpha 0: neutral values make exact zeros and ones, but a quotient by a norm may round. */
static const double EXACT = 1e-12;

static int64_t logit_count(const struct lab *l)
{
    return shape_count(tape_shape(l->tape, l->trace->logits));
}

static int merged_values(struct lab *l, value **out)
{
    *out = mem_alloc(l->vit->count + 1, sizeof **out);
    return *out ? method_merge(l->method, l->tape, *out) : ERR_MEMORY;
}

/* Relative distance of merged from hooked logits. */
static int merge_distance(struct lab *l, uint64_t seed, double *off)
{
    struct ref *r = NULL;
    value *merged;
    TRY(lab_record(l, &(struct lab_run){.training = 0}));
    TRY(merged_values(l, &merged));
    value both[2] = {l->trace->logits, lab_plain(l, merged)};
    mem_free(merged);
    TRY(lab_ref(&r, l, both, 2, LAB_TUNED, seed));
    TRY(ref_run(r));
    *off = lab_distance(ref_value(r, both[1]), ref_value(r, both[0]), logit_count(l));
    ref_destroy(r);
    return 0;
}

enum lint_result check_merge(struct subject *s)
{
    char text[LAB_TEXT];
    struct vit_shape shape;
    struct sets sets;
    double worst = 0, off = 0;
    size_t compared = 0;
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, sets_make(&sets, s, SETS_USUAL));
    for (size_t i = 0; i < sets.count; i++) {
        struct lab l;
        struct method_part part;
        note(s, "with [%.200s]", sets.text[i]);
        if (lab_open(&l, s, lab_text(s, text, "", sets.text[i], ""), &shape) < 0)
            continue;
        MUST(s, method_part(l.method, 0, &part));
        if (part.mergeable) {
            MUST(s, merge_distance(&l, s->seed, &off));
            compared++;
        }
        if (part.mergeable && !(off <= SAME))
            return verdict(s, LINT_FAIL,
                           "the merged weights give logits that are off by %.2g, relative, from the "
                           "hooked network's, with [%s]",
                           off, sets.text[i]);
        worst = off > worst ? off : worst;
        lab_close(&l);
    }
    if (!compared)
        return verdict(s, LINT_SKIP,
                       "it hooks sites and has no merge, so it cannot be folded into the weights");
    return verdict(s, LINT_PASS, "off by at most %.1g over %zu option sets", worst, compared);
}

/* --- interpolation */

/* Writes into leaf `x` what tensor `id` is at alpha when `theta` is its tuned content. */
static int lead(const struct lab *l, size_t id, float alpha, float *theta, double *x)
{
    size_t count = (size_t)shape_count(l->tensors[id].shape);
    TRY(method_interpolate(l->method, id, alpha, theta, theta));
    for (size_t k = 0; k < count; k++)
        x[k] = (double)theta[k];
    return 0;
}

static float *float_room(const struct lab *l, size_t id)
{
    return mem_alloc((size_t)shape_count(l->tensors[id].shape), sizeof(float));
}

/* The hooked network with every tensor at alpha. */
static int by_parameters(const struct lab *l, uint64_t seed, float alpha, double *logits)
{
    struct ref *r = NULL;
    TRY(lab_ref(&r, l, &l->trace->logits, 1, LAB_TUNED, seed));
    for (size_t i = 0; i < l->tensor_count; i++) {
        double *x = ref_leaf(r, l->trace->leaves[i]);
        float *theta = x ? float_room(l, i) : NULL;
        int rc = !x ? 0 : !theta ? ERR_MEMORY : lab_tensor(l, i, LAB_TUNED, seed, theta);
        if (x && rc == 0)
            rc = lead(l, i, alpha, theta, x);
        mem_free(theta);
        TRY(rc);
    }
    TRY(ref_run(r));
    memcpy(logits, ref_value(r, l->trace->logits), (size_t)logit_count(l) * sizeof *logits);
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
        float *theta = float_room(l, i);
        int rc = theta ? 0 : ERR_MEMORY;
        for (int64_t k = 0; rc == 0 && k < shape_count(l->tensors[i].shape); k++)
            theta[k] = (float)from[k];
        if (x && rc == 0)
            rc = lead(l, i, alpha, theta, x);
        mem_free(theta);
        TRY(rc);
    }
    TRY(ref_run(plain));
    memcpy(logits, ref_value(plain, root), (size_t)logit_count(l) * sizeof *logits);
    mem_free(merged);
    ref_destroy(merging);
    ref_destroy(plain);
    return 0;
}

/* fill INITIAL with a plain root: the backbone; TUNED with the hooked: the tuned model. */
static int logits_as_filled(const struct lab *l, value root, enum lab_fill fill, uint64_t seed,
                            double *logits)
{
    struct ref *r = NULL;
    TRY(lab_ref(&r, l, &root, 1, fill, seed));
    TRY(ref_run(r));
    memcpy(logits, ref_value(r, root), (size_t)logit_count(l) * sizeof *logits);
    ref_destroy(r);
    return 0;
}

enum { LOGITS = 64 };
struct ends {
    double backbone[LOGITS], tuned[LOGITS], at_0[LOGITS], at_half[LOGITS], at_1[LOGITS];
};

static int compute_ends(struct lab *l, uint64_t seed, enum interpolation by, struct ends *e)
{
    int (*const at)(struct lab *, uint64_t, float, double *) = by_merged;
    TRY(logits_as_filled(l, lab_plain(l, NULL), LAB_INITIAL, seed, e->backbone));
    TRY(logits_as_filled(l, l->trace->logits, LAB_TUNED, seed, e->tuned));
    if (by == INTERPOLATES_MERGED) {
        TRY(at(l, seed, 0, e->at_0));
        TRY(at(l, seed, 0.5f, e->at_half));
        return at(l, seed, 1, e->at_1);
    }
    TRY(by_parameters(l, seed, 0, e->at_0));
    TRY(by_parameters(l, seed, 0.5f, e->at_half));
    return by_parameters(l, seed, 1, e->at_1);
}

static enum lint_result judge_ends(struct subject *s, const struct lab *l, enum interpolation by,
                                   const struct ends *e, const char *options)
{
    int64_t count = logit_count(l);
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

/* --- in a file and back */

static int write_tuned(const struct lab *l, uint64_t seed, const char *path)
{
    struct safetensors_item *items = mem_alloc(l->tensor_count, sizeof *items);
    size_t n = 0;
    int rc = items ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < l->tensor_count && rc == 0; i++) {
        const struct tensor *t = &l->tensors[i];
        if (t->kind != LEAF_TRAINABLE && !t->kept)
            continue;
        float *data = float_room(l, i);
        items[n] = (struct safetensors_item){
            .name = t->name, .type = SAFETENSORS_F32, .rank = t->shape.rank, .data = data};
        for (int k = 0; k < t->shape.rank; k++)
            items[n].dim[k] = t->shape.dim[k];
        rc = data ? lab_tensor(l, i, LAB_TUNED, seed, data) : ERR_MEMORY;
        n++;
    }
    rc = rc == 0 ? safetensors_write(path, items, n, NULL, 0) : rc;
    for (size_t i = 0; i < n; i++)
        mem_free((void *)(uintptr_t)items[i].data);
    mem_free(items);
    return rc;
}

/* Fills the leaves: what trains from the file, the rest as it starts. */
static int read_tuned(const struct lab *l, uint64_t seed, const char *path, struct ref *r)
{
    struct safetensors *f = NULL;
    int rc = safetensors_open(&f, path);
    if (rc < 0)
        return rc;
    rc = lab_fill(l, r, LAB_INITIAL, seed);
    for (size_t i = 0; i < l->tensor_count && rc == 0; i++) {
        const struct tensor *t = &l->tensors[i];
        double *x = ref_leaf(r, l->trace->leaves[i]);
        size_t count = (size_t)shape_count(t->shape);
        if ((t->kind != LEAF_TRAINABLE && !t->kept) || !x)
            continue;
        float *data = float_room(l, i);
        rc = data ? safetensors_need(f, t->name, SAFETENSORS_F32, count, data) : ERR_MEMORY;
        for (size_t k = 0; k < count && rc == 0; k++)
            x[k] = (double)data[k];
        mem_free(data);
    }
    safetensors_close(f);
    return rc;
}

static int read_again(struct subject *s, const char *text, const struct vit_shape *shape, const char *path,
                      double *logits)
{
    struct lab l;
    struct ref *r = NULL;
    TRY(lab_open(&l, s, text, shape));
    TRY(lab_record(&l, &(struct lab_run){.training = 0}));
    TRY(ref_create(&r, l.tape, &l.trace->logits, 1));
    TRY(read_tuned(&l, s->seed, path, r));
    TRY(ref_run(r));
    memcpy(logits, ref_value(r, l.trace->logits), (size_t)logit_count(&l) * sizeof *logits);
    ref_destroy(r);
    lab_close(&l);
    return 0;
}

static enum lint_result save_in(struct subject *s, const char *options, const struct vit_shape *shape,
                                const char *path)
{
    char text[LAB_TEXT], again[LAB_TEXT];
    struct lab l;
    double before[LOGITS], after[LOGITS];
    MUST(s, lab_open(&l, s, lab_text(s, text, "", options, ""), shape));
    MUST(s, lab_record(&l, &(struct lab_run){.training = 0}));
    MUST(s, logits_as_filled(&l, l.trace->logits, LAB_TUNED, s->seed, before));
    MUST(s, write_tuned(&l, s->seed, path));
    snprintf(again, sizeof again, "%s", method_text(l.method));
    int64_t count = logit_count(&l);
    lab_close(&l);
    MUST(s, read_again(s, again, shape, path, after));
    double off = lab_distance(after, before, count);
    if (off != 0)
        return verdict(s, LINT_FAIL,
                       "what was saved with [%s] and read back by the text that goes with it gives "
                       "logits that are off by %.2g; keep all state in parameters and options",
                       options, off);
    return verdict(s, LINT_PASS, "the logits are the same to the bit");
}

enum lint_result check_save(struct subject *s)
{
    const char *folder = getenv("TMPDIR");
    char text[LAB_TEXT], path[PATH_SIZE_MAX];
    struct vit_shape shape;
    struct sets sets;
    enum lint_result r = LINT_PASS;
    snprintf(path, sizeof path, "%s/vitro-lint-XXXXXX", folder && *folder ? folder : "/tmp");
    int file = mkstemp(path);
    if (file < 0)
        return verdict(s, LINT_SKIP, "no file can be made like %.200s", path);
    close(file);
    MUST(s, lab_shape(s, lab_text(s, text, "", s->options, ""), &shape));
    MUST(s, sets_make(&sets, s, SETS_USUAL));
    for (size_t i = 0; i < sets.count && r == LINT_PASS; i++) {
        struct lab l;
        int taken = lab_declare(&l, s, lab_text(s, text, "", sets.text[i], ""), &shape) == 0;
        lab_close(&l);
        r = taken ? save_in(s, sets.text[i], &shape, path) : r;
    }
    unlink(path);
    return r;
}
