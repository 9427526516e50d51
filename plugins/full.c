/* Full fine-tuning: every tensor of the backbone learns. */
#define VITRO_ABI_MINOR 1 /* which tensors the model has */
#include <vitro/sdk.h>

static int declare(void *self, vitro_decl *d)
{
    (void)self;
    d->unfreeze(d, ~0u, (vitro_blocks){0, 0}, VITRO_WEIGHT | VITRO_BIAS);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    const int64_t D = m->dim, F = m->hidden, patch = 3 * m->patch * m->patch;
    const uint32_t gains = VITRO_BIT(LS1) | VITRO_BIT(LS2);
    const uint32_t norms = VITRO_BIT(NORM_PRE) | VITRO_BIT(NORM1) | VITRO_BIT(NORM2) | VITRO_BIT(NORM);
    const int64_t embed = D * patch + vitro_count(m, VITRO_BIT(EMBED) & m->biases) * D;
    const int64_t tokens = D * (m->positions + m->prefix), layers = 4 * D * D + 4 * D + 2 * D * F + F + D;
    const int64_t vectors = 2 * vitro_count(m, norms & m->weights) + vitro_count(m, gains & m->weights);
    return embed + tokens + m->depth * layers + vectors * D;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,         .id = "full",
    .version = "1.0",   .summary = "full fine-tuning: every weight and bias of the backbone",
    .declare = declare, .param_count = param_count,
};
