/* Pfeiffer adapters: a bottleneck behind the MLP of each block.  Pfeiffer et al. 2021.
 *     y = x + s (h upT + up_bias),  h = dropout(relu(z)),  z = x downT + down_bias
 * x is the branch after its LayerScale and y goes to its drop-path: each acts once.  (The study's released
 * code applies both on either side of the adapter.)  up starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

enum { LORA_XAVIER, LORA_KAIMING, XAVIER, OSU_RELEASE };
static const char *const inits[] = {"lora_xavier", "lora_kaiming", "xavier", "osu_release", NULL};
static const struct start {
    uint32_t down, up, bias;
    float weight_arg, bias_arg;
} starts[] = {
    [LORA_XAVIER] = {VITRO_XAVIER, VITRO_ZEROS, VITRO_ZEROS, 0, 0},
    [LORA_KAIMING] = {VITRO_KAIMING, VITRO_ZEROS, VITRO_ZEROS, 0, 0},
    [XAVIER] = {VITRO_XAVIER, VITRO_XAVIER, VITRO_NORMAL, 0, 1e-6f},
    [OSU_RELEASE] = {VITRO_NORMAL, VITRO_NORMAL, VITRO_ZEROS, 0.02f, 0},
};

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
    const struct start *s = &starts[a->init];
    const int32_t r = a->r, dim = d->model->dim;
    a->down = VITRO_PARAM(d, .name = "down", .shape = VITRO_SHAPE(r, dim), .init = s->down,
                          .init_arg = s->weight_arg);
    a->down_bias = VITRO_PARAM(d, .name = "down_bias", .shape = VITRO_SHAPE(r), .init = s->bias,
                               .init_arg = s->bias_arg);
    a->up = VITRO_PARAM(d, .name = "up", .shape = VITRO_SHAPE(dim, r), .init = s->up,
                        .init_arg = s->weight_arg, .wise = VITRO_TO_ZERO);
    a->up_bias = VITRO_PARAM(d, .name = "up_bias", .shape = VITRO_SHAPE(dim), .init = s->bias,
                             .init_arg = s->bias_arg, .wise = VITRO_TO_ZERO);
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
    vitro_value h = vitro_dropout(t, vitro_relu(t, z), a->dropout);
    t->op->save(t, 0, x);
    t->op->save(t, 1, z);
    t->op->save(t, 2, h);
    return vitro_add(t, x, vitro_scale(t, vitro_linear(t, h, a->up, a->up_bias), a->scale));
}

/* g = s dy;  dup = gT h, dup_bias = sum g, dh = g up;  dz = relu'(z) the mask of h on dh;
 * ddown = dzT x, ddown_bias = sum dz;  dx = dy + dz down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct pfeiffer *a = self;
    (void)site;
    vitro_value x = t->op->saved(t, 0), z = t->op->saved(t, 1), h = t->op->saved(t, 2);
    vitro_value dh = vitro_linear_back(t, h, vitro_scale(t, dy, a->scale), a->up, a->up_bias);
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
