/* DoRA: a low-rank update whose rows keep a magnitude of their own.  Liu et al. 2024.
 *     qkv = c (u VT) + bias,  V = W + s b a,  u = norm1,  s = alpha / r
 *     c_i = (|W_i| + m_i) / n_i,  n_i = |V_i|, row by row
 * n is a constant to the derivative (the paper's section 4.3; HF peft too). m is the paper's magnitude less
 * |W_i|: the same gradients, but decay pulls to the backbone's. b and m start at zero, so at first nothing
 * changes. n needs no V: n_i^2 = |W_i|^2 + sum_j b_ij (2 s W aT + s^2 b a aT)_ij.
 * W and bias are the backbone's: in a stack, put DoRA before whatever else changes qkv. */
#include <vitro/merge.h>

struct dora {
    int32_t r;
    float alpha, dropout;
    vitro_param a, b, m;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct dora, r, 8, 1, 1024, "1 8 16 32", "rank: width of the update"),
    VITRO_OPT_FLOAT(struct dora, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for alpha = r"),
    VITRO_OPT_FLOAT(struct dora, dropout, 0.1, 0, 0.99, NULL, "dropout of the update's input"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct dora *l = self;
    int32_t dim = d->model->dim;
    l->a = VITRO_PARAM(d, VITRO_MATRIX("a", l->r, dim), .init = VITRO_KAIMING);
    l->b = VITRO_PARAM(d, VITRO_MATRIX("b", 3 * dim, l->r));
    l->m = VITRO_PARAM(d, VITRO_VECTOR("m", 3 * dim));
    vitro_hook(d, VITRO_BIT(QKV));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct dora *)self)->r;
    return m->depth * (4 * m->dim * r + 3 * m->dim);
}

/* 1 / n and c, both [3 dim] */
static vitro_value magnitude(const struct dora *l, vitro_trace *t, vitro_value *inverse_n)
{
    const float s = vitro_strength(l->alpha, l->r);
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT), m = vitro_get(t, l->m);
    vitro_value a = vitro_get(t, l->a), b = vitro_get(t, l->b);
    vitro_value cross = vitro_scale(t, vitro_matmul_t(t, w, a), 2 * s);
    vitro_value square = vitro_scale(t, vitro_matmul(t, b, vitro_matmul_t(t, a, a)), s * s);
    vitro_value w2 = t->op->sum(t, vitro_mul(t, w, w), 1u << 1);
    vitro_value rest = t->op->sum(t, vitro_mul(t, b, vitro_add(t, cross, square)), 1u << 1);
    vitro_value n2 = t->op->affine(t, vitro_add(t, w2, rest), 1, 1e-30f); /* a row of zeros stays one */
    vitro_value inverse = t->op->unary(t, t->op->unary(t, n2, VITRO_SQRT), VITRO_RECIP);
    *inverse_n = vitro_like(t, t->op->detach(t, inverse), m);
    vitro_value size = vitro_like(t, t->op->detach(t, t->op->unary(t, w2, VITRO_SQRT)), m);
    return vitro_mul(t, vitro_add(t, m, size), *inverse_n);
}

/* b scaled, which is less work than scaling what it gives */
static vitro_value scaled_b(const struct dora *l, vitro_trace *t)
{
    return vitro_scale(t, vitro_get(t, l->b), vitro_strength(l->alpha, l->r));
}

/* z = qkv + h (s b)T still has the bias, of which c is no factor. */
static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct dora *l = self;
    vitro_value u = vitro_dropped_input(t, site, l->dropout), h = vitro_linear(t, u, l->a, 0);
    vitro_value inverse_n, c = magnitude(l, t, &inverse_n);
    vitro_value z = vitro_add(t, x, vitro_matmul_t(t, h, scaled_b(l, t)));
    VITRO_SAVE(t, u, h, z, c, inverse_n);
    return vitro_row_gain(t, site, z, c);
}

/* g = c dy;  dm = (sum dy (z - bias)) / n;  db = s gT h;  dh = g (s b);  da = dhT u;  dx = g;
 * dnorm1 = the mask of u on dh a */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct dora *l = self;
    vitro_value u = vitro_saved(t, 0), h = vitro_saved(t, 1), z = vitro_saved(t, 2), c = vitro_saved(t, 3);
    vitro_value g = vitro_mul(t, dy, c), dh = vitro_matmul(t, g, scaled_b(l, t));
    vitro_grad(t, l->m, vitro_mul(t, vitro_row_gain_back(t, site, z, dy), vitro_saved(t, 4)));
    vitro_grad(t, l->b, vitro_scale(t, vitro_outer(t, g, h), vitro_strength(l->alpha, l->r)));
    vitro_dropped_input_back(t, site, vitro_linear_back(t, u, dh, l->a, 0));
    return g;
}

/* W = diag(c) (W + s b a) */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct dora *l = self;
    if (block < 0)
        return 0;
    vitro_value inverse_n, c = magnitude(l, t, &inverse_n);
    vitro_add_weight(t, VITRO_AT_QKV, vitro_matmul(t, scaled_b(l, t), vitro_get(t, l->a)));
    vitro_scale_weight(t, VITRO_AT_QKV, c);
    return 0;
}

VITRO_METHOD(struct dora, "dora", "1.0", "arXiv:2402.09353",
             "low-rank update of the directions of the qkv rows, and their magnitudes", .options = options,
             .merge = merge);
