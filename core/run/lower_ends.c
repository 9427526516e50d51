/* lower_ends.c - from images to patches, rows of tables, and neighbourhoods of a grid. */
#include "program.h"

#include <string.h>

void lower_patches(struct program *p, value v, const struct node *n)
{
    struct shape images = tape_shape(p->tape, n->in[0]);
    struct push_patches push = {.height = (uint32_t)images.dim[1],
                                .width = (uint32_t)images.dim[2],
                                .patch = (uint32_t)n->attr.patches.patch};
    for (int c = 0; c < 3; c++) { /* (x / 255 - mean) / std as x scale + shift */
        push.scale[c] = 1 / (255 * n->attr.patches.std[c]);
        push.shift[c] = -n->attr.patches.mean[c] / n->attr.patches.std[c];
    }
    int halves;
    const struct ref out = program_result(p, v, push.patch % 2 == 0, &halves);
    const struct ref refs[] = {out, program_value(p, n->in[0]), program_value(p, n->in[1])};
    const uint32_t groups[3] = {1, (uint32_t)n->shape.dim[1], (uint32_t)n->shape.dim[0]};
    struct work *w = program_emit(p, SHADER_PATCHES, &push, sizeof push, refs, 3, 1, groups);
    w->constants[0] = push.width % 4 || push.patch % engine_lanes(p->engine) ? 0 : push.patch;
    w->constants[1] = (uint32_t)(halves ? p->number : NUMBER_FP32);
    w->constant_count = 2;
    w->bytes = (double)shape_count(n->shape) * (halves ? 3 : 5);
}

void lower_gather(struct program *p, value v, const struct node *n)
{
    enum { CHUNK = 1024 };
    uint32_t rows = (uint32_t)n->shape.dim[0];
    struct push_gather push = {.n = (uint32_t)(shape_count(n->shape) / rows)};
    const struct ref refs[] = {program_value(p, v), program_value(p, n->in[0]), program_value(p, n->in[1])};
    const uint32_t groups[3] = {(push.n + CHUNK - 1) / CHUNK, rows, 1};
    struct work *w = program_emit(p, SHADER_GATHER, &push, sizeof push, refs, 3, 1, groups);
    w->bytes = (double)shape_count(n->shape) * 8;
}

static void emit_unfold(struct program *p, value v, const struct node *n, struct shape image, uint32_t fold)
{
    struct push_unfold push = {.channels = (uint32_t)image.dim[3], .k = (uint32_t)n->attr.unfold.k};
    int halves;
    const struct ref out = program_result(p, v, !fold && push.channels % 2 == 0, &halves);
    const struct ref refs[] = {out, program_value(p, n->in[0])};
    const uint32_t groups[3] = {(uint32_t)image.dim[2], (uint32_t)image.dim[1], (uint32_t)image.dim[0]};
    struct work *w = program_emit(p, SHADER_UNFOLD, &push, sizeof push, refs, 2, 1, groups);
    w->constants[0] = fold;
    w->constants[1] = (uint32_t)(halves ? p->number : NUMBER_FP32);
    w->constant_count = 2;
}

void lower_unfold(struct program *p, value v, const struct node *n)
{
    emit_unfold(p, v, n, tape_shape(p->tape, n->in[0]), 0);
}

void lower_fold(struct program *p, value v, const struct node *n)
{
    emit_unfold(p, v, n, n->shape, 1);
}
