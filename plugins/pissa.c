/* PiSSA: LoRA of a layer's r largest singular values.  Meng et al. 2024.
 *     W = u diag(v) wT,  b0 = u sqrt(v / s),  a0 = sqrt(v / s) wT,  W x += s (b a - b0 a0) dropout(x)
 * a [r, in] and b [out, r] start as a0 and b0, which stay, so at first nothing changes: here s b0 a0 is taken
 * off the update, in the paper off W. Decomposed before the first step; until then all four are zero. */
#include <math.h>
#include <vitro/sdk.h>
#include <vitro/trainer.h>

enum { A, B, A0, B0, FACTORS };
#define X(site, end) {VITRO_AT_##site, {"a" end, "b" end, "a0" end, "b0" end}},
static const struct layer {
    int32_t site;
    const char *name[FACTORS];
} layers[] = {X(QKV, "") X(PROJ, ".PROJ") X(FC1, ".FC1") X(FC2, ".FC2")};
#undef X

static const char *const targets[] = {"qkv", "attention", "mlp", "all", NULL};
static const int first[] = {0, 0, 2, 0}, end[] = {1, 2, 4, 4}; /* of layers, by target */

struct pissa {
    int32_t r, targets;
    float alpha, dropout;
    vitro_param factor[VITRO_SITE_COUNT][FACTORS];
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct pissa, r, 8, 1, 1024, "1 8 16 32", "rank: how many singular values learn"),
    VITRO_OPT_FLOAT(struct pissa, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for a scale of 1"),
    VITRO_OPT_FLOAT(struct pissa, dropout, 0, 0, 0.99, NULL, "dropout of the update's input"),
    VITRO_OPT_ENUM(struct pissa, targets, 0, targets, NULL,
                   "layers: qkv; qkv and proj; fc1 and fc2; all four"),
    VITRO_OPT_END,
};

static float strength(const struct pissa *p)
{
    return p->alpha > 0 ? p->alpha / (float)p->r : 1;
}

static int declare(void *self, vitro_decl *d)
{
    struct pissa *p = self;
    for (int i = first[p->targets]; i < end[p->targets]; i++) {
        const int32_t site = layers[i].site, in = vitro_width(d->model, vitro_input(site)),
                      out = vitro_width(d->model, site);
        for (int k = A; k < FACTORS; k++)
            p->factor[site][k] = VITRO_PARAM(d, .name = layers[i].name[k], .flags = k < A0 ? 0 : VITRO_FROZEN,
                                             .shape = k % 2 ? VITRO_SHAPE(out, p->r) : VITRO_SHAPE(p->r, in));
        d->hook(d, 1u << site, (vitro_blocks){0, 0});
    }
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    const struct pissa *p = self;
    const int64_t D = m->dim, F = m->hidden, widths[] = {4 * D, 6 * D, 2 * (D + F), 8 * D + 2 * F};
    return m->depth * p->r * widths[p->targets];
}

/* (a; a0) [2r, in] or (b, -b0) [out, 2r]: their product is b a - b0 a0 */
static vitro_value both(const struct pissa *p, vitro_trace *t, int32_t site, int k)
{
    vitro_value start = vitro_scale(t, vitro_get(t, p->factor[site][k + A0]), k == B ? -1 : 1);
    return t->op->concat(t, vitro_get(t, p->factor[site][k]), start, k);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct pissa *p = self;
    vitro_value u = vitro_dropout(t, vitro_at(t, vitro_input(site->kind)), p->dropout);
    vitro_value a = both(p, t, site->kind, A), b = both(p, t, site->kind, B),
                h = t->op->matmul(t, u, a, 0, 1);
    const vitro_value kept[] = {a, b, u, h};
    for (uint32_t i = 0; i < sizeof kept / sizeof *kept; i++)
        t->op->save(t, i, kept[i]);
    return vitro_add(t, x, vitro_scale(t, t->op->matmul(t, h, b, 0, 1), strength(p)));
}

/* g = s dy;  d(b, -b0) = gT h;  dh = g (b, -b0);  d(a; a0) = dhT u;  du = dh (a; a0); a0 and b0 stay */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    const struct pissa *p = self;
    vitro_value a = t->op->saved(t, 0), b = t->op->saved(t, 1), u = t->op->saved(t, 2);
    vitro_value g = vitro_scale(t, dy, strength(p)), dh = vitro_matmul(t, g, b);
    vitro_value d_b = t->op->matmul(t, vitro_rows(t, g), vitro_rows(t, t->op->saved(t, 3)), 1, 0);
    vitro_value d_a = t->op->matmul(t, vitro_rows(t, dh), vitro_rows(t, u), 1, 0);
    t->op->grad(t, vitro_get(t, p->factor[site->kind][B]), t->op->slice(t, d_b, 1, 0, p->r));
    t->op->grad(t, vitro_get(t, p->factor[site->kind][A]), t->op->slice(t, d_a, 0, 0, p->r));
    t->op->grad(t, vitro_at(t, vitro_input(site->kind)), t->op->redrop(t, 0, vitro_matmul(t, dh, a)));
    return dy;
}

/* W += s (b a - b0 a0) */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct pissa *p = self;
    for (int i = first[p->targets]; i < end[p->targets] && block >= 0; i++) {
        const int32_t s = layers[i].site;
        vitro_value update = vitro_matmul(t, both(p, t, s, B), both(p, t, s, A));
        vitro_value w = t->op->weight(t, s, VITRO_WEIGHT);
        t->op->replace(t, s, VITRO_WEIGHT, vitro_add(t, w, vitro_scale(t, update, strength(p))));
    }
    return 0;
}

static int decompose(const struct pissa *p, vitro_trainer *t, int32_t site, int32_t block)
{
    const int32_t in = vitro_width(t->model, vitro_input(site)), out = vitro_width(t->model, site), r = p->r;
    float *x[FACTORS], *v = t->room(t, 0, (size_t)r);
    const float *w = t->weight(t, site, VITRO_WEIGHT, block);
    for (int k = A; k < FACTORS; k++)
        if (!(x[k] = t->edit(t, p->factor[site][k], block)))
            return -1;
    if (!w || !v || t->svd(t, w, out, in, r, x[B], v, x[A]) < 0)
        return -1;
    for (int32_t k = 0; k < r; k++) {
        const float root = sqrtf(v[k] / strength(p));
        for (int32_t i = 0; i < in; i++)
            x[A0][k * in + i] = x[A][k * in + i] *= root;
        for (int32_t i = 0; i < out; i++)
            x[B0][i * r + k] = x[B][i * r + k] *= root;
    }
    return 0;
}

static int begin(void *self, vitro_trainer *t)
{
    struct pissa *p = self;
    for (int32_t block = 0; block < t->model->depth; block++)
        for (int i = first[p->targets]; i < end[p->targets]; i++)
            if (decompose(p, t, layers[i].site, block) < 0)
                return -1;
    return 0;
}

VITRO_TRAINER(.begin = begin)

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "pissa",
    .version = "1.0",
    .summary = "low-rank update that starts at the largest singular values",
    .paper = "arXiv:2404.02948",
    .options = options,
    .self_size = sizeof(struct pissa),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
    .extension = extension,
};
