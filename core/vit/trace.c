/* trace.c - see trace.h. Reads like the equations: one line per layer, one stop per site. */
#include "trace.h"

#include <vitro/method.h>

enum { WEIGHT = VITRO_WEIGHT, BIAS = VITRO_BIAS };
#define SITE(id) VITRO_AT_##id

static value tensor(const struct vit_trace *v, int site, int part, int block)
{
    const struct vit_tensor *found = vit_find(v->vit, site, part, block);
    if (!found)
        return tape_fail(v->tape, "the model has no tensor at site %d of block %d", site, block);
    return v->tensors[found - v->vit->tensors];
}

static value stop(const struct vit_trace *v, int site, int block, value x)
{
    return v->hook ? v->hook(v->context, site, block, x) : x;
}

/* x W^T + b, then the site's stop */
static value linear(const struct vit_trace *v, int site, int block, value x)
{
    struct tape *t = v->tape;
    value y = tape_matmul(t, x, tensor(v, site, WEIGHT, block), 0, 1);
    return stop(v, site, block, tape_add(t, y, tensor(v, site, BIAS, block)));
}

static value norm(const struct vit_trace *v, int site, int block, value x)
{
    value w = tensor(v, site, WEIGHT, block), b = tensor(v, site, BIAS, block);
    return stop(v, site, block, tape_layernorm(v->tape, x, w, b, v->vit->shape.eps));
}

/* One draw per sample: axis 0. */
static value drop_path(const struct vit_trace *v, int site, int block, value x)
{
    int32_t depth = v->vit->shape.depth;
    float p = depth > 1 ? v->drop_path * (float)block / (float)(depth - 1) : 0;
    return tape_dropout(v->tape, x, p, vit_stream(0, block, site, 0), 1u << 0);
}

/* [batch, tokens, dim]: patches through the projection, the class token in front, plus positions */
static value embed(const struct vit_trace *v)
{
    struct tape *t = v->tape;
    const struct vit_shape *s = &v->vit->shape;
    value patches = tape_patches(t, v->images, v->index, s->patch, v->mean, v->std);
    value w = tape_reshape(t, tensor(v, SITE(EMBED), WEIGHT, -1), SHAPE(s->dim, 3 * s->patch * s->patch));
    value x = tape_add(t, tape_matmul(t, patches, w, 0, 1), tensor(v, SITE(EMBED), BIAS, -1));
    x = stop(v, SITE(EMBED), -1, x);
    int32_t batch = tape_shape(t, v->index).dim[0];
    value class_token = tape_expand(t, tensor(v, SITE(TOKENS), BIAS, -1), SHAPE(batch, 1, s->dim));
    x = tape_add(t, tape_concat(t, class_token, x, 1), tensor(v, SITE(TOKENS), WEIGHT, -1));
    return stop(v, SITE(TOKENS), -1, x);
}

/* Queries, keys and values, each with its stop: slices of one tensor, which cost nothing if they stay so. */
static value attend(const struct vit_trace *v, int i, value qkv)
{
    static const int sites[3] = {SITE(Q), SITE(K), SITE(V)};
    value p[3];
    tape_attention_split(v->tape, qkv, p);
    for (int k = 0; k < 3; k++)
        p[k] = stop(v, sites[k], i, p[k]);
    return stop(v, SITE(ATTN), i, tape_attention_joined(v->tape, qkv, p[0], p[1], p[2], v->vit->shape.heads));
}

static value block(const struct vit_trace *v, int i, value x)
{
    struct tape *t = v->tape;
    x = stop(v, SITE(BLOCK_IN), i, x);
    value branch = attend(v, i, linear(v, SITE(QKV), i, norm(v, SITE(NORM1), i, x)));
    branch = stop(v, SITE(ATTN_OUT), i, linear(v, SITE(PROJ), i, branch));
    x = stop(v, SITE(MID), i, tape_add(t, x, drop_path(v, SITE(ATTN_OUT), i, branch)));
    branch = linear(v, SITE(FC1), i, norm(v, SITE(NORM2), i, x));
    branch = stop(v, SITE(ACT), i, tape_unary(t, branch, UNARY_GELU));
    branch = stop(v, SITE(MLP_OUT), i, linear(v, SITE(FC2), i, branch));
    return stop(v, SITE(BLOCK_OUT), i, tape_add(t, x, drop_path(v, SITE(MLP_OUT), i, branch)));
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
    x = tape_slice(t, x, 1, 0, 1);
    x = tape_reshape(t, x, SHAPE(tape_shape(t, v->index).dim[0], s->dim));
    return linear(v, SITE(HEAD), -1, x);
}
