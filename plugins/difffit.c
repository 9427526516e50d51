/* DiffFit: every bias and every norm learns, and each branch gets a gain per channel.  Xie et al. 2023.
 *     x += gamma1 attention(x),  x += gamma2 mlp(x);  gammas start at one, so at first nothing changes */
#define VITRO_ABI_MINOR 1 /* which norms and biases the model has */
#include <vitro/merge.h>

static const uint32_t norms = VITRO_BIT(NORM_PRE) | VITRO_BIT(NORM1) | VITRO_BIT(NORM2) | VITRO_BIT(NORM);

struct difffit {
    vitro_param gamma[VITRO_SITE_COUNT]; /* at ATTN_OUT and MLP_OUT */
};

static int declare(void *self, vitro_decl *d)
{
    struct difffit *f = self;
    const vitro_blocks all = {0, 0};
    const uint32_t branches = VITRO_BIT(ATTN_OUT) | VITRO_BIT(MLP_OUT);
    for (int32_t s = -1; (s = vitro_next(branches, s)) >= 0;)
        f->gamma[s] = VITRO_PARAM_AT(d, s, VITRO_VECTOR("scale", d->model->dim), .init = VITRO_ONES,
                                     .wise = VITRO_TO_ONE);
    vitro_hook(d, branches);
    d->unfreeze(d, ~VITRO_BIT(TOKENS), all, VITRO_BIAS); /* TOKENS' "bias" is the class token */
    d->unfreeze(d, norms, all, VITRO_WEIGHT);
    return 0;
}

/* BitFit's biases, the norms' scales, two gammas per block. */
static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    const uint32_t outside = VITRO_BIT(EMBED) | VITRO_BIT(NORM_PRE) | VITRO_BIT(NORM);
    const int64_t L = m->depth, D = m->dim, F = m->hidden;
    const int64_t biases = L * (7 * D + F) + vitro_count(m, outside & m->biases) * D;
    return biases + vitro_count(m, norms & m->weights) * D + 2 * L * D;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    VITRO_SAVE(t, x);
    return vitro_gain(t, x, ((struct difffit *)self)->gamma[site->kind]);
}

/* dgamma = sum dy x over all tokens;  dx = dy gamma */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    return vitro_gain_back(t, vitro_saved(t, 0), dy, ((struct difffit *)self)->gamma[site->kind]);
}

/* Rows and bias of the branch's last map times gamma; a LayerScale behind it is diagonal too: it commutes. */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct difffit *f = self;
    if (block >= 0) {
        vitro_scale_unit(t, VITRO_AT_PROJ, vitro_get(t, f->gamma[VITRO_AT_ATTN_OUT]));
        vitro_scale_unit(t, VITRO_AT_FC2, vitro_get(t, f->gamma[VITRO_AT_MLP_OUT]));
    }
    return 0;
}

VITRO_METHOD(struct difffit, "difffit", "1.0", "arXiv:2304.06648", "biases, norms, and a gain per channel",
             .merge = merge);
