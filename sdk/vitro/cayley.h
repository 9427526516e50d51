/* cayley.h - skew and orthogonal matrices for methods that rotate: Q of its upper triangle, Cayley's
 * R = (I - Q)(I + Q)^-1 or a series near it, and their derivatives, of [count, n, n] matrices at a time. For C
 * and C++. */
#ifndef VITRO_CAYLEY_H
#define VITRO_CAYLEY_H
#include <vitro/sdk.h>

/* 0 1 2 .. n - 1 as a constant [n]. */
static inline vitro_value vitro_iota(vitro_trace *t, int32_t n)
{
    vitro_shape one = {1, {1, 0, 0, 0}};
    vitro_value x = t->op->fill(t, one, 0);
    for (int32_t count = 1; count < n; count *= 2)
        x = t->op->concat(t, x, t->op->affine(t, x, 1, (float)count), 0);
    return t->op->slice(t, x, 0, 0, n);
}

/* The identity [n, n]. */
static inline vitro_value vitro_eye(vitro_trace *t, int32_t n)
{
    vitro_value i = vitro_iota(t, n);
    return vitro_equal(t, i, vitro_column(t, i));
}

/* (I + Q)^-1 by Newton and Schulz: X becomes X (2 I - (I + Q) X), from X = c (I - Q). The error
 * E = I - (I + Q) X is squared each time. It starts as I - c (I + Q QT), and c = 2 / (2 + f) with
 * f = |Q QT|_F / sqrt 2, which is at least |Q|^2 (a skew matrix has its singular values in pairs), makes it
 * |E| <= f / (2 + f) < 1: it always converges. After the eight steps and for n = 32, |E| is rounding where
 * |Q| <= 2 (at most 8e-14), and at most 4e-4 where |Q| <= 4. */
enum { VITRO_CAYLEY_STEPS = 8 };
static inline vitro_value vitro_cayley_inverse(vitro_trace *t, vitro_value q)
{
    vitro_value eye = vitro_eye(t, t->op->shape(t, q).dim[2]), m = vitro_add(t, q, eye);
    vitro_value qq = t->op->matmul(t, q, q, 0, 1);
    vitro_value f2 = vitro_scale(t, t->op->sum(t, vitro_mul(t, qq, qq), 1u << 1 | 1u << 2), 0.5f);
    vitro_value half = t->op->affine(t, t->op->unary(t, f2, VITRO_SQRT), 0.5f, 1);
    vitro_value c = t->op->detach(t, t->op->unary(t, half, VITRO_RECIP)); /* of no effect on the limit */
    vitro_value x = vitro_mul(t, vitro_add(t, vitro_scale(t, q, -1), eye), c);
    for (int i = 0; i < VITRO_CAYLEY_STEPS; i++) {
        vitro_value error = vitro_add(t, vitro_scale(t, vitro_matmul(t, m, x), -1), eye);
        x = vitro_add(t, x, vitro_matmul(t, x, error));
    }
    return x;
}

/* R = (I - Q)(I + Q)^-1. */
static inline vitro_value vitro_cayley(vitro_trace *t, vitro_value q)
{
    vitro_value eye = vitro_eye(t, t->op->shape(t, q).dim[2]);
    return vitro_matmul(t, vitro_add(t, vitro_scale(t, q, -1), eye), vitro_cayley_inverse(t, q));
}

/* dQ = -(I + R)T dR (I + Q)^-T, as if every entry of Q were free. R and the inverse are written down again
 * but not computed again: the host records equal operations once. */
static inline vitro_value vitro_cayley_back(vitro_trace *t, vitro_value q, vitro_value dr)
{
    vitro_value sum = vitro_add(t, vitro_cayley(t, q), vitro_eye(t, t->op->shape(t, q).dim[2]));
    vitro_value left = t->op->matmul(t, sum, dr, 1, 0);
    return vitro_scale(t, t->op->matmul(t, left, vitro_cayley_inverse(t, q), 0, 1), -1);
}

/* h[0] = I + Q h[1],  h[1] = 2 I + Q h[2],  h[2] = 2 I + Q h[3],  h[3] = 2 I + Q */
static inline void vitro_neumann_steps(vitro_trace *t, vitro_value q, vitro_value h[4])
{
    vitro_value eye = vitro_eye(t, t->op->shape(t, q).dim[2]), twice = vitro_scale(t, eye, 2);
    h[3] = vitro_add(t, q, twice);
    h[2] = vitro_add(t, vitro_matmul(t, q, h[3]), twice);
    h[1] = vitro_add(t, vitro_matmul(t, q, h[2]), twice);
    h[0] = vitro_add(t, vitro_matmul(t, q, h[1]), eye);
}

/* R = I + 2 Q + 2 Q^2 + 2 Q^3 + Q^4, near (I + Q)(I - Q)^-1, the opposite sense of vitro_cayley's; orthogonal
 * only where Q is small. */
static inline vitro_value vitro_neumann(vitro_trace *t, vitro_value q)
{
    vitro_value h[4];
    vitro_neumann_steps(t, q, h);
    return h[0];
}

/* dQ, as if every entry of Q were free: dQ += dh[i] h[i + 1]T, dh[i + 1] = QT dh[i], dh[0] = dR; and dh[3] */
static inline vitro_value vitro_neumann_back(vitro_trace *t, vitro_value q, vitro_value dr)
{
    vitro_value h[4], dq = 0;
    vitro_neumann_steps(t, q, h);
    for (int i = 0; i < 3; i++) {
        vitro_value d = vitro_matmul_t(t, dr, h[i + 1]);
        dq = i ? vitro_add(t, dq, d) : d;
        dr = t->op->matmul(t, q, dr, 1, 0);
    }
    return vitro_add(t, dq, dr);
}

/* Entries of a triangle above the diagonal. */
static inline int32_t vitro_triangle_size(int32_t n)
{
    return n * (n - 1) / 2;
}

/* A constant [n (n - 1) / 2, n n]: row k has a 1 where a flat [n, n] has entry k of its upper triangle,
 * counted row after row: i n - i (i + 1) / 2 + j - i - 1 = k, i < j. */
static inline vitro_value vitro_triangle(vitro_trace *t, int32_t n)
{
    vitro_shape flat = {2, {1, n * n, 0, 0}};
    vitro_value j = vitro_iota(t, n), i = vitro_column(t, j), off = vitro_sub(t, j, i);
    vitro_value row = vitro_scale(t, vitro_mul(t, i, t->op->affine(t, i, -1, (float)(2 * n - 1))), 0.5f);
    vitro_value above = t->op->affine(t, vitro_relu(t, t->op->affine(t, off, -1, 1)), -1, 1);
    above = vitro_relu(t, above); /* 1 where i < j, else 0 */
    vitro_value place =
        t->op->affine(t, vitro_mul(t, above, vitro_add(t, row, off)), 1, -1); /* -1: nowhere */
    vitro_value k = vitro_column(t, vitro_iota(t, vitro_triangle_size(n)));
    return vitro_equal(t, t->op->reshape(t, place, flat), k);
}

/* Skew matrices [count, n, n] of their upper triangles [count, n (n - 1) / 2]. */
static inline vitro_value vitro_skew(vitro_trace *t, vitro_value entries, int32_t n)
{
    vitro_shape s = {3, {t->op->shape(t, entries).dim[0], n, n, 0}};
    vitro_value upper = t->op->reshape(t, vitro_matmul(t, entries, vitro_triangle(t, n)), s);
    return vitro_sub(t, upper, vitro_transpose(t, upper));
}

/* The gradient of the triangles: dQ - dQT above the diagonal. */
static inline vitro_value vitro_skew_back(vitro_trace *t, vitro_value dq, int32_t n)
{
    vitro_shape flat = {2, {t->op->shape(t, dq).dim[0], n * n, 0, 0}};
    dq = vitro_sub(t, dq, vitro_transpose(t, dq));
    return t->op->matmul(t, t->op->reshape(t, dq, flat), vitro_triangle(t, n), 0, 1);
}
#endif
