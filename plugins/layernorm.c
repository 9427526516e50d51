/* LayerNorm tuning: scale and shift of every norm of the stream learn.  Basu et al. 2023. */
#include <vitro/sdk.h>

static int declare(void *self, vitro_decl *d)
{
    (void)self;
    const uint32_t norms = VITRO_BIT(NORM_PRE) | VITRO_BIT(NORM1) | VITRO_BIT(NORM2) | VITRO_BIT(NORM);
    d->unfreeze(d, norms, (vitro_blocks){0, 0}, VITRO_WEIGHT | VITRO_BIAS);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    const int64_t D = m->dim;
    return m->depth * 4 * D + 2 * D;
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
