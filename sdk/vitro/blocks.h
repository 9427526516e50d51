/* blocks.h - maps that are block diagonal: each of several blocks of channels has a small matrix of its own.
 * Either the rows are taken apart, one batch of small products, or the matrix is filled up with zeros. For C and
 * C++. */
#ifndef VITRO_BLOCKS_H
#define VITRO_BLOCKS_H
#include <vitro/sdk.h>

/* [.., count n] to [count, rows, n]: each block's channels, rows of all images. */
static inline vitro_value vitro_apart(vitro_trace *t, vitro_value x, int32_t n)
{
    static const int32_t axes[4] = {1, 0, 2, 3};
    vitro_value rows = vitro_rows(t, x);
    vitro_shape s = t->op->shape(t, rows), to = {3, {s.dim[0], s.dim[1] / n, n, 0}};
    return t->op->permute(t, t->op->reshape(t, rows, to), axes);
}

/* Back, into the shape of `like`; also the derivative of vitro_apart. */
static inline vitro_value vitro_together(vitro_trace *t, vitro_value x, vitro_value like)
{
    static const int32_t axes[4] = {1, 0, 2, 3};
    return vitro_like(t, t->op->permute(t, x, axes), like);
}

/* The blocks [out, in / g] of g, one below the other, as the matrix [out, in] that is zero beside them: rows of
 * L = out in / g^2 numbers, padded by g L zeros and cut again every g L, move right by L each. */
static inline vitro_value vitro_block_diagonal(vitro_trace *t, vitro_value b, int32_t g)
{
    static const int32_t axes[4] = {0, 2, 1, 3};
    const vitro_shape s = t->op->shape(t, b);
    const int32_t rows = s.dim[0] / g, columns = s.dim[1], L = rows * columns;
    const vitro_shape apart = {2, {g, L, 0, 0}}, pad = {2, {g, g * L, 0, 0}},
                      flat = {1, {g * (g + 1) * L, 0, 0, 0}}, cut = {4, {g, g, rows, columns}},
                      dense = {2, {g * rows, g * columns, 0, 0}};
    vitro_value x = t->op->concat(t, t->op->reshape(t, b, apart), t->op->fill(t, pad, 0), 1);
    x = t->op->slice(t, t->op->reshape(t, x, flat), 0, 0, g * g * L);
    return t->op->reshape(t, t->op->permute(t, t->op->reshape(t, x, cut), axes), dense);
}

/* Its derivative: the g blocks of a matrix [out, in], [out, in / g]. */
static inline vitro_value vitro_block_diagonal_back(vitro_trace *t, vitro_value d, int32_t g)
{
    static const int32_t axes[4] = {0, 2, 1, 3};
    const vitro_shape s = t->op->shape(t, d);
    const int32_t rows = s.dim[0] / g, columns = s.dim[1] / g, L = rows * columns;
    const vitro_shape cut = {4, {g, rows, g, columns}}, flat = {1, {g * g * L, 0, 0, 0}},
                      pad = {1, {g * L, 0, 0, 0}}, apart = {2, {g, (g + 1) * L, 0, 0}},
                      blocks = {2, {g * rows, columns, 0, 0}};
    vitro_value x = t->op->reshape(t, t->op->permute(t, t->op->reshape(t, d, cut), axes), flat);
    x = t->op->reshape(t, t->op->concat(t, x, t->op->fill(t, pad, 0), 0), apart);
    return t->op->reshape(t, t->op->slice(t, x, 1, 0, L), blocks);
}
#endif
