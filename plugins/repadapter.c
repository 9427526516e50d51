/* RepAdapter: a linear bottleneck before the attention and before the MLP, that merges.  Luo et al. 2023.
 *     x += s (h bT + b_bias),  h = dropout(x aT + a_bias),  x = norm1 or norm2
 * a [r, dim].  b is block diagonal: block j of `groups` maps a share of h's channels to a share of x's;
 * stored are the blocks, [dim, r / groups]. b starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

enum { SITES = 2 };
static const struct place {
    int32_t site, into; /* hooked, and the unit behind it that merge folds into */
    const char *a, *a_bias, *b, *b_bias;
} places[SITES] = {
    {VITRO_AT_NORM1, VITRO_AT_QKV, "a.NORM1", "a_bias.NORM1", "b.NORM1", "b_bias.NORM1"},
    {VITRO_AT_NORM2, VITRO_AT_FC1, "a.NORM2", "a_bias.NORM2", "b.NORM2", "b_bias.NORM2"},
};

struct repadapter {
    int32_t r, groups;
    float scale, dropout;
    struct bottleneck {
        vitro_param a, a_bias, b, b_bias;
    } at[SITES];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct repadapter, r, 8, 1, 1024, "8 16 32", "width of the bottleneck"),
    VITRO_OPT_INT(struct repadapter, groups, 2, 1, 64, NULL,
                  "blocks of b; must divide r and the model's width"),
    VITRO_OPT_FLOAT(struct repadapter, scale, 1, 0, 100, "0.1 0.5 1 5 10", "strength of the branch"),
    VITRO_OPT_FLOAT(struct repadapter, dropout, 0.1, 0, 0.99, NULL, "dropout in the bottleneck"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct repadapter *p = self;
    int32_t dim = d->model->dim;
    if (p->r % p->groups || dim % p->groups)
        return d->host->fail(d->host, "option groups must divide r and the model's width");
    for (int i = 0; i < SITES; i++) {
        const struct place *q = &places[i];
        p->at[i] = (struct bottleneck){
            VITRO_PARAM(d, .name = q->a, .shape = VITRO_SHAPE(p->r, dim), .init = VITRO_XAVIER),
            VITRO_PARAM(d, .name = q->a_bias, .shape = VITRO_SHAPE(p->r)),
            VITRO_PARAM(d, .name = q->b, .shape = VITRO_SHAPE(dim, p->r / p->groups), .wise = VITRO_TO_ZERO),
            VITRO_PARAM(d, .name = q->b_bias, .shape = VITRO_SHAPE(dim), .wise = VITRO_TO_ZERO),
        };
        d->hook(d, 1u << q->site, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct repadapter *p = self;
    return (int64_t)SITES * m->depth * (m->dim * p->r + p->r + m->dim * (p->r / p->groups) + m->dim);
}

/* [dim, r / g] to [dim, r], zero off the g blocks: rows of L = dim r / g^2 numbers, padded by g L zeros
 * and cut again every g L, move right by L each. */
static vitro_value spread(vitro_trace *t, vitro_value b, int32_t g)
{
    vitro_shape s = t->op->shape(t, b);
    int32_t rows = s.dim[0] / g, columns = s.dim[1], L = rows * columns;
    vitro_value pad = t->op->fill(t, VITRO_SHAPE(g, g * L), 0);
    vitro_value flat = t->op->concat(t, t->op->reshape(t, b, VITRO_SHAPE(g, L)), pad, 1);
    flat = t->op->slice(t, t->op->reshape(t, flat, VITRO_SHAPE(g * (g + 1) * L)), 0, 0, g * g * L);
    flat = t->op->reshape(t, flat, VITRO_SHAPE(g, g, rows, columns));
    flat = t->op->permute(t, flat, (const int32_t[4]){0, 2, 1, 3});
    return t->op->reshape(t, flat, VITRO_SHAPE(g * rows, g * columns));
}

/* Its transpose: the blocks of a [dim, r]. */
static vitro_value blocks_of(vitro_trace *t, vitro_value dense, int32_t g)
{
    vitro_shape s = t->op->shape(t, dense);
    int32_t rows = s.dim[0] / g, columns = s.dim[1] / g, L = rows * columns;
    vitro_value flat = t->op->reshape(t, dense, VITRO_SHAPE(g, rows, g, columns));
    flat = t->op->permute(t, flat, (const int32_t[4]){0, 2, 1, 3});
    flat = t->op->reshape(t, flat, VITRO_SHAPE(g * g * L));
    flat = t->op->concat(t, flat, t->op->fill(t, VITRO_SHAPE(g * L), 0), 0);
    flat = t->op->slice(t, t->op->reshape(t, flat, VITRO_SHAPE(g, (g + 1) * L)), 1, 0, L);
    return t->op->reshape(t, flat, VITRO_SHAPE(g * rows, columns));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct repadapter *p = self;
    const struct bottleneck *k = &p->at[site->kind == VITRO_AT_NORM2];
    vitro_value h = vitro_dropout(t, vitro_linear(t, x, k->a, k->a_bias), p->dropout);
    vitro_value b = spread(t, vitro_scale(t, vitro_get(t, k->b), p->scale), p->groups);
    vitro_value bias = vitro_scale(t, vitro_get(t, k->b_bias), p->scale);
    t->op->save(t, 0, x);
    t->op->save(t, 1, h);
    t->op->save(t, 2, b);
    return vitro_add(t, x, vitro_add(t, t->op->matmul(t, h, b, 0, 1), bias));
}

/* db = s the blocks of dyT h, db_bias = s sum dy;  dz = the mask of h on dy (s b);
 * da = dzT x, da_bias = sum dz;  dx = dy + dz a */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct repadapter *p = self;
    const struct bottleneck *k = &p->at[site->kind == VITRO_AT_NORM2];
    vitro_value x = t->op->saved(t, 0), h = t->op->saved(t, 1);
    vitro_value db = t->op->matmul(t, vitro_rows(t, dy), vitro_rows(t, h), 1, 0);
    t->op->grad(t, vitro_get(t, k->b), vitro_scale(t, blocks_of(t, db, p->groups), p->scale));
    t->op->grad(t, vitro_get(t, k->b_bias), vitro_scale(t, vitro_sum_rows(t, dy), p->scale));
    vitro_value dz = t->op->redrop(t, 0, vitro_matmul(t, dy, t->op->saved(t, 2)));
    return vitro_add(t, dy, vitro_linear_back(t, x, dz, k->a, k->a_bias));
}

/* Of the unit behind, with its old W:  W += s W b a,  bias += s W (b a_bias + b_bias) */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct repadapter *p = self;
    for (int i = 0; block >= 0 && i < SITES; i++) {
        const struct bottleneck *k = &p->at[i];
        int32_t unit = places[i].into;
        vitro_value w = t->op->weight(t, unit, VITRO_WEIGHT), bias = t->op->weight(t, unit, VITRO_BIAS);
        vitro_value b = spread(t, vitro_get(t, k->b), p->groups);
        vitro_value dw = vitro_matmul(t, vitro_matmul(t, w, b), vitro_get(t, k->a));
        vitro_value a_bias = t->op->reshape(t, vitro_get(t, k->a_bias), VITRO_SHAPE(1, p->r));
        vitro_value c = vitro_add(t, t->op->matmul(t, a_bias, b, 0, 1), vitro_get(t, k->b_bias));
        vitro_value d_bias = t->op->reshape(t, t->op->matmul(t, c, w, 0, 1), t->op->shape(t, bias));
        t->op->replace(t, unit, VITRO_WEIGHT, vitro_add(t, w, vitro_scale(t, dw, p->scale)));
        t->op->replace(t, unit, VITRO_BIAS, vitro_add(t, bias, vitro_scale(t, d_bias, p->scale)));
    }
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "repadapter",
    .version = "1.0",
    .summary = "a linear bottleneck before the attention and before the MLP",
    .paper = "arXiv:2302.08106",
    .options = options,
    .self_size = sizeof(struct repadapter),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
