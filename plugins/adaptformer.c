/* AdaptFormer: a bottleneck beside the MLP, fed by the stream before its norm.  Chen et al. 2022.
 *     mlp += h upT + s up_bias,  h = s dropout(relu(z)),  z = mid downT + down_bias
 * up starts at zero, so at first nothing changes. The host drops the whole branch or none of it: one draw
 * of drop-path for the MLP and the bottleneck, where the study draws twice and the original spares the
 * bottleneck. LayerScale stands before, on the MLP alone, as in the original. */
#include <vitro/sdk.h>

enum { LORA_KAIMING, OSU_RELEASE };
static const char *const inits[] = {"lora_kaiming", "osu_release", NULL};

struct adaptformer {
    int32_t r, init;
    float scale, dropout;
    vitro_param down, down_bias, up, up_bias;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct adaptformer, r, 32, 1, 1024, "4 16 32", "width of the bottleneck"),
    VITRO_OPT_FLOAT(struct adaptformer, scale, 0.1, 0, 100, "0.05 0.1 0.2", "strength of the branch"),
    VITRO_OPT_FLOAT(struct adaptformer, dropout, 0.1, 0, 0.99, NULL, "dropout in the bottleneck"),
    VITRO_OPT_ENUM(struct adaptformer, init, LORA_KAIMING, inits, NULL,
                   "up zero, down uniform; or both normal of 0.02, as the study's code in fact starts them"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct adaptformer *a = self;
    const int32_t dim = d->model->dim;
    const int osu = a->init == OSU_RELEASE;
    const float arg = osu ? 0.02f : 0;
    a->down = VITRO_PARAM(d, .name = "down", .shape = VITRO_SHAPE(a->r, dim),
                          .init = osu ? VITRO_NORMAL : VITRO_KAIMING, .init_arg = arg);
    a->down_bias = VITRO_PARAM(d, .name = "down_bias", .shape = VITRO_SHAPE(a->r));
    a->up = VITRO_PARAM(d, .name = "up", .shape = VITRO_SHAPE(dim, a->r), .wise = VITRO_TO_ZERO,
                        .init = osu ? VITRO_NORMAL : VITRO_ZEROS, .init_arg = arg);
    a->up_bias = VITRO_PARAM(d, .name = "up_bias", .shape = VITRO_SHAPE(dim), .wise = VITRO_TO_ZERO);
    d->hook(d, VITRO_BIT(MLP_OUT), (vitro_blocks){0, 0});
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct adaptformer *)self)->r;
    return m->depth * (2 * m->dim * r + r + m->dim);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct adaptformer *a = self;
    (void)site;
    vitro_value z = vitro_linear(t, vitro_at(t, VITRO_AT_MID), a->down, a->down_bias);
    vitro_value h = vitro_scale(t, vitro_dropout(t, vitro_relu(t, z), a->dropout), a->scale);
    t->op->save(t, 0, z);
    t->op->save(t, 1, h);
    vitro_value bias = vitro_scale(t, vitro_get(t, a->up_bias), a->scale);
    return vitro_add(t, x, vitro_add(t, vitro_linear(t, h, a->up, 0), bias));
}

/* dup = dyT h, dup_bias = s sum dy, dh = s dy up;  dz = relu'(z) the mask of h on dh;
 * ddown = dzT mid, ddown_bias = sum dz;  dmid = dz down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct adaptformer *a = self;
    (void)site;
    vitro_value mid = vitro_at(t, VITRO_AT_MID), z = t->op->saved(t, 0), h = t->op->saved(t, 1);
    t->op->grad(t, vitro_get(t, a->up_bias), vitro_scale(t, vitro_sum_rows(t, dy), a->scale));
    vitro_value dh = vitro_scale(t, vitro_linear_back(t, h, dy, a->up, 0), a->scale);
    vitro_value dz = t->op->unary_back(t, z, t->op->redrop(t, 0, dh), VITRO_RELU);
    t->op->grad(t, mid, vitro_linear_back(t, mid, dz, a->down, a->down_bias));
    return dy;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "adaptformer",
    .version = "1.0",
    .summary = "a bottleneck in parallel to each MLP",
    .paper = "arXiv:2205.13535",
    .options = options,
    .self_size = sizeof(struct adaptformer),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
};
