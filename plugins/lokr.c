/* LoKr: the update is a Kronecker product.  Edalati et al. 2022 (KronA), Yeh et al. 2023 (LyCORIS).
 *     y += s u dWT,  dW = w1 (x) w2,  u = norm1,  s = alpha / r
 * for y = qkv in one, or for queries and values (and keys) apart. w1 [a, c], w2 [b, d] with a b = width of y, c d = dim,
 * each pair as near to a square as its product divides; w2 = w2a w2b of rank r where r < max(b, d) / 2, else
 * w2a. dW is never made: with a token's u as a matrix U [c, d] and y as Y [a, b], Y += s w1 U w2T.
 * w1 starts at zero, so at first nothing changes. */
#include <vitro/merge.h>

enum { W1, W2A, W2B, FACTORS };
static const char *const names[][FACTORS] = {
    {"w1", "w2a", "w2b"}, {"k.w1", "k.w2a", "k.w2b"}, {"v.w1", "v.w2a", "v.w2b"}};
static const char *const targets[] = {"qkv", "qv", "q_k_v", NULL};
static const uint32_t sites[] = {VITRO_BIT(QKV), VITRO_BIT(Q) | VITRO_BIT(V),
                                 VITRO_BIT(Q) | VITRO_BIT(K) | VITRO_BIT(V)};

/* Whose names a layer's factors have: qkv's and q's are the same. */
static int named(int32_t site)
{
    return site == VITRO_AT_V ? 2 : site == VITRO_AT_K;
}

struct lokr {
    int32_t r, target, a, b, c, d;
    float alpha;
    vitro_param factor[VITRO_SITE_COUNT][FACTORS];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct lokr, r, 8, 1, 1024, "4 8 16", "rank of the second factor, where that is smaller"),
    VITRO_OPT_FLOAT(struct lokr, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for alpha = r"),
    VITRO_OPT_ENUM(struct lokr, target, 0, targets, NULL,
                   "what is updated: q, k, v as one; q and v apart; or q, k and v apart"),
    VITRO_OPT_END,
};

/* s x; of narrow matrices, which is less work than scaling what they give */
static vitro_value strengthened(const struct lokr *l, vitro_trace *t, vitro_value x)
{
    return vitro_scale(t, x, vitro_strength(l->alpha, l->r));
}

/* The largest divisor up to the square root. */
static int32_t divisor(int32_t n)
{
    int32_t best = 1;
    for (int32_t k = 1; k <= n / k; k++)
        best = n % k ? best : k;
    return best;
}

/* Sets a, b, c, d; says whether w2 has low rank. */
static int shape_factors(struct lokr *l, int32_t dim)
{
    int32_t out = l->target ? dim : 3 * dim;
    l->b = out / (l->a = divisor(out));
    l->d = dim / (l->c = divisor(dim));
    return 2 * l->r < (l->b > l->d ? l->b : l->d);
}

static int declare(void *self, vitro_decl *d)
{
    struct lokr *l = self;
    int low = shape_factors(l, d->model->dim);
    const vitro_shape shapes[] = {{2, {l->a, l->c}}, {2, {l->b, low ? l->r : l->d}}, {2, {l->r, l->d}}};
    for (int32_t s = -1; (s = vitro_next(sites[l->target], s)) >= 0;)
        for (int k = 0; k < (low ? FACTORS : W2B); k++)
            l->factor[s][k] = VITRO_PARAM(d, .name = names[named(s)][k], .shape = shapes[k],
                                          .init = k == W1 ? VITRO_ZEROS : VITRO_KAIMING,
                                          .wise = k == W1 ? VITRO_TO_ZERO : VITRO_KEEP);
    vitro_hook(d, sites[l->target]);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    struct lokr l = *(const struct lokr *)self;
    int32_t second = shape_factors(&l, m->dim) ? l.r * (l.b + l.d) : l.b * l.d;
    return (int64_t)m->depth * (1 + l.target) * (l.a * l.c + second);
}

/* w2 [b, d] */
static vitro_value second(vitro_trace *t, const vitro_param *f)
{
    return f[W2B] ? vitro_matmul(t, vitro_get(t, f[W2A]), vitro_get(t, f[W2B])) : vitro_get(t, f[W2A]);
}

/* [batch, tokens m, n] to [batch, tokens n, m]: each token's matrix [m, n] transposed */
static vitro_value turn(vitro_trace *t, const vitro_site *site, vitro_value x, int32_t m, int32_t n)
{
    x = t->op->reshape(t, x, VITRO_SHAPE(site->batch, site->tokens, m, n));
    x = t->op->permute(t, x, (const int32_t[4]){0, 1, 3, 2});
    return t->op->reshape(t, x, VITRO_SHAPE(site->batch, site->tokens * n, m));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct lokr *l = self;
    const vitro_param *f = l->factor[site->kind];
    vitro_value u =
        t->op->reshape(t, vitro_at(t, VITRO_AT_NORM1), VITRO_SHAPE(site->batch, site->tokens * l->c, l->d));
    vitro_value z = turn(t, site, vitro_matmul_t(t, u, second(t, f)), l->c, l->b);
    VITRO_SAVE(t, u, z);
    vitro_value y = vitro_matmul_t(t, z, strengthened(l, t, vitro_get(t, f[W1])));
    return vitro_add(t, x, vitro_like(t, turn(t, site, y, l->b, l->a), x));
}

/* The sum over images of each one's aT b: a batch of products instead of one with a very long inner side. */
static vitro_value outer_by_image(vitro_trace *t, vitro_value a, vitro_value b)
{
    vitro_value d = t->op->sum(t, t->op->matmul(t, a, b, 1, 0), 1u << 0);
    vitro_shape s = t->op->shape(t, d);
    return t->op->reshape(t, d, VITRO_SHAPE(s.dim[1], s.dim[2]));
}

/* Z = U w2T, G = dY:  dw1 = s sum G ZT;  dZ = s w1T G;  dw2 = sum dZT U;  dU = dZ w2;
 * dw2a = dw2 w2bT;  dw2b = w2aT dw2 */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct lokr *l = self;
    const vitro_param *f = l->factor[site->kind];
    vitro_value g = turn(t, site, dy, l->a, l->b), w1 = vitro_get(t, f[W1]);
    vitro_value w2a = vitro_get(t, f[W2A]), u = vitro_at(t, VITRO_AT_NORM1);
    t->op->grad(t, w1, strengthened(l, t, outer_by_image(t, g, vitro_saved(t, 1))));
    vitro_value dz = turn(t, site, vitro_matmul(t, g, strengthened(l, t, w1)), l->b, l->c);
    vitro_value dw2 = outer_by_image(t, dz, vitro_saved(t, 0));
    t->op->grad(t, w2a, f[W2B] ? vitro_matmul_t(t, dw2, vitro_get(t, f[W2B])) : dw2);
    if (f[W2B])
        vitro_grad(t, f[W2B], t->op->matmul(t, w2a, dw2, 1, 0));
    t->op->grad(t, u, vitro_like(t, vitro_matmul(t, dz, second(t, f)), u));
    return dy;
}

/* W += s dW, or its rows of q, of k and of v do */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct lokr *l = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, sites[l->target]), s)) >= 0;) {
        const vitro_param *f = l->factor[s];
        vitro_value w1 = t->op->reshape(t, vitro_get(t, f[W1]), VITRO_SHAPE(l->a, 1, l->c, 1));
        vitro_value w2 = t->op->reshape(t, second(t, f), VITRO_SHAPE(1, l->b, 1, l->d));
        vitro_value dw = t->op->reshape(t, vitro_mul(t, w1, w2), VITRO_SHAPE(l->a * l->b, l->c * l->d));
        vitro_add_weight(t, s, strengthened(l, t, dw));
    }
    return 0;
}

VITRO_METHOD(struct lokr, "lokr", "1.0", "arXiv:2309.14859",
             "a Kronecker product added to the qkv projection", .options = options, .merge = merge);
