/* Full fine-tuning: every tensor of the backbone learns. */
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
    const int64_t embed = D * patch + D, tokens = D + D * (m->grid_h * m->grid_w + m->prefix);
    const int64_t block = 4 * D * D + 4 * D + 2 * D * F + F + D + 4 * D;
    return embed + tokens + m->depth * block + 2 * D;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,         .id = "full",
    .version = "1.0",   .summary = "full fine-tuning: every weight and bias of the backbone",
    .declare = declare, .param_count = param_count,
};
