/* chunks.h - one low-rank update that all weights of all blocks share, as FacT has it (Jie and Deng 2023,
 * arXiv:2212.03145). A weight is cut into chunks of dim outputs and dim inputs: outs x ins of them, of qkv 3 x 1,
 * of proj 1 x 1, of fc1 4 x 1, of fc2 1 x 4. Chunk (o, i) of W [outs dim, ins dim] gets s V S_oi U:
 *     u = x UT,  z = s dropout(u ST),  y += z VT       chunk by chunk of x and y
 * U [r, dim] and V [dim, r] serve all; what a site has of its own is S [outs r, ins r]. For C and C++. */
#ifndef VITRO_CHUNKS_H
#define VITRO_CHUNKS_H
#include <vitro/merge.h>

enum { VITRO_CHUNKS = 3 + 1 + 4 + 4 }; /* of a block */

/* As first member of an instance its r, scale and dropout can be options: VITRO_OPT_INT(struct vitro_chunks, r, .. */
struct vitro_chunks {
    int32_t r, dim;
    float scale, dropout;
    vitro_param U, V;
};
struct vitro_chunks_start {
    vitro_start U, V;
};

static inline int32_t vitro_chunk_outs(int32_t site)
{
    return site == VITRO_AT_QKV ? 3 : site == VITRO_AT_FC1 ? 4 : 1;
}
static inline int32_t vitro_chunk_ins(int32_t site)
{
    return site == VITRO_AT_FC2 ? 4 : 1;
}
/* The shape of S, [outs r, ins r]. */
static inline vitro_shape vitro_chunk_shape(int32_t site, int32_t r)
{
    const vitro_shape s = {2, {vitro_chunk_outs(site) * r, vitro_chunk_ins(site) * r, 0, 0}};
    return s;
}

/* Declares U and V, without which nothing is left, and hooks the four sites. -1 where the MLP is not 4 dim wide. */
static inline int vitro_chunks_declare(struct vitro_chunks *c, vitro_decl *d,
                                       const struct vitro_chunks_start *start)
{
    const int32_t r = c->r, dim = c->dim = d->model->dim;
    const vitro_start u = start->U, v = start->V;
    const vitro_blocks all = {0, 0};
    const uint32_t size = sizeof(vitro_param_info), one = VITRO_SHARED;
    const vitro_param_info U = {size, "U", {2, {r, dim, 0, 0}}, all, u.init, VITRO_KEEP, one, u.arg, 0, 0};
    const vitro_param_info V = {size, "V", {2, {dim, r, 0, 0}}, all, v.init, VITRO_TO_ZERO, one, v.arg, 0, 0};
    if (d->model->hidden != 4 * dim)
        return d->host->fail(d->host, "it needs a model whose MLP is 4 times as wide as its tokens");
    c->U = d->param(d, &U);
    c->V = d->param(d, &V);
    vitro_hook(d, VITRO_LAYERS);
    return 0;
}

/* The same numbers in rows of n: each token's chunks of n side by side become rows of their own, or back. */
static inline vitro_value vitro_cut(vitro_trace *t, vitro_value x, int32_t n)
{
    const vitro_shape s = t->op->shape(t, x), to = {3, {s.dim[0], s.dim[1] * s.dim[2] / n, n, 0}};
    return t->op->reshape(t, x, to);
}

/* y + z VT. Its dropout is the forward's first; S, u and z are kept in slots 0, 1 and 2. */
static inline vitro_value vitro_chunks_apply(vitro_trace *t, const struct vitro_chunks *c, int32_t site,
                                             vitro_value S, vitro_value y)
{
    vitro_value x = vitro_cut(t, vitro_at(t, vitro_input(site)), c->dim);
    vitro_value u = vitro_cut(t, vitro_linear(t, x, c->U, 0), vitro_chunk_ins(site) * c->r);
    vitro_value z = vitro_scale(t, vitro_dropout(t, vitro_matmul_t(t, u, S), c->dropout), c->scale);
    z = vitro_cut(t, z, c->r);
    const vitro_value kept[] = {S, u, z};
    vitro_save(t, kept, 3);
    return vitro_add(t, y, vitro_cut(t, vitro_linear(t, z, c->V, 0), vitro_chunk_outs(site) * c->dim));
}

/* dV += dyT z, dz = s the mask of z on dy V;  dS = dzT u, du = dz S;  dU += duT x, dx += du U.
 * Gives back dS [outs r, ins r]; y's gradient is dy. */
static inline vitro_value vitro_chunks_back(vitro_trace *t, const struct vitro_chunks *c, int32_t site,
                                            vitro_value dy)
{
    vitro_value x = vitro_at(t, vitro_input(site));
    vitro_value S = vitro_saved(t, 0), u = vitro_saved(t, 1), z = vitro_saved(t, 2);
    vitro_value dz = vitro_linear_back(t, z, vitro_cut(t, dy, c->dim), c->V, 0);
    dz = vitro_scale(t, vitro_cut(t, dz, vitro_chunk_outs(site) * c->r), c->scale);
    dz = t->op->redrop(t, 0, dz);
    vitro_value du = vitro_cut(t, vitro_matmul(t, dz, S), c->r);
    vitro_value dx = vitro_linear_back(t, vitro_cut(t, x, c->dim), du, c->U, 0);
    t->op->grad(t, x, vitro_cut(t, dx, vitro_chunk_ins(site) * c->dim));
    return vitro_outer(t, dz, u);
}

/* W += s V S U: S's chunks [outs r ins, r] times U; V times each chunk of outputs [r, ins dim]. */
static inline void vitro_chunks_merge(vitro_trace *t, const struct vitro_chunks *c, int32_t site,
                                      vitro_value S)
{
    const int32_t r = c->r, dim = c->dim, outs = vitro_chunk_outs(site), ins = vitro_chunk_ins(site);
    const vitro_shape rows = {2, {outs * r * ins, r, 0, 0}}, chunks = {3, {outs, r, ins * dim, 0}};
    vitro_value SU = vitro_matmul(t, t->op->reshape(t, S, rows), vitro_get(t, c->U));
    vitro_value dw = vitro_matmul(t, vitro_get(t, c->V), t->op->reshape(t, SU, chunks));
    dw = vitro_like(t, vitro_scale(t, dw, c->scale), t->op->weight(t, site, VITRO_WEIGHT));
    vitro_add_weight(t, site, dw);
}
#endif
