/* check_save.c - what was trained, in a file and back: the same logits to the bit. */
#include "sets.h"

#include "error.h"
#include "memory.h"
#include "safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_tuned(const struct lab *l, uint64_t seed, const char *path)
{
    struct safetensors_item *items = mem_alloc(l->tensor_count, sizeof *items);
    size_t n = 0;
    int rc = items ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < l->tensor_count && rc == 0; i++) {
        const struct tensor *t = &l->tensors[i];
        if (t->kind != LEAF_TRAINABLE && !t->kept)
            continue;
        float *data = lab_floats(l, i);
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
        float *data = lab_floats(l, i);
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
    memcpy(logits, ref_value(r, l.trace->logits), (size_t)lab_logit_count(&l) * sizeof *logits);
    ref_destroy(r);
    lab_close(&l);
    return 0;
}

static enum lint_result save_in(struct subject *s, const char *options, const struct vit_shape *shape,
                                const char *path)
{
    char text[LAB_TEXT], again[LAB_TEXT];
    struct lab l;
    double before[LAB_LOGITS], after[LAB_LOGITS];
    MUST(s, lab_open(&l, s, lab_text(s, text, "", options, ""), shape));
    MUST(s, lab_record(&l, &(struct lab_run){.training = 0}));
    MUST(s, lab_logits(&l, l.trace->logits, LAB_TUNED, s->seed, before));
    MUST(s, write_tuned(&l, s->seed, path));
    snprintf(again, sizeof again, "%s", method_text(l.method));
    int64_t count = lab_logit_count(&l);
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
