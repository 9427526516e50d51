/* Visual prompt tuning: learned tokens in front of the sequence.  Jia et al. 2022.
 *     deep         new prompts before every block, taken off after it
 *     shallow      prompts before the first block travel through all of them (the original's)
 *     first_block  prompts before the first block, taken off after it (the other published reading) */
#include <vitro/tokens.h>

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

static int declare(void *self, vitro_decl *d)
{
    struct vpt *v = self;
    const vitro_blocks in = {0, v->mode == DEEP ? 0 : 1}, last = {d->model->depth - 1, 1};
    v->prompt = vitro_tokens_declare(d, "prompt", v->prompts, in);
    d->hook(d, VITRO_BIT(BLOCK_IN), in);
    d->hook(d, VITRO_BIT(BLOCK_OUT), v->mode == SHALLOW ? last : in);
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
        return vitro_tokens_off(t, x, 0, v->prompts);
    return vitro_tokens_on(t, x, v->prompt, v->dropout);
}

/* Off again: zeros for the rows cut off. On: the prompts' rows summed over the batch, the rest to x. */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct vpt *v = self;
    if (site->kind == VITRO_AT_BLOCK_OUT)
        return vitro_tokens_off_back(t, dy, 0, v->prompts);
    return vitro_tokens_on_back(t, dy, v->prompt);
}

VITRO_METHOD(struct vpt, "vpt", "1.0", "arXiv:2203.12119", "learned tokens in front of the sequence",
             .options = options);
