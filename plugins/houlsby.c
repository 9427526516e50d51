/* Houlsby adapters: a bottleneck behind the attention and behind the MLP of each block.  Houlsby et al. 2019.
 *     y = x + h upT + s up_bias,  h = s dropout(relu(z)),  z = x downT + down_bias
 * x is a branch after its LayerScale and y goes to its drop-path: each acts once.  (The study's released code
 * applies both on either side of the adapter.)  `init` xavier is no identity: s says how far from it. */
#include <vitro/adapter.h>

enum { XAVIER, LORA_XAVIER, LORA_KAIMING, OSU_RELEASE };
static const char *const inits[] = {"xavier", "lora_xavier", "lora_kaiming", "osu_release", NULL};
static const struct vitro_adapter_start starts[] = {
    [XAVIER] = {.down = {VITRO_XAVIER, 0}, .up = {VITRO_XAVIER, 0}, .biases = {VITRO_NORMAL, 1e-6f}},
    [LORA_XAVIER] = {.down = {VITRO_XAVIER, 0}},
    [LORA_KAIMING] = {.down = {VITRO_KAIMING, 0}},
    [OSU_RELEASE] = {.down = {VITRO_NORMAL, 0.02f}, .up = {VITRO_NORMAL, 0.02f}},
};

struct houlsby {
    int32_t r, init;
    float scale, dropout;
    struct vitro_adapter attention, mlp;
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
    h->attention = vitro_adapter_declare(d, VITRO_AT_ATTN_OUT, h->r, &starts[h->init]);
    h->mlp = vitro_adapter_declare(d, VITRO_AT_MLP_OUT, h->r, &starts[h->init]);
    vitro_hook(d, VITRO_BIT(ATTN_OUT) | VITRO_BIT(MLP_OUT));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t D = m->dim, r = ((const struct houlsby *)self)->r;
    return 2 * m->depth * (2 * D * r + r + D);
}

static const struct vitro_adapter *adapter_at(const struct houlsby *h, int32_t site)
{
    return site == VITRO_AT_MLP_OUT ? &h->mlp : &h->attention;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct houlsby *h = self;
    return vitro_add(t, x, vitro_adapter_apply(t, adapter_at(h, site->kind), x, h->dropout, h->scale));
}

/* dx = dy + what comes through the adapter */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct houlsby *h = self;
    return vitro_add(t, dy, vitro_adapter_back(t, adapter_at(h, site->kind), dy, h->scale));
}

VITRO_METHOD(struct houlsby, "houlsby", "1.0", "arXiv:1902.00751", "a bottleneck behind attention and MLP",
             .options = options);
