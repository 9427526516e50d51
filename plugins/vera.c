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

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct vera *v = self;
    (void)site;
    vitro_value k = vitro_linear(t, vitro_dropout(t, vitro_at(t, VITRO_AT_NORM1), v->dropout), v->a0, 0);
    vitro_value z = vitro_linear(t, vitro_mul(t, k, vitro_get(t, v->d)), v->b0, 0);
    t->op->save(t, 0, k);
    t->op->save(t, 1, z);
    return vitro_add(t, x, vitro_mul(t, z, vitro_get(t, v->b)));
}

/* k = u a0T, z = (d k) b0T:  db = sum dy z;  dh = (b dy) b0;  dd = sum dh k;
 * dnorm1 = the mask of u on (d dh) a0 */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct vera *v = self;
    (void)site;
    vitro_value d = vitro_get(t, v->d), b = vitro_get(t, v->b);
    t->op->grad(t, b, vitro_sum_rows(t, vitro_mul(t, dy, t->op->saved(t, 1))));
    vitro_value dh = vitro_matmul(t, vitro_mul(t, dy, b), vitro_get(t, v->b0));
    t->op->grad(t, d, vitro_sum_rows(t, vitro_mul(t, dh, t->op->saved(t, 0))));
    vitro_value du = vitro_matmul(t, vitro_mul(t, dh, d), vitro_get(t, v->a0));
    t->op->grad(t, vitro_at(t, VITRO_AT_NORM1), t->op->redrop(t, 0, du));
    return dy;
}

/* W += diag(b) b0 diag(d) a0 */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct vera *v = self;
    if (block < 0)
        return 0;
    vitro_value left = vitro_mul(t, vitro_get(t, v->b0), vitro_get(t, v->d));
    vitro_value w = t->op->weight(t, VITRO_AT_QKV, VITRO_WEIGHT), b = vitro_get(t, v->b);
    b = t->op->reshape(t, b, VITRO_SHAPE(t->op->shape(t, w).dim[0], 1));
    vitro_value update = vitro_mul(t, vitro_matmul(t, left, vitro_get(t, v->a0)), b);
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
