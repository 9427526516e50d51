/* conv.h - k x k convolutions over the patch grid of a sequence [batch, tokens, n], as a linear map of each token's
 * neighbourhood, with their derivatives. Tokens before the grid, the class token and prompts alike, are images of
 * one pixel each: only the kernel's centre acts on them. For C and C++. */
#ifndef VITRO_CONV_H
#define VITRO_CONV_H
#include <vitro/sdk.h>

struct vitro_grid { /* patches of an image, and the kernel's side */
    int32_t h, w, k;
};

/* Tokens from .. to, images of h x w of them: n to k k n, or back, k k n to n. */
static inline vitro_value vitro_windows(vitro_trace *t, vitro_value x, int32_t from, int32_t to, int32_t h,
                                        int32_t w, int32_t k, int back)
{
    const vitro_shape s = t->op->shape(t, x);
    const int32_t n = s.dim[2], count = to - from, images = s.dim[0] * count / (h * w);
    const vitro_shape grid = {4, {images, h, w, n}},
                      rows = {3, {s.dim[0], count, back ? n / (k * k) : n * k * k, 0}};
    x = t->op->reshape(t, t->op->slice(t, x, 1, from, to), grid);
    return t->op->reshape(t, back ? t->op->fold(t, x, k) : t->op->unfold(t, x, k), rows);
}

/* Each token's neighbourhood, itself in the middle: [batch, tokens, k k n]. */
static inline vitro_value vitro_neighbours(vitro_trace *t, const vitro_site *site, const struct vitro_grid *g,
                                           vitro_value x)
{
    vitro_value front = vitro_windows(t, x, 0, site->prefix, 1, 1, g->k, 0);
    vitro_value grid = vitro_windows(t, x, site->prefix, site->tokens, g->h, g->w, g->k, 0);
    return t->op->concat(t, front, grid, 1);
}

/* Its derivative: what the neighbourhoods' gradients say of each token, summed. */
static inline vitro_value vitro_neighbours_back(vitro_trace *t, const vitro_site *site,
                                                const struct vitro_grid *g, vitro_value d)
{
    vitro_value front = vitro_windows(t, d, 0, site->prefix, 1, 1, g->k, 1);
    vitro_value grid = vitro_windows(t, d, site->prefix, site->tokens, g->h, g->w, g->k, 1);
    return t->op->concat(t, front, grid, 1);
}

/* A kernel [out, k, k, in] as a matrix on neighbourhoods, [out, k k in]. */
static inline vitro_value vitro_taps(vitro_trace *t, vitro_param kernel)
{
    vitro_value x = vitro_get(t, kernel);
    const vitro_shape s = t->op->shape(t, x), to = {2, {s.dim[0], s.dim[1] * s.dim[2] * s.dim[3], 0, 0}};
    return t->op->reshape(t, x, to);
}

/* The convolution of the token whose neighbourhood this is, plus bias [out]. */
static inline vitro_value vitro_conv(vitro_trace *t, vitro_value around, vitro_param kernel, vitro_param bias)
{
    return vitro_add(t, vitro_matmul_t(t, around, vitro_taps(t, kernel)), vitro_get(t, bias));
}

/* Its derivative: dkernel += dyT around, dbias += sum dy; gives back the neighbourhoods' gradient dy kernel. */
static inline vitro_value vitro_conv_back(vitro_trace *t, vitro_value around, vitro_value dy,
                                          vitro_param kernel, vitro_param bias)
{
    vitro_value own = vitro_get(t, kernel);
    t->op->grad(t, own, vitro_like(t, vitro_outer(t, dy, around), own));
    vitro_grad(t, bias, vitro_sum_rows(t, dy));
    return vitro_matmul(t, dy, vitro_taps(t, kernel));
}
#endif
