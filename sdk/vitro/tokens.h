/* tokens.h - learned tokens in front of a sequence x [batch, tokens, dim]: putting them on, taking them off,
 * and the derivatives. For C and C++. */
#ifndef VITRO_TOKENS_H
#define VITRO_TOKENS_H
#include <vitro/sdk.h>

/* n tokens [n, dim] in each of these blocks, uniform within sqrt(6 / (3 patch^2 + dim)): Xavier's bound for
 * the patch projection, as visual prompt tuning draws them. */
static inline vitro_param vitro_tokens_declare(vitro_decl *d, const char *name, int32_t n, vitro_blocks in)
{
    const int32_t dim = d->model->dim, patch = 3 * d->model->patch * d->model->patch;
    const vitro_param_info info = {sizeof info, name, {2, {n, dim, 0, 0}},  in, VITRO_XAVIER,
                                   VITRO_KEEP,  0,    (float)(patch + dim), 0,  0};
    return d->param(d, &info);
}

/* x with the n tokens in front, dropped out with one mask for the batch, which is the forward's first. */
static inline vitro_value vitro_tokens_on(vitro_trace *t, vitro_value x, vitro_param tokens, float dropout)
{
    vitro_value own = vitro_dropout(t, vitro_get(t, tokens), dropout);
    vitro_shape front = t->op->shape(t, x);
    front.dim[1] = t->op->shape(t, own).dim[0];
    return t->op->concat(t, t->op->expand(t, own, front), x, 1);
}

/* Its derivative: the tokens' rows of dy summed over the batch, masked; gives back the other rows. */
static inline vitro_value vitro_tokens_on_back(vitro_trace *t, vitro_value dy, vitro_param tokens)
{
    vitro_value own = vitro_get(t, tokens);
    const int32_t n = t->op->shape(t, own).dim[0], all = t->op->shape(t, dy).dim[1];
    vitro_value d = t->op->sum(t, t->op->slice(t, dy, 1, 0, n), 1u << 0);
    t->op->grad(t, own, t->op->redrop(t, 0, vitro_like(t, d, own)));
    return t->op->slice(t, dy, 1, n, all);
}

/* x without n tokens, of which the first is token `from`. */
static inline vitro_value vitro_tokens_off(vitro_trace *t, vitro_value x, int32_t from, int32_t n)
{
    vitro_value behind = t->op->slice(t, x, 1, from + n, t->op->shape(t, x).dim[1]);
    return from > 0 ? t->op->concat(t, t->op->slice(t, x, 1, 0, from), behind, 1) : behind;
}

/* Its derivative: zeros where they were. */
static inline vitro_value vitro_tokens_off_back(vitro_trace *t, vitro_value dy, int32_t from, int32_t n)
{
    vitro_shape s = t->op->shape(t, dy), cut = s;
    cut.dim[1] = n;
    vitro_value zeros = t->op->fill(t, cut, 0);
    vitro_value dx = t->op->concat(t, zeros, t->op->slice(t, dy, 1, from, s.dim[1]), 1);
    return from > 0 ? t->op->concat(t, t->op->slice(t, dy, 1, 0, from), dx, 1) : dx;
}
#endif
