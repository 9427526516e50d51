/* BitFit: the biases the backbone already has learn.  Ben Zaken et al. 2022. */
#define VITRO_ABI_MINOR 1 /* which biases the model has */
#include <vitro/sdk.h>

static int declare(void *self, vitro_decl *d)
{
    (void)self;
    /* TOKENS' "bias" is the class token, which is no bias. */
    d->unfreeze(d, ~VITRO_BIT(TOKENS), (vitro_blocks){0, 0}, VITRO_BIAS);
    return 0;
}

/* Per block norm1, qkv, proj, norm2, fc1, fc2; outside the patch projection, the last norm and CLIP's first. */
static int64_t param_count(const void *self, const vitro_model *m)
{
    (void)self;
    const uint32_t outside = VITRO_BIT(EMBED) | VITRO_BIT(NORM_PRE) | VITRO_BIT(NORM);
    const int64_t D = m->dim, F = m->hidden;
    return m->depth * (D + 3 * D + D + D + F + D) + vitro_count(m, outside & m->biases) * D;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "bitfit",
    .version = "1.0",
    .summary = "every bias of the backbone",
    .paper = "arXiv:2106.10199",
    .declare = declare,
    .param_count = param_count,
};
