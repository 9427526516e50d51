/* VeRA: qkv += b ((d (u a0T)) b0T), u = dropout(norm1).  Kopiczko et al. 2024.
 * a0 [r, dim] and b0 [3 dim, r] are random, frozen and one for all blocks; what trains is two vectors a
 * block: d [r], which starts at 0.1, and b [3 dim], which starts at zero, so at first nothing changes. */
#include <vitro/merge.h>

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

/* a0 and b0 as the authors draw them. */
static int declare(void *self, vitro_decl *d)
{
    struct vera *v = self;
    const int32_t dim = d->model->dim;
    const uint32_t fixed = VITRO_SHARED | VITRO_FROZEN;
    v->a0 = VITRO_PARAM(d, VITRO_MATRIX("a0", v->r, dim), VITRO_HE(dim), .flags = fixed);
    v->b0 = VITRO_PARAM(d, VITRO_MATRIX("b0", 3 * dim, v->r), VITRO_HE(v->r), .flags = fixed);
    v->d = VITRO_PARAM(d, VITRO_VECTOR("d", v->r), VITRO_CONSTANT(0.1f));
    v->b = VITRO_PARAM(d, VITRO_VECTOR("b", 3 * dim), .wise = VITRO_TO_ZERO);
    vitro_hook(d, VITRO_BIT(QKV));
    return 0;
}

static int64_t param_count(const void *self, const vitro_model *m)
{
    return (int64_t)m->depth * (3 * m->dim + ((const struct vera *)self)->r);
}

static vitro_value forward(void *self, vitro_trace *t, const vitro_site *site, vitro_value x)
{
    struct vera *v = self;
    vitro_value k = vitro_linear(t, vitro_dropped_input(t, site, v->dropout), v->a0, 0);
    vitro_value z = vitro_matmul_t(t, k, vitro_gain(t, vitro_get(t, v->b0), v->d));
    VITRO_SAVE(t, k, z);
    return vitro_add(t, x, vitro_gain(t, z, v->b));
}

/* k = u a0T, z = k (b0 d)T:  db = sum dy z;  dh = dy (b b0);  dd = sum dh k;
 * dnorm1 = the mask of u on dh (d a0) */
static vitro_value backward(void *self, vitro_trace *t, const vitro_site *site, vitro_value dy)
{
    struct vera *v = self;
    vitro_grad(t, v->b, vitro_sum_rows(t, vitro_mul(t, dy, vitro_saved(t, 1))));
    vitro_value dh = vitro_matmul(t, dy, vitro_scaled(t, v->b0, v->b));
    vitro_grad(t, v->d, vitro_sum_rows(t, vitro_mul(t, dh, vitro_saved(t, 0))));
    vitro_dropped_input_back(t, site, vitro_matmul(t, dh, vitro_scaled(t, v->a0, v->d)));
    return dy;
}

/* W += (b b0) (d a0) */
static int merge(void *self, vitro_trace *t, int32_t block)
{
    struct vera *v = self;
    if (block >= 0)
        vitro_add_weight(t, VITRO_AT_QKV,
                         vitro_matmul(t, vitro_scaled(t, v->b0, v->b), vitro_scaled(t, v->a0, v->d)));
    return 0;
}

VITRO_METHOD(struct vera, "vera", "1.0", "arXiv:2310.11454",
             "a random frozen update of q, k, v, shared by all blocks, with two trained vectors a block",
             .options = options, .merge = merge);
