/* LayerNorm tuning: scale and shift of every norm of the stream learn.  Basu et al. 2023. */
#define VITRO_ABI_MINOR 1 /* which norms the model has */
#include <vitro/sdk.h>

static const uint32_t norms = VITRO_BIT(NORM_PRE) | VITRO_BIT(NORM1) | VITRO_BIT(NORM2) | VITRO_BIT(NORM);

static int declare(void *self, vitro_decl *d)
{
    (void)self;
    d->unfreeze(d, norms, (vitro_blocks){0, 0}, VITRO_WEIGHT | VITRO_BIAS);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    return 2 * m->dim * (int64_t)vitro_count(m, norms & m->weights);
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "layernorm",
    .version = "1.0",
    .summary = "scale and shift of every norm",
    .paper = "arXiv:2304.01917",
    .declare = declare,
    .param_count = param_count,
};
