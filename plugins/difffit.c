/* DiffFit: every bias and every norm learns, and each branch gets a gain per channel.  Xie et al. 2023.
 *     x += gamma1 attention(x),  x += gamma2 mlp(x);  gammas start at one, so at first nothing changes */
#include <vitro/sdk.h>

struct difffit {
    vitro_param gamma1, gamma2;
};

static int declare(void *self, vitro_decl *d)
{
    struct difffit *f = self;
    const vitro_blocks all = {0, 0};
    const vitro_shape channels = VITRO_SHAPE(d->model->dim);
    const uint32_t norms = VITRO_BIT(NORM_PRE) | VITRO_BIT(NORM1) | VITRO_BIT(NORM2) | VITRO_BIT(NORM);
    f->gamma1 =
        VITRO_PARAM(d, .name = "scale.ATTN_OUT", .shape = channels, .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    f->gamma2 =
        VITRO_PARAM(d, .name = "scale.MLP_OUT", .shape = channels, .init = VITRO_ONES, .wise = VITRO_TO_ONE);
    d->hook(d, VITRO_BIT(ATTN_OUT) | VITRO_BIT(MLP_OUT), all);
    d->unfreeze(d, ~VITRO_BIT(TOKENS), all, VITRO_BIAS); /* TOKENS' "bias" is the class token */
    d->unfreeze(d, norms, all, VITRO_WEIGHT);
    return 0;
}

/* BitFit's biases, the norms' scales, two gammas per block. */
static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    const int64_t L = m->depth, D = m->dim, F = m->hidden;
    return L * (7 * D + F) + 2 * D + (2 * L + 1) * D + 2 * L * D;
}

static vitro_param gamma_at(const struct difffit *f, int32_t site)
{
    return site == VITRO_AT_ATTN_OUT ? f->gamma1 : f->gamma2;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    t->op->save(t, 0, x);
    return vitro_mul(t, x, vitro_get(t, gamma_at(self, site->kind)));
}

/* dgamma = sum dy x over all tokens;  dx = dy gamma */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    vitro_value gamma = vitro_get(t, gamma_at(self, site->kind));
    t->op->grad(t, gamma, vitro_sum_rows(t, vitro_mul(t, dy, t->op->saved(t, 0))));
    return vitro_mul(t, dy, gamma);
}

/* Rows and bias of the branch's last map times gamma; a LayerScale behind it is diagonal too: it commutes. */
static void scale_unit(vitro_trace *t, int32_t unit, vitro_value gamma)
{
    vitro_value w = t->op->weight(t, unit, VITRO_WEIGHT), b = t->op->weight(t, unit, VITRO_BIAS);
    vitro_value column = t->op->reshape(t, gamma, VITRO_SHAPE(t->op->shape(t, gamma).dim[0], 1));
    t->op->replace(t, unit, VITRO_WEIGHT, vitro_mul(t, w, column));
    t->op->replace(t, unit, VITRO_BIAS, vitro_mul(t, b, gamma));
}

static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct difffit *f = self;
    if (block >= 0) {
        scale_unit(t, VITRO_AT_PROJ, vitro_get(t, f->gamma1));
        scale_unit(t, VITRO_AT_FC2, vitro_get(t, f->gamma2));
    }
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "difffit",
    .version = "1.0",
    .summary = "biases, norms, and a gain per channel",
    .paper = "arXiv:2304.06648",
    .self_size = sizeof(struct difffit),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
