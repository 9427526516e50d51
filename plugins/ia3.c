/* (IA)3: keys, values and the MLP's inner activations times a learned gain per channel.  Liu et al. 2022.
 *     k = k scale.k,  v = v scale.v,  act = act scale.act
 * Keys and values pass as two thirds of qkv, whose queries are times 1. The gains start at one, so at first
 * nothing changes. */
#include <vitro/merge.h>

struct ia3 {
    int32_t dim;
    vitro_param k, v, act;
};

static int declare(void *self, vitro_decl *d)
{
    struct ia3 *a = self;
    const int32_t dim = a->dim = d->model->dim;
    a->k = VITRO_PARAM(d, VITRO_VECTOR("scale.k", dim), .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    a->v = VITRO_PARAM(d, VITRO_VECTOR("scale.v", dim), .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    a->act =
        VITRO_PARAM(d, VITRO_VECTOR("scale.act", d->model->hidden), .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    vitro_hook(d, VITRO_BIT(QKV) | VITRO_BIT(ACT));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    return (int64_t)m->depth * (2 * m->dim + m->hidden);
}

/* Of qkv's 3 dim channels: ones, k, v. */
static vitro_value gains(const struct ia3 *a, vitro_trace *t)
{
    vitro_value kv = t->op->concat(t, vitro_get(t, a->k), vitro_get(t, a->v), 0);
    return t->op->concat(t, t->op->fill(t, VITRO_SHAPE(a->dim), 1), kv, 0);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct ia3 *a = self;
    VITRO_SAVE(t, x);
    return vitro_mul(t, x, site->kind == VITRO_AT_ACT ? vitro_get(t, a->act) : gains(a, t));
}

/* d scale = sum dy x over all tokens;  dx = dy scale */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct ia3 *a = self;
    vitro_value x = vitro_saved(t, 0);
    if (site->kind == VITRO_AT_ACT)
        return vitro_gain_back(t, x, dy, a->act);
    vitro_value d = vitro_sum_rows(t, vitro_mul(t, dy, x));
    vitro_grad(t, a->k, t->op->slice(t, d, 0, a->dim, 2 * a->dim));
    vitro_grad(t, a->v, t->op->slice(t, d, 0, 2 * a->dim, 3 * a->dim));
    return vitro_mul(t, dy, gains(a, t));
}

/* qkv's rows and biases, and the columns of fc2, times the gains */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct ia3 *a = self;
    if (block >= 0) {
        vitro_scale_unit(t, VITRO_AT_QKV, gains(a, t));
        vitro_scale_input(t, VITRO_AT_FC2, vitro_get(t, a->act));
    }
    return 0;
}

VITRO_METHOD(struct ia3, "ia3", "1.0", "arXiv:2205.05638",
             "a gain per channel of keys, values and the MLP's inner activations", .merge = merge);
