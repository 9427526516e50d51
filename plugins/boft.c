/* BOFT: the input of qkv is rotated by a product of butterflies, its rows are scaled.  Liu et al. 2024.
 *     qkv = s (.) (u R WT) + bias,  R = F_{m-1} .. F_1 F_0,  F_i = P_i diag(R_i1, R_i2, ..) P_iT
 * u = norm1, which only qkv reads. P_i swaps the first two axes of runs of channels [2, 2^i, block / 2];
 * R_ik = (I - Q)(I + Q)^-1, Q = (M - MT) / 2, all of M a parameter, as in HF peft. M starts at zero, s at
 * one, so at first nothing changes. R is made as one matrix: cheaper than rotating tokens block by block. */
#include <vitro/blocks.h>
#include <vitro/cayley.h>
#include <vitro/merge.h>

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
    o->scale = VITRO_PARAM(d, VITRO_VECTOR("scale", 3 * dim), .init = VITRO_ONES);
    vitro_hook(d, VITRO_BIT(NORM1) | VITRO_BIT(QKV));
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
    return vitro_scale(t, vitro_sub(t, m, vitro_transpose(t, m)), 0.5f);
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

/* X [dim, dim] as factor i sees it, [blocks, dim, block], and back */
static vitro_value opened(const struct boft *o, vitro_trace *t, vitro_value x, int i)
{
    return vitro_apart(t, shuffle(o, t, x, i, 1), o->block);
}

static vitro_value closed(const struct boft *o, vitro_trace *t, vitro_value x, vitro_value like, int i)
{
    return shuffle(o, t, vitro_together(t, x, like), i, 0);
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
        vitro_value so_far = r.partial[i + 1], x = opened(o, t, so_far, i);
        r.partial[i] = closed(o, t, vitro_matmul(t, x, factor(o, t, &r, i)), so_far, i);
    }
    return r;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct boft *o = self;
    VITRO_SAVE(t, x);
    if (site->kind == VITRO_AT_NORM1)
        return vitro_matmul(t, x, rotate(o, t).partial[0]);
    return vitro_row_gain(t, site, x, vitro_get(t, o->scale));
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
        d = closed(o, t, vitro_matmul_t(t, g, factor(o, t, r, i)), d, i);
    }
    vitro_grad(t, o->m, skew(t, vitro_cayley_back(t, r->q, all)));
}

/* norm1: du = dy RT.  qkv: ds = sum dy (qkv - bias), dqkv = dy s */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct boft *o = self;
    vitro_value x = vitro_saved(t, 0);
    if (site->kind == VITRO_AT_NORM1) {
        struct rotation r = rotate(o, t);
        rotate_back(o, t, &r, vitro_outer(t, x, dy));
        return vitro_matmul_t(t, dy, r.partial[0]);
    }
    vitro_grad(t, o->scale, vitro_row_gain_back(t, site, x, dy));
    return vitro_gain(t, dy, o->scale);
}

/* W = diag(s) W RT */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct boft *o = self;
    if (block < 0)
        return 0;
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_matmul_t(t, w, rotate(o, t).partial[0]));
    vitro_scale_weight(t, VITRO_AT_QKV, vitro_get(t, o->scale));
    return 0;
}

VITRO_METHOD(struct boft, "boft", "1.0", "arXiv:2311.06243",
             "butterfly rotation of the input of the qkv projection, and a scale of its rows",
             .options = options, .merge = merge);
