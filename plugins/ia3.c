/* (IA)3: keys, values and the MLP's inner activations, channel by channel, times a learned gain.  Liu et
 * al. 2022.
 *     k = k scale.k,  v = v scale.v,  act = act scale.act
 * Keys and values pass as two thirds of qkv, whose queries are times 1. The gains start at one, so at first
 * nothing changes. */
#include <vitro/sdk.h>

struct ia3 {
    int32_t dim;
    vitro_param k, v, act;
};

static int declare(void *self, vitro_decl *d)
{
    struct ia3 *a = self;
    vitro_shape rows = VITRO_SHAPE(d->model->dim), hidden = VITRO_SHAPE(d->model->hidden);
    a->dim = d->model->dim;
    a->k = VITRO_PARAM(d, .name = "scale.k", .shape = rows, .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    a->v = VITRO_PARAM(d, .name = "scale.v", .shape = rows, .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    a->act = VITRO_PARAM(d, .name = "scale.act", .shape = hidden, .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    d->hook(d, VITRO_BIT(QKV) | VITRO_BIT(ACT), (vitro_blocks){0, 0});
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
    t->op->save(t, 0, x);
    return vitro_mul(t, x, site->kind == VITRO_AT_ACT ? vitro_get(t, a->act) : gains(a, t));
}

/* d scale = sum dy x over all tokens;  dx = dy scale */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct ia3 *a = self;
    vitro_value d = vitro_sum_rows(t, vitro_mul(t, dy, t->op->saved(t, 0)));
    if (site->kind == VITRO_AT_ACT) {
        t->op->grad(t, vitro_get(t, a->act), d);
        return vitro_mul(t, dy, vitro_get(t, a->act));
    }
    t->op->grad(t, vitro_get(t, a->k), t->op->slice(t, d, 0, a->dim, 2 * a->dim));
    t->op->grad(t, vitro_get(t, a->v), t->op->slice(t, d, 0, 2 * a->dim, 3 * a->dim));
    return vitro_mul(t, dy, gains(a, t));
}

/* qkv's rows and biases, and the columns of fc2, times the gains */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct ia3 *a = self;
    if (block < 0)
        return 0;
    vitro_value rows = gains(a, t), columns = t->op->reshape(t, rows, VITRO_SHAPE(3 * a->dim, 1));
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT),
                b = t->op->weight(t, VITRO_AT_QKV, VITRO_BIAS);
    vitro_value fc2 = t->op->weight(t, VITRO_AT_FC2, VITRO_WEIGHT);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_mul(t, w, columns));
    t->op->replace(t, VITRO_AT_QKV, VITRO_BIAS, vitro_mul(t, b, rows));
    t->op->replace(t, VITRO_AT_FC2, VITRO_WEIGHT, vitro_mul(t, fc2, vitro_get(t, a->act)));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "ia3",
    .version = "1.0",
    .summary = "a gain per channel of keys, values and the MLP's inner activations",
    .paper = "arXiv:2205.05638",
    .self_size = sizeof(struct ia3),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
