/* Selective tuning: attention, MLP, or all of the last blocks learns, or one matrix of them with its bias.
 * Touvron et al. 2022; "partial-k" of Yosinski et al. 2014.  Blocks are counted, so 1 never means 11 too. */
#define VITRO_ABI_MINOR 1 /* whether the branches have gains */
#include <vitro/sdk.h>

enum { ATTENTION, QKV, PROJ, MLP, FC1, FC2, BLOCK };
static const char *const parts[] = {"attention", "qkv", "proj", "mlp", "fc1", "fc2", "block", NULL};
static const uint32_t sites[] = {
    [ATTENTION] = VITRO_ATTENTION_LAYERS,
    [QKV] = VITRO_BIT(QKV),
    [PROJ] = VITRO_BIT(PROJ),
    [MLP] = VITRO_MLP_LAYERS,
    [FC1] = VITRO_BIT(FC1),
    [FC2] = VITRO_BIT(FC2),
    [BLOCK] = VITRO_LAYERS | VITRO_BIT(NORM1) | VITRO_BIT(NORM2) | VITRO_BIT(LS1) | VITRO_BIT(LS2),
};

struct selective {
    int32_t part, blocks;
};

static const vitro_option options[] = {
    VITRO_OPT_ENUM(struct selective, part, ATTENTION, parts, "attention mlp block", "what of a block learns"),
    VITRO_OPT_INT(struct selective, blocks, 1, 1, 4096, "1 2 3", "how many blocks, counted from the last"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    const struct selective *s = self;
    if (s->blocks > d->model->depth)
        return d->host->fail(d->host, "it is to unfreeze more blocks than the model has; lower blocks");
    const vitro_blocks last = {d->model->depth - s->blocks, s->blocks};
    d->unfreeze(d, sites[s->part], last, VITRO_WEIGHT | VITRO_BIAS);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct selective *s = self;
    const int64_t D = m->dim, F = m->hidden;
    const int64_t gains = (m->weights & VITRO_BIT(LS1) ? D : 0) + (m->weights & VITRO_BIT(LS2) ? D : 0);
    const int64_t qkv = 3 * D * (D + 1), proj = D * (D + 1), fc1 = F * (D + 1), fc2 = D * (F + 1);
    const int64_t one[] = {
        [ATTENTION] = qkv + proj,
        [QKV] = qkv,
        [PROJ] = proj,
        [MLP] = fc1 + fc2,
        [FC1] = fc1,
        [FC2] = fc2,
        [BLOCK] = 2 * D + qkv + proj + 2 * D + fc1 + fc2 + gains,
    };
    return s->blocks * one[s->part];
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "selective",
    .version = "1.0",
    .summary = "attention, MLP, or everything of the last blocks",
    .paper = "arXiv:2203.09795",
    .options = options,
    .self_size = sizeof(struct selective),
    .declare = declare,
    .param_count = param_count,
};
