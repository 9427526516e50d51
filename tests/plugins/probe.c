/* probe.c - a plugin that hooks every site and uses every operation and every kind of declaration, so
 * that each is differentiated, merged and checked once. It is no method. */
#include <vitro/sdk.h>

enum { KEYS = 2 };
struct probe {
    int32_t dim, grid;
    vitro_param gain, conv, fixed, shift, keys;
};

static int init(void *self, const vitro_host *host)
{
    (void)self;
    host->log(host, 2, "the probe is in");
    return host->extension(host, "org.nobody.nothing/1") != NULL;
}

static int declare(void *self, vitro_decl *d)
{
    struct probe *p = self;
    const vitro_model *m = d->model;
    p->dim = m->dim;
    p->grid = m->grid_h;
    p->gain = VITRO_PARAM(d, .name = "gain", .shape = VITRO_SHAPE(1), .init = VITRO_ONES,
                          .wise = VITRO_TO_ONE, .flags = VITRO_SHARED | VITRO_NO_DECAY, .lr_mul = 0.5f);
    p->conv = VITRO_PARAM(d, .name = "conv", .shape = VITRO_SHAPE(4, 3, 3, 4), .init = VITRO_EYE);
    p->fixed = VITRO_PARAM(d, .name = "fixed", .shape = VITRO_SHAPE(4, m->dim), .init = VITRO_UNIFORM,
                           .init_arg = 0.5f, .flags = VITRO_FROZEN);
    p->shift = VITRO_PARAM(d, .name = "shift", .shape = VITRO_SHAPE(m->dim), .init = VITRO_NORMAL,
                           .init_mean = 3, .init_arg = 0.1f, .blocks = {m->depth - 1, 0});
    p->keys = VITRO_PARAM(d, .name = "keys", .shape = VITRO_SHAPE(KEYS, m->dim), .init = VITRO_NORMAL,
                          .init_arg = 0.5f, .blocks = {0, 1});
    d->hook(d, ~0u, (vitro_blocks){0, 0});
    d->unfreeze(d, VITRO_BIT(FC2), (vitro_blocks){1, 1}, VITRO_WEIGHT);
    return 0;
}

/* Reduced to 4 channels by the fixed map, a 3 x 3 convolution over the grid, back through the map. */
static vitro_value convolve(struct probe *p, vitro_trace *t, const vitro_site *s, vitro_value x)
{
    const vitro_ops *op = t->op;
    vitro_value h = vitro_linear(t, op->slice(t, x, 1, s->prefix, s->tokens), p->fixed, 0);
    h = op->unary(t, op->reshape(t, h, VITRO_SHAPE(s->batch, p->grid, p->grid, 4)), VITRO_QUICK_GELU);
    h = op->matmul(t, op->unfold(t, h, 3), op->reshape(t, vitro_get(t, p->conv), VITRO_SHAPE(4, 36)), 0, 1);
    h = vitro_add(t, h, vitro_scale(t, op->fold(t, op->unfold(t, h, 3), 3), 0.1f));
    h = op->reshape(t, h, VITRO_SHAPE(s->batch, p->grid * p->grid, 4));
    h = vitro_matmul(t, h, vitro_get(t, p->fixed));
    return op->concat(t, op->fill(t, VITRO_SHAPE(s->batch, s->prefix, p->dim), 0.5f), h, 1);
}

/* softmax, normalize, permute, expand, sum and the backbone's own matrix in one odd mixture */
static vitro_value mix(vitro_trace *t, vitro_value x)
{
    const vitro_ops *op = t->op;
    vitro_value w = op->weight(t, VITRO_AT_FC2, VITRO_WEIGHT);
    vitro_value rows = vitro_sum_rows(t, op->permute(t, vitro_mul(t, w, w), (const int32_t[4]){1, 0, 0, 0}));
    vitro_value norm = op->unary(t, op->affine(t, rows, 1, 0.1f), VITRO_SQRT);
    vitro_value score = op->softmax(t, op->sum(t, op->normalize(t, x, 1e-5f), 1u << 1));
    return vitro_mul(t, op->expand(t, score, op->shape(t, x)), op->unary(t, norm, VITRO_RECIP));
}

/* Learned keys in front, which are values, too. */
static vitro_value more_keys(struct probe *p, vitro_trace *t, const vitro_site *s, vitro_value x)
{
    vitro_value keys = t->op->expand(t, vitro_get(t, p->keys), VITRO_SHAPE(s->batch, KEYS, p->dim));
    return t->op->concat(t, keys, x, 1);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *s, vitro_value x)
{
    struct probe *p = self;
    vitro_shape shape = t->op->shape(t, x);
    if (s->batch != shape.dim[0] || (shape.rank == 3 && s->tokens != shape.dim[1]) ||
        (shape.rank == 3 && s->prefix != s->tokens - p->grid * p->grid))
        return t->op->fail(t, "the site does not describe its value");
    x = vitro_mul(t, x, vitro_get(t, p->gain));
    if (s->block == 0 && (s->kind == VITRO_AT_K || s->kind == VITRO_AT_V))
        return more_keys(p, t, s, x);
    if (s->kind == VITRO_AT_ATTN)
        return vitro_add(t, x, vitro_scale(t, vitro_at(t, VITRO_AT_Q), 0.1f));
    if (s->kind == VITRO_AT_ATTN_OUT)
        return vitro_add(t, x, convolve(p, t, s, vitro_at(t, VITRO_AT_NORM1)));
    if (s->kind == VITRO_AT_MLP_OUT)
        x = vitro_add(t, x, mix(t, t->op->dropout(t, x, 0.2f, 1u << 0)));
    if (s->kind == VITRO_AT_MLP_OUT && s->block == 1)
        x = vitro_add(t, x, vitro_get(t, p->shift));
    return x;
}

/* half the square of gain outside, of conv in each block but the first */
static vitro_value penalty(void *self, vitro_trace *t, int32_t block)
{
    struct probe *p = self;
    if (block == 0)
        return 0;
    vitro_value v = vitro_get(t, block < 0 ? p->gain : p->conv);
    return vitro_scale(t, t->op->sum(t, vitro_mul(t, v, v), ~0u), 0.5f);
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,   .id = "probe",      .version = "1.0",   .self_size = sizeof(struct probe),
    .init = init, .declare = declare, .forward = forward, .penalty = penalty,
};
