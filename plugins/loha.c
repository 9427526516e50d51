/* LoHa: the update is the elementwise product of two low-rank ones.  Hyeon-Woo et al. 2022 (FedPara).
 *     y += s u dWT,  dW = (a1 b1) (.) (a2 b2),  u = norm1,  s = alpha / r
 * for y = qkv in one, or for queries and values apart. dW has rank r^2 and is never made: it is A B with
 * the row-wise products A[i, pr + q] = a1[i, p] a2[i, q] and B[pr + q, j] = b1[p, j] b2[q, j].
 * b2 starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

enum { A1, B1, A2, B2, FACTORS };
static const char *const names[][FACTORS] = {{"a1", "b1", "a2", "b2"}, {"v.a1", "v.b1", "v.a2", "v.b2"}};
static const char *const targets[] = {"qkv", "qv", NULL};

struct loha {
    int32_t r, target;
    float alpha;
    vitro_param factor[2][FACTORS]; /* of qkv or q; of v */
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct loha, r, 8, 1, 64, "4 8 16", "rank of each factor of the update"),
    VITRO_OPT_FLOAT(struct loha, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for alpha = r"),
    VITRO_OPT_ENUM(struct loha, target, 0, targets, NULL,
                   "what is updated: q, k, v as one, or q and v apart"),
    VITRO_OPT_END,
};

/* s x; of narrow matrices, which is less work than scaling what they give */
static vitro_value strengthened(const struct loha *l, vitro_trace *t, vitro_value x)
{
    return vitro_scale(t, x, l->alpha > 0 ? l->alpha / (float)l->r : 1);
}

static int declare(void *self, vitro_decl *d)
{
    struct loha *l = self;
    int32_t dim = d->model->dim;
    const vitro_shape a = {2, {l->target ? dim : 3 * dim, l->r}}, b = {2, {l->r, dim}};
    for (int part = 0; part <= l->target; part++)
        for (int k = 0; k < FACTORS; k++)
            l->factor[part][k] = VITRO_PARAM(d, .name = names[part][k], .shape = k == A1 || k == A2 ? a : b,
                                             .init = k == B2 ? VITRO_ZEROS : VITRO_KAIMING,
                                             .wise = k == B2 ? VITRO_TO_ZERO : VITRO_KEEP);
    d->hook(d, l->target ? VITRO_BIT(Q) | VITRO_BIT(V) : VITRO_BIT(QKV), (vitro_blocks){0, 0});
    return 0;
}

/* of qkv 2 r (3 dim + dim); of q and v 2 2 r (dim + dim): the same */
static int64_t param_count(const void *self, const vitro_model *m)
{
    return (int64_t)m->depth * 8 * m->dim * ((const struct loha *)self)->r;
}

/* Row-wise products are elementwise ones of [i, p, 1] and [i, 1, q], or [p, 1, j] and [1, q, j]. */
static const int absent[FACTORS] = {[A1] = 2, [A2] = 1, [B1] = 1, [B2] = 0};

static vitro_value spread(vitro_trace *t, const vitro_param *f, int k)
{
    vitro_value x = vitro_get(t, f[k]);
    vitro_shape s = t->op->shape(t, x);
    int32_t middle = absent[k] == 0 ? s.dim[0] : absent[k] == 1 ? 1 : s.dim[1];
    return t->op->reshape(t, x,
                          VITRO_SHAPE(absent[k] == 0 ? 1 : s.dim[0], middle, absent[k] == 2 ? 1 : s.dim[1]));
}

/* A [n, r^2] or B [r^2, dim] */
static vitro_value product(vitro_trace *t, const vitro_param *f, int one, int other)
{
    vitro_value x = vitro_mul(t, spread(t, f, one), spread(t, f, other));
    vitro_shape s = t->op->shape(t, x);
    return t->op->reshape(t, x,
                          one == A1 ? VITRO_SHAPE(s.dim[0], s.dim[1] * s.dim[2])
                                    : VITRO_SHAPE(s.dim[0] * s.dim[1], s.dim[2]));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct loha *l = self;
    const vitro_param *f = l->factor[site->kind == VITRO_AT_V];
    vitro_value h = t->op->matmul(t, vitro_at(t, VITRO_AT_NORM1), product(t, f, B1, B2), 0, 1);
    t->op->save(t, 0, h);
    return vitro_add(t, x, t->op->matmul(t, h, strengthened(l, t, product(t, f, A1, A2)), 0, 1));
}

/* d of a product, times its other operand, summed along the axis that this one lacks */
static void spread_back(vitro_trace *t, const vitro_param *f, int k, int other, vitro_value d)
{
    vitro_value x = vitro_get(t, f[k]);
    d = t->op->sum(t, vitro_mul(t, d, spread(t, f, other)), 1u << absent[k]);
    t->op->grad(t, x, t->op->reshape(t, d, t->op->shape(t, x)));
}

/* h = u BT:  dA = s dyT h;  dh = dy (s A);  dB = dhT u;  dnorm1 = dh B;
 * da1[i, p] = sum_q dA[i, p, q] a2[i, q], and so on */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct loha *l = self;
    const vitro_param *f = l->factor[site->kind == VITRO_AT_V];
    int32_t r = l->r;
    vitro_value u = vitro_at(t, VITRO_AT_NORM1), g = vitro_rows(t, dy);
    vitro_value da = strengthened(l, t, t->op->matmul(t, g, vitro_rows(t, t->op->saved(t, 0)), 1, 0));
    vitro_value dh = vitro_matmul(t, g, strengthened(l, t, product(t, f, A1, A2)));
    vitro_value db = t->op->matmul(t, dh, vitro_rows(t, u), 1, 0);
    da = t->op->reshape(t, da, VITRO_SHAPE(t->op->shape(t, da).dim[0], r, r));
    db = t->op->reshape(t, db, VITRO_SHAPE(r, r, t->op->shape(t, db).dim[1]));
    spread_back(t, f, A1, A2, da);
    spread_back(t, f, A2, A1, da);
    spread_back(t, f, B1, B2, db);
    spread_back(t, f, B2, B1, db);
    vitro_value du = vitro_matmul(t, dh, product(t, f, B1, B2));
    t->op->grad(t, u, t->op->reshape(t, du, t->op->shape(t, u)));
    return dy;
}

/* W += s dW, or its rows of q and of v do */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct loha *l = self;
    vitro_value dw[2] = {0};
    if (block < 0)
        return 0;
    for (int part = 0; part <= l->target; part++) {
        const vitro_param *f = l->factor[part];
        dw[part] = vitro_matmul(t, product(t, f, A1, A2), product(t, f, B1, B2));
    }
    vitro_value keys = t->op->fill(t, t->op->shape(t, dw[0]), 0);
    vitro_value all = l->target ? t->op->concat(t, t->op->concat(t, dw[0], keys, 0), dw[1], 0) : dw[0];
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_add(t, w, strengthened(l, t, all)));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "loha",
    .version = "1.0",
    .summary = "the elementwise product of two low-rank updates of the qkv projection",
    .paper = "arXiv:2108.06098",
    .options = options,
    .self_size = sizeof(struct loha),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
