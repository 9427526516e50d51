/* adapter.h - the bottleneck that adapters put beside or behind a branch, with its derivative:
 *     h upT + s up_bias,  h = s dropout(relu(z)),  z = x downT + down_bias
 * of x [batch, tokens, dim]; down [r, dim], down_bias [r], up [dim, r], up_bias [dim]. For C and C++. */
#ifndef VITRO_ADAPTER_H
#define VITRO_ADAPTER_H
#include <vitro/sdk.h>

struct vitro_adapter {
    vitro_param down, down_bias, up, up_bias;
};
struct vitro_adapter_start {
    vitro_start down, up, biases;
};

/* Of one site, so called: down.SITE, down_bias.SITE, up.SITE, up_bias.SITE; with site -1 down and so on.
 * Without up and up_bias nothing is left of it, so WiSE leads them to zero. */
static inline struct vitro_adapter vitro_adapter_declare(vitro_decl *d, int32_t site, int32_t r,
                                                         const struct vitro_adapter_start *start)
{
    const uint32_t size = sizeof(vitro_param_info);
    const int32_t dim = d->model->dim;
    const vitro_blocks all = {0, 0};
    const vitro_start w = start->down, u = start->up, b = start->biases;
    const vitro_param_info info[] = {
        {size, "down", {2, {r, dim, 0, 0}}, all, w.init, VITRO_KEEP, 0, w.arg, 0, 0},
        {size, "down_bias", {1, {r, 0, 0, 0}}, all, b.init, VITRO_KEEP, 0, b.arg, 0, 0},
        {size, "up", {2, {dim, r, 0, 0}}, all, u.init, VITRO_TO_ZERO, 0, u.arg, 0, 0},
        {size, "up_bias", {1, {dim, 0, 0, 0}}, all, b.init, VITRO_TO_ZERO, 0, b.arg, 0, 0},
    };
    struct vitro_adapter a;
    a.down = vitro_param_at(d, site, &info[0]);
    a.down_bias = vitro_param_at(d, site, &info[1]);
    a.up = vitro_param_at(d, site, &info[2]);
    a.up_bias = vitro_param_at(d, site, &info[3]);
    return a;
}

/* The branch of x. Its dropout is the forward's first; x, z and h are kept in slots 0, 1 and 2. */
static inline vitro_value vitro_adapter_apply(vitro_trace *t, const struct vitro_adapter *a, vitro_value x,
                                              float dropout, float s)
{
    vitro_value z = vitro_linear(t, x, a->down, a->down_bias);
    vitro_value h = vitro_scale(t, vitro_dropout(t, vitro_relu(t, z), dropout), s);
    const vitro_value kept[] = {x, z, h};
    vitro_save(t, kept, 3);
    return vitro_add(t, vitro_linear(t, h, a->up, 0), vitro_scale(t, vitro_get(t, a->up_bias), s));
}

/* Its derivative, with dy that of the branch:
 *     dup += dyT h,  dup_bias += s sum dy,  dh = s dy up;  dz = relu'(z) the mask of h on dh;
 *     ddown += dzT x,  ddown_bias += sum dz;  gives back dx = dz down */
static inline vitro_value vitro_adapter_back(vitro_trace *t, const struct vitro_adapter *a, vitro_value dy,
                                             float s)
{
    vitro_value x = vitro_saved(t, 0), z = vitro_saved(t, 1), h = vitro_saved(t, 2);
    vitro_grad(t, a->up_bias, vitro_scale(t, vitro_sum_rows(t, dy), s));
    vitro_value dh = vitro_scale(t, vitro_linear_back(t, h, dy, a->up, 0), s);
    vitro_value dz = t->op->unary_back(t, z, t->op->redrop(t, 0, dh), VITRO_RELU);
    return vitro_linear_back(t, x, dz, a->down, a->down_bias);
}
#endif
