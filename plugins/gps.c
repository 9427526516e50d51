/* GPS: in each row of a weight the k entries of largest gradient learn, and the biases.  Zhang et al. 2024.
 *     W' = W + D,  D_ij = sum_k value_ik [index_ik = j],  index from |sum over batches of dloss / dW|
 * The loss is the plain cross-entropy, over one pass of the training images before the first step. value
 * starts at zero, so at first nothing changes. Norms, positions and the patch projection's weight stay; the
 * paper picks in the latter too, but no site shows its input. */
#define VITRO_ABI_MINOR 1 /* whether the patch projection has a bias */
#include <vitro/merge.h>
#include <vitro/trainer.h>

struct gps {
    int32_t k;
    vitro_param value[VITRO_SITE_COUNT], index[VITRO_SITE_COUNT], count;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct gps, k, 1, 1, 64, "1 2 5", "entries of each row that learn"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct gps *g = self;
    const int32_t dim = d->model->dim, hidden = d->model->hidden;
    if (g->k > dim || g->k > hidden)
        return d->host->fail(d->host, "option k is larger than the model's width, which is all a row has");
    for (int32_t s = -1; (s = vitro_next(VITRO_LAYERS, s)) >= 0;) {
        const int32_t out = vitro_width(d->model, s);
        g->value[s] = VITRO_PARAM_AT(d, s, VITRO_MATRIX("value", out, g->k), .wise = VITRO_TO_ZERO);
        g->index[s] = VITRO_PARAM_AT(d, s, VITRO_MATRIX("index", out, g->k), .flags = VITRO_FROZEN);
    }
    g->count = VITRO_PARAM(d, VITRO_VECTOR("count", dim + hidden), .init = VITRO_COUNT,
                           .flags = VITRO_SHARED | VITRO_FROZEN); /* 0 1 2 .. */
    vitro_hook(d, VITRO_LAYERS);
    d->unfreeze(d, VITRO_LAYERS | VITRO_BIT(EMBED), (vitro_blocks){0, 0}, VITRO_BIAS);
    return 0;
}

/* Rows and biases of the four layers, and the patch projection's bias where it has one. */
static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t D = m->dim, F = m->hidden, k = ((const struct gps *)self)->k;
    return m->depth * (k + 1) * (5 * D + F) + (m->biases & VITRO_BIT(EMBED) ? D : 0);
}

/* D [out, in], and `at` [out, k, in]: 1 at in = index of (out, k), else 0 */
static vitro_value update(const struct gps *g, vitro_trace *t, int32_t site, vitro_value *at)
{
    vitro_value w = t->op->weight(t, site, VITRO_WEIGHT);
    vitro_value index = vitro_unsqueeze(t, vitro_get(t, g->index[site]), 2);
    vitro_value value = vitro_unsqueeze(t, vitro_get(t, g->value[site]), 2);
    vitro_value in = t->op->slice(t, vitro_get(t, g->count), 0, 0, t->op->shape(t, w).dim[1]);
    *at = vitro_equal(t, index, in);
    return vitro_like(t, t->op->sum(t, vitro_mul(t, value, *at), 1u << 1), w);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    vitro_value at, d = update(self, t, site->kind, &at);
    VITRO_SAVE(t, at, d);
    return vitro_add(t, x, vitro_matmul_t(t, vitro_at(t, vitro_input(site->kind)), d));
}

/* dD = dyT u;  dvalue = dD at index;  du = dy D */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    vitro_value u = vitro_at(t, vitro_input(site->kind)), at = vitro_saved(t, 0), D = vitro_saved(t, 1);
    vitro_value value = vitro_get(t, ((struct gps *)self)->value[site->kind]);
    vitro_value picked = vitro_mul(t, vitro_unsqueeze(t, vitro_outer(t, dy, u), 1), at);
    t->op->grad(t, value, vitro_like(t, t->op->sum(t, picked, 1u << 2), value));
    t->op->grad(t, u, vitro_matmul(t, dy, D));
    return dy;
}

/* W += D */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    vitro_value at;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, VITRO_LAYERS), s)) >= 0;)
        vitro_add_weight(t, s, update(self, t, s, &at));
    return 0;
}

static int plan(const void *self, vitro_scan *scanned)
{
    (void)self; /* one pass: as many batches as there are */
    scanned->sites = VITRO_LAYERS;
    scanned->parts = VITRO_WEIGHT;
    return 0;
}

static int scan(void *self, vitro_trainer *t)
{
    (void)self;
    for (int32_t block = 0; block < t->model->depth; block++)
        for (int32_t s = -1; (s = vitro_next(VITRO_LAYERS, s)) >= 0;)
            if (!vitro_gradient_sum(t, s, block))
                return -1;
    return 0;
}

/* Of each row of a layer the k largest of the sums. */
static int pick(const struct gps *g, vitro_trainer *t, int32_t site, int32_t block)
{
    const int32_t out = vitro_width(t->model, site), in = vitro_fan_in(t->model, site);
    float *sum = vitro_gradient_sum(t, site, block), *index = t->edit(t, g->index[site], block);
    for (int32_t i = 0; sum && index && i < out; i++)
        vitro_largest(sum + i * in, in, index + i * g->k, g->k);
    return sum && index ? 0 : -1;
}

static int begin(void *self, vitro_trainer *t)
{
    for (int32_t block = 0; block < t->model->depth; block++)
        for (int32_t s = -1; (s = vitro_next(VITRO_LAYERS, s)) >= 0;)
            if (pick(self, t, s, block) < 0)
                return -1;
    return 0;
}

VITRO_TRAINER(.plan = plan, .scan = scan, .begin = begin)

VITRO_METHOD(struct gps, "gps", "1.0", "arXiv:2312.10136",
             "the entries of the weights with the largest gradients, and biases", .options = options,
             .merge = merge, .extension = extension);
