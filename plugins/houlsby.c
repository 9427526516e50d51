/* Houlsby adapters: a bottleneck behind the attention and behind the MLP of each block.  Houlsby et al. 2019.
 *     y = x + h upT + s up_bias,  h = s dropout(relu(z)),  z = x downT + down_bias
 * x is a branch after its LayerScale and y goes to its drop-path: each acts once.  (The study's released code
 * applies both on either side of the adapter.)  `init` xavier is no identity: s says how far from it. */
#include <vitro/sdk.h>

enum { XAVIER, LORA_XAVIER, LORA_KAIMING, OSU_RELEASE };
static const char *const inits[] = {"xavier", "lora_xavier", "lora_kaiming", "osu_release", NULL};
static const uint32_t downs[] = {VITRO_XAVIER, VITRO_XAVIER, VITRO_KAIMING, VITRO_NORMAL};
static const uint32_t ups[] = {VITRO_XAVIER, VITRO_ZEROS, VITRO_ZEROS, VITRO_NORMAL};

static const struct place {
    int32_t site;
    const char *down, *down_bias, *up, *up_bias;
} places[] = {
    {VITRO_AT_ATTN_OUT, "down.ATTN_OUT", "down_bias.ATTN_OUT", "up.ATTN_OUT", "up_bias.ATTN_OUT"},
    {VITRO_AT_MLP_OUT, "down.MLP_OUT", "down_bias.MLP_OUT", "up.MLP_OUT", "up_bias.MLP_OUT"},
};
enum { PLACES = sizeof places / sizeof *places };

struct houlsby {
    int32_t r, init;
    float scale, dropout;
    struct adapter {
        vitro_param down, down_bias, up, up_bias;
    } adapters[PLACES];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct houlsby, r, 8, 1, 1024, "4 8 16 32", "width of the bottlenecks"),
    VITRO_OPT_FLOAT(struct houlsby, scale, 0.1, 0, 1000, "0.01 0.1 1 10", "strength of the adapters"),
    VITRO_OPT_FLOAT(struct houlsby, dropout, 0.1, 0, 0.99, NULL, "dropout in the bottlenecks"),
    VITRO_OPT_ENUM(struct houlsby, init, XAVIER, inits, NULL,
                   "xavier: both maps random; lora_*: up zero; osu_release: both normal of 0.02"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct houlsby *f = self;
    const int32_t r = f->r, dim = d->model->dim;
    const float arg = f->init == OSU_RELEASE ? 0.02f : 0;
    const uint32_t bias = f->init == XAVIER ? VITRO_NORMAL : VITRO_ZEROS; /* of deviation 1e-6 */
    for (int i = 0; i < PLACES; i++) {
        const struct place *p = &places[i];
        struct adapter *a = &f->adapters[i];
        a->down = VITRO_PARAM(d, .name = p->down, .shape = VITRO_SHAPE(r, dim), .init = downs[f->init],
                              .init_arg = arg);
        a->down_bias =
            VITRO_PARAM(d, .name = p->down_bias, .shape = VITRO_SHAPE(r), .init = bias, .init_arg = 1e-6f);
        a->up = VITRO_PARAM(d, .name = p->up, .shape = VITRO_SHAPE(dim, r), .init = ups[f->init],
                            .init_arg = arg, .wise = VITRO_TO_ZERO);
        a->up_bias = VITRO_PARAM(d, .name = p->up_bias, .shape = VITRO_SHAPE(dim), .init = bias,
                                 .init_arg = 1e-6f, .wise = VITRO_TO_ZERO);
        d->hook(d, 1u << p->site, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t r = ((const struct houlsby *)self)->r;
    return 2 * m->depth * (2 * m->dim * r + r + m->dim);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct houlsby *f = self;
    const struct adapter *a = &f->adapters[site->kind == VITRO_AT_MLP_OUT];
    vitro_value z = vitro_linear(t, x, a->down, a->down_bias);
    vitro_value h = vitro_scale(t, vitro_dropout(t, vitro_relu(t, z), f->dropout), f->scale);
    t->op->save(t, 0, x);
    t->op->save(t, 1, z);
    t->op->save(t, 2, h);
    vitro_value bias = vitro_scale(t, vitro_get(t, a->up_bias), f->scale);
    return vitro_add(t, x, vitro_add(t, vitro_linear(t, h, a->up, 0), bias));
}

/* dup = dyT h, dup_bias = s sum dy, dh = s dy up;  dz = relu'(z) the mask of h on dh;
 * ddown = dzT x, ddown_bias = sum dz;  dx = dy + dz down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct houlsby *f = self;
    const struct adapter *a = &f->adapters[site->kind == VITRO_AT_MLP_OUT];
    vitro_value x = t->op->saved(t, 0), z = t->op->saved(t, 1), h = t->op->saved(t, 2);
    t->op->grad(t, vitro_get(t, a->up_bias), vitro_scale(t, vitro_sum_rows(t, dy), f->scale));
    vitro_value dh = vitro_scale(t, vitro_linear_back(t, h, dy, a->up, 0), f->scale);
    vitro_value dz = t->op->unary_back(t, z, t->op->redrop(t, 0, dh), VITRO_RELU);
    return vitro_add(t, dy, vitro_linear_back(t, x, dz, a->down, a->down_bias));
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "houlsby",
    .version = "1.0",
    .summary = "a bottleneck behind attention and MLP",
    .paper = "arXiv:1902.00751",
    .options = options,
    .self_size = sizeof(struct houlsby),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
};
