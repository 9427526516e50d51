/* text_trace.c - the text tower's forward pass on the tape. Attention is written out, since the fused one of the
 * image tower has no order of tokens. */
#include "text_tower.h"

#include <math.h>

static value tensor(const struct text_trace *v, enum text_part part, int block)
{
    const struct text_tensor *found = text_tower_find(v->tower, part, block);
    return v->tensors[found - v->tower->tensors];
}

static value linear(const struct text_trace *v, enum text_part weight, int block, value x)
{
    value y = tape_matmul(v->tape, x, tensor(v, weight, block), 0, 1);
    return tape_add(v->tape, y, tensor(v, weight + 1, block));
}

static value norm(const struct text_trace *v, enum text_part weight, int block, value x)
{
    return tape_layernorm(v->tape, x, tensor(v, weight, block), tensor(v, weight + 1, block),
                          v->tower->shape.eps);
}

/* Part k of [prompts * length, 3 dim] by heads: [prompts, heads, length, dim / heads] */
static value heads_of(const struct text_trace *v, value qkv, int k)
{
    static const int32_t axes[SHAPE_RANK] = {0, 2, 1, 3};
    const struct text_shape *s = &v->tower->shape;
    value part = tape_slice(v->tape, qkv, 1, k * s->dim, (k + 1) * s->dim);
    part = tape_reshape(v->tape, part, SHAPE(v->prompts, v->length, s->heads, s->dim / s->heads));
    return tape_permute(v->tape, part, axes);
}

/* softmax(q k^T / sqrt(d) + mask) v */
static value attend(const struct text_trace *v, value qkv)
{
    static const int32_t back[SHAPE_RANK] = {0, 2, 1, 3};
    struct tape *t = v->tape;
    const struct text_shape *s = &v->tower->shape;
    value scores = tape_matmul(t, heads_of(v, qkv, 0), heads_of(v, qkv, 1), 0, 1);
    scores = tape_affine(t, scores, 1 / sqrtf((float)(s->dim / s->heads)), 0);
    value x = tape_matmul(t, tape_softmax(t, tape_add(t, scores, v->mask)), heads_of(v, qkv, 2), 0, 0);
    return tape_reshape(t, tape_permute(t, x, back), SHAPE(v->prompts * v->length, s->dim));
}

static value block(const struct text_trace *v, int i, value x)
{
    struct tape *t = v->tape;
    value branch = attend(v, linear(v, TEXT_QKV_WEIGHT, i, norm(v, TEXT_NORM1_WEIGHT, i, x)));
    x = tape_add(t, x, linear(v, TEXT_PROJ_WEIGHT, i, branch));
    branch = linear(v, TEXT_FC1_WEIGHT, i, norm(v, TEXT_NORM2_WEIGHT, i, x));
    branch = tape_unary(t, branch, v->tower->shape.quick_gelu ? UNARY_QUICK_GELU : UNARY_GELU);
    return tape_add(t, x, linear(v, TEXT_FC2_WEIGHT, i, branch));
}

value text_trace(const struct text_trace *v)
{
    struct tape *t = v->tape;
    const struct text_shape *s = &v->tower->shape;
    const int32_t rows = v->prompts * v->length;
    value positions = tape_slice(t, tensor(v, TEXT_POSITIONS, -1), 0, 0, v->length);
    value x = tape_gather(t, tensor(v, TEXT_TOKENS, -1), v->tokens);
    x = tape_add(t, tape_reshape(t, x, SHAPE(v->prompts, v->length, s->dim)), positions);
    x = tape_reshape(t, x, SHAPE(rows, s->dim));
    for (int i = 0; i < s->depth; i++)
        x = block(v, i, x);
    x = norm(v, TEXT_NORM_WEIGHT, -1, tape_gather(t, x, v->ends));
    return tape_matmul(t, x, tensor(v, TEXT_PROJECTION, -1), 0, 1);
}
