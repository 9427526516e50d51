/* Visual query tuning: learned tokens before each block that ask but are not asked, so that the others never
 * hear of them; what they bring back are features.  Tu, Mai and Chao 2023.
 *     n tokens on at BLOCK_IN, off the keys and values, off at BLOCK_OUT, where o, their rows of the block's
 *     output, go into f += combine unit(o);  at NORM, in the class token's row,  f + combine_class unit(c)
 * unit(x) = x / |x|, row by row. combine and combine_class are one linear map of the n L + 1 features, without
 * a bias and of ones at first. */
#include <vitro/tokens.h>

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

static int declare(void *self, vitro_decl *d)
{
    struct vqt *v = self;
    const vitro_start start = {v->init == PAPER ? VITRO_ONES : VITRO_NORMAL, 0.02f};
    v->query = vitro_tokens_declare(d, "prompt", v->queries, (vitro_blocks){0, 0});
    v->combine = VITRO_PARAM(d, VITRO_MATRIX("combine", 1, v->queries), VITRO_START(start));
    v->combine_class =
        VITRO_PARAM(d, VITRO_MATRIX("combine_class", 1, 1), VITRO_START(start), .flags = VITRO_SHARED);
    vitro_hook(d, VITRO_BIT(BLOCK_IN) | VITRO_BIT(K) | VITRO_BIT(V) | VITRO_BIT(BLOCK_OUT) | VITRO_BIT(NORM));
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

static void collect(struct vqt *v, vitro_trace *t, int32_t block, vitro_value x)
{
    vitro_value o = t->op->slice(t, x, 1, 0, v->queries);
    vitro_value f = vitro_matmul(t, vitro_get(t, v->combine), vitro_mul(t, o, inverse_norm(t, o)));
    v->features = block == 0 ? f : vitro_add(t, v->features, f);
}

static vitro_value answer(struct vqt *v, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    vitro_value c = t->op->slice(t, x, 1, 0, 1), r = inverse_norm(t, c), unit = vitro_mul(t, c, r);
    VITRO_SAVE(t, v->features, unit, r);
    vitro_value y = vitro_add(t, v->features, vitro_mul(t, unit, vitro_get(t, v->combine_class)));
    return t->op->concat(t, y, t->op->slice(t, x, 1, 1, site->tokens), 1);
}

/* Tokens that others put on later are in front of the queries. */
static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct vqt *v = self;
    if (site->kind == VITRO_AT_NORM)
        return answer(v, t, site, x);
    if (site->kind == VITRO_AT_BLOCK_IN) {
        v->behind = site->tokens;
        return vitro_tokens_on(t, x, v->query, v->dropout);
    }
    if (site->kind == VITRO_AT_BLOCK_OUT)
        collect(v, t, site->block, x);
    const int32_t front = site->tokens - v->behind - v->queries;
    VITRO_SAVE(t, t->op->slice(t, x, 1, front + v->queries, site->tokens));
    return vitro_tokens_off(t, x, front, v->queries);
}

/* With u = unit(c) and d the class token's gradient:  df = d, dcombine_class = sum d u,
 * dc = (g - u (u g)) / |c|, g = combine_class d. The others have none: nothing else is read of them. */
static vitro_value answer_back(struct vqt *v, vitro_trace *t, vitro_value dy)
{
    vitro_value d = t->op->slice(t, dy, 1, 0, 1), unit = vitro_saved(t, 1);
    vitro_value w = vitro_get(t, v->combine_class), g = vitro_mul(t, d, w);
    vitro_value along = t->op->sum(t, vitro_mul(t, unit, g), 1u << 2);
    vitro_value across = vitro_sub(t, g, vitro_mul(t, unit, along));
    t->op->grad(t, vitro_saved(t, 0), d);
    t->op->grad(t, w, vitro_like(t, t->op->sum(t, vitro_mul(t, d, unit), ~0u), w));
    vitro_value rest = t->op->slice(t, dy, 1, 1, t->op->shape(t, dy).dim[1]);
    return t->op->concat(t, vitro_mul(t, across, vitro_saved(t, 2)), rest, 1);
}

/* On: the queries' rows summed over the batch, the rest to x. Off: zeros for the rows cut out. */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct vqt *v = self;
    if (site->kind == VITRO_AT_NORM)
        return answer_back(v, t, dy);
    if (site->kind == VITRO_AT_BLOCK_IN)
        return vitro_tokens_on_back(t, dy, v->query);
    const int32_t behind = t->op->shape(t, vitro_saved(t, 0)).dim[1];
    return vitro_tokens_off_back(t, dy, t->op->shape(t, dy).dim[1] - behind, v->queries);
}

VITRO_METHOD(struct vqt, "vqt", "1.0", "arXiv:2212.03220",
             "learned queries whose answers in every block are features", .options = options);
