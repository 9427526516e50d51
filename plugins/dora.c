/* DoRA: a low-rank update whose rows keep a magnitude of their own.  Liu et al. 2024.
 *     qkv = c (u VT) + bias,  V = W + s b a,  u = norm1,  s = alpha / r
 *     c_i = (|W_i| + m_i) / n_i,  n_i = |V_i|, row by row
 * n is a constant to the derivative (the paper's section 4.3; HF peft too). m is the paper's magnitude less
 * |W_i|: the same gradients, but decay pulls to the backbone's. b and m start at zero, so at first nothing
 * changes. n needs no V: n_i^2 = |W_i|^2 + sum_j b_ij (2 s W aT + s^2 b a aT)_ij.
 * W and bias are the backbone's: in a stack, put DoRA before whatever else changes qkv. */
#include <vitro/sdk.h>

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

static float strength(const struct dora *l)
{
    return l->alpha > 0 ? l->alpha / (float)l->r : 1;
}

static int declare(void *self, vitro_decl *d)
{
    struct dora *l = self;
    int32_t dim = d->model->dim;
    l->a = VITRO_PARAM(d, .name = "a", .shape = VITRO_SHAPE(l->r, dim), .init = VITRO_KAIMING);
    l->b = VITRO_PARAM(d, .name = "b", .shape = VITRO_SHAPE(3 * dim, l->r));
    l->m = VITRO_PARAM(d, .name = "m", .shape = VITRO_SHAPE(3 * dim));
    d->hook(d, VITRO_BIT(QKV), (vitro_blocks){0, 0});
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct dora *)self)->r;
    return m->depth * (4 * m->dim * r + 3 * m->dim);
}

/* 1 / n and c, both [3 dim, 1] */
static vitro_value magnitude(const struct dora *l, vitro_trace *t, vitro_value *inverse_n)
{
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT), a = vitro_get(t, l->a);
    vitro_value b = vitro_get(t, l->b), w2 = t->op->sum(t, vitro_mul(t, w, w), 1u << 1);
    float s = strength(l);
    vitro_value cross = vitro_scale(t, t->op->matmul(t, w, a, 0, 1), 2 * s);
    vitro_value square = vitro_scale(t, vitro_matmul(t, b, t->op->matmul(t, a, a, 0, 1)), s * s);
    vitro_value rest = t->op->sum(t, vitro_mul(t, b, vitro_add(t, cross, square)), 1u << 1);
    vitro_value n2 = t->op->affine(t, vitro_add(t, w2, rest), 1, 1e-30f); /* a row of zeros stays one */
    vitro_value n = t->op->unary(t, n2, VITRO_SQRT);
    vitro_value m = t->op->reshape(t, vitro_get(t, l->m), t->op->shape(t, n));
    *inverse_n = t->op->detach(t, t->op->unary(t, n, VITRO_RECIP));
    m = vitro_add(t, m, t->op->detach(t, t->op->unary(t, w2, VITRO_SQRT)));
    return vitro_mul(t, m, *inverse_n);
}

static vitro_value as_row(vitro_trace *t, vitro_value column)
{
    return t->op->reshape(t, column, VITRO_SHAPE(t->op->shape(t, column).dim[0]));
}

/* b scaled, which is less work than scaling what it gives */
static vitro_value scaled_b(const struct dora *l, vitro_trace *t)
{
    return vitro_scale(t, vitro_get(t, l->b), strength(l));
}

/* With z = qkv + h (s b)T, which still has the bias: c (z - bias) + bias = c z + (1 - c) bias. */
static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct dora *l = self;
    (void)site;
    vitro_value u = vitro_dropout(t, vitro_at(t, VITRO_AT_NORM1), l->dropout);
    vitro_value h = vitro_linear(t, u, l->a, 0), inverse_n, c = as_row(t, magnitude(l, t, &inverse_n));
    vitro_value z = vitro_add(t, x, t->op->matmul(t, h, scaled_b(l, t), 0, 1));
    const vitro_value kept[] = {u, h, z, c, as_row(t, inverse_n)};
    for (uint32_t i = 0; i < sizeof kept / sizeof *kept; i++)
        t->op->save(t, i, kept[i]);
    vitro_value rest = vitro_mul(t, t->op->affine(t, c, -1, 1), t->op->weight(t, VITRO_AT_QKV, VITRO_BIAS));
    return vitro_add(t, vitro_mul(t, z, c), rest);
}

/* g = c dy;  dm = (sum dy (z - bias)) / n;  db = s gT h;  dh = g (s b);  da = dhT u;  dx = g;
 * dnorm1 = the mask of u on dh a */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct dora *l = self;
    (void)site;
    vitro_value h = t->op->saved(t, 1), g = vitro_mul(t, dy, t->op->saved(t, 3));
    vitro_value dm = vitro_sum_rows(t, vitro_mul(t, dy, t->op->saved(t, 2)));
    vitro_value bias = vitro_mul(t, vitro_sum_rows(t, dy), t->op->weight(t, VITRO_AT_QKV, VITRO_BIAS));
    dm = vitro_mul(t, vitro_add(t, dm, vitro_scale(t, bias, -1)), t->op->saved(t, 4));
    t->op->grad(t, vitro_get(t, l->m), dm);
    vitro_value db = t->op->matmul(t, vitro_rows(t, g), vitro_rows(t, h), 1, 0);
    t->op->grad(t, vitro_get(t, l->b), vitro_scale(t, db, strength(l)));
    vitro_value dh = vitro_matmul(t, g, scaled_b(l, t));
    vitro_value du = vitro_linear_back(t, t->op->saved(t, 0), dh, l->a, 0);
    t->op->grad(t, vitro_at(t, VITRO_AT_NORM1), t->op->redrop(t, 0, du));
    return g;
}

/* W = diag(c) (W + s b a) */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct dora *l = self;
    if (block < 0)
        return 0;
    vitro_value inverse_n, c = magnitude(l, t, &inverse_n);
    vitro_value ba = vitro_matmul(t, scaled_b(l, t), vitro_get(t, l->a));
    vitro_value w = vitro_add(t, t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT), ba);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_mul(t, w, c));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "dora",
    .version = "1.0",
    .summary = "low-rank update of the directions of the qkv rows, and their magnitudes",
    .paper = "arXiv:2402.09353",
    .options = options,
    .self_size = sizeof(struct dora),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
