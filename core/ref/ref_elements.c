/* ref_elements.c - elementwise ops, dropout and matrix products. */
#include "ref_private.h"

#include "rng.h"

#include <math.h>

void compute_fill(const struct call *c)
{
    for (int64_t i = 0, n = shape_count(c->node->shape); i < n; i++)
        c->out[i] = (double)c->node->attr.fill.value;
}

/* An operand that is stretched to a shape. */
struct stretch {
    const double *from;
    struct shape out, in;
    int64_t period; /* it only repeats, after so many elements; 0: not so */
};

static struct stretch stretch_of(const struct call *c, int k)
{
    struct stretch s = {.from = c->in[k], .out = c->node->shape, .in = c->in_shape[k]};
    int same = 0; /* of the last axes */
    while (same < s.in.rank && s.in.dim[s.in.rank - 1 - same] == s.out.dim[s.out.rank - 1 - same])
        same++;
    s.period = same == s.in.rank ? shape_count(s.in) : 0;
    return s;
}

/* Element i of what it is stretched to. */
static double stretched(const struct stretch *s, int64_t i)
{
    int64_t at = 0, stride = 1;
    if (s->period)
        return s->from[i % s->period];
    for (int k = 1; k <= s->out.rank; k++) {
        int64_t digit = i % s->out.dim[s->out.rank - k];
        i /= s->out.dim[s->out.rank - k];
        if (k > s->in.rank)
            break;
        if (s->in.dim[s->in.rank - k] > 1)
            at += digit * stride;
        stride *= s->in.dim[s->in.rank - k];
    }
    return s->from[at];
}

void compute_add(const struct call *c)
{
    const struct stretch a = stretch_of(c, 0), b = stretch_of(c, 1);
    for (int64_t i = 0, n = shape_count(c->node->shape); i < n; i++)
        c->out[i] = stretched(&a, i) + stretched(&b, i);
}

void compute_mul(const struct call *c)
{
    const struct stretch a = stretch_of(c, 0), b = stretch_of(c, 1);
    for (int64_t i = 0, n = shape_count(c->node->shape); i < n; i++)
        c->out[i] = stretched(&a, i) * stretched(&b, i);
}

void compute_expand(const struct call *c)
{
    const struct stretch a = stretch_of(c, 0);
    for (int64_t i = 0, n = shape_count(c->node->shape); i < n; i++)
        c->out[i] = stretched(&a, i);
}

void compute_affine(const struct call *c)
{
    double scale = (double)c->node->attr.affine.scale, shift = (double)c->node->attr.affine.shift;
    for (int64_t i = 0, n = shape_count(c->node->shape); i < n; i++)
        c->out[i] = c->in[0][i] * scale + shift;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* Phi and phi: the standard normal distribution and its density. */
static double normal_cdf(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

static double normal_pdf(double x)
{
    return exp(-x * x / 2) * 0.39894228040143267794;
}

/* f(x) when derivative is 0, else f'(x). */
static double unary(enum unary_fn fn, double x, int derivative)
{
    double s;
    switch (fn) {
    case UNARY_RELU: return derivative ? (x > 0 ? 1 : 0) : (x > 0 ? x : 0);
    case UNARY_GELU: return derivative ? normal_cdf(x) + x * normal_pdf(x) : x * normal_cdf(x);
    case UNARY_SIGMOID: s = sigmoid(x); return derivative ? s * (1 - s) : s;
    case UNARY_TANH: s = tanh(x); return derivative ? 1 - s * s : s;
    case UNARY_EXP: return exp(x);
    case UNARY_SQRT: return derivative ? 0.5 / sqrt(x) : sqrt(x);
    case UNARY_RECIP: return derivative ? -1 / (x * x) : 1 / x;
    case UNARY_QUICK_GELU: s = sigmoid(1.702 * x); return derivative ? s * (1 + 1.702 * x * (1 - s)) : x * s;
    case UNARY_LOG: return derivative ? 1 / x : log(x);
    case UNARY_ABS: return derivative ? (x > 0) - (x < 0) : fabs(x);
    case UNARY_COUNT: break;
    }
    return NAN;
}

void compute_unary(const struct call *c)
{
    for (int64_t i = 0, n = shape_count(c->node->shape); i < n; i++)
        c->out[i] = unary((enum unary_fn)c->node->attr.unary.fn, c->in[0][i], 0);
}

void compute_unary_back(const struct call *c)
{
    for (int64_t i = 0, n = shape_count(c->node->shape); i < n; i++)
        c->out[i] = c->in[1][i] * unary((enum unary_fn)c->node->attr.unary.fn, c->in[0][i], 1);
}

int ref_keeps(uint64_t seed, uint32_t step, uint32_t stream, uint64_t index, float p)
{
    uint32_t draw = philox4x32(seed, index >> 2, (uint64_t)stream << 32 | step).word[index & 3];
    return draw >= (uint32_t)((double)p * 4294967296.0);
}

/* The draw's number: element i counted along the axes that have draws of their own, at its place in the
 * value before rows were cut off. */
static uint64_t draw_index(struct shape s, const struct dropout *d, int64_t i)
{
    uint64_t at = 0, stride = 1;
    for (int k = s.rank - 1; k >= 0; k--) {
        int part = d->total && d->axis == k;
        int64_t digit = i % s.dim[k] + (part ? d->from : 0);
        i /= s.dim[k];
        if (d->axes >> k & 1) {
            at += (uint64_t)digit * stride;
            stride *= (uint64_t)(part ? d->total : s.dim[k]);
        }
    }
    return at;
}

void compute_dropout(const struct call *c)
{
    struct shape s = c->node->shape;
    float p = c->node->attr.dropout.p;
    double scale = 1 / (1 - (double)p);
    for (int64_t i = 0, n = shape_count(s); i < n; i++) {
        uint64_t index = draw_index(s, &c->node->attr.dropout, i);
        if (ref_keeps(c->seed, c->step, c->node->attr.dropout.stream, index, p))
            c->out[i] = c->in[0][i] * scale;
    }
}

void compute_matmul(const struct call *c)
{
    struct shape s = c->node->shape, sa = c->in_shape[0], sb = c->in_shape[1];
    int a_t = c->node->attr.matmul.a_t, b_t = c->node->attr.matmul.b_t;
    int64_t m = s.dim[s.rank - 2], n = s.dim[s.rank - 1], k = sa.dim[sa.rank - (a_t ? 2 : 1)];
    int64_t batches = shape_count(s) / (m * n), a_step = a_t ? m : 1, b_step = b_t ? 1 : n;
    for (int64_t z = 0; z < batches; z++) {
        const double *a = c->in[0] + (sa.rank > 2 ? z * m * k : 0),
                     *b = c->in[1] + (sb.rank > 2 ? z * k * n : 0);
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < n; j++) {
                const double *row = a + (a_t ? i : i * k), *column = b + (b_t ? j * k : j);
                double sum = 0;
                for (int64_t l = 0; l < k; l++)
                    sum += row[l * a_step] * column[l * b_step];
                c->out[(z * m + i) * n + j] = sum;
            }
    }
}
