/* AdaLoRA: LoRA in the form of singular values; blocks share the ranks out.  Zhang et al. 2023.
 *     qkv += b (v (a u)),  u = dropout(norm1),  v = s kept e,  s = alpha / (r + 1e-5)
 *     loss += orthogonality times the mean over a and b of |a aT - I| and |bT b - I|
 * e starts at zero, so at first nothing changes. From the end of the warm-up on, the least important of all
 * blocks' entries of e become 0, ever more of them, until target_r a block are left (vitro/trainer.h). As HF
 * peft, whose deltaT is `every`; but here gradients are looked at only then, too. */
#include <vitro/merge.h>
#include <vitro/trainer.h>

struct adalora {
    int32_t r, target_r, every;
    float alpha, dropout, orthogonality, warmup, settle;
    struct vitro_ranks k; /* the parameters: a, b, e, and kept, 0 for what is gone for good */
    vitro_param eye;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct adalora, r, 12, 1, 1024, NULL, "rank at first"),
    VITRO_OPT_INT(struct adalora, target_r, 8, 1, 1024, "1 8 16 32", "mean rank in the end"),
    VITRO_OPT_FLOAT(struct adalora, alpha, 0, 0, 1e4, NULL, "strength, divided by r; 0 stands for r"),
    VITRO_OPT_FLOAT(struct adalora, dropout, 0.1, 0, 0.99, NULL, "dropout of the update's input"),
    VITRO_OPT_FLOAT(struct adalora, orthogonality, 0.5, 0, 1e3, NULL, "weight of the penalty"),
    VITRO_OPT_FLOAT(struct adalora, warmup, 0.1, 0, 1, NULL, "share of the training before ranks fall"),
    VITRO_OPT_FLOAT(struct adalora, settle, 0.3, 0, 0.99, NULL, "share of the training after they fell"),
    VITRO_OPT_INT(struct adalora, every, 1, 1, 1000000, NULL, "steps from look to look"),
    VITRO_OPT_END,
};

static int declare(void *self, vitro_decl *d)
{
    struct adalora *l = self;
    l->k = (struct vitro_ranks){.r = l->r, .target_r = l->target_r, .every = l->every, .beta = 0.85f};
    l->k.warmup = l->warmup;
    l->k.settle = l->settle;
    if (vitro_ranks_declare(&l->k, d, VITRO_AT_QKV, 0.02f) < 0)
        return -1;
    l->eye = VITRO_PARAM(d, VITRO_MATRIX("eye", l->r, l->r), .init = VITRO_EYE,
                         .flags = VITRO_FROZEN | VITRO_SHARED);
    vitro_hook(d, VITRO_BIT(QKV));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    return (int64_t)m->depth * ((const struct adalora *)self)->r * (4 * m->dim + 1);
}

/* s kept [r] */
static vitro_value scale(const struct adalora *l, vitro_trace *t)
{
    return vitro_scale(t, vitro_get(t, l->k.kept),
                       (l->alpha > 0 ? l->alpha : (float)l->r) / ((float)l->r + 1e-5f));
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct adalora *l = self;
    vitro_value u = vitro_dropped_input(t, site, l->dropout), z = vitro_linear(t, u, l->k.a, 0);
    vitro_value s = scale(l, t), v = vitro_gain(t, s, l->k.e), h = vitro_mul(t, z, v);
    VITRO_SAVE(t, u, s, z, v, h);
    return vitro_add(t, x, vitro_linear(t, h, l->k.b, 0));
}

/* db = dyT h;  dh = dy b;  de = s kept sum dh z;  dz = dh v;  da = dzT u;  dnorm1 = the mask of u on dz a */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct adalora *l = self;
    vitro_value u = vitro_saved(t, 0), s = vitro_saved(t, 1), z = vitro_saved(t, 2), v = vitro_saved(t, 3);
    vitro_value dh = vitro_linear_back(t, vitro_saved(t, 4), dy, l->k.b, 0);
    vitro_grad(t, l->k.e, vitro_mul(t, vitro_sum_rows(t, vitro_mul(t, dh, z)), s));
    vitro_dropped_input_back(t, site, vitro_linear_back(t, u, vitro_mul(t, dh, v), l->k.a, 0));
    return dy;
}

/* Frobenius norms; 1e-12 keeps the root's slope finite */
static vitro_value penalty(void *self, vitro_trace *t, int32_t block)
{
    struct adalora *l = self;
    if (block < 0)
        return 0;
    vitro_value sum = 0, x[] = {vitro_get(t, l->k.a), vitro_get(t, l->k.b)};
    for (int i = 0; i < 2; i++) {
        vitro_value off = vitro_sub(t, t->op->matmul(t, x[i], x[i], i, !i), vitro_get(t, l->eye));
        off = t->op->affine(t, t->op->sum(t, vitro_mul(t, off, off), 1 | 2), 1, 1e-12f);
        off = vitro_scale(t, t->op->unary(t, off, VITRO_SQRT), l->orthogonality / (2 * (float)l->k.depth));
        sum = sum ? vitro_add(t, sum, off) : off;
    }
    return sum;
}

/* W += b v a */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct adalora *l = self;
    if (block < 0)
        return 0;
    vitro_value bv = vitro_mul(t, vitro_get(t, l->k.b), vitro_gain(t, scale(l, t), l->k.e));
    vitro_add_weight(t, VITRO_AT_QKV, vitro_matmul(t, bv, vitro_get(t, l->k.a)));
    return 0;
}

static uint32_t next(const void *self, uint32_t step, uint32_t steps)
{
    return vitro_ranks_next(&((const struct adalora *)self)->k, step, steps);
}

static int step(void *self, vitro_trainer *t)
{
    return vitro_ranks_step(&((struct adalora *)self)->k, t);
}

VITRO_TRAINER(.next = next, .step = step)

VITRO_METHOD(struct adalora, "adalora", "1.0", "arXiv:2303.10512",
             "low-rank update whose rank is shared out between blocks", .options = options,
             .penalty = penalty, .merge = merge, .extension = extension);
