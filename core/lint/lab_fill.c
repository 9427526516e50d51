/* lab_fill.c - the numbers that a lab's network is computed with. See lab.h. */
#include "lab.h"

#include "error.h"
#include "memory.h"
#include "rng.h"

#include <math.h>
#include <string.h>

/* As if trained: matrices of the size that keeps activations near 1, the rest around where it starts, so
 * that a gain stays near 1 and a shift near 0, and nothing is where it was. */
static void tune(const char *name, struct shape shape, int keeps_mean, uint64_t seed, float *x)
{
    struct rng g = rng_named(seed, name);
    int64_t count = shape_count(shape);
    double size = shape.rank > 1 ? 1 / sqrt((double)count / shape.dim[0]) : 0.2;
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)((keeps_mean ? (double)x[i] : 0) + size * rng_normal(&g));
}

void lab_ripen(struct vit *vit, uint64_t seed)
{
    vit_random(vit, seed);
    for (size_t i = 0; i < vit->count; i++) {
        const struct vit_tensor *t = &vit->tensors[i];
        tune(t->name, t->shape, t->shape.rank == 1, ~seed, t->data);
    }
}

int lab_tensor(const struct lab *l, size_t id, enum lab_fill fill, uint64_t seed, float *out)
{
    const struct tensor *t = &l->tensors[id];
    TRY(method_initial(l->method, id, seed, out));
    int keeps_mean = t->source >= 0 ? t->shape.rank == 1 : t->init == VITRO_ONES || t->init_mean != 0.0f;
    if (fill == LAB_TUNED && (t->kind == LEAF_TRAINABLE || t->kept))
        tune(t->name, t->shape, keeps_mean, seed, out);
    return 0;
}

static void fill_inputs(const struct lab *l, struct ref *r, uint64_t seed)
{
    struct rng g = rng_named(seed, "images");
    double *images = ref_leaf(r, l->images), *index = ref_leaf(r, l->index), *labels = ref_leaf(r, l->labels);
    int64_t pixels = shape_count(tape_shape(l->tape, l->images));
    int32_t batch = tape_shape(l->tape, l->index).dim[0], classes = l->vit->shape.classes;
    for (int64_t i = 0; images && i < pixels; i++)
        images[i] = rng_below(&g, 256);
    for (int32_t i = 0; index && i < batch; i++)
        index[i] = (batch - 1 - i) % LAB_IMAGES;
    for (int32_t i = 0; labels && i < batch; i++)
        labels[i] = (2 * i + 1) % classes;
}

static void fill_leaf(double *x, const float *numbers, size_t count)
{
    for (size_t k = 0; k < count; k++)
        x[k] = (double)numbers[k];
}

int lab_fill(const struct lab *l, struct ref *r, enum lab_fill fill, uint64_t seed)
{
    ref_seed(r, seed, 5);
    fill_inputs(l, r, seed);
    for (size_t i = 0; i < l->tensor_count; i++) {
        double *x = ref_leaf(r, l->trace->leaves[i]);
        size_t count = (size_t)shape_count(l->tensors[i].shape);
        float *numbers = x ? mem_alloc(count, sizeof *numbers) : NULL;
        int rc = !x ? 0 : numbers ? lab_tensor(l, i, fill, seed, numbers) : ERR_MEMORY;
        if (x && rc == 0)
            fill_leaf(x, numbers, count);
        mem_free(numbers);
        TRY(rc);
    }
    return 0;
}

int lab_fill_from(const struct lab *l, struct ref *r, float *const *data, uint64_t seed)
{
    ref_seed(r, seed, 5);
    fill_inputs(l, r, seed);
    for (size_t i = 0; i < l->tensor_count; i++) {
        double *x = ref_leaf(r, l->trace->leaves[i]);
        if (x)
            fill_leaf(x, data[i], (size_t)shape_count(l->tensors[i].shape));
    }
    return 0;
}

int lab_ref(struct ref **out, const struct lab *l, const value *roots, size_t count, enum lab_fill fill,
            uint64_t seed)
{
    TRY(ref_create(out, l->tape, roots, count));
    int rc = lab_fill(l, *out, fill, seed);
    if (rc < 0) {
        ref_destroy(*out);
        *out = NULL;
    }
    return rc;
}

int64_t lab_logit_count(const struct lab *l)
{
    return shape_count(tape_shape(l->tape, l->trace->logits));
}

int lab_logits(const struct lab *l, value root, enum lab_fill fill, uint64_t seed, double out[LAB_LOGITS])
{
    struct ref *r = NULL;
    TRY(lab_ref(&r, l, &root, 1, fill, seed));
    int rc = ref_run(r);
    if (rc == 0)
        memcpy(out, ref_value(r, root), (size_t)lab_logit_count(l) * sizeof *out);
    ref_destroy(r);
    return rc;
}

float *lab_floats(const struct lab *l, size_t id)
{
    return mem_alloc((size_t)shape_count(l->tensors[id].shape), sizeof(float));
}

double lab_distance(const double *a, const double *b, int64_t count)
{
    double difference = 0, size = 0;
    if (!lab_finite(a, count) || !lab_finite(b, count))
        return INFINITY;
    for (int64_t i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return size > 0 ? sqrt(difference / size) : sqrt(difference);
}

int lab_finite(const double *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}
