/* resample.c - separable cubic convolution (Keys 1981), align_corners off, as PyTorch has it: with antialias
 * a = -0.5 and a kernel that is stretched by the scale when an image shrinks; without a = -0.75, four taps always,
 * and pixels beyond the edge are the edge's. */
#include "resample.h"

#include "error.h"
#include "memory.h"

#include <math.h>
#include <string.h>

struct taps {      /* out[i] = sum over j of weight[i][j] in[first[i] + j] */
    int32_t width; /* row length of weight; unused ends are zero */
    int32_t *first;
    double *weight;
};

static double keys(double a, double x)
{
    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static void taps_finish(struct taps *t)
{
    mem_free(t->first);
    mem_free(t->weight);
}

static int taps_antialias(struct taps *t, int32_t in, int32_t out)
{
    /* PyTorch rounds the scale and the centre to float32, which moves a tap by up to 1e-6 */
    const float scale = (float)in / (float)out;
    const double stretch = scale > 1 ? (double)scale : 1, support = 2 * stretch;
    t->width = (int32_t)ceil(support) * 2 + 1;
    t->first = mem_alloc((size_t)out, sizeof *t->first);
    t->weight = mem_alloc((size_t)out * (size_t)t->width, sizeof *t->weight);
    if (!t->first || !t->weight) {
        taps_finish(t);
        return ERR_MEMORY;
    }
    for (int32_t i = 0; i < out; i++) {
        const double center = (double)(float)((double)scale * (i + 0.5));
        double *w = t->weight + (int64_t)i * t->width, total = 0;
        int32_t first = (int32_t)fmax(center - support + 0.5, 0);
        int32_t end = (int32_t)fmin(center + support + 0.5, in);
        for (int32_t j = first; j < end; j++)
            total += w[j - first] = keys(-0.5, (j + 0.5 - center) / stretch);
        for (int32_t j = first; j < end; j++)
            w[j - first] /= total;
        t->first[i] = first;
    }
    return 0;
}

static int taps_plain(struct taps *t, int32_t in, int32_t out, float scale)
{
    enum { TAPS = 4 };
    t->width = TAPS;
    t->first = mem_alloc((size_t)out, sizeof *t->first);
    t->weight = mem_alloc((size_t)out * TAPS, sizeof *t->weight);
    if (!t->first || !t->weight) {
        taps_finish(t);
        return ERR_MEMORY;
    }
    for (int32_t i = 0; i < out; i++) {
        const double center = (double)(scale * ((float)i + 0.5f) - 0.5f);
        const int32_t left = (int32_t)floor(center) - 1;
        int32_t first = left < 0 ? 0 : left;
        first = first > in - TAPS ? (in > TAPS ? in - TAPS : 0) : first;
        t->first[i] = first;
        for (int32_t j = left; j < left + TAPS; j++) {
            const int32_t inside = j < 0 ? 0 : j >= in ? in - 1 : j;
            t->weight[i * TAPS + inside - first] += keys(-0.75, j - center);
        }
    }
    return 0;
}

static int taps_init(struct taps *t, enum resampling how, int32_t in, int32_t out)
{
    if (how == RESAMPLE_ANTIALIAS)
        return taps_antialias(t, in, out);
    /* a scale factor is rounded to float32 and inverted */
    const float scale =
        how == RESAMPLE_TENTH ? (float)(1.0 / (((double)out + 0.1) / (double)in)) : (float)in / (float)out;
    return taps_plain(t, in, out, scale);
}

/* out[i, c] = sum over j of in[first + j, c], rows of `count` numbers */
static void apply(const struct taps *t, int32_t in_rows, const double *in, int32_t out_rows, double *out,
                  int64_t count)
{
    memset(out, 0, (size_t)(out_rows * count) * sizeof *out);
    for (int32_t i = 0; i < out_rows; i++)
        for (int32_t j = 0; j < t->width && t->first[i] + j < in_rows; j++) {
            const double w = t->weight[(int64_t)i * t->width + j], *row = in + (t->first[i] + j) * count;
            for (int64_t c = 0; c < count; c++)
                out[i * count + c] += w * row[c];
        }
}

int resample_positions(enum resampling how, const float *from, int32_t from_grid, float *to, int32_t to_grid,
                       int32_t prefix, int32_t dim)
{
    const int64_t in = from_grid, out = to_grid;
    struct taps t = {0};
    double *source = mem_alloc((size_t)(in * in * dim), sizeof *source); /* [y, x, dim] of the old grid */
    double *wide = mem_alloc((size_t)(in * out * dim), sizeof *wide);    /* x done */
    double *result = mem_alloc((size_t)(out * out * dim), sizeof *result);
    int rc = source && wide && result ? 0 : ERR_MEMORY;
    TRY_OUT(rc);
    TRY_OUT(taps_init(&t, how, from_grid, to_grid));
    for (int64_t i = 0; i < in * in * dim; i++)
        source[i] = (double)from[prefix * dim + i];
    for (int64_t y = 0; y < in; y++)
        apply(&t, from_grid, source + y * in * dim, to_grid, wide + y * out * dim, dim);
    apply(&t, from_grid, wide, to_grid, result, out * dim);
    if (prefix)
        memcpy(to, from, (size_t)prefix * (size_t)dim * sizeof *to);
    for (int64_t i = 0; i < out * out * dim; i++)
        to[prefix * dim + i] = (float)result[i];
    taps_finish(&t);
out:
    mem_free(source);
    mem_free(wide);
    mem_free(result);
    return rc;
}
