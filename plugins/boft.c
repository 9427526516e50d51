/* BOFT: the input of qkv is rotated by a product of butterflies, its rows are scaled.  Liu et al. 2024.
 *     qkv = s (.) (u R WT) + bias,  R = F_{m-1} .. F_1 F_0,  F_i = P_i diag(R_i1, R_i2, ..) P_iT
 * u = norm1, which only qkv reads. P_i swaps the first two axes of runs of channels [2, 2^i, block / 2];
 * R_ik = (I - Q)(I + Q)^-1, Q = (M - MT) / 2, all of M a parameter, as in HF peft. M starts at zero, s at
 * one, so at first nothing changes. R is made as one matrix: cheaper than rotating tokens block by block. */
#include <vitro/cayley.h>

struct boft {
    int32_t block, factors;
    vitro_param m, scale;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct boft, block, 4, 2, 64, "2 4 8", "channels that rotate together"),
    VITRO_OPT_INT(struct boft, factors, 2, 1, 10, "1 2 4", "butterflies that are multiplied"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct boft *o = self;
    int32_t dim = d->model->dim, b = o->block;
    if (dim % (b << (o->factors - 1)) || (o->factors > 1 && b % 2))
        return d->host->fail(d->host,
                             "block 2^(factors - 1) must divide the model's channels, block be even");
    o->m = VITRO_PARAM(d, .name = "m", .shape = VITRO_SHAPE(dim / b * o->factors, b, b));
    o->scale = VITRO_PARAM(d, .name = "scale", .shape = VITRO_SHAPE(3 * dim), .init = VITRO_ONES);
    d->hook(d, VITRO_BIT(NORM1) | VITRO_BIT(QKV), (vitro_blocks){0, 0});
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct boft *o = self;
    return (int64_t)m->depth * m->dim * (o->factors * o->block + 3);
}

/* (M - MT) / 2, of a gradient too */
static vitro_value skew(vitro_trace *t, vitro_value m)
{
    return vitro_scale(t, vitro_add(t, m, vitro_scale(t, vitro_transpose(t, m), -1)), 0.5f);
}

/* X [rows, dim] to X P_i (apart), or to X P_iT */
static vitro_value shuffle(const struct boft *o, vitro_trace *t, vitro_value x, int i, int apart)
{
    vitro_shape s = t->op->shape(t, x);
    if (i == 0)
        return x;
    int32_t runs = s.dim[0] * (s.dim[1] / (o->block << i));
    x = t->op->reshape(t, x, VITRO_SHAPE(runs, apart ? 2 : 1 << i, apart ? 1 << i : 2, o->block / 2));
    return t->op->reshape(t, t->op->permute(t, x, (const int32_t[4]){0, 2, 1, 3}), s);
}

/* X [rows, dim] as factor i sees it, [blocks, rows, block], and back */
static vitro_value opened(const struct boft *o, vitro_trace *t, vitro_value x, int i)
{
    vitro_shape s = t->op->shape(t, x);
    x = t->op->reshape(t, shuffle(o, t, x, i, 1), VITRO_SHAPE(s.dim[0], s.dim[1] / o->block, o->block));
    return t->op->permute(t, x, (const int32_t[4]){1, 0, 2});
}

static vitro_value closed(const struct boft *o, vitro_trace *t, vitro_value x, int i)
{
    vitro_shape s = t->op->shape(t, x);
    x = t->op->permute(t, x, (const int32_t[4]){1, 0, 2});
    return shuffle(o, t, t->op->reshape(t, x, VITRO_SHAPE(s.dim[1], s.dim[0] * s.dim[2])), i, 0);
}

struct rotation { /* Q and R of all factors, [m blocks, block, block]; F_{m-1} .. F_i [dim, dim] */
    vitro_value q, small, partial[11];
};

static vitro_value factor(const struct boft *o, vitro_trace *t, const struct rotation *r, int i)
{
    int32_t blocks = t->op->shape(t, r->small).dim[0] / o->factors;
    return t->op->slice(t, r->small, 0, i * blocks, (i + 1) * blocks);
}

static struct rotation rotate(const struct boft *o, vitro_trace *t)
{
    struct rotation r;
    r.q = skew(t, vitro_get(t, o->m));
    r.small = vitro_cayley(t, r.q);
    r.partial[o->factors] = vitro_eye(t, t->op->shape(t, r.small).dim[0] / o->factors * o->block);
    for (int i = o->factors - 1; i >= 0; i--) {
        vitro_value x = opened(o, t, r.partial[i + 1], i);
        r.partial[i] = closed(o, t, vitro_matmul(t, x, factor(o, t, &r, i)), i);
    }
    return r;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct boft *o = self;
    t->op->save(t, 0, x);
    if (site->kind == VITRO_AT_NORM1)
        return vitro_matmul(t, x, rotate(o, t).partial[0]);
    vitro_value scale = vitro_get(t, o->scale), bias = t->op->weight(t, VITRO_AT_QKV, VITRO_BIAS);
    vitro_value rest = vitro_mul(t, t->op->affine(t, scale, -1, 1), bias); /* of s (qkv - bias) + bias */
    return vitro_add(t, vitro_mul(t, x, scale), rest);
}

/* dR = uT dy through the product: block by block of factor i, with X = partial[i + 1],
 * d small = XT dX', dX = dX' smallT;  then Cayley and skew */
static void rotate_back(const struct boft *o, vitro_trace *t, const struct rotation *r, vitro_value d)
{
    vitro_value all = 0;
    for (int i = 0; i < o->factors; i++) {
        vitro_value x = opened(o, t, r->partial[i + 1], i), g = opened(o, t, d, i);
        vitro_value small = t->op->matmul(t, x, g, 1, 0);
        all = i ? t->op->concat(t, all, small, 0) : small;
        d = closed(o, t, t->op->matmul(t, g, factor(o, t, r, i), 0, 1), i);
    }
    t->op->grad(t, vitro_get(t, o->m), skew(t, vitro_cayley_back(t, r->q, all)));
}

/* norm1: du = dy RT.  qkv: ds = sum dy (qkv - bias), dqkv = dy s */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct boft *o = self;
    vitro_value x = t->op->saved(t, 0), scale = vitro_get(t, o->scale);
    if (site->kind == VITRO_AT_NORM1) {
        struct rotation r = rotate(o, t);
        rotate_back(o, t, &r, t->op->matmul(t, vitro_rows(t, x), vitro_rows(t, dy), 1, 0));
        return t->op->matmul(t, dy, r.partial[0], 0, 1);
    }
    vitro_value ds = vitro_sum_rows(t, vitro_mul(t, dy, x));
    vitro_value bias = vitro_mul(t, vitro_sum_rows(t, dy), t->op->weight(t, VITRO_AT_QKV, VITRO_BIAS));
    t->op->grad(t, scale, vitro_add(t, ds, vitro_scale(t, bias, -1)));
    return vitro_mul(t, dy, scale);
}

/* W = diag(s) W RT */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct boft *o = self;
    if (block < 0)
        return 0;
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT);
    vitro_value s = t->op->reshape(t, vitro_get(t, o->scale), VITRO_SHAPE(t->op->shape(t, w).dim[0], 1));
    w = t->op->matmul(t, w, rotate(o, t).partial[0], 0, 1);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_mul(t, w, s));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "boft",
    .version = "1.0",
    .summary = "butterfly rotation of the input of the qkv projection, and a scale of its rows",
    .paper = "arXiv:2311.06243",
    .options = options,
    .self_size = sizeof(struct boft),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
