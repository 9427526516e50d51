/* keeper.c - a plugin without a neutral value that can be folded in: FC2's channels times 1 + gain / 3
 * with gain KEEP, so that only its merged weights lead back to the backbone. It is no method. */
#include <vitro/sdk.h>

struct keeper {
    vitro_param gain;
};

static int declare(void *self, vitro_decl *d)
{
    struct keeper *k = self;
    k->gain = VITRO_PARAM(d, .name = "gain", .shape = VITRO_SHAPE(d->model->dim), .init = VITRO_NORMAL,
                          .init_arg = 0.1f);
    d->hook(d, VITRO_BIT(FC2), (vitro_blocks){0, 0});
    return 0;
}

static vitro_value factor(const struct keeper *k, vitro_trace *t)
{
    return t->op->affine(t, vitro_get(t, k->gain), 1.0f / 3, 1);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    (void)site;
    return vitro_mul(t, x, factor(self, t));
}

static int merge(void *self, vitro_trace *t, int32_t block)
{
    if (block < 0)
        return 0;
    vitro_value w = t->op->weight(t, VITRO_AT_FC2, VITRO_WEIGHT);
    vitro_value b = t->op->weight(t, VITRO_AT_FC2, VITRO_BIAS), f = factor(self, t);
    vitro_value rows = t->op->reshape(t, f, VITRO_SHAPE(t->op->shape(t, w).dim[0], 1));
    t->op->replace(t, VITRO_AT_FC2, VITRO_WEIGHT, vitro_mul(t, w, rows));
    t->op->replace(t, VITRO_AT_FC2, VITRO_BIAS, vitro_mul(t, b, f));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,         .id = "keeper",     .version = "1.0", .self_size = sizeof(struct keeper),
    .declare = declare, .forward = forward, .merge = merge,
};
