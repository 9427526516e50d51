/* AdaptFormer: a bottleneck beside the MLP, fed by the stream before its norm.  Chen et al. 2022.
 *     mlp += h upT + s up_bias,  h = s dropout(relu(z)),  z = mid downT + down_bias
 * up starts at zero, so at first nothing changes. The host drops the whole branch or none of it: one draw
 * of drop-path for the MLP and the bottleneck, where the study draws twice and the original spares the
 * bottleneck. LayerScale stands before, on the MLP alone, as in the original. */
#include <vitro/adapter.h>

enum { LORA_KAIMING, OSU_RELEASE };
static const char *const inits[] = {"lora_kaiming", "osu_release", NULL};
static const struct vitro_adapter_start starts[] = {
    [LORA_KAIMING] = {.down = {VITRO_KAIMING, 0}},
    [OSU_RELEASE] = {.down = {VITRO_NORMAL, 0.02f}, .up = {VITRO_NORMAL, 0.02f}},
};

struct adaptformer {
    int32_t r, init;
    float scale, dropout;
    struct vitro_adapter adapter;
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
    a->adapter = vitro_adapter_declare(d, -1, a->r, &starts[a->init]);
    vitro_hook(d, VITRO_BIT(MLP_OUT));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t D = m->dim, r = ((const struct adaptformer *)self)->r;
    return m->depth * (2 * D * r + r + D);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct adaptformer *a = self;
    (void)site;
    return vitro_add(t, x,
                     vitro_adapter_apply(t, &a->adapter, vitro_at(t, VITRO_AT_MID), a->dropout, a->scale));
}

/* dmid = what comes through the adapter;  dx = dy */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct adaptformer *a = self;
    (void)site;
    t->op->grad(t, vitro_at(t, VITRO_AT_MID), vitro_adapter_back(t, &a->adapter, dy, a->scale));
    return dy;
}

VITRO_METHOD(struct adaptformer, "adaptformer", "1.0", "arXiv:2205.13535",
             "a bottleneck in parallel to each MLP", .options = options);
