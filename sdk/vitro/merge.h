/* merge.h - folding a method into the backbone's weights: what `merge` does with the tensors of an affine unit
 * y = x WT + b, W [out, in] and b [out], at a site that has them. For C and C++. */
#ifndef VITRO_MERGE_H
#define VITRO_MERGE_H
#include <vitro/sdk.h>

/* W += dw. At Q, K or V, dw [dim, in] goes to their rows of QKV's. */
static inline void vitro_add_weight(vitro_trace *t, int32_t site, vitro_value dw)
{
    const int32_t third = site - VITRO_AT_Q, part = third >= 0 && third < 3;
    const int32_t unit = part ? VITRO_AT_QKV : site;
    if (part) {
        vitro_value none = t->op->fill(t, t->op->shape(t, dw), 0);
        vitro_value qk = t->op->concat(t, third == 0 ? dw : none, third == 1 ? dw : none, 0);
        dw = t->op->concat(t, qk, third == 2 ? dw : none, 0);
    }
    t->op->replace(t, unit, VITRO_WEIGHT, vitro_add(t, t->op->weight(t, unit, VITRO_WEIGHT), dw));
}

/* b += db */
static inline void vitro_add_bias(vitro_trace *t, int32_t site, vitro_value db)
{
    t->op->replace(t, site, VITRO_BIAS, vitro_add(t, t->op->weight(t, site, VITRO_BIAS), db));
}

/* W = diag(k) W, k [out]: what the layer gives times k, the bias apart. */
static inline void vitro_scale_weight(vitro_trace *t, int32_t site, vitro_value k)
{
    t->op->replace(t, site, VITRO_WEIGHT, vitro_scale_rows(t, t->op->weight(t, site, VITRO_WEIGHT), k));
}

/* W = W diag(k), k [in]: what the layer reads times k. */
static inline void vitro_scale_input(vitro_trace *t, int32_t site, vitro_value k)
{
    t->op->replace(t, site, VITRO_WEIGHT, vitro_mul(t, t->op->weight(t, site, VITRO_WEIGHT), k));
}

/* W = diag(k) W, b = b k: what the unit gives times k, of a norm or the patch projection as well. */
static inline void vitro_scale_unit(vitro_trace *t, int32_t site, vitro_value k)
{
    vitro_scale_weight(t, site, k);
    t->op->replace(t, site, VITRO_BIAS, vitro_mul(t, t->op->weight(t, site, VITRO_BIAS), k));
}

/* What stands before a linear layer, x + x (down up)T + shift, with the layer's old W:
 *     W += (W up) down,  b += W shift         down [r, in], up [in, r], shift [in] */
static inline void vitro_add_before(vitro_trace *t, int32_t unit, vitro_value down, vitro_value up,
                                    vitro_value shift)
{
    vitro_value w = t->op->weight(t, unit, VITRO_WEIGHT), b = t->op->weight(t, unit, VITRO_BIAS);
    vitro_value db = vitro_matmul(t, w, vitro_column(t, shift));
    vitro_add_weight(t, unit, vitro_matmul(t, vitro_matmul(t, w, up), down));
    vitro_add_bias(t, unit, vitro_like(t, db, b));
}
#endif
