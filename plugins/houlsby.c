/* Houlsby adapters: a bottleneck behind the attention and behind the MLP of each block.  Houlsby et al. 2019.
 *     y = x + s (h upT + up_bias),  h = dropout(relu(z)),  z = x downT + down_bias
 * x is a branch after its LayerScale and y goes to its drop-path: each acts once.  (The study's released code
 * applies both on either side of the adapter.)  `init` xavier is no identity: s says how far from it. */
#include <vitro/sdk.h>

enum { XAVIER, LORA_XAVIER, LORA_KAIMING, OSU_RELEASE };
static const char *const inits[] = {"xavier", "lora_xavier", "lora_kaiming", "osu_release", NULL};
static const struct start {
    uint32_t down, up, bias;
    float weight_arg, bias_arg;
} starts[] = {
    [XAVIER] = {VITRO_XAVIER, VITRO_XAVIER, VITRO_NORMAL, 0, 1e-6f},
    [LORA_XAVIER] = {VITRO_XAVIER, VITRO_ZEROS, VITRO_ZEROS, 0, 0},
    [LORA_KAIMING] = {VITRO_KAIMING, VITRO_ZEROS, VITRO_ZEROS, 0, 0},
    [OSU_RELEASE] = {VITRO_NORMAL, VITRO_NORMAL, VITRO_ZEROS, 0.02f, 0},
};

#define X(id)                                                                   \
    {                                                                           \
        VITRO_AT_##id, "down." #id, "down_bias." #id, "up." #id, "up_bias." #id \
    }
static const struct place {
    int32_t site;
    const char *down, *down_bias, *up, *up_bias;
} places[] = {X(ATTN_OUT), X(MLP_OUT)};
#undef X
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
    struct houlsby *h = self;
    const struct start *s = &starts[h->init];
    const int32_t r = h->r, dim = d->model->dim;
    for (int i = 0; i < PLACES; i++) {
        const struct place *p = &places[i];
        h->adapters[i] = (struct adapter){
            VITRO_PARAM(d, .name = p->down, .shape = VITRO_SHAPE(r, dim), .init = s->down,
                        .init_arg = s->weight_arg),
            VITRO_PARAM(d, .name = p->down_bias, .shape = VITRO_SHAPE(r), .init = s->bias,
                        .init_arg = s->bias_arg),
            VITRO_PARAM(d, .name = p->up, .shape = VITRO_SHAPE(dim, r), .init = s->up,
                        .init_arg = s->weight_arg, .wise = VITRO_TO_ZERO),
            VITRO_PARAM(d, .name = p->up_bias, .shape = VITRO_SHAPE(dim), .init = s->bias,
                        .init_arg = s->bias_arg, .wise = VITRO_TO_ZERO),
        };
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
    vitro_value h = vitro_dropout(t, vitro_relu(t, z), f->dropout);
    t->op->save(t, 0, x);
    t->op->save(t, 1, z);
    t->op->save(t, 2, h);
    return vitro_add(t, x, vitro_scale(t, vitro_linear(t, h, a->up, a->up_bias), f->scale));
}

/* g = s dy;  dup = gT h, dup_bias = sum g, dh = g up;  dz = relu'(z) the mask of h on dh;
 * ddown = dzT x, ddown_bias = sum dz;  dx = dy + dz down */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct houlsby *f = self;
    const struct adapter *a = &f->adapters[site->kind == VITRO_AT_MLP_OUT];
    vitro_value x = t->op->saved(t, 0), z = t->op->saved(t, 1), h = t->op->saved(t, 2);
    vitro_value dh = vitro_linear_back(t, h, vitro_scale(t, dy, f->scale), a->up, a->up_bias);
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
