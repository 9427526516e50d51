/* corrupt_field.c - a picture in floats and its filters: Gaussian, any kernel, zoom, motion, resampling. */
#include "corrupt_private.h"

#include "error.h"
#include "memory.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

int field_init(struct field *f, int side, int channels)
{
    *f = (struct field){.side = side, .channels = channels};
    f->v = mem_alloc(field_count(f), sizeof *f->v);
    return f->v ? 0 : ERR_MEMORY;
}

int field_copy(struct field *out, const struct field *f)
{
    TRY(field_init(out, f->side, f->channels));
    memcpy(out->v, f->v, field_count(f) * sizeof *f->v);
    return 0;
}

void field_finish(struct field *f)
{
    mem_free(f->v);
    *f = (struct field){0};
}

int edge_index(int i, int side, enum edge edge)
{
    if (i >= 0 && i < side)
        return i;
    if (edge == EDGE_NEAREST || side == 1)
        return i < 0 ? 0 : side - 1;
    const int period = edge == EDGE_REFLECT ? 2 * side : 2 * side - 2;
    i %= period;
    i += i < 0 ? period : 0;
    return i < side ? i : (edge == EDGE_REFLECT ? period - 1 : period) - i;
}

/* One direction of a separable filter: `step` numbers from pixel to pixel, lines `line` numbers apart. */
struct pass {
    const double *weight; /* [2 radius + 1] */
    const int *index;     /* [side + 2 radius]: where each pixel of the widened line is taken from */
    double *wide;         /* the same, filled */
    int radius, side;
    size_t step;
};

static void filter_line(const struct pass *p, float *v)
{
    for (int i = 0; i < p->side + 2 * p->radius; i++)
        p->wide[i] = (double)v[(size_t)p->index[i] * p->step];
    for (int i = 0; i < p->side; i++) {
        double sum = 0;
        for (int k = 0; k <= 2 * p->radius; k++)
            sum += p->weight[k] * p->wide[i + k];
        v[(size_t)i * p->step] = (float)sum;
    }
}

static void filter_both(struct field *f, struct pass *p)
{
    const size_t row = (size_t)f->side * (size_t)f->channels;
    p->step = (size_t)f->channels;
    for (int y = 0; y < f->side; y++)
        for (int c = 0; c < f->channels; c++)
            filter_line(p, f->v + (size_t)y * row + (size_t)c);
    p->step = row;
    for (size_t i = 0; i < row; i++)
        filter_line(p, f->v + i);
}

int field_gauss(struct field *f, double sigma, double truncate, enum edge edge)
{
    const int radius = (int)(truncate * sigma + 0.5), count = 2 * radius + 1;
    double sum = 0;
    if (!(sigma > 0))
        return 0;
    double *weight = mem_alloc((size_t)count, sizeof *weight);
    double *wide = mem_alloc((size_t)(f->side + 2 * radius), sizeof *wide);
    int *index = mem_alloc((size_t)(f->side + 2 * radius), sizeof *index);
    int rc = weight && wide && index ? 0 : ERR_MEMORY;
    if (rc == 0) {
        for (int k = 0; k < count; k++)
            sum += weight[k] = exp(-0.5 * (k - radius) * (k - radius) / (sigma * sigma));
        for (int k = 0; k < count; k++)
            weight[k] /= sum;
        for (int i = 0; i < f->side + 2 * radius; i++)
            index[i] = edge_index(i - radius, f->side, edge);
        filter_both(f,
                    &(struct pass){
                        .weight = weight, .index = index, .wide = wide, .radius = radius, .side = f->side});
    }
    mem_free(weight);
    mem_free(wide);
    mem_free(index);
    return rc;
}

/* Adds `weight` times the picture moved by (dy, dx), edges as `edge` says. */
static void add_moved(double *sum, const struct field *f, int dy, int dx, double weight, enum edge edge)
{
    for (int y = 0; y < f->side; y++) {
        const int from = edge_index(y + dy, f->side, edge);
        for (int x = 0; x < f->side; x++) {
            const float *p = field_at(f, from, edge_index(x + dx, f->side, edge));
            for (int c = 0; c < f->channels; c++)
                *sum++ += weight * (double)p[c];
        }
    }
}

/* Replaces the picture by a sum of moved copies of it: shift [count][2] as (dy, dx). */
static int sum_moved(struct field *f, const int (*shift)[2], const double *weight, int count, enum edge edge)
{
    double *sum = mem_alloc(field_count(f), sizeof *sum);
    if (!sum)
        return ERR_MEMORY;
    for (int k = 0; k < count; k++)
        if (weight[k] != 0)
            add_moved(sum, f, shift[k][0], shift[k][1], weight[k], edge);
    for (size_t i = 0; i < field_count(f); i++)
        f->v[i] = (float)sum[i];
    mem_free(sum);
    return 0;
}

int field_filter(struct field *f, const double *kernel, int width)
{
    int(*shift)[2] = mem_alloc((size_t)(width * width), sizeof *shift);
    if (!shift)
        return ERR_MEMORY;
    for (int i = 0; i < width * width; i++) {
        shift[i][0] = i / width - width / 2;
        shift[i][1] = i % width - width / 2;
    }
    int rc = sum_moved(f, (const int(*)[2])shift, kernel, width * width, EDGE_MIRROR);
    mem_free(shift);
    return rc;
}

int field_motion(struct field *f, double radius, double sigma, double degrees)
{
    const int count = 2 * (int)ceil(radius) + 1;
    const double down = sin(degrees * pi / 180), right = cos(degrees * pi / 180);
    double sum = 0, *weight = mem_alloc((size_t)count, sizeof *weight);
    int(*shift)[2] = mem_alloc((size_t)count, sizeof *shift);
    int rc = weight && shift ? 0 : ERR_MEMORY;
    for (int i = 0; rc == 0 && i < count; i++) {
        sum += weight[i] = exp(-(double)i * i / (2 * sigma * sigma));
        shift[i][0] = (int)ceil(i * down - 0.5);
        shift[i][1] = (int)ceil(i * right - 0.5);
    }
    for (int i = 0; rc == 0 && i < count; i++)
        weight[i] /= sum;
    if (rc == 0)
        rc = sum_moved(f, (const int(*)[2])shift, weight, count, EDGE_NEAREST);
    mem_free(weight);
    mem_free(shift);
    return rc;
}

int field_sample(struct field *out, const struct field *f, const double *places, enum edge edge)
{
    TRY(field_init(out, f->side, f->channels));
    for (int i = 0; i < f->side * f->side; i++) {
        const double y = places[2 * i], x = places[2 * i + 1], y0 = floor(y), x0 = floor(x);
        const float wy = (float)(y - y0), wx = (float)(x - x0);
        const int top = edge_index((int)y0, f->side, edge), left = edge_index((int)x0, f->side, edge);
        const int bottom = edge_index((int)y0 + 1, f->side, edge),
                  right = edge_index((int)x0 + 1, f->side, edge);
        float *to = out->v + (size_t)i * (size_t)f->channels;
        for (int c = 0; c < f->channels; c++)
            to[c] = (1 - wy) * ((1 - wx) * field_at(f, top, left)[c] + wx * field_at(f, top, right)[c]) +
                    wy * ((1 - wx) * field_at(f, bottom, left)[c] + wx * field_at(f, bottom, right)[c]);
    }
    return 0;
}

/* As scipy.ndimage.zoom with order 1: corners stay corners. The middle `part` pixels become `whole`, of which the
 * middle side is kept. */
int field_zoom(struct field *out, const struct field *f, double zoom)
{
    const int side = f->side, part = (int)ceil(side / zoom), start = (side - part) / 2;
    const int whole = (int)lrint(part * zoom), trim = (whole - side) / 2;
    const double step = whole > 1 ? (part - 1.0) / (whole - 1.0) : 0;
    double *places = mem_alloc((size_t)(side * side), 2 * sizeof *places);
    if (!places)
        return ERR_MEMORY;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            double *p = places + 2 * (y * side + x);
            p[0] = start + fmin(fmax((y + trim) * step, 0), part - 1);
            p[1] = start + fmin(fmax((x + trim) * step, 0), part - 1);
        }
    int rc = field_sample(out, f, places, EDGE_NEAREST);
    mem_free(places);
    return rc;
}

/* One axis of the kernel's own smoothing. */
static void smooth_weights(double *w, int taps, double sigma)
{
    double sum = 0;
    for (int k = 0; k < taps; k++)
        sum += w[k] = exp(-0.5 * (k - taps / 2) * (k - taps / 2) / (sigma * sigma));
    for (int k = 0; k < taps; k++)
        w[k] /= sum;
}

int disc_kernel(double **out, int *width, double radius, double smooth, int taps)
{
    const int half = radius > 8 ? (int)ceil(radius) : 8, n = 2 * half + 1;
    double sum = 0, w[8];
    double *disc = mem_alloc((size_t)(n * n), sizeof *disc),
           *kernel = mem_alloc((size_t)(n * n), sizeof *kernel);
    if (!disc || !kernel) {
        mem_free(disc);
        mem_free(kernel);
        return ERR_MEMORY;
    }
    for (int y = -half; y <= half; y++)
        for (int x = -half; x <= half; x++)
            sum += disc[(y + half) * n + x + half] = x * x + y * y <= radius * radius;
    smooth_weights(w, taps, smooth);
    for (int y = 0; y < n; y++)
        for (int x = 0; x < n; x++)
            for (int j = 0; j < taps; j++)
                for (int i = 0; i < taps; i++)
                    kernel[y * n + x] += w[j] * w[i] *
                                         disc[edge_index(y + j - taps / 2, n, EDGE_MIRROR) * n +
                                              edge_index(x + i - taps / 2, n, EDGE_MIRROR)] /
                                         sum;
    mem_free(disc);
    *out = kernel;
    *width = n;
    return 0;
}
