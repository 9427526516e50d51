/* PiSSA: LoRA of a layer's r largest singular values.  Meng et al. 2024.
 *     W = u diag(v) wT,  b0 = u sqrt(v / s),  a0 = sqrt(v / s) wT,  W x += s (b a - b0 a0) dropout(x)
 * a [r, in] and b [out, r] start as a0 and b0, which stay, so at first nothing changes: here s b0 a0 is taken
 * off the update, in the paper off W. Decomposed before the first step; until then all four are zero. */
#include <math.h>
#include <vitro/merge.h>
#include <vitro/trainer.h>

enum { A, B, A0, B0, FACTORS };
static const char *const names[FACTORS] = {"a", "b", "a0", "b0"};
static const char *const targets[] = {"qkv", "attention", "mlp", "all", NULL};
static const uint32_t layers[] = {VITRO_BIT(QKV), VITRO_ATTENTION_LAYERS, VITRO_MLP_LAYERS, VITRO_LAYERS};

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

static int declare(void *self, vitro_decl *d)
{
    struct pissa *p = self;
    for (int32_t s = -1; (s = vitro_next(layers[p->targets], s)) >= 0;) {
        const int32_t in = vitro_fan_in(d->model, s), out = vitro_width(d->model, s);
        const int32_t named = s == VITRO_AT_QKV ? -1 : s; /* a and b there, else a.SITE */
        for (int k = A; k < FACTORS; k++)
            p->factor[s][k] = VITRO_PARAM_AT(d, named, .name = names[k], .flags = k < A0 ? 0 : VITRO_FROZEN,
                                             .shape = k % 2 ? VITRO_SHAPE(out, p->r) : VITRO_SHAPE(p->r, in));
    }
    vitro_hook(d, layers[p->targets]);
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
    vitro_value a = both(p, t, site->kind, A), b = both(p, t, site->kind, B);
    vitro_value u = vitro_dropped_input(t, site, p->dropout), h = vitro_matmul_t(t, u, a);
    VITRO_SAVE(t, a, b, u, h);
    return vitro_add(t, x, vitro_scale(t, vitro_matmul_t(t, h, b), vitro_strength(p->alpha, p->r)));
}

/* g = s dy;  d(b, -b0) = gT h;  dh = g (b, -b0);  d(a; a0) = dhT u;  du = dh (a; a0); a0 and b0 stay */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    const struct pissa *p = self;
    vitro_value a = vitro_saved(t, 0), b = vitro_saved(t, 1), u = vitro_saved(t, 2), h = vitro_saved(t, 3);
    vitro_value g = vitro_scale(t, dy, vitro_strength(p->alpha, p->r)), dh = vitro_matmul(t, g, b);
    vitro_grad(t, p->factor[site->kind][B], t->op->slice(t, vitro_outer(t, g, h), 1, 0, p->r));
    vitro_grad(t, p->factor[site->kind][A], t->op->slice(t, vitro_outer(t, dh, u), 0, 0, p->r));
    vitro_dropped_input_back(t, site, vitro_matmul(t, dh, a));
    return dy;
}

/* W += s (b a - b0 a0) */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct pissa *p = self;
    for (int32_t s = -1; (s = vitro_next(vitro_sites_of(block, layers[p->targets]), s)) >= 0;) {
        vitro_value update = vitro_matmul(t, both(p, t, s, B), both(p, t, s, A));
        vitro_add_weight(t, s, vitro_scale(t, update, vitro_strength(p->alpha, p->r)));
    }
    return 0;
}

static int decompose(const struct pissa *p, vitro_trainer *t, int32_t site, int32_t block)
{
    const int32_t in = vitro_fan_in(t->model, site), out = vitro_width(t->model, site), r = p->r;
    float *x[FACTORS], *v = t->room(t, 0, (size_t)r);
    const float *w = t->weight(t, site, VITRO_WEIGHT, block);
    for (int k = A; k < FACTORS; k++)
        if (!(x[k] = t->edit(t, p->factor[site][k], block)))
            return -1;
    if (!w || !v || t->svd(t, w, out, in, r, x[B], v, x[A]) < 0)
        return -1;
    for (int32_t k = 0; k < r; k++) {
        const float root = sqrtf(v[k] / vitro_strength(p->alpha, p->r));
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
        for (int32_t s = -1; (s = vitro_next(layers[p->targets], s)) >= 0;)
            if (decompose(p, t, s, block) < 0)
                return -1;
    return 0;
}

VITRO_TRAINER(.begin = begin)

VITRO_METHOD(struct pissa, "pissa", "1.0", "arXiv:2404.02948",
             "low-rank update that starts at the largest singular values", .options = options, .merge = merge,
             .extension = extension);
