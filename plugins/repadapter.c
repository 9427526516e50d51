/* RepAdapter: a linear bottleneck before the attention and before the MLP, that merges.  Luo et al. 2023.
 *     x += s (h bT + b_bias),  h = dropout(x aT + a_bias),  x = norm1 or norm2
 * a [r, dim].  b is block diagonal: block j of `groups` maps a share of h's channels to a share of x's;
 * stored are the blocks, [dim, r / groups]. b starts at zero, so at first nothing changes. */
#include <vitro/blocks.h>
#include <vitro/merge.h>

static const uint32_t norms = VITRO_BIT(NORM1) | VITRO_BIT(NORM2);

struct repadapter {
    int32_t r, groups;
    float scale, dropout;
    vitro_param a[VITRO_SITE_COUNT], a_bias[VITRO_SITE_COUNT], b[VITRO_SITE_COUNT], b_bias[VITRO_SITE_COUNT];
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
    for (int32_t s = -1; (s = vitro_next(norms, s)) >= 0;) {
        p->a[s] = VITRO_PARAM_AT(d, s, VITRO_MATRIX("a", p->r, dim), .init = VITRO_XAVIER);
        p->a_bias[s] = VITRO_PARAM_AT(d, s, VITRO_VECTOR("a_bias", p->r));
        p->b[s] = VITRO_PARAM_AT(d, s, VITRO_MATRIX("b", dim, p->r / p->groups), .wise = VITRO_TO_ZERO);
        p->b_bias[s] = VITRO_PARAM_AT(d, s, VITRO_VECTOR("b_bias", dim), .wise = VITRO_TO_ZERO);
    }
    vitro_hook(d, norms);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct repadapter *p = self;
    return (int64_t)2 * m->depth * (m->dim * p->r + p->r + m->dim * (p->r / p->groups) + m->dim);
}

/* s b, all of it [dim, r] */
static vitro_value scaled_b(const struct repadapter *p, vitro_trace *t, int32_t site)
{
    return vitro_block_diagonal(t, vitro_scale(t, vitro_get(t, p->b[site]), p->scale), p->groups);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct repadapter *p = self;
    const int32_t s = site->kind;
    vitro_value h = vitro_dropout(t, vitro_linear(t, x, p->a[s], p->a_bias[s]), p->dropout);
    vitro_value b = scaled_b(p, t, s), bias = vitro_scale(t, vitro_get(t, p->b_bias[s]), p->scale);
    VITRO_SAVE(t, x, h, b);
    return vitro_add(t, x, vitro_add(t, vitro_matmul_t(t, h, b), bias));
}

/* db = s the blocks of dyT h, db_bias = s sum dy;  dz = the mask of h on dy (s b);
 * da = dzT x, da_bias = sum dz;  dx = dy + dz a */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct repadapter *p = self;
    const int32_t s = site->kind;
    vitro_value x = vitro_saved(t, 0), h = vitro_saved(t, 1), b = vitro_saved(t, 2);
    vitro_value db = vitro_block_diagonal_back(t, vitro_outer(t, dy, h), p->groups);
    vitro_grad(t, p->b[s], vitro_scale(t, db, p->scale));
    vitro_grad(t, p->b_bias[s], vitro_scale(t, vitro_sum_rows(t, dy), p->scale));
    vitro_value dz = t->op->redrop(t, 0, vitro_matmul(t, dy, b));
    return vitro_add(t, dy, vitro_linear_back(t, x, dz, p->a[s], p->a_bias[s]));
}

/* Of the unit behind, with its old W:  W += W (s b) a,  bias += W (s b a_bias + s b_bias) */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct repadapter *p = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, norms), s)) >= 0;) {
        vitro_value b = scaled_b(p, t, s), b_bias = vitro_scale(t, vitro_get(t, p->b_bias[s]), p->scale);
        vitro_value through = vitro_matmul(t, b, vitro_column(t, vitro_get(t, p->a_bias[s])));
        vitro_value shift = vitro_add(t, vitro_like(t, through, b_bias), b_bias);
        vitro_add_before(t, vitro_reader(s), vitro_get(t, p->a[s]), b, shift);
    }
    return 0;
}

VITRO_METHOD(struct repadapter, "repadapter", "1.0", "arXiv:2302.08106",
             "a linear bottleneck before the attention and before the MLP", .options = options,
             .merge = merge);
