/* arithmetic.h - what a trace records, in short; and pieces of methods with their derivatives, for a backward
 * written by hand. Part of sdk.h. For C and C++. */
#ifndef VITRO_ARITHMETIC_H
#define VITRO_ARITHMETIC_H
#include <vitro/sites.h>

static inline vitro_value vitro_get(vitro_trace *t, vitro_param p)
{
    return t->op->param(t, p);
}
static inline vitro_value vitro_at(vitro_trace *t, int32_t site)
{
    return t->op->at(t, site);
}
static inline vitro_value vitro_add(vitro_trace *t, vitro_value a, vitro_value b)
{
    return t->op->add(t, a, b);
}
static inline vitro_value vitro_mul(vitro_trace *t, vitro_value a, vitro_value b)
{
    return t->op->mul(t, a, b);
}
static inline vitro_value vitro_scale(vitro_trace *t, vitro_value a, float k)
{
    return t->op->affine(t, a, k, 0);
}
static inline vitro_value vitro_relu(vitro_trace *t, vitro_value a)
{
    return t->op->unary(t, a, VITRO_RELU);
}
static inline vitro_value vitro_dropout(vitro_trace *t, vitro_value a, float p)
{
    return t->op->dropout(t, a, p, 0);
}
static inline vitro_value vitro_matmul(vitro_trace *t, vitro_value a, vitro_value b)
{
    return t->op->matmul(t, a, b, 0, 0);
}
/* a bT: rows of a mapped by b */
static inline vitro_value vitro_matmul_t(vitro_trace *t, vitro_value a, vitro_value b)
{
    return t->op->matmul(t, a, b, 0, 1);
}
static inline vitro_value vitro_sub(vitro_trace *t, vitro_value a, vitro_value b)
{
    return vitro_add(t, a, vitro_scale(t, b, -1));
}
/* x in the shape of `like`, which has as many elements */
static inline vitro_value vitro_like(vitro_trace *t, vitro_value x, vitro_value like)
{
    return t->op->reshape(t, x, t->op->shape(t, like));
}
/* x of up to three axes with one more of size 1, which becomes axis `at` */
static inline vitro_value vitro_unsqueeze(vitro_trace *t, vitro_value x, int32_t at)
{
    vitro_shape s = t->op->shape(t, x), to = s;
    if (s.rank > 3 || at < 0 || at > s.rank)
        return t->op->fail(t, "there is no such axis to put in");
    to.dim[at] = 1;
    for (int32_t i = at; i < s.rank; i++)
        to.dim[i + 1] = s.dim[i];
    to.rank = s.rank + 1;
    return t->op->reshape(t, x, to);
}
/* [n] to [n, 1], which broadcasts over the columns of a matrix */
static inline vitro_value vitro_column(vitro_trace *t, vitro_value x)
{
    return vitro_unsqueeze(t, x, 1);
}
/* Each [m, n] of [.., m, n] transposed */
static inline vitro_value vitro_transpose(vitro_trace *t, vitro_value x)
{
    int32_t axes[4] = {0, 1, 2, 3};
    const int32_t rank = t->op->shape(t, x).rank;
    if (rank >= 2) {
        axes[rank - 1] = rank - 2;
        axes[rank - 2] = rank - 1;
    }
    return t->op->permute(t, x, axes);
}

/* 1 where whole numbers a and b are equal, else 0: relu(1 - |a - b|) */
static inline vitro_value vitro_equal(vitro_trace *t, vitro_value a, vitro_value b)
{
    vitro_value apart = t->op->unary(t, vitro_sub(t, a, b), VITRO_ABS);
    return vitro_relu(t, t->op->affine(t, apart, -1, 1));
}
/* diag(k) w: the rows of w [n, ..] times k [n] */
static inline vitro_value vitro_scale_rows(vitro_trace *t, vitro_value w, vitro_value k)
{
    vitro_shape to = t->op->shape(t, w);
    for (int32_t axis = 1; axis < to.rank; axis++)
        to.dim[axis] = 1;
    return vitro_mul(t, w, t->op->reshape(t, k, to));
}

/* Rows of all images as one matrix: [batch, tokens, n] to [batch tokens, n]. */
static inline vitro_value vitro_rows(vitro_trace *t, vitro_value x)
{
    vitro_shape s = t->op->shape(t, x), to = {2, {1, 1, 0, 0}};
    for (int32_t i = 0; i < s.rank; i++)
        to.dim[i == s.rank - 1] *= s.dim[i];
    return t->op->reshape(t, x, to);
}

/* The sum over all axes but the last: [.., n] to [n]. */
static inline vitro_value vitro_sum_rows(vitro_trace *t, vitro_value x)
{
    vitro_shape to = {1, {0, 0, 0, 0}};
    x = vitro_rows(t, x);
    to.dim[0] = t->op->shape(t, x).dim[1];
    return to.dim[0] ? t->op->reshape(t, t->op->sum(t, x, 1u << 0), to) : 0;
}

/* The sum over all rows of a_iT b_i: [.., m] and [.., n] to [m, n]. The gradient of w in y = x wT is
 * vitro_outer(dy, x). */
static inline vitro_value vitro_outer(vitro_trace *t, vitro_value a, vitro_value b)
{
    return t->op->matmul(t, vitro_rows(t, a), vitro_rows(t, b), 1, 0);
}

/* Keeps values for the backward, in slots 0 1 2 ..: VITRO_SAVE(t, x, z); vitro_saved gives them back there. */
#define VITRO_SAVE(t, ...)                        \
    vitro_save((t), (vitro_value[]){__VA_ARGS__}, \
               (uint32_t)(sizeof((vitro_value[]){__VA_ARGS__}) / sizeof(vitro_value)))
static inline void vitro_save(vitro_trace *t, const vitro_value *x, uint32_t count)
{
    for (uint32_t slot = 0; slot < count; slot++)
        t->op->save(t, slot, x[slot]);
}
static inline vitro_value vitro_saved(vitro_trace *t, uint32_t slot)
{
    return t->op->saved(t, slot);
}

/* The scale of an update of rank r: alpha / r, where alpha 0 stands for a scale of 1. */
static inline float vitro_strength(float alpha, int32_t r)
{
    return alpha > 0 ? alpha / (float)r : 1;
}

/* --- pieces with their derivatives */

/* Adds d to the gradient of a parameter. */
static inline void vitro_grad(vitro_trace *t, vitro_param p, vitro_value d)
{
    t->op->grad(t, vitro_get(t, p), d);
}

/* x wT + b, with w and b parameters; b may be 0. */
static inline vitro_value vitro_linear(vitro_trace *t, vitro_value x, vitro_param w, vitro_param b)
{
    vitro_value y = t->op->matmul(t, x, vitro_get(t, w), 0, 1);
    return b ? vitro_add(t, y, vitro_get(t, b)) : y;
}

/* Its derivative: dw += dyT x, db += sum dy; gives back dx = dy w. */
static inline vitro_value vitro_linear_back(vitro_trace *t, vitro_value x, vitro_value dy, vitro_param w,
                                            vitro_param b)
{
    vitro_grad(t, w, vitro_outer(t, dy, x));
    if (b)
        vitro_grad(t, b, vitro_sum_rows(t, dy));
    return vitro_matmul(t, dy, vitro_get(t, w));
}

/* diag(k) w, with w [n, m] and k [n] parameters: less work than scaling what w gives, n channels. */
static inline vitro_value vitro_scaled(vitro_trace *t, vitro_param w, vitro_param k)
{
    return vitro_scale_rows(t, vitro_get(t, w), vitro_get(t, k));
}

/* x k, channel by channel: k [n] a parameter, x [.., n]. */
static inline vitro_value vitro_gain(vitro_trace *t, vitro_value x, vitro_param k)
{
    return vitro_mul(t, x, vitro_get(t, k));
}

/* Its derivative: dk += sum dy x; gives back dx = dy k. */
static inline vitro_value vitro_gain_back(vitro_trace *t, vitro_value x, vitro_value dy, vitro_param k)
{
    vitro_grad(t, k, vitro_sum_rows(t, vitro_mul(t, dy, x)));
    return vitro_gain(t, dy, k);
}

/* What a layer gives, x = u WT + b at its site, as if W's rows were times k [n]: k (x - b) + b, which is recorded
 * as k x + (1 - k) b. */
static inline vitro_value vitro_row_gain(vitro_trace *t, const vitro_site *site, vitro_value x, vitro_value k)
{
    vitro_value b = t->op->weight(t, site->kind, VITRO_BIAS);
    vitro_value rest = vitro_mul(t, t->op->affine(t, k, -1, 1), b);
    return vitro_add(t, vitro_mul(t, x, k), rest);
}

/* Its derivative: gives back dk = sum dy (x - b); dx = dy k. */
static inline vitro_value vitro_row_gain_back(vitro_trace *t, const vitro_site *site, vitro_value x,
                                              vitro_value dy)
{
    vitro_value b = t->op->weight(t, site->kind, VITRO_BIAS);
    vitro_value dk = vitro_sum_rows(t, vitro_mul(t, dy, x));
    return vitro_sub(t, dk, vitro_mul(t, vitro_sum_rows(t, dy), b));
}

/* What the hooked linear layer reads, [batch, tokens, in], dropped out; the forward's first dropout. */
static inline vitro_value vitro_dropped_input(vitro_trace *t, const vitro_site *site, float p)
{
    return vitro_dropout(t, vitro_at(t, vitro_input(site->kind)), p);
}

/* Its derivative: the same mask on du, added to the gradient of what the layer reads. */
static inline void vitro_dropped_input_back(vitro_trace *t, const vitro_site *site, vitro_value du)
{
    t->op->grad(t, vitro_at(t, vitro_input(site->kind)), t->op->redrop(t, 0, du));
}
#endif
