/* template.c - a whole method to start from: change the equations, then what declares and counts them.
 *
 *     mlp branch:  y = x (1 + strength gain),  gain [dim] learned, zero at first
 *
 * The contract, with every operation, is vitro/method.h; vitro/sdk.h and the headers beside it only shorten what
 * is written often, vitro/merge.h what is folded into weights.
 * The plugin exports the one constant at the end of this file and links nothing of the program. */
#include <vitro/merge.h>
#include <vitro/sdk.h>

/* One instance: options first, handles behind. The host allocates it zeroed and frees it. */
struct mine {
    float strength;
    vitro_param gain;
};

/* The host parses, checks and prints options, and writes them into the struct before anything else. */
static const vitro_option options[] = {
    VITRO_OPT_FLOAT(struct mine, strength, 1, 0, 100, "0.1 1 10", "how strongly the gain acts"),
    VITRO_OPT_END,
};

/* Once per model: which tensors, with which start, and which sites to hook. One call declares the
 * tensor in every block; the handle means, inside a block, that block's. WiSE leads it back to zero. */
static int declare(void *self, vitro_decl *d)
{
    struct mine *m = self;
    m->gain = VITRO_PARAM(d, VITRO_VECTOR("gain", d->model->dim), .wise = VITRO_TO_ZERO);
    vitro_hook(d, VITRO_BIT(FC2));
    return 0;
}

/* The number of trained values by the paper's formula, without the head. */
static int64_t param_count(const void *self, const vitro_model *model)
{
    (void)self;
    return (int64_t)model->depth * model->dim;
}

/* At each hooked site: x is its value [batch, tokens, dim], what is returned takes its place. Nothing
 * is computed here; operations are recorded. None needs an error check: a bad one makes the rest of
 * the trace void, and the host says where and why. */
static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct mine *m = self;
    (void)site;
    VITRO_SAVE(t, x); /* for backward */
    return vitro_mul(t, x, t->op->affine(t, vitro_get(t, m->gain), m->strength, 1));
}

/* Optional: the derivative from the equations. Without it the host derives forward, with the same
 * result. dy is the gradient of what forward returned; `grad` adds to the gradient of anything forward
 * read; the gradient of x is returned. */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct mine *m = self;
    (void)site;
    vitro_value dgain = vitro_sum_rows(t, vitro_mul(t, dy, vitro_saved(t, 0)));
    vitro_grad(t, m->gain, vitro_scale(t, dgain, m->strength));
    return vitro_mul(t, dy, t->op->affine(t, vitro_get(t, m->gain), m->strength, 1));
}

/* Optional: the same effect as weights of the hooked site, W = diag(1 + strength gain) W and so the bias. */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct mine *m = self;
    if (block >= 0)
        vitro_scale_unit(t, VITRO_AT_FC2, t->op->affine(t, vitro_get(t, m->gain), m->strength, 1));
    return 0;
}

/* What the host reads before it runs anything. VITRO_METHOD of vitro/sdk.h says it shorter. */
const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "template",
    .version = "0.1",
    .summary = "a gain per channel of each MLP's branch",
    .paper = "unpublished",
    .options = options,
    .self_size = sizeof(struct mine),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
