/* Visual prompt tuning: learned tokens in front of the sequence.  Jia et al. 2022.
 *     deep         new prompts before every block, taken off after it
 *     shallow      prompts before the first block travel through all of them (the original's)
 *     first_block  prompts before the first block, taken off after it (the other published reading) */
#include <vitro/sdk.h>

enum { DEEP, SHALLOW, FIRST_BLOCK };
static const char *const modes[] = {"deep", "shallow", "first_block", NULL};

struct vpt {
    int32_t prompts, mode;
    float dropout;
    vitro_param prompt;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct vpt, prompts, 10, 1, 1000, "5 10 50 100", "learned tokens per prompted block"),
    VITRO_OPT_ENUM(struct vpt, mode, DEEP, modes, NULL, "which blocks have prompts, and how far they travel"),
    VITRO_OPT_FLOAT(struct vpt, dropout, 0.1, 0, 0.99, NULL, "dropout of the prompts, one mask per batch"),
    VITRO_OPT_END,
};

/* Uniform within sqrt(6 / (3 patch^2 + dim)), Xavier's bound for the patch projection. */
static int declare(void *self, vitro_decl *d)
{
    struct vpt *v = self;
    const vitro_model *m = d->model;
    vitro_blocks in = {0, v->mode == DEEP ? 0 : 1}, out = in;
    if (v->mode == SHALLOW)
        out.first = m->depth - 1;
    v->prompt = VITRO_PARAM(d, .name = "prompt", .shape = VITRO_SHAPE(v->prompts, m->dim), .blocks = in,
                            .init = VITRO_XAVIER, .init_arg = (float)(3 * m->patch * m->patch + m->dim));
    d->hook(d, VITRO_BIT(BLOCK_IN), in);
    d->hook(d, VITRO_BIT(BLOCK_OUT), out);
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct vpt *v = self;
    return (int64_t)(v->mode == DEEP ? m->depth : 1) * v->prompts * m->dim;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct vpt *v = self;
    if (site->kind == VITRO_AT_BLOCK_OUT)
        return t->op->slice(t, x, 1, v->prompts, site->tokens);
    vitro_shape front = t->op->shape(t, x);
    front.dim[1] = v->prompts;
    vitro_value prompt = vitro_dropout(t, vitro_get(t, v->prompt), v->dropout);
    return t->op->concat(t, t->op->expand(t, prompt, front), x, 1);
}

/* Off again: zeros for the rows cut off. On: the prompts' rows summed over the batch, the rest to x. */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct vpt *v = self;
    vitro_shape s = t->op->shape(t, dy), front = s;
    front.dim[1] = v->prompts;
    if (site->kind == VITRO_AT_BLOCK_OUT)
        return t->op->concat(t, t->op->fill(t, front, 0), dy, 1);
    vitro_value d = t->op->sum(t, t->op->slice(t, dy, 1, 0, v->prompts), 1u << 0);
    d = t->op->reshape(t, d, VITRO_SHAPE(v->prompts, s.dim[2]));
    t->op->grad(t, vitro_get(t, v->prompt), t->op->redrop(t, 0, d));
    return t->op->slice(t, dy, 1, v->prompts, s.dim[1]);
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "vpt",
    .version = "1.0",
    .summary = "learned tokens in front of the sequence",
    .paper = "arXiv:2203.12119",
    .options = options,
    .self_size = sizeof(struct vpt),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
};
