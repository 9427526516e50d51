/* LoRA: W x += s b a dropout(x), of low rank r, beside linear layers.  Hu et al. 2022.
 *     s = alpha / r, or alpha / sqrt(r), which keeps a large r's update from fading (Kalajdzievski 2023)
 * a [r, in] is shared by query, key and value; b [out, r] starts at zero, so at first nothing changes. */
#include <math.h>
#include <vitro/merge.h>

static const char *const targets[] = {"qkv", "qv", "attention", "mlp", "all", "q_k_v", "q",
                                      "k",   "v",  "proj",      "fc1", "fc2", NULL};
static const uint32_t layers[] = {VITRO_BIT(QKV),         VITRO_BIT(Q) | VITRO_BIT(V),
                                  VITRO_ATTENTION_LAYERS, VITRO_MLP_LAYERS,
                                  VITRO_LAYERS,           VITRO_BIT(Q) | VITRO_BIT(K) | VITRO_BIT(V),
                                  VITRO_BIT(Q),           VITRO_BIT(K),
                                  VITRO_BIT(V),           VITRO_BIT(PROJ),
                                  VITRO_BIT(FC1),         VITRO_BIT(FC2)};

enum { KAIMING, OSU_RELEASE };
static const char *const inits[] = {"kaiming", "osu_release", NULL};
static const struct {
    vitro_start a, b;
} starts[] = {
    [KAIMING] = {.a = {VITRO_KAIMING, 0}},
    [OSU_RELEASE] = {.a = {VITRO_NORMAL, 0.02f}, .b = {VITRO_NORMAL, 0.02f}},
};

struct lora {
    int32_t r, rslora, targets, init;
    float alpha, dropout;
    vitro_param a[VITRO_SITE_COUNT], b[VITRO_SITE_COUNT];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct lora, r, 8, 1, 1024, "1 8 16 32", "rank: width of the update"),
    VITRO_OPT_FLOAT(struct lora, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for a scale of 1"),
    VITRO_OPT_BOOL(struct lora, rslora, 0, NULL, "scale by alpha / sqrt(r) instead"),
    VITRO_OPT_FLOAT(struct lora, dropout, 0.1, 0, 0.99, NULL, "dropout of the update's input"),
    VITRO_OPT_ENUM(
        struct lora, targets, 0, targets, NULL,
        "layers: qkv as one; q and v apart; qkv and proj; fc1 and fc2; all four; q, k and v apart; or one"),
    VITRO_OPT_ENUM(struct lora, init, KAIMING, inits, NULL,
                   "a uniform, b zero; or both normal of 0.02, as the study's code in fact starts them"),
    VITRO_OPT_END,
};

static float strength(const struct lora *l)
{
    return l->alpha > 0 ? l->alpha / (l->rslora ? sqrtf((float)l->r) : (float)l->r) : 1;
}

static int declare(void *self, vitro_decl *d)
{
    struct lora *l = self;
    for (int32_t s = -1; (s = vitro_next(layers[l->targets], s)) >= 0;) {
        const int32_t in = vitro_fan_in(d->model, s), out = vitro_width(d->model, s);
        const int32_t named = s == VITRO_AT_QKV ? -1 : s; /* a and b where LoRA mostly is, else a.SITE */
        l->a[s] = VITRO_PARAM_AT(d, named, VITRO_MATRIX("a", l->r, in), VITRO_START(starts[l->init].a));
        l->b[s] = VITRO_PARAM_AT(d, named, VITRO_MATRIX("b", out, l->r), VITRO_START(starts[l->init].b),
                                 .wise = VITRO_TO_ZERO);
    }
    vitro_hook(d, layers[l->targets]);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct lora *l = self;
    int64_t widths = 0;
    for (int32_t s = -1; (s = vitro_next(layers[l->targets], s)) >= 0;)
        widths += vitro_fan_in(m, s) + vitro_width(m, s);
    return m->depth * l->r * widths;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct lora *l = self;
    vitro_value u = vitro_dropped_input(t, site, l->dropout), h = vitro_linear(t, u, l->a[site->kind], 0);
    VITRO_SAVE(t, u, h);
    return vitro_add(t, x, vitro_scale(t, vitro_linear(t, h, l->b[site->kind], 0), strength(l)));
}

/* g = s dy;  db = gT h;  dh = g b;  da = dhT u;  du = dh a;  dx = the mask of u on du */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct lora *l = self;
    vitro_value u = vitro_saved(t, 0), h = vitro_saved(t, 1), g = vitro_scale(t, dy, strength(l));
    vitro_value dh = vitro_linear_back(t, h, g, l->b[site->kind], 0);
    vitro_dropped_input_back(t, site, vitro_linear_back(t, u, dh, l->a[site->kind], 0));
    return dy;
}

/* W += s b a, of q and v in their rows of qkv's */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct lora *l = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, layers[l->targets]), s)) >= 0;) {
        vitro_value ba = vitro_matmul(t, vitro_get(t, l->b[s]), vitro_get(t, l->a[s]));
        vitro_add_weight(t, s, vitro_scale(t, ba, strength(l)));
    }
    return 0;
}

VITRO_METHOD(struct lora, "lora", "1.1", "arXiv:2106.09685",
             "low-rank update of linear layers, usually query, key and value", .options = options,
             .merge = merge);
