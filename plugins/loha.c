/* LoHa: the update is the elementwise product of two low-rank ones.  Hyeon-Woo et al. 2022 (FedPara).
 *     y += s u dWT,  dW = (a1 b1) (.) (a2 b2),  u = norm1,  s = alpha / r
 * for y = qkv in one, or for queries and values (and keys) apart. dW has rank r^2 and is never made: it is A B with
 * the row-wise products A[i, pr + q] = a1[i, p] a2[i, q] and B[pr + q, j] = b1[p, j] b2[q, j].
 * b2 starts at zero, so at first nothing changes. */
#include <vitro/merge.h>

enum { A1, B1, A2, B2, FACTORS };
static const char *const names[][FACTORS] = {
    {"a1", "b1", "a2", "b2"}, {"k.a1", "k.b1", "k.a2", "k.b2"}, {"v.a1", "v.b1", "v.a2", "v.b2"}};
static const char *const targets[] = {"qkv", "qv", "q_k_v", NULL};
static const uint32_t sites[] = {VITRO_BIT(QKV), VITRO_BIT(Q) | VITRO_BIT(V),
                                 VITRO_BIT(Q) | VITRO_BIT(K) | VITRO_BIT(V)};

/* Whose names a layer's factors have: qkv's and q's are the same. */
static int named(int32_t site)
{
    return site == VITRO_AT_V ? 2 : site == VITRO_AT_K;
}

struct loha {
    int32_t r, target;
    float alpha;
    vitro_param factor[VITRO_SITE_COUNT][FACTORS];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct loha, r, 8, 1, 64, "4 8 16", "rank of each factor of the update"),
    VITRO_OPT_FLOAT(struct loha, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for alpha = r"),
    VITRO_OPT_ENUM(struct loha, target, 0, targets, NULL,
                   "what is updated: q, k, v as one; q and v apart; or q, k and v apart"),
    VITRO_OPT_END,
};

/* s x; of narrow matrices, which is less work than scaling what they give */
static vitro_value strengthened(const struct loha *l, vitro_trace *t, vitro_value x)
{
    return vitro_scale(t, x, vitro_strength(l->alpha, l->r));
}

static int declare(void *self, vitro_decl *d)
{
    struct loha *l = self;
    int32_t dim = d->model->dim;
    const vitro_shape a = {2, {l->target ? dim : 3 * dim, l->r}}, b = {2, {l->r, dim}};
    for (int32_t s = -1; (s = vitro_next(sites[l->target], s)) >= 0;)
        for (int k = 0; k < FACTORS; k++)
            l->factor[s][k] = VITRO_PARAM(d, .name = names[named(s)][k], .shape = k == A1 || k == A2 ? a : b,
                                          .init = k == B2 ? VITRO_ZEROS : VITRO_KAIMING,
                                          .wise = k == B2 ? VITRO_TO_ZERO : VITRO_KEEP);
    vitro_hook(d, sites[l->target]);
    return 0;
}

/* of qkv 2 r (3 dim + dim); of q and v 2 2 r (dim + dim): the same; of q, k and v 3 2 r (dim + dim) */
static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct loha *l = self;
    return (int64_t)m->depth * (l->target == 2 ? 12 : 8) * m->dim * l->r;
}

/* Row-wise products are elementwise ones of [i, p, 1] and [i, 1, q], or [p, 1, j] and [1, q, j]. */
static const int32_t absent[FACTORS] = {[A1] = 2, [A2] = 1, [B1] = 1, [B2] = 0};

static vitro_value spread(vitro_trace *t, const vitro_param *f, int k)
{
    return vitro_unsqueeze(t, vitro_get(t, f[k]), absent[k]);
}

/* A [n, r^2] */
static vitro_value product_a(vitro_trace *t, const vitro_param *f)
{
    vitro_value x = vitro_mul(t, spread(t, f, A1), spread(t, f, A2));
    const vitro_shape s = t->op->shape(t, x);
    return t->op->reshape(t, x, VITRO_SHAPE(s.dim[0], s.dim[1] * s.dim[2]));
}

/* B [r^2, dim] */
static vitro_value product_b(vitro_trace *t, const vitro_param *f)
{
    return vitro_rows(t, vitro_mul(t, spread(t, f, B1), spread(t, f, B2)));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct loha *l = self;
    const vitro_param *f = l->factor[site->kind];
    vitro_value h = vitro_matmul_t(t, vitro_at(t, VITRO_AT_NORM1), product_b(t, f));
    VITRO_SAVE(t, h);
    return vitro_add(t, x, vitro_matmul_t(t, h, strengthened(l, t, product_a(t, f))));
}

/* d of a product, times its other operand, summed along the axis that this one lacks */
static void spread_back(vitro_trace *t, const vitro_param *f, int k, int other, vitro_value d)
{
    vitro_value x = vitro_get(t, f[k]);
    d = t->op->sum(t, vitro_mul(t, d, spread(t, f, other)), 1u << absent[k]);
    t->op->grad(t, x, vitro_like(t, d, x));
}

/* h = u BT:  dA = s dyT h;  dh = dy (s A);  dB = dhT u;  dnorm1 = dh B;
 * da1[i, p] = sum_q dA[i, p, q] a2[i, q], and so on */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct loha *l = self;
    const vitro_param *f = l->factor[site->kind];
    const int32_t r = l->r;
    vitro_value u = vitro_at(t, VITRO_AT_NORM1), h = vitro_saved(t, 0), g = vitro_rows(t, dy);
    vitro_value da = strengthened(l, t, vitro_outer(t, g, h));
    vitro_value dh = vitro_matmul(t, g, strengthened(l, t, product_a(t, f)));
    vitro_value db = vitro_outer(t, dh, u);
    da = t->op->reshape(t, da, VITRO_SHAPE(t->op->shape(t, da).dim[0], r, r));
    db = t->op->reshape(t, db, VITRO_SHAPE(r, r, t->op->shape(t, db).dim[1]));
    spread_back(t, f, A1, A2, da);
    spread_back(t, f, A2, A1, da);
    spread_back(t, f, B1, B2, db);
    spread_back(t, f, B2, B1, db);
    t->op->grad(t, u, vitro_like(t, vitro_matmul(t, dh, product_b(t, f)), u));
    return dy;
}

/* W += s dW, or its rows of q, of k and of v do */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct loha *l = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, sites[l->target]), s)) >= 0;) {
        const vitro_param *f = l->factor[s];
        vitro_add_weight(t, s, strengthened(l, t, vitro_matmul(t, product_a(t, f), product_b(t, f))));
    }
    return 0;
}

VITRO_METHOD(struct loha, "loha", "1.0", "arXiv:2108.06098",
             "the elementwise product of two low-rank updates of the qkv projection", .options = options,
             .merge = merge);
