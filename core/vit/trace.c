/* trace.c - see trace.h. Reads like the equations: one line per layer, one stop per site. */
#include "trace.h"

#include "place.h"

enum { WEIGHT = VITRO_WEIGHT, BIAS = VITRO_BIAS };
#define SITE(id) VITRO_AT_##id

static value tensor(const struct vit_trace *v, int site, int part, int block)
{
    const struct vit_tensor *found = vit_find(v->vit, site, part, block);
    if (!found)
        return tape_fail(v->tape, "the model has no tensor at site %d of block %d", site, block);
    return v->tensors[found - v->vit->tensors];
}

/* Names what is recorded from here on, up to the next stop. */
static void at(const struct vit_trace *v, int site, int block)
{
    char text[PLACE_TEXT];
    tape_place(v->tape, place_text(place_backbone, site, block, text));
}

static value stop(const struct vit_trace *v, int site, int block, value x)
{
    tape_place(v->tape, NULL);
    return v->hook ? v->hook(v->context, site, block, x) : x;
}

/* x W^T + b, then the site's stop */
static value linear(const struct vit_trace *v, int site, int block, value x)
{
    struct tape *t = v->tape;
    at(v, site, block);
    value y = tape_matmul(t, x, tensor(v, site, WEIGHT, block), 0, 1);
    return stop(v, site, block, tape_add(t, y, tensor(v, site, BIAS, block)));
}

static value norm(const struct vit_trace *v, int site, int block, value x)
{
    value w = tensor(v, site, WEIGHT, block), b = tensor(v, site, BIAS, block);
    at(v, site, block);
    return stop(v, site, block, tape_layernorm(v->tape, x, w, b, v->vit->shape.eps));
}

/* LayerScale, where the model has it: x gamma, then the site's stop */
static value layer_scale(const struct vit_trace *v, int site, int block, value x)
{
    if (!vit_has(&v->vit->shape, VIT_LAYER_SCALE))
        return x;
    at(v, site, block);
    return stop(v, site, block, tape_mul(v->tape, x, tensor(v, site, WEIGHT, block)));
}

/* One draw per sample: axis 0. */
static value drop_path(const struct vit_trace *v, int site, int block, value x)
{
    int32_t depth = v->vit->shape.depth;
    float p = depth > 1 ? v->drop_path * (float)block / (float)(depth - 1) : 0;
    return tape_dropout(v->tape, x, p, vit_stream(0, block, site, 0), 1u << 0);
}

/* A token of the model's in front of each image's: [1, n, dim] to [batch, n, dim] */
static value in_front(const struct vit_trace *v, value tokens, value x)
{
    struct tape *t = v->tape;
    const int32_t batch = tape_shape(t, v->index).dim[0], n = tape_shape(t, tokens).dim[1];
    value each = tape_expand(t, tokens, SHAPE(batch, n, v->vit->shape.dim));
    return tape_concat(t, each, x, 1);
}

/* [batch, tokens, dim]: patches through the projection, the class token (and registers) in front, plus
 * positions, which are the grid's alone in some models; CLIP's norm */
static value embed(const struct vit_trace *v)
{
    struct tape *t = v->tape;
    const struct vit_shape *s = &v->vit->shape;
    at(v, SITE(EMBED), -1);
    value patches = tape_patches(t, v->images, v->index, s->patch, v->mean, v->std);
    value w = tape_reshape(t, tensor(v, SITE(EMBED), WEIGHT, -1), SHAPE(s->dim, 3 * s->patch * s->patch));
    value x = tape_matmul(t, patches, w, 0, 1), positions = tensor(v, SITE(TOKENS), WEIGHT, -1);
    if (!vit_has(s, VIT_NO_PATCH_BIAS))
        x = tape_add(t, x, tensor(v, SITE(EMBED), BIAS, -1));
    x = stop(v, SITE(EMBED), -1, x);
    at(v, SITE(TOKENS), -1);
    if (vit_has(s, VIT_GRID_POSITIONS))
        x = tape_add(t, x, positions);
    if (s->registers)
        x = in_front(v, tensor(v, SITE(TOKENS), VIT_REGISTERS, -1), x);
    x = in_front(v, tensor(v, SITE(TOKENS), BIAS, -1), x);
    if (!vit_has(s, VIT_GRID_POSITIONS))
        x = tape_add(t, x, positions);
    x = stop(v, SITE(TOKENS), -1, x);
    return vit_has(s, VIT_NORM_PRE) ? norm(v, SITE(NORM_PRE), -1, x) : x;
}

/* Queries, keys and values, each with its stop: slices of one tensor, which cost nothing if they stay so. */
static value attend(const struct vit_trace *v, int i, value qkv)
{
    static const int sites[3] = {SITE(Q), SITE(K), SITE(V)};
    value p[3];
    at(v, SITE(ATTN), i);
    tape_attention_split(v->tape, qkv, p);
    for (int k = 0; k < 3; k++)
        p[k] = stop(v, sites[k], i, p[k]);
    at(v, SITE(ATTN), i);
    return stop(v, SITE(ATTN), i, tape_attention_joined(v->tape, qkv, p[0], p[1], p[2], v->vit->shape.heads));
}

static value block(const struct vit_trace *v, int i, value x)
{
    struct tape *t = v->tape;
    x = stop(v, SITE(BLOCK_IN), i, x);
    value branch = attend(v, i, linear(v, SITE(QKV), i, norm(v, SITE(NORM1), i, x)));
    branch = layer_scale(v, SITE(LS1), i, linear(v, SITE(PROJ), i, branch));
    branch = stop(v, SITE(ATTN_OUT), i, branch);
    at(v, SITE(MID), i);
    x = stop(v, SITE(MID), i, tape_add(t, x, drop_path(v, SITE(ATTN_OUT), i, branch)));
    branch = linear(v, SITE(FC1), i, norm(v, SITE(NORM2), i, x));
    const enum unary_fn act = vit_has(&v->vit->shape, VIT_QUICK_GELU) ? UNARY_QUICK_GELU : UNARY_GELU;
    at(v, SITE(ACT), i);
    branch = stop(v, SITE(ACT), i, tape_unary(t, branch, act));
    branch = layer_scale(v, SITE(LS2), i, linear(v, SITE(FC2), i, branch));
    branch = stop(v, SITE(MLP_OUT), i, branch);
    at(v, SITE(BLOCK_OUT), i);
    return stop(v, SITE(BLOCK_OUT), i, tape_add(t, x, drop_path(v, SITE(MLP_OUT), i, branch)));
}

/* What the head reads, [batch, dim or projection]: CLIP's map to the space it shares with texts, and vectors of
 * length 1, where the model has them */
static value features(const struct vit_trace *v, value x)
{
    struct tape *t = v->tape;
    const struct vit_shape *s = &v->vit->shape;
    if (s->projection)
        x = tape_matmul(t, x, tensor(v, SITE(HEAD), VIT_PROJECTION, -1), 0, 1);
    if (!vit_has(s, VIT_UNIT_FEATURES))
        return x;
    value length = tape_unary(t, tape_sum(t, tape_mul(t, x, x), 1u << 1), UNARY_SQRT);
    return tape_mul(t, x, tape_unary(t, length, UNARY_RECIP));
}

value vit_trace(const struct vit_trace *v)
{
    struct tape *t = v->tape;
    const struct vit_shape *s = &v->vit->shape;
    if (s->depth >= STREAM_BLOCKS)
        return tape_fail(t, "a model of %d blocks is deeper than %d", s->depth, STREAM_BLOCKS - 1);
    value x = embed(v);
    for (int i = 0; i < s->depth; i++)
        x = block(v, i, x);
    x = norm(v, SITE(NORM), -1, x);
    if (x && tape_shape(t, x).dim[1] != vit_tokens(s))
        return tape_fail(t, "%d tokens arrive at the last norm instead of %d", tape_shape(t, x).dim[1],
                         vit_tokens(s));
    at(v, SITE(HEAD), -1);
    x = tape_slice(t, x, 1, 0, 1);
    x = features(v, tape_reshape(t, x, SHAPE(tape_shape(t, v->index).dim[0], s->dim)));
    x = s->classes ? linear(v, SITE(HEAD), -1, x) : x;
    tape_place(t, NULL);
    return x;
}
