/* bad.c - deliberately bad plugins, one per BAD_<KIND>: the build makes a library of each. */
#include <vitro/sdk.h>

enum {
    WRONG_MAJOR,
    NEWER_MINOR,
    NO_SYMBOL,
    SHORT,
    OLD,
    NO_DECLARE,
    NO_ID,
    OTHER_NAME,
    BAD_ID,
    DEFAULT_OUTSIDE,
    OPTION_OUTSIDE,
    OPTION_TWICE,
    LONELY_BACKWARD,
    INIT_FAILS,
    INIT_SILENT,
    DECLARE_FAILS,
    EMPTY_PARAM,
    PARAM_TWICE,
    PARAM_UNNAMED,
    NO_FANS,
    BAD_BLOCKS,
    HOOK_ALONE,
    WRONG_SHAPE,
    HALF_WAY,
    FAILS_ALOUD,
    NOTHING,
    STALE,
    BAD_OPERAND,
    HUGE_SHAPE,
    BAD_PARAM,
    OTHER_BLOCK,
    LATER_SITE,
    KEEPS_TOKENS,
    TAKES_TOKENS,
    TAKES_MORE,
    KEYS_ALONE,
    TAKES_KEYS,
    FEWER_QUERIES,
    WRONG_GRADIENT,
    NO_GRADIENT,
    GRADIENT_OF_LATER,
    EMPTY_SLOT,
    BAD_SLOT,
    REDROPS,
    DROPS_BACKWARD,
    BACK_FORWARD,
    REPLACES_FORWARD,
    BAD_DROPOUT,
    BAD_PENALTY,
    MERGE_FAILS,
    MERGE_SHAPE,
    KIND = BAD
};

struct bad {
    int32_t count;
    vitro_param p, last;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct bad, count, KIND == DEFAULT_OUTSIDE ? 9 : 1, 0, 8, NULL, "how many"),
    {KIND == OPTION_TWICE ? "count" : "other", "an option", VITRO_INT,
     KIND == OPTION_OUTSIDE ? sizeof(struct bad) : 0, 1, 0, 8, NULL, NULL},
    VITRO_OPT_END,
};

static int init(void *self, const vitro_host *host)
{
    (void)self;
    if (KIND == INIT_FAILS)
        return host->fail(host, "the moon is in the wrong quarter");
    return KIND == INIT_SILENT ? -1 : 0;
}

static int declare(void *self, vitro_decl *d)
{
    struct bad *b = self;
    int32_t n = d->model->dim;
    if (KIND == DECLARE_FAILS)
        return d->host->fail(d->host, "dim must be a multiple of 1000");
    b->p = VITRO_PARAM(d, .name = KIND == PARAM_UNNAMED ? NULL : "p",
                       .shape = VITRO_SHAPE(KIND == EMPTY_PARAM ? 0 : n), .flags = VITRO_SHARED,
                       .init = KIND == NO_FANS ? VITRO_XAVIER : VITRO_ONES, .wise = VITRO_TO_ONE);
    b->last = VITRO_PARAM(d, .name = KIND == PARAM_TWICE ? "p" : "last", .shape = VITRO_SHAPE(n),
                          .blocks = {KIND == BAD_BLOCKS ? d->model->depth : d->model->depth - 1, 1});
    d->hook(d, VITRO_BIT(MLP_OUT), (vitro_blocks){0, 0});
    if (KIND == KEEPS_TOKENS || KIND == TAKES_MORE)
        d->hook(d, VITRO_BIT(BLOCK_IN), (vitro_blocks){0, 1});
    if (KIND == KEYS_ALONE || KIND == TAKES_KEYS)
        d->hook(d, VITRO_BIT(K), (vitro_blocks){0, 1});
    if (KIND == FEWER_QUERIES)
        d->hook(d, VITRO_BIT(Q), (vitro_blocks){0, 1});
    if (KIND == TAKES_TOKENS || KIND == TAKES_MORE)
        d->hook(d, VITRO_BIT(BLOCK_OUT), (vitro_blocks){0, 1});
    return 0;
}

static vitro_value other_tokens(vitro_trace *t, const vitro_site *site, vitro_value x)
{
    if (site->kind == VITRO_AT_BLOCK_IN || KIND == KEYS_ALONE)
        return t->op->concat(t, t->op->slice(t, x, 1, 0, 2), x, 1);
    return t->op->slice(t, x, 1, 3, site->tokens);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct bad *b = self;
    const vitro_ops *op = t->op;
    vitro_value good = vitro_mul(t, x, vitro_get(t, b->p));
    if (site->kind != VITRO_AT_MLP_OUT)
        return other_tokens(t, site, x);
    switch (KIND) {
    case WRONG_SHAPE: return op->slice(t, x, 1, 0, 3);
    case HALF_WAY: return site->block ? op->fail(t, "block 1 is too much") : good;
    case FAILS_ALOUD: t->host->fail(t->host, "cannot go on"); return good;
    case NOTHING: return 0;
    case STALE: return 123456;
    case BAD_OPERAND: return vitro_add(t, x, 4000000000u);
    case HUGE_SHAPE: return op->expand(t, x, VITRO_SHAPE(2147483647, 2147483647, 2147483647, 2));
    case BAD_PARAM: return vitro_mul(t, x, vitro_get(t, 77));
    case OTHER_BLOCK: return vitro_mul(t, x, vitro_get(t, b->last));
    case LATER_SITE: return vitro_add(t, x, vitro_at(t, VITRO_AT_BLOCK_OUT));
    case BAD_SLOT: op->save(t, 16, x); return good;
    case EMPTY_SLOT: return op->saved(t, 0);
    case BACK_FORWARD: op->grad(t, x, x); return good;
    case REPLACES_FORWARD: op->replace(t, VITRO_AT_FC2, VITRO_WEIGHT, x); return good;
    case BAD_DROPOUT: return op->dropout(t, x, 1.5f, 0);
    default: return good;
    }
}

static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    (void)self, (void)site;
    switch (KIND) {
    case WRONG_GRADIENT: return t->op->slice(t, dy, 1, 0, 3);
    case NO_GRADIENT: return 0;
    case GRADIENT_OF_LATER: t->op->grad(t, dy, dy); return dy;
    case REDROPS: return t->op->redrop(t, 0, dy);
    case DROPS_BACKWARD: return t->op->dropout(t, dy, 0.5f, 0);
    default: return dy;
    }
}

static vitro_value penalty(void *self, vitro_trace *t, int32_t block)
{
    return block < 0 ? vitro_get(t, ((struct bad *)self)->p) : 0;
}

static int merge(void *self, vitro_trace *t, int32_t block)
{
    if (KIND == MERGE_SHAPE)
        t->op->replace(t, VITRO_AT_NORM, VITRO_WEIGHT, t->op->weight(t, VITRO_AT_HEAD, VITRO_WEIGHT));
    (void)self, (void)block;
    return KIND == MERGE_FAILS ? -1 : 0;
}

const vitro_plugin_info vitro_plugin = {
    .abi = KIND == WRONG_MAJOR   ? 7u << 16
           : KIND == NEWER_MINOR ? VITRO_ABI_MAJOR << 16 | 9
                                 : VITRO_ABI_MAJOR << 16,
    .size = KIND == SHORT ? 48
            : KIND == OLD ? offsetof(vitro_plugin_info, penalty)
                          : sizeof(vitro_plugin_info),
    .option_size = sizeof(vitro_option),
    .id = KIND == NO_ID        ? NULL
          : KIND == OTHER_NAME ? "somebody_else"
          : KIND == BAD_ID     ? "Bad Id"
                               : NAME,
    .version = "0.1",
    .options = options,
    .self_size = sizeof(struct bad),
    .init = init,
    .declare = KIND == NO_DECLARE ? NULL : declare,
    .forward = KIND == HOOK_ALONE || KIND == LONELY_BACKWARD ? NULL : forward,
    .backward = KIND == HOOK_ALONE ? NULL : backward,
    .penalty = KIND == BAD_PENALTY || KIND == OLD ? penalty : NULL,
    .merge = merge,
};
