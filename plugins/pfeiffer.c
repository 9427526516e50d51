/* Pfeiffer adapters: a bottleneck behind the MLP of each block.  Pfeiffer et al. 2021.
 *     y = x + h upT + s up_bias,  h = s dropout(relu(z)),  z = x downT + down_bias
 * x is the branch after its LayerScale and y goes to its drop-path: each acts once.  (The study's released
 * code applies both on either side of the adapter.)  up starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

enum { LORA_XAVIER, LORA_KAIMING, XAVIER, OSU_RELEASE };
static const char *const inits[] = {"lora_xavier", "lora_kaiming", "xavier", "osu_release", NULL};
static const uint32_t downs[] = {VITRO_XAVIER, VITRO_KAIMING, VITRO_XAVIER, VITRO_NORMAL};
static const uint32_t ups[] = {VITRO_ZEROS, VITRO_ZEROS, VITRO_XAVIER, VITRO_NORMAL};

struct pfeiffer {
    int32_t r, init;
    float scale, dropout;
    vitro_param down, down_bias, up, up_bias;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct pfeiffer, r, 16, 1, 1024, "4 8 16 32 64", "width of the bottleneck"),
    VITRO_OPT_FLOAT(struct pfeiffer, scale, 1, 0, 1000, "0.01 0.1 1 10", "strength of the adapter"),
    VITRO_OPT_FLOAT(struct pfeiffer, dropout, 0.1, 0, 0.99, NULL, "dropout in the bottleneck"),
    VITRO_OPT_ENUM(struct pfeiffer, init, LORA_XAVIER, inits, NULL,
                   "lora_*: up zero; xavier: both maps random; osu_release: both normal of 0.02"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct pfeiffer *a = self;
    const int32_t r = a->r, dim = d->model->dim;
    const float arg = a->init == OSU_RELEASE ? 0.02f : 0;
    const uint32_t bias = a->init == XAVIER ? VITRO_NORMAL : VITRO_ZEROS; /* of deviation 1e-6 */
    a->down =
        VITRO_PARAM(d, .name = "down", .shape = VITRO_SHAPE(r, dim), .init = downs[a->init], .init_arg = arg);
    a->down_bias =
        VITRO_PARAM(d, .name = "down_bias", .shape = VITRO_SHAPE(r), .init = bias, .init_arg = 1e-6f);
    a->up = VITRO_PARAM(d, .name = "up", .shape = VITRO_SHAPE(dim, r), .init = ups[a->init], .init_arg = arg,
                        .wise = VITRO_TO_ZERO);
    a->up_bias = VITRO_PARAM(d, .name = "up_bias", .shape = VITRO_SHAPE(dim), .init = bias, .init_arg = 1e-6f,
                             .wise = VITRO_TO_ZERO);
    d->hook(d, VITRO_BIT(MLP_OUT), (vitro_blocks){0, 0});
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct pfeiffer *)self)->r;
    return m->depth * (2 * m->dim * r + r + m->dim);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct pfeiffer *a = self;
    (void)site;
    vitro_value z = vitro_linear(t, x, a->down, a->down_bias);
    vitro_value h = vitro_scale(t, vitro_dropout(t, vitro_relu(t, z), a->dropout), a->scale);
    t->op->save(t, 0, x);
    t->op->save(t, 1, z);
    t->op->save(t, 2, h);
    vitro_value bias = vitro_scale(t, vitro_get(t, a->up_bias), a->scale);
    return vitro_add(t, x, vitro_add(t, vitro_linear(t, h, a->up, 0), bias));
}

/* dup = dyT h, dup_bias = s sum dy, dh = s dy up;  dz = relu'(z) the mask of h on dh;
 * ddown = dzT x, ddown_bias = sum dz;  dx = dy + dz down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct pfeiffer *a = self;
    (void)site;
    vitro_value x = t->op->saved(t, 0), z = t->op->saved(t, 1), h = t->op->saved(t, 2);
    t->op->grad(t, vitro_get(t, a->up_bias), vitro_scale(t, vitro_sum_rows(t, dy), a->scale));
    vitro_value dh = vitro_scale(t, vitro_linear_back(t, h, dy, a->up, 0), a->scale);
    vitro_value dz = t->op->unary_back(t, z, t->op->redrop(t, 0, dh), VITRO_RELU);
    return vitro_add(t, dy, vitro_linear_back(t, x, dz, a->down, a->down_bias));
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "pfeiffer",
    .version = "1.0",
    .summary = "a bottleneck behind each MLP",
    .paper = "arXiv:2005.00247",
    .options = options,
    .self_size = sizeof(struct pfeiffer),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
};
