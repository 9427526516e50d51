/* Pfeiffer adapters: a bottleneck behind the MLP of each block.  Pfeiffer et al. 2021.
 *     y = x + h upT + s up_bias,  h = s dropout(relu(z)),  z = x downT + down_bias
 * x is the branch after its LayerScale and y goes to its drop-path: each acts once.  (The study's released
 * code applies both on either side of the adapter.)  up starts at zero, so at first nothing changes. */
#include <vitro/adapter.h>

enum { LORA_XAVIER, LORA_KAIMING, XAVIER, OSU_RELEASE };
static const char *const inits[] = {"lora_xavier", "lora_kaiming", "xavier", "osu_release", NULL};
static const struct vitro_adapter_start starts[] = {
    [LORA_XAVIER] = {.down = {VITRO_XAVIER, 0}},
    [LORA_KAIMING] = {.down = {VITRO_KAIMING, 0}},
    [XAVIER] = {.down = {VITRO_XAVIER, 0}, .up = {VITRO_XAVIER, 0}, .biases = {VITRO_NORMAL, 1e-6f}},
    [OSU_RELEASE] = {.down = {VITRO_NORMAL, 0.02f}, .up = {VITRO_NORMAL, 0.02f}},
};

struct pfeiffer {
    int32_t r, init;
    float scale, dropout;
    struct vitro_adapter adapter;
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
    struct pfeiffer *p = self;
    p->adapter = vitro_adapter_declare(d, -1, p->r, &starts[p->init]);
    vitro_hook(d, VITRO_BIT(MLP_OUT));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t D = m->dim, r = ((const struct pfeiffer *)self)->r;
    return m->depth * (2 * D * r + r + D);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct pfeiffer *p = self;
    (void)site;
    return vitro_add(t, x, vitro_adapter_apply(t, &p->adapter, x, p->dropout, p->scale));
}

/* dx = dy + what comes through the adapter */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct pfeiffer *p = self;
    (void)site;
    return vitro_add(t, dy, vitro_adapter_back(t, &p->adapter, dy, p->scale));
}

VITRO_METHOD(struct pfeiffer, "pfeiffer", "1.0", "arXiv:2005.00247", "a bottleneck behind each MLP",
             .options = options);
