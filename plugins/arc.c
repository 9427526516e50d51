/* ARC: a linear bottleneck whose projection all blocks share, before the attention and before the MLP; it
 * merges.  Dong et al. 2023.
 *     x += h pT + b,  h = dropout(c u),  u = x p,  x = norm1 or norm2
 * p [dim, r], one for all of norm1 and one for all of norm2; per block c [r] and b [dim]. c starts at zero at
 * norm1 but not at norm2: at first the MLPs' input changes a little. */
#include <vitro/merge.h>

static const uint32_t norms = VITRO_BIT(NORM1) | VITRO_BIT(NORM2);

struct arc {
    int32_t r;
    float dropout;
    vitro_param p[VITRO_SITE_COUNT], c[VITRO_SITE_COUNT], b[VITRO_SITE_COUNT];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct arc, r, 50, 1, 1024, NULL, "width of the bottleneck"),
    VITRO_OPT_FLOAT(struct arc, dropout, 0.1, 0, 0.99, NULL, "dropout in the bottleneck"),
    VITRO_OPT_END,
};

/* c is a [1, r] to Xavier. Without c and b nothing is left, so WiSE leads them to zero and keeps p. */
static int declare(void *self, vitro_decl *d)
{
    struct arc *a = self;
    const int32_t dim = d->model->dim, r = a->r;
    for (int32_t s = -1; (s = vitro_next(norms, s)) >= 0;) {
        const vitro_start c = {s == VITRO_AT_NORM2 ? VITRO_XAVIER : VITRO_ZEROS, (float)(1 + r)};
        a->p[s] =
            VITRO_PARAM_AT(d, s, VITRO_MATRIX("p", dim, r), .init = VITRO_XAVIER, .flags = VITRO_SHARED);
        a->c[s] = VITRO_PARAM_AT(d, s, VITRO_VECTOR("c", r), VITRO_START(c), .wise = VITRO_TO_ZERO);
        a->b[s] = VITRO_PARAM_AT(d, s, VITRO_VECTOR("b", dim), .wise = VITRO_TO_ZERO);
    }
    vitro_hook(d, norms);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct arc *)self)->r;
    return 2 * (m->dim * r + m->depth * (r + m->dim));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct arc *a = self;
    vitro_value p = vitro_get(t, a->p[site->kind]), u = vitro_matmul(t, x, p);
    vitro_value h = vitro_dropout(t, vitro_gain(t, u, a->c[site->kind]), a->dropout);
    VITRO_SAVE(t, x, u, h);
    return vitro_add(t, x, vitro_add(t, vitro_matmul_t(t, h, p), vitro_get(t, a->b[site->kind])));
}

/* dw = the mask of h on dy p;  dc = sum dw u;  du = dw c;  dp = dyT h + xT du, db = sum dy;  dx = dy + du pT */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct arc *a = self;
    vitro_value x = vitro_saved(t, 0), u = vitro_saved(t, 1), h = vitro_saved(t, 2);
    vitro_value p = vitro_get(t, a->p[site->kind]), dw = t->op->redrop(t, 0, vitro_matmul(t, dy, p));
    vitro_value du = vitro_gain_back(t, u, dw, a->c[site->kind]);
    vitro_grad(t, a->b[site->kind], vitro_sum_rows(t, dy));
    t->op->grad(t, p, vitro_outer(t, dy, h));
    t->op->grad(t, p, vitro_outer(t, x, du));
    return vitro_add(t, dy, vitro_matmul_t(t, du, p));
}

/* Of the unit behind, with its old W:  W += W p diag(c) pT,  bias += W b */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct arc *a = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, norms), s)) >= 0;) {
        vitro_value p = vitro_get(t, a->p[s]), up = vitro_gain(t, p, a->c[s]);
        vitro_add_before(t, vitro_reader(s), vitro_transpose(t, p), up, vitro_get(t, a->b[s]));
    }
    return 0;
}

VITRO_METHOD(struct arc, "arc", "1.0", "arXiv:2310.17700",
             "a linear bottleneck with projections shared by all blocks", .options = options, .merge = merge);
