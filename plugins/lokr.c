/* LoKr: the update is a Kronecker product.  Edalati et al. 2022 (KronA), Yeh et al. 2023 (LyCORIS).
 *     y += s u dWT,  dW = w1 (x) w2,  u = norm1,  s = alpha / r
 * for y = qkv in one, or for queries and values apart. w1 [a, c], w2 [b, d] with a b = width of y, c d = dim,
 * each pair as near to a square as its product divides; w2 = w2a w2b of rank r where r < max(b, d) / 2, else
 * w2a. dW is never made: with a token's u as a matrix U [c, d] and y as Y [a, b], Y += s w1 U w2T.
 * w1 starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

enum { W1, W2A, W2B, FACTORS };
static const char *const names[][FACTORS] = {{"w1", "w2a", "w2b"}, {"v.w1", "v.w2a", "v.w2b"}};
static const char *const targets[] = {"qkv", "qv", NULL};

struct lokr {
    int32_t r, target, a, b, c, d;
    float alpha;
    vitro_param factor[2][FACTORS]; /* of qkv or q; of v */
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct lokr, r, 8, 1, 1024, "4 8 16", "rank of the second factor, where that is smaller"),
    VITRO_OPT_FLOAT(struct lokr, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for alpha = r"),
    VITRO_OPT_ENUM(struct lokr, target, 0, targets, NULL,
                   "what is updated: q, k, v as one, or q and v apart"),
    VITRO_OPT_END,
};

/* s x; of w1, which is less work than scaling what it gives */
static vitro_value strengthened(const struct lokr *l, vitro_trace *t, vitro_value x)
{
    return vitro_scale(t, x, l->alpha > 0 ? l->alpha / (float)l->r : 1);
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
    for (int part = 0; part <= l->target; part++)
        for (int k = 0; k < (low ? FACTORS : W2B); k++)
            l->factor[part][k] = VITRO_PARAM(d, .name = names[part][k], .shape = shapes[k],
                                             .init = k == W1 ? VITRO_ZEROS : VITRO_KAIMING,
                                             .wise = k == W1 ? VITRO_TO_ZERO : VITRO_KEEP);
    d->hook(d, l->target ? VITRO_BIT(Q) | VITRO_BIT(V) : VITRO_BIT(QKV), (vitro_blocks){0, 0});
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
    const vitro_param *f = l->factor[site->kind == VITRO_AT_V];
    vitro_value u =
        t->op->reshape(t, vitro_at(t, VITRO_AT_NORM1), VITRO_SHAPE(site->batch, site->tokens * l->c, l->d));
    vitro_value z = turn(t, site, t->op->matmul(t, u, second(t, f), 0, 1), l->c, l->b);
    t->op->save(t, 0, u);
    t->op->save(t, 1, z);
    vitro_value y = t->op->matmul(t, z, strengthened(l, t, vitro_get(t, f[W1])), 0, 1);
    return vitro_add(t, x, t->op->reshape(t, turn(t, site, y, l->b, l->a), t->op->shape(t, x)));
}

/* The sum over images of each one's aT b: a batch of products instead of one with a very long inner side. */
static vitro_value outer(vitro_trace *t, vitro_value a, vitro_value b)
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
    const vitro_param *f = l->factor[site->kind == VITRO_AT_V];
    vitro_value g = turn(t, site, dy, l->a, l->b), w1 = vitro_get(t, f[W1]);
    vitro_value w2a = vitro_get(t, f[W2A]), u = vitro_at(t, VITRO_AT_NORM1);
    t->op->grad(t, w1, strengthened(l, t, outer(t, g, t->op->saved(t, 1))));
    vitro_value dz = turn(t, site, vitro_matmul(t, g, strengthened(l, t, w1)), l->b, l->c);
    vitro_value dw2 = outer(t, dz, t->op->saved(t, 0));
    t->op->grad(t, w2a, f[W2B] ? t->op->matmul(t, dw2, vitro_get(t, f[W2B]), 0, 1) : dw2);
    if (f[W2B])
        t->op->grad(t, vitro_get(t, f[W2B]), t->op->matmul(t, w2a, dw2, 1, 0));
    t->op->grad(t, u, t->op->reshape(t, vitro_matmul(t, dz, second(t, f)), t->op->shape(t, u)));
    return dy;
}

/* W += s dW, or its rows of q and of v do */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct lokr *l = self;
    vitro_value dw[2] = {0};
    if (block < 0)
        return 0;
    for (int part = 0; part <= l->target; part++) {
        vitro_value w1 = t->op->reshape(t, vitro_get(t, l->factor[part][W1]), VITRO_SHAPE(l->a, 1, l->c, 1));
        vitro_value w2 = t->op->reshape(t, second(t, l->factor[part]), VITRO_SHAPE(1, l->b, 1, l->d));
        dw[part] = t->op->reshape(t, vitro_mul(t, w1, w2), VITRO_SHAPE(l->a * l->b, l->c * l->d));
    }
    vitro_value keys = t->op->fill(t, t->op->shape(t, dw[0]), 0);
    vitro_value all = l->target ? t->op->concat(t, t->op->concat(t, dw[0], keys, 0), dw[1], 0) : dw[0];
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_add(t, w, strengthened(l, t, all)));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "lokr",
    .version = "1.0",
    .summary = "a Kronecker product added to the qkv projection",
    .paper = "arXiv:2309.14859",
    .options = options,
    .self_size = sizeof(struct lokr),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
