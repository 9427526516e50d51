/* Visual query tuning: learned tokens before each block that ask but are not asked, so that the others never
 * hear of them; what they bring back are features.  Tu, Mai and Chao 2023.
 *     n tokens on at BLOCK_IN, off the keys and values, off at BLOCK_OUT, where o, their rows of the block's
 *     output, go into f += combine unit(o);  at NORM, in the class token's row,  f + combine_class unit(c)
 * unit(x) = x / |x|, row by row. combine and combine_class are one linear map of the n L + 1 features, without
 * a bias and of ones at first. */
#include <vitro/sdk.h>

enum { PAPER, OSU_RELEASE };
static const char *const inits[] = {"paper", "osu_release", NULL};

struct vqt {
    int32_t queries, init;
    float dropout;
    vitro_param query, combine, combine_class;
    vitro_value features; /* of the trace that runs: f so far, */
    int32_t behind;       /* and this block's tokens behind the queries */
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct vqt, queries, 10, 1, 1000, "1 10 20", "learned queries per block"),
    VITRO_OPT_FLOAT(struct vqt, dropout, 0.1, 0, 0.99, NULL, "dropout of the queries, one mask per batch"),
    VITRO_OPT_ENUM(struct vqt, init, PAPER, inits, NULL,
                   "start of the map that combines the features; osu_release: N(0, 0.02^2)"),
    VITRO_OPT_END,
};

/* Queries uniform within sqrt(6 / (3 patch^2 + dim)), as the prompts of prompt tuning. */
static int declare(void *self, vitro_decl *d)
{
    struct vqt *v = self;
    const vitro_model *m = d->model;
    uint32_t init = v->init == PAPER ? VITRO_ONES : VITRO_NORMAL;
    v->query = VITRO_PARAM(d, .name = "prompt", .shape = VITRO_SHAPE(v->queries, m->dim),
                           .init = VITRO_XAVIER, .init_arg = (float)(3 * m->patch * m->patch + m->dim));
    v->combine = VITRO_PARAM(d, .name = "combine", .shape = VITRO_SHAPE(1, v->queries), .init = init,
                             .init_arg = 0.02f);
    v->combine_class = VITRO_PARAM(d, .name = "combine_class", .shape = VITRO_SHAPE(1, 1), .init = init,
                                   .init_arg = 0.02f, .flags = VITRO_SHARED);
    d->hook(d, VITRO_BIT(BLOCK_IN) | VITRO_BIT(K) | VITRO_BIT(V) | VITRO_BIT(BLOCK_OUT) | VITRO_BIT(NORM),
            (vitro_blocks){0, 0});
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t n = ((const struct vqt *)self)->queries;
    return m->depth * n * m->dim + n * m->depth + 1;
}

/* 1 / |x| of each row */
static vitro_value inverse_norm(vitro_trace *t, vitro_value x)
{
    vitro_value square = t->op->sum(t, vitro_mul(t, x, x), 1u << 2);
    return t->op->unary(t, t->op->unary(t, t->op->affine(t, square, 1, 1e-24f), VITRO_SQRT), VITRO_RECIP);
}

static vitro_value add_queries(struct vqt *v, vitro_trace *t, vitro_value x)
{
    vitro_shape front = t->op->shape(t, x);
    v->behind = front.dim[1];
    front.dim[1] = v->queries;
    vitro_value query = vitro_dropout(t, vitro_get(t, v->query), v->dropout);
    return t->op->concat(t, t->op->expand(t, query, front), x, 1);
}

/* Tokens that others put on later are in front. */
static vitro_value take_queries(struct vqt *v, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    int32_t front = site->tokens - v->behind - v->queries;
    vitro_value back = t->op->slice(t, x, 1, front + v->queries, site->tokens);
    t->op->save(t, 0, back);
    return front > 0 ? t->op->concat(t, t->op->slice(t, x, 1, 0, front), back, 1) : back;
}

static void collect(struct vqt *v, vitro_trace *t, int32_t block, vitro_value x)
{
    vitro_value o = t->op->slice(t, x, 1, 0, v->queries);
    vitro_value f = vitro_matmul(t, vitro_get(t, v->combine), vitro_mul(t, o, inverse_norm(t, o)));
    v->features = block == 0 ? f : vitro_add(t, v->features, f);
}

static vitro_value answer(struct vqt *v, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    vitro_value c = t->op->slice(t, x, 1, 0, 1), r = inverse_norm(t, c), unit = vitro_mul(t, c, r);
    t->op->save(t, 0, v->features);
    t->op->save(t, 1, unit);
    t->op->save(t, 2, r);
    vitro_value y = vitro_add(t, v->features, vitro_mul(t, unit, vitro_get(t, v->combine_class)));
    return t->op->concat(t, y, t->op->slice(t, x, 1, 1, site->tokens), 1);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct vqt *v = self;
    if (site->kind == VITRO_AT_NORM)
        return answer(v, t, site, x);
    if (site->kind == VITRO_AT_BLOCK_IN)
        return add_queries(v, t, x);
    if (site->kind == VITRO_AT_BLOCK_OUT)
        collect(v, t, site->block, x);
    return take_queries(v, t, site, x);
}

/* With u = unit(c) and d the class token's gradient:  df = d, dcombine_class = sum d u,
 * dc = (g - u (u g)) / |c|, g = combine_class d. The others have none: nothing else is read of them. */
static vitro_value answer_back(struct vqt *v, vitro_trace *t, vitro_value dy)
{
    const vitro_ops *op = t->op;
    vitro_value d = op->slice(t, dy, 1, 0, 1), unit = op->saved(t, 1), w = vitro_get(t, v->combine_class);
    vitro_value g = vitro_mul(t, d, w), along = op->sum(t, vitro_mul(t, unit, g), 1u << 2);
    vitro_value across = vitro_add(t, g, vitro_scale(t, vitro_mul(t, unit, along), -1));
    op->grad(t, op->saved(t, 0), d);
    op->grad(t, w, op->reshape(t, op->sum(t, vitro_mul(t, d, unit), ~0u), VITRO_SHAPE(1, 1)));
    vitro_value rest = op->slice(t, dy, 1, 1, op->shape(t, dy).dim[1]);
    return op->concat(t, vitro_mul(t, across, op->saved(t, 2)), rest, 1);
}

/* Zeros for the rows cut out. */
static vitro_value take_back(const struct vqt *v, vitro_trace *t, vitro_value dy)
{
    vitro_shape zeros = t->op->shape(t, dy);
    int32_t rows = zeros.dim[1], front = rows - t->op->shape(t, t->op->saved(t, 0)).dim[1];
    zeros.dim[1] = v->queries;
    vitro_value dx = t->op->concat(t, t->op->fill(t, zeros, 0), t->op->slice(t, dy, 1, front, rows), 1);
    return front > 0 ? t->op->concat(t, t->op->slice(t, dy, 1, 0, front), dx, 1) : dx;
}

/* On: the queries' rows summed over the batch, the rest to x. */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct vqt *v = self;
    vitro_shape s = t->op->shape(t, dy);
    if (site->kind == VITRO_AT_NORM)
        return answer_back(v, t, dy);
    if (site->kind != VITRO_AT_BLOCK_IN)
        return take_back(v, t, dy);
    vitro_value d = t->op->sum(t, t->op->slice(t, dy, 1, 0, v->queries), 1u << 0);
    d = t->op->reshape(t, d, VITRO_SHAPE(v->queries, s.dim[2]));
    t->op->grad(t, vitro_get(t, v->query), t->op->redrop(t, 0, d));
    return t->op->slice(t, dy, 1, v->queries, s.dim[1]);
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "vqt",
    .version = "1.0",
    .summary = "learned queries whose answers in every block are features",
    .paper = "arXiv:2212.03220",
    .options = options,
    .self_size = sizeof(struct vqt),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
};
