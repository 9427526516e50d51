/* LoRA: qkv += s (u aT) bT, u = dropout(norm1), s = alpha / r.  Hu et al. 2022.
 * a [r, dim] is shared by query, key and value; b [3 dim, r] starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

struct lora {
    int32_t r;
    float alpha, dropout;
    vitro_param a, b;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct lora, r, 8, 1, 1024, "1 8 16 32", "rank: width of the update"),
    VITRO_OPT_FLOAT(struct lora, alpha, 0, 0, 1e4, NULL,
                    "strength: the update is scaled by alpha / r; 0 stands for alpha = r"),
    VITRO_OPT_FLOAT(struct lora, dropout, 0.1, 0, 0.99, NULL, "dropout of the update's input"),
    VITRO_OPT_END,
};

static float strength(const struct lora *l)
{
    return l->alpha > 0 ? l->alpha / (float)l->r : 1;
}

static int declare(void *self, vitro_decl *d)
{
    struct lora *l = self;
    int32_t dim = d->model->dim;
    l->a = VITRO_PARAM(d, .name = "a", .shape = VITRO_SHAPE(l->r, dim), .init = VITRO_KAIMING);
    l->b = VITRO_PARAM(d, .name = "b", .shape = VITRO_SHAPE(3 * dim, l->r), .wise = VITRO_TO_ZERO);
    d->hook(d, VITRO_BIT(QKV), (vitro_blocks){0, 0});
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    return (int64_t)m->depth * ((const struct lora *)self)->r * 4 * m->dim;
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct lora *l = self;
    (void)site;
    vitro_value u = vitro_dropout(t, vitro_at(t, VITRO_AT_NORM1), l->dropout);
    vitro_value h = vitro_linear(t, u, l->a, 0);
    t->op->save(t, 0, u);
    t->op->save(t, 1, h);
    return vitro_add(t, x, vitro_scale(t, vitro_linear(t, h, l->b, 0), strength(l)));
}

/* g = s dy;  db = gT h;  dh = g b;  da = dhT u;  du = dh a;  dnorm1 = the mask of u on du */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct lora *l = self;
    (void)site;
    vitro_value g = vitro_scale(t, dy, strength(l));
    vitro_value dh = vitro_linear_back(t, t->op->saved(t, 1), g, l->b, 0);
    vitro_value du = vitro_linear_back(t, t->op->saved(t, 0), dh, l->a, 0);
    t->op->grad(t, vitro_at(t, VITRO_AT_NORM1), t->op->redrop(t, 0, du));
    return dy;
}

/* W += s b a */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct lora *l = self;
    if (block < 0)
        return 0;
    vitro_value ba = vitro_matmul(t, vitro_get(t, l->b), vitro_get(t, l->a));
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_add(t, w, vitro_scale(t, ba, strength(l))));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "lora",
    .version = "1.0",
    .summary = "low-rank update of the query, key and value projections",
    .paper = "arXiv:2106.09685",
    .options = options,
    .self_size = sizeof(struct lora),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
