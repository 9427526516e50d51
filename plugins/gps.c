/* GPS: in each row of a weight the k entries of largest gradient learn, and the biases.  Zhang et al. 2024.
 *     W' = W + D,  D_ij = sum_k value_ik [index_ik = j],  index from |sum over batches of dloss / dW|
 * The loss is the plain cross-entropy, over one pass of the training images before the first step. value
 * starts at zero, so at first nothing changes. Norms, positions and the patch projection's weight stay; the
 * paper picks in the latter too, but no site shows its input. */
#include <vitro/sdk.h>
#include <vitro/trainer.h>

static const int32_t layers[] = {VITRO_AT_QKV, VITRO_AT_PROJ, VITRO_AT_FC1, VITRO_AT_FC2};
static const char *const values[] = {"value.QKV", "value.PROJ", "value.FC1", "value.FC2"};
static const char *const indices[] = {"index.QKV", "index.PROJ", "index.FC1", "index.FC2"};
enum { LAYERS = sizeof layers / sizeof *layers };
static const uint32_t sites = VITRO_BIT(QKV) | VITRO_BIT(PROJ) | VITRO_BIT(FC1) | VITRO_BIT(FC2);

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
    for (int i = 0; i < LAYERS; i++) {
        const vitro_shape shape = {2, {vitro_width(d->model, layers[i]), g->k}};
        g->value[layers[i]] = VITRO_PARAM(d, .name = values[i], .shape = shape, .wise = VITRO_TO_ZERO);
        g->index[layers[i]] = VITRO_PARAM(d, .name = indices[i], .shape = shape, .flags = VITRO_FROZEN);
    }
    g->count = VITRO_PARAM(d, .name = "count", .shape = VITRO_SHAPE(dim + hidden), .init = VITRO_COUNT,
                           .flags = VITRO_SHARED | VITRO_FROZEN); /* 0 1 2 .. */
    d->hook(d, sites, (vitro_blocks){0, 0});
    d->unfreeze(d, sites | VITRO_BIT(EMBED), (vitro_blocks){0, 0}, VITRO_BIAS);
    return 0;
}

/* Rows and biases of the four layers, and the patch projection's bias. */
static int64_t param_count(const void *self, const vitro_model *m)
{
    const int64_t D = m->dim, F = m->hidden, k = ((const struct gps *)self)->k;
    return m->depth * (k + 1) * (5 * D + F) + D;
}

/* D [out, in], and `at` [out, k, in]: 1 at in = index of (out, k), else 0, which for whole numbers is
 * relu(1 - |index - in|) */
static vitro_value update(const struct gps *g, vitro_trace *t, int32_t site, vitro_value *at)
{
    const vitro_shape w = t->op->shape(t, t->op->weight(t, site, VITRO_WEIGHT)),
                      per_k = {3, {w.dim[0], g->k, 1}};
    vitro_value index = t->op->reshape(t, vitro_get(t, g->index[site]), per_k);
    vitro_value value = t->op->reshape(t, vitro_get(t, g->value[site]), per_k);
    vitro_value in = t->op->slice(t, vitro_get(t, g->count), 0, 0, w.dim[1]);
    vitro_value away = t->op->unary(t, vitro_add(t, index, vitro_scale(t, in, -1)), VITRO_ABS);
    *at = vitro_relu(t, t->op->affine(t, away, -1, 1));
    return t->op->reshape(t, t->op->sum(t, vitro_mul(t, value, *at), 1u << 1), w);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    vitro_value at, d = update(self, t, site->kind, &at);
    t->op->save(t, 0, at);
    t->op->save(t, 1, d);
    return vitro_add(t, x, t->op->matmul(t, vitro_at(t, vitro_input(site->kind)), d, 0, 1));
}

/* dD = dyT u;  dvalue = dD at index;  du = dy D */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    vitro_value u = vitro_at(t, vitro_input(site->kind));
    vitro_value value = vitro_get(t, ((struct gps *)self)->value[site->kind]);
    vitro_value d = t->op->matmul(t, vitro_rows(t, dy), vitro_rows(t, u), 1, 0);
    const vitro_shape w = t->op->shape(t, d);
    d = vitro_mul(t, t->op->reshape(t, d, VITRO_SHAPE(w.dim[0], 1, w.dim[1])), t->op->saved(t, 0));
    t->op->grad(t, value, t->op->reshape(t, t->op->sum(t, d, 1u << 2), t->op->shape(t, value)));
    t->op->grad(t, u, vitro_matmul(t, dy, t->op->saved(t, 1)));
    return dy;
}

/* W += D */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    for (int i = 0; i < LAYERS && block >= 0; i++) {
        vitro_value at, d = update(self, t, layers[i], &at);
        vitro_value w = t->op->weight(t, layers[i], VITRO_WEIGHT);
        t->op->replace(t, layers[i], VITRO_WEIGHT, vitro_add(t, w, d));
    }
    return 0;
}

static int plan(const void *self, vitro_scan *scan)
{
    (void)self; /* one pass: as many batches as there are */
    scan->sites = sites;
    scan->parts = VITRO_WEIGHT;
    return 0;
}

/* The k largest of a row in size, the first of equals, largest first; what is taken becomes -1. */
static void pick(float *row, int32_t n, float *index, int32_t k)
{
    for (int32_t j = 0; j < n; j++)
        row[j] = row[j] < 0 ? -row[j] : row[j];
    for (int32_t i = 0; i < k; i++) {
        int32_t best = 0;
        for (int32_t j = 1; j < n; j++)
            best = row[j] > row[best] ? j : best;
        index[i] = (float)best;
        row[best] = -1;
    }
}

/* Layer by layer: a scan adds up the gradients of one more batch, begin, at step 0, picks by their sum. */
static int look(void *self, vitro_trainer *t)
{
    const struct gps *g = self;
    for (int32_t i = 0; i < t->model->depth * LAYERS; i++) {
        const int32_t site = layers[i % LAYERS], block = i / LAYERS;
        const int32_t out = vitro_width(t->model, site), in = vitro_width(t->model, vitro_input(site));
        float *index = t->step ? NULL : t->edit(t, g->index[site], block);
        const float *d = t->step ? t->weight_gradient(t, site, VITRO_WEIGHT, block) : NULL;
        float *sum = t->room(t, (uint32_t)i, (size_t)out * (size_t)in);
        if (!sum || (!d && !index))
            return -1;
        for (int32_t j = 0; d && j < out * in; j++)
            sum[j] += d[j];
        for (int32_t j = 0; index && j < out; j++)
            pick(sum + j * in, in, index + j * g->k, g->k);
    }
    return 0;
}

VITRO_TRAINER(.plan = plan, .scan = look, .begin = look)

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "gps",
    .version = "1.0",
    .summary = "the entries of the weights with the largest gradients, and biases",
    .paper = "arXiv:2312.10136",
    .options = options,
    .self_size = sizeof(struct gps),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
    .extension = extension,
};
