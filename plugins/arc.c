/* ARC: a linear bottleneck whose projection all blocks share, before the attention and before the MLP; it
 * merges.  Dong et al. 2023.
 *     x += h pT + b,  h = dropout(c u),  u = x p,  x = norm1 or norm2
 * p [dim, r], one for all of norm1 and one for all of norm2; per block c [r] and b [dim]. c starts at zero at
 * norm1 but not at norm2: at first the MLPs' input changes a little. */
#include <vitro/sdk.h>

enum { SITES = 2 };
static const struct place {
    int32_t site, into; /* hooked, and the unit behind it that merge folds into */
    const char *p, *c, *b;
    uint32_t c_init;
} places[SITES] = {
    {VITRO_AT_NORM1, VITRO_AT_QKV, "p.NORM1", "c.NORM1", "b.NORM1", VITRO_ZEROS},
    {VITRO_AT_NORM2, VITRO_AT_FC1, "p.NORM2", "c.NORM2", "b.NORM2", VITRO_XAVIER},
};

struct arc {
    int32_t r;
    float dropout;
    struct bottleneck {
        vitro_param p, c, b;
    } at[SITES];
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
    int32_t dim = d->model->dim, r = a->r;
    for (int i = 0; i < SITES; i++) {
        const struct place *q = &places[i];
        a->at[i] = (struct bottleneck){
            VITRO_PARAM(d, .name = q->p, .shape = VITRO_SHAPE(dim, r), .init = VITRO_XAVIER,
                        .flags = VITRO_SHARED),
            VITRO_PARAM(d, .name = q->c, .shape = VITRO_SHAPE(r), .init = q->c_init,
                        .init_arg = (float)(1 + r), .wise = VITRO_TO_ZERO),
            VITRO_PARAM(d, .name = q->b, .shape = VITRO_SHAPE(dim), .wise = VITRO_TO_ZERO),
        };
        d->hook(d, 1u << q->site, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct arc *)self)->r;
    return SITES * (m->dim * r + m->depth * (r + m->dim));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct arc *a = self;
    const struct bottleneck *k = &a->at[site->kind == VITRO_AT_NORM2];
    vitro_value p = vitro_get(t, k->p), u = vitro_matmul(t, x, p);
    vitro_value h = vitro_dropout(t, vitro_mul(t, u, vitro_get(t, k->c)), a->dropout);
    t->op->save(t, 0, x);
    t->op->save(t, 1, u);
    t->op->save(t, 2, h);
    return vitro_add(t, x, vitro_add(t, t->op->matmul(t, h, p, 0, 1), vitro_get(t, k->b)));
}

/* dw = the mask of h on dy p;  dc = sum dw u;  du = dw c;  dp = dyT h + xT du, db = sum dy;  dx = dy + du pT */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct arc *a = self;
    const struct bottleneck *k = &a->at[site->kind == VITRO_AT_NORM2];
    vitro_value x = t->op->saved(t, 0), u = t->op->saved(t, 1), p = vitro_get(t, k->p);
    vitro_value c = vitro_get(t, k->c), dw = t->op->redrop(t, 0, vitro_matmul(t, dy, p));
    vitro_value du = vitro_mul(t, dw, c);
    t->op->grad(t, c, vitro_sum_rows(t, vitro_mul(t, dw, u)));
    t->op->grad(t, vitro_get(t, k->b), vitro_sum_rows(t, dy));
    t->op->grad(t, p, t->op->matmul(t, vitro_rows(t, dy), vitro_rows(t, t->op->saved(t, 2)), 1, 0));
    t->op->grad(t, p, t->op->matmul(t, vitro_rows(t, x), vitro_rows(t, du), 1, 0));
    return vitro_add(t, dy, t->op->matmul(t, du, p, 0, 1));
}

/* Of the unit behind, with its old W:  W += W p diag(c) pT,  bias += W b */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct arc *a = self;
    for (int i = 0; block >= 0 && i < SITES; i++) {
        const struct bottleneck *k = &a->at[i];
        int32_t unit = places[i].into;
        vitro_value w = t->op->weight(t, unit, VITRO_WEIGHT), bias = t->op->weight(t, unit, VITRO_BIAS);
        vitro_value p = vitro_get(t, k->p), b = vitro_get(t, k->b);
        vitro_value wpc = vitro_mul(t, vitro_matmul(t, w, p), vitro_get(t, k->c));
        vitro_value row = t->op->reshape(t, b, VITRO_SHAPE(1, t->op->shape(t, b).dim[0]));
        vitro_value d_bias = t->op->reshape(t, t->op->matmul(t, row, w, 0, 1), t->op->shape(t, bias));
        t->op->replace(t, unit, VITRO_WEIGHT, vitro_add(t, w, t->op->matmul(t, wpc, p, 0, 1)));
        t->op->replace(t, unit, VITRO_BIAS, vitro_add(t, bias, d_bias));
    }
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "arc",
    .version = "1.0",
    .summary = "a linear bottleneck with projections shared by all blocks",
    .paper = "arXiv:2310.17700",
    .options = options,
    .self_size = sizeof(struct arc),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
