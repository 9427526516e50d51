/* tiny.h - a two-block ViT under a method stack, evaluated and differentiated through core/ref: what
 * the plugin tests share. The shape is that of reference/golden/methods/. */
#ifndef TINY_H
#define TINY_H

#include "error.h"
#include "host.h"
#include "memory.h"
#include "ref.h"
#include "rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { TINY_BATCH = 3, TINY_SEED = 11 };
static const struct vit_shape tiny_shape = {
    .image = 32, .patch = 8, .dim = 24, .depth = 2, .heads = 3, .hidden = 96, .classes = 7, .eps = 1e-6f};

/* The same with what CLIP and DINOv2 have beyond a plain ViT. */
static const struct vit_shape tiny_clip = {.image = 32,
                                           .patch = 8,
                                           .dim = 24,
                                           .depth = 2,
                                           .heads = 3,
                                           .hidden = 96,
                                           .classes = 7,
                                           .eps = 1e-5f,
                                           .features = VIT_NORM_PRE | VIT_NO_PATCH_BIAS | VIT_QUICK_GELU |
                                                       VIT_UNIT_FEATURES,
                                           .projection = 16};
static const struct vit_shape tiny_dino = {.image = 32,
                                           .patch = 8,
                                           .dim = 24,
                                           .depth = 2,
                                           .heads = 3,
                                           .hidden = 96,
                                           .classes = 7,
                                           .eps = 1e-6f,
                                           .features = VIT_LAYER_SCALE | VIT_GRID_POSITIONS,
                                           .registers = 4};
static const struct vit_shape *const tiny_shapes[] = {&tiny_shape, &tiny_clip, &tiny_dino};
enum { TINY_SHAPES = sizeof tiny_shapes / sizeof *tiny_shapes };

struct tiny { /* one tape with its loss and the gradients of all trainable tensors */
    struct vit *vit;
    struct plugins *plugins;
    struct method *method;
    struct tape *tape;
    struct method_trace *trace;
    value images, index, labels, loss;
    const struct tensor *tensors;
    size_t tensor_count, count;
    size_t *ids; /* of the trainable tensors */
    value *wrt, *grads;
    struct ref *ref; /* computes logits, loss and gradients */
};

static inline int tiny_stack(struct tiny *n, const char *text, const struct vit_shape *shape)
{
    const char *const folders[] = {PLUGIN_FOLDER, NULL};
    TRY(vit_create(&n->vit, shape));
    TRY(plugins_create(&n->plugins, folders));
    TRY(method_create(&n->method, n->plugins, text));
    TRY(method_declare(n->method, n->vit));
    n->tensors = method_tensors(n->method, &n->tensor_count);
    return 0;
}

/* The mean cross-entropy of the batch plus penalties. */
static inline value tiny_loss(struct tiny *n)
{
    value each = tape_cross_entropy(n->tape, n->trace->logits, n->labels);
    value mean = tape_affine(n->tape, tape_sum(n->tape, each, 1), 1.0f / TINY_BATCH, 0);
    mean = tape_reshape(n->tape, mean, (struct shape){0});
    return n->trace->penalty ? tape_add(n->tape, mean, n->trace->penalty) : mean;
}

/* Forward and backward on n->tape. `fail_after` tells the tape to fail, negative: not. */
static inline int tiny_record(struct tiny *n, const struct method_step *like, long fail_after)
{
    struct method_step step = *like;
    n->tape = tape_create();
    if (!n->tape)
        return ERR_MEMORY;
    int32_t side = n->vit->shape.image;
    n->images = tape_leaf(n->tape, LEAF_IMAGES, SHAPE(TINY_BATCH, side, side, 3), 0, "images");
    n->index = tape_leaf(n->tape, LEAF_INPUT, SHAPE(TINY_BATCH), 0, "index");
    n->labels = tape_leaf(n->tape, LEAF_INPUT, SHAPE(TINY_BATCH), 1, "labels");
    tape_fail_after(n->tape, fail_after);
    step.tape = n->tape;
    step.images = n->images;
    step.index = n->index;
    for (int c = 0; c < 3; c++)
        step.mean[c] = step.std[c] = 0.5f;
    TRY(method_trace(&n->trace, n->method, &step));
    n->loss = tiny_loss(n);
    n->ids = mem_alloc(n->tensor_count, sizeof *n->ids);
    n->wrt = mem_alloc(n->tensor_count, sizeof *n->wrt);
    n->grads = mem_alloc(n->tensor_count, sizeof *n->grads);
    if (!n->ids || !n->wrt || !n->grads)
        return ERR_MEMORY;
    for (size_t i = 0; i < n->tensor_count; i++)
        if (n->tensors[i].kind == LEAF_TRAINABLE) {
            n->wrt[n->count] = n->trace->leaves[i];
            n->ids[n->count++] = i;
        }
    return tape_backward(n->tape, n->loss, n->wrt, n->count, n->grads);
}

static inline void tiny_close(struct tiny *n)
{
    ref_destroy(n->ref);
    method_trace_destroy(n->trace);
    tape_destroy(n->tape);
    method_destroy(n->method);
    plugins_destroy(n->plugins);
    vit_destroy(n->vit);
    mem_free(n->ids);
    mem_free(n->wrt);
    mem_free(n->grads);
    *n = (struct tiny){0};
}

/* A sentence to look at when something that must work does not. */
static inline void tiny_must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

/* Trained-looking numbers: nothing zero, matrices of the size that keeps activations near 1. */
static inline void tiny_randomise(const struct tensor *t, double *x)
{
    struct rng g = rng_named(TINY_SEED, t->name);
    int64_t count = shape_count(t->shape);
    int gain = strstr(t->name, "scale.") || strstr(t->name, "gain") ||
               (strstr(t->name, "norm") && strstr(t->name, "weight"));
    double size = t->shape.rank > 1 ? 1 / sqrt((double)count / t->shape.dim[0]) : 0.2;
    if (strstr(t->name, "prompt") || strstr(t->name, "pos_embed") || strstr(t->name, "cls_token"))
        size = 0.5;
    for (int64_t i = 0; i < count; i++)
        x[i] = (gain ? 1 : 0) + size * rng_normal(&g);
}

/* Images, labels and every tensor that is computed with, at random. */
static inline void tiny_fill(struct tiny *n, struct ref *r)
{
    struct rng g = rng_named(TINY_SEED, "images");
    for (int i = 0; i < TINY_BATCH; i++) {
        ref_leaf(r, n->index)[i] = TINY_BATCH - 1 - i;
        if (ref_leaf(r, n->labels))
            ref_leaf(r, n->labels)[i] = 2 * i + 1;
    }
    for (int64_t i = 0, c = shape_count(tape_shape(n->tape, n->images)); i < c; i++)
        ref_leaf(r, n->images)[i] = rng_below(&g, 256);
    for (size_t i = 0; i < n->trace->count; i++)
        if (ref_leaf(r, n->trace->leaves[i]))
            tiny_randomise(&n->tensors[i], ref_leaf(r, n->trace->leaves[i]));
}

static inline void tiny_open_as(struct tiny *n, const char *text, const struct vit_shape *shape,
                                const struct method_step *step)
{
    *n = (struct tiny){0};
    tiny_must(tiny_stack(n, text, shape));
    tiny_must(tiny_record(n, step, -1));
    value *roots = mem_alloc(n->count + 2, sizeof *roots);
    assert_non_null(roots);
    memcpy(roots, n->grads, n->count * sizeof *roots);
    roots[n->count] = n->loss;
    roots[n->count + 1] = n->trace->logits;
    tiny_must(ref_create(&n->ref, n->tape, roots, n->count + 2));
    mem_free(roots);
    ref_seed(n->ref, TINY_SEED, 5);
    tiny_fill(n, n->ref);
}

static inline void tiny_open(struct tiny *n, const char *text, const struct method_step *step)
{
    tiny_open_as(n, text, &tiny_shape, step);
}

/* |a - b| over |b|, Euclidean. */
static inline double tiny_distance(const double *a, const double *b, int64_t count)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return size > 0 ? sqrt(difference / size) : sqrt(difference);
}

#endif
