/* ref_rows.c - ops along the last axis: softmax, normalisation, attention, cross-entropy. */
#include "ref_private.h"

#include <math.h>
#include <stdlib.h>

void compute_softmax(const struct call *c)
{
    int64_t n = row_length(c->node->shape), rows = row_count(c->node->shape);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * n;
        double *y = c->out + r * n, top = x[0], sum = 0;
        for (int64_t i = 1; i < n; i++)
            top = fmax(top, x[i]);
        for (int64_t i = 0; i < n; i++)
            sum += y[i] = exp(x[i] - top);
        for (int64_t i = 0; i < n; i++)
            y[i] /= sum;
    }
}

void compute_softmax_back(const struct call *c)
{
    int64_t n = row_length(c->node->shape), rows = row_count(c->node->shape);
    for (int64_t r = 0; r < rows; r++) {
        const double *y = c->in[0] + r * n, *d = c->in[1] + r * n;
        double dot = 0;
        for (int64_t i = 0; i < n; i++)
            dot += y[i] * d[i];
        for (int64_t i = 0; i < n; i++)
            c->out[r * n + i] = y[i] * (d[i] - dot);
    }
}

struct moments {
    double mean, rstd;
};

static struct moments moments_of(const double *x, int64_t n, double eps)
{
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        var += (x[i] - mean) * (x[i] - mean) / (double)n;
    return (struct moments){mean, 1 / sqrt(var + eps)};
}

/* Ba, Kiros, Hinton 2016; w and b may be NULL for 1 and 0. */
static void norm(const struct call *c, const double *w, const double *b)
{
    int64_t n = row_length(c->node->shape), rows = row_count(c->node->shape);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * n;
        struct moments m = moments_of(x, n, (double)c->node->attr.norm.eps);
        for (int64_t i = 0; i < n; i++)
            c->out[r * n + i] = (x[i] - m.mean) * m.rstd * (w ? w[i] : 1) + (b ? b[i] : 0);
    }
}

/* With h = d w and z = (x - mean) rstd:  dx = rstd (h - mean(h) - z mean(h z)). */
static void norm_back(const struct call *c, const double *w, const double *d_y)
{
    int64_t n = row_length(c->node->shape), rows = row_count(c->node->shape);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * n, *d = d_y + r * n;
        struct moments m = moments_of(x, n, (double)c->node->attr.norm.eps);
        double mean_h = 0, mean_hz = 0;
        for (int64_t i = 0; i < n; i++) {
            double h = d[i] * (w ? w[i] : 1);
            mean_h += h / (double)n;
            mean_hz += h * (x[i] - m.mean) * m.rstd / (double)n;
        }
        for (int64_t i = 0; i < n; i++)
            c->out[r * n + i] =
                m.rstd * (d[i] * (w ? w[i] : 1) - mean_h - (x[i] - m.mean) * m.rstd * mean_hz);
    }
}

void compute_normalize(const struct call *c)
{
    norm(c, NULL, NULL);
}

void compute_normalize_back(const struct call *c)
{
    norm_back(c, NULL, c->in[1]);
}

void compute_layernorm(const struct call *c)
{
    norm(c, c->in[1], c->in[2]);
}

void compute_layernorm_back(const struct call *c)
{
    norm_back(c, c->in[1], c->in[2]);
}

/* One head of one image: rows of q, k, v in the fused tensor [tokens, 3 dim]. Query i is a row of the
 * result, counted from the first that asks; key j a token. */
struct head {
    const double *q, *k, *v;
    int64_t queries, q_from, first, tokens, width, stride; /* keys are tokens first .. tokens - 1 */
    double scale;
};

static struct head head_at(const struct call *c, int64_t image, int64_t h)
{
    struct shape s = c->in_shape[0];
    struct attention a = c->node->attr.attention;
    int64_t dim = s.dim[2] / 3, width = dim / a.heads;
    const double *base = c->in[0] + image * s.dim[1] * s.dim[2] + h * width;
    return (struct head){.q = base + (int64_t)a.q_from * s.dim[2],
                         .k = base + dim,
                         .v = base + 2 * dim,
                         .queries = a.q_to - a.q_from,
                         .q_from = a.q_from,
                         .first = a.k_from,
                         .tokens = s.dim[1],
                         .width = width,
                         .stride = s.dim[2],
                         .scale = 1 / sqrt((double)width)};
}

/* Scaled scores of query i into p[first .. tokens - 1]; returns their log-sum-exp. */
static double scores(const struct head *h, int64_t i, double *p)
{
    double top = -INFINITY, sum = 0;
    for (int64_t j = h->first; j < h->tokens; j++) {
        p[j] = 0;
        for (int64_t e = 0; e < h->width; e++)
            p[j] += h->q[i * h->stride + e] * h->k[j * h->stride + e];
        p[j] *= h->scale;
        top = fmax(top, p[j]);
    }
    for (int64_t j = h->first; j < h->tokens; j++)
        sum += exp(p[j] - top);
    return top + log(sum);
}

/* O = softmax(Q K^T / sqrt(d)) V, Vaswani et al. 2017. */
void compute_attention(const struct call *c)
{
    struct shape s = c->in_shape[0];
    int64_t heads = c->node->attr.attention.heads, dim = s.dim[2] / 3;
    double *p = malloc((size_t)s.dim[1] * sizeof *p);
    for (int64_t z = 0; p && z < s.dim[0] * heads; z++) {
        struct head h = head_at(c, z / heads, z % heads);
        double *out = c->out + (z / heads) * h.queries * dim + (z % heads) * h.width;
        for (int64_t i = 0; i < h.queries; i++) {
            double lse = scores(&h, i, p);
            for (int64_t j = h.first; j < h.tokens; j++)
                for (int64_t e = 0; e < h.width; e++)
                    out[i * dim + e] += exp(p[j] - lse) * h.v[j * h.stride + e];
        }
    }
    free(p);
}

void compute_attention_lse(const struct call *c)
{
    struct shape s = c->in_shape[0];
    int64_t heads = c->node->attr.attention.heads;
    double *p = malloc((size_t)s.dim[1] * sizeof *p);
    for (int64_t z = 0; p && z < s.dim[0] * heads; z++) {
        struct head h = head_at(c, z / heads, z % heads);
        for (int64_t i = 0; i < h.queries; i++)
            c->out[z * h.queries + i] = scores(&h, i, p);
    }
    free(p);
}

/* With A the probabilities: dV = A^T dO, dA = dO V^T, dS = A (dA - rowsum(A dA)),
 * dQ = dS K / sqrt(d), dK = dS^T Q / sqrt(d). */
void compute_attention_back(const struct call *c)
{
    struct shape s = c->in_shape[0];
    int64_t heads = c->node->attr.attention.heads, dim = s.dim[2] / 3;
    double *p = malloc(2 * (size_t)s.dim[1] * sizeof *p), *da = p + s.dim[1];
    for (int64_t z = 0; p && z < s.dim[0] * heads; z++) {
        struct head h = head_at(c, z / heads, z % heads);
        const double *d_out = c->in[3] + (z / heads) * h.queries * dim + (z % heads) * h.width;
        double *d_head = c->out + (z / heads) * s.dim[1] * s.dim[2] + (z % heads) * h.width;
        double *dq = d_head + h.q_from * h.stride, *dk = d_head + dim, *dv = d_head + 2 * dim;
        for (int64_t i = 0; i < h.queries; i++) {
            double lse = scores(&h, i, p), sum = 0;
            for (int64_t j = h.first; j < h.tokens; j++) {
                p[j] = exp(p[j] - lse);
                da[j] = 0;
                for (int64_t e = 0; e < h.width; e++) {
                    da[j] += d_out[i * dim + e] * h.v[j * h.stride + e];
                    dv[j * h.stride + e] += p[j] * d_out[i * dim + e];
                }
                sum += p[j] * da[j];
            }
            for (int64_t j = h.first; j < h.tokens; j++) {
                double ds = p[j] * (da[j] - sum) * h.scale;
                for (int64_t e = 0; e < h.width; e++) {
                    dq[i * h.stride + e] += ds * h.k[j * h.stride + e];
                    dk[j * h.stride + e] += ds * h.q[i * h.stride + e];
                }
            }
        }
    }
    free(p);
}

static double row_lse(const double *x, int64_t n)
{
    double top = x[0], sum = 0;
    for (int64_t i = 1; i < n; i++)
        top = fmax(top, x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp(x[i] - top);
    return top + log(sum);
}

void compute_cross_entropy(const struct call *c)
{
    int64_t n = row_length(c->in_shape[0]), rows = row_count(c->in_shape[0]);
    for (int64_t r = 0; r < rows; r++)
        c->out[r] = row_lse(c->in[0] + r * n, n) - c->in[0][r * n + (int64_t)c->in[1][r]];
}

void compute_cross_entropy_back(const struct call *c)
{
    int64_t n = row_length(c->in_shape[0]), rows = row_count(c->in_shape[0]);
    for (int64_t r = 0; r < rows; r++) {
        const double *x = c->in[0] + r * n;
        double lse = row_lse(x, n);
        for (int64_t i = 0; i < n; i++)
            c->out[r * n + i] = c->in[2][r] * (exp(x[i] - lse) - (i == (int64_t)c->in[1][r]));
    }
}
