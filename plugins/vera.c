/* VeRA: qkv += b ((d (u a0T)) b0T), u = dropout(norm1).  Kopiczko et al. 2024.
 * a0 [r, dim] and b0 [3 dim, r] are random, frozen and one for all blocks; what trains is two vectors a
 * block: d [r], which starts at 0.1, and b [3 dim], which starts at zero, so at first nothing changes. */
#include <vitro/sdk.h>

struct vera {
    int32_t r;
    float dropout;
    vitro_param a0, b0, d, b;
};

static const vitro_option options[] = {
    VITRO_OPT_INT(struct vera, r, 256, 1, 4096, "64 256 1024", "rank: width of the random update"),
    VITRO_OPT_FLOAT(struct vera, dropout, 0, 0, 0.99, NULL, "dropout of the update's input"),
    VITRO_OPT_END,
};

/* Uniform within sqrt(6 / fan_in), He's bound, as the authors draw them. */
static int declare(void *self, vitro_decl *d)
{
    struct vera *v = self;
    int32_t dim = d->model->dim;
    v->a0 = VITRO_PARAM(d, .name = "a0", .shape = VITRO_SHAPE(v->r, dim), .init = VITRO_XAVIER,
                        .init_arg = (float)dim, .flags = VITRO_SHARED | VITRO_FROZEN);
    v->b0 = VITRO_PARAM(d, .name = "b0", .shape = VITRO_SHAPE(3 * dim, v->r), .init = VITRO_XAVIER,
                        .init_arg = (float)v->r, .flags = VITRO_SHARED | VITRO_FROZEN);
    /* a constant: the deviation is lost in a float */
    v->d = VITRO_PARAM(d, .name = "d", .shape = VITRO_SHAPE(v->r), .init = VITRO_NORMAL, .init_mean = 0.1f,
                       .init_arg = 1e-20f);
    v->b = VITRO_PARAM(d, .name = "b", .shape = VITRO_SHAPE(3 * dim), .wise = VITRO_TO_ZERO);
    d->hook(d, VITRO_BIT(QKV), (vitro_blocks){0, 0});
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    return (int64_t)m->depth * (3 * m->dim + ((const struct vera *)self)->r);
}

/* b0 or a0, each row times an entry of b or d: less work than scaling what they give */
static vitro_value scaled_rows(vitro_trace *t, vitro_param matrix, vitro_param by)
{
    vitro_value k = vitro_get(t, by);
    k = t->op->reshape(t, k, VITRO_SHAPE(t->op->shape(t, k).dim[0], 1));
    return vitro_mul(t, vitro_get(t, matrix), k);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct vera *v = self;
    (void)site;
    vitro_value u = vitro_dropout(t, vitro_at(t, VITRO_AT_NORM1), v->dropout),
                k = vitro_linear(t, u, v->a0, 0);
    vitro_value z = t->op->matmul(t, k, vitro_mul(t, vitro_get(t, v->b0), vitro_get(t, v->d)), 0, 1);
    t->op->save(t, 0, k);
    t->op->save(t, 1, z);
    return vitro_add(t, x, vitro_mul(t, z, vitro_get(t, v->b)));
}

/* k = u a0T, z = k (b0 d)T:  db = sum dy z;  dh = dy (b b0);  dd = sum dh k;
 * dnorm1 = the mask of u on dh (d a0) */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct vera *v = self;
    (void)site;
    t->op->grad(t, vitro_get(t, v->b), vitro_sum_rows(t, vitro_mul(t, dy, t->op->saved(t, 1))));
    vitro_value dh = vitro_matmul(t, dy, scaled_rows(t, v->b0, v->b));
    t->op->grad(t, vitro_get(t, v->d), vitro_sum_rows(t, vitro_mul(t, dh, t->op->saved(t, 0))));
    vitro_value du = vitro_matmul(t, dh, scaled_rows(t, v->a0, v->d));
    t->op->grad(t, vitro_at(t, VITRO_AT_NORM1), t->op->redrop(t, 0, du));
    return dy;
}

/* W += (b b0) (d a0) */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct vera *v = self;
    if (block < 0)
        return 0;
    vitro_value update = vitro_matmul(t, scaled_rows(t, v->b0, v->b), scaled_rows(t, v->a0, v->d));
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT);
    t->op->replace(t, VITRO_AT_QKV, VITRO_WEIGHT, vitro_add(t, w, update));
    return 0;
}

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "vera",
    .version = "1.0",
    .summary = "a random frozen update of q, k, v, shared by all blocks, with two trained vectors a block",
    .paper = "arXiv:2310.11454",
    .options = options,
    .self_size = sizeof(struct vera),
    .declare = declare,
    .param_count = param_count,
    .forward = forward,
    .backward = backward,
    .merge = merge,
};
