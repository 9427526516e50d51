/* corrupt_blur.c - blur: out of focus, through frosted glass, by motion, by zooming. */
#include "corrupt_private.h"

#include "error.h"
#include "memory.h"

#include <math.h>

static const double gauss_truncate = 4; /* scikit-image's default */

int corrupt_defocus_blur(struct field *x, int severity, struct rng *r)
{
    static const struct {
        double radius, smooth;
    } rows[] = {{3, .1}, {4, .5}, {6, .5}, {8, .5}, {10, .5}};
    double *kernel = NULL;
    int width = 0;
    (void)r;
    const double radius = rows[severity].radius;
    TRY(disc_kernel(&kernel, &width, radius * corrupt_scale(x), rows[severity].smooth, radius > 8 ? 5 : 3));
    int rc = field_filter(x, kernel, width);
    mem_free(kernel);
    return rc;
}

/* Pixels change places with neighbours at most `reach` away, from the bottom right on. */
static void shuffle(struct field *x, int reach, struct rng *r)
{
    for (int i = x->side - reach; i > reach; i--)
        for (int j = x->side - reach; j > reach; j--) {
            const int dx = (int)rng_below(r, 2 * (uint32_t)reach) - reach;
            const int dy = (int)rng_below(r, 2 * (uint32_t)reach) - reach;
            float *a = field_at(x, i, j), *b = field_at(x, i + dy, j + dx); /* reach >= 1 keeps both inside */
            for (int c = 0; c < x->channels; c++) {
                const float t = a[c];
                a[c] = b[c];
                b[c] = t;
            }
        }
}

int corrupt_glass_blur(struct field *x, int severity, struct rng *r)
{
    static const struct {
        double sigma;
        int reach, times;
    } rows[] = {{.7, 1, 2}, {.9, 2, 1}, {1, 2, 3}, {1.1, 3, 2}, {1.5, 4, 2}};
    const double scale = corrupt_scale(x), sigma = rows[severity].sigma * scale;
    const int scaled = (int)lrint(rows[severity].reach * scale), reach = scaled < 1 ? 1 : scaled;
    TRY(field_gauss(x, sigma, gauss_truncate, EDGE_NEAREST));
    for (int i = 0; i < rows[severity].times; i++)
        shuffle(x, reach, r);
    return field_gauss(x, sigma, gauss_truncate, EDGE_NEAREST);
}

int corrupt_motion_blur(struct field *x, int severity, struct rng *r)
{
    static const struct {
        double radius, sigma;
    } rows[] = {{10, 3}, {15, 5}, {15, 8}, {15, 12}, {20, 15}};
    const double scale = corrupt_scale(x), degrees = -45 + 90 * rng_uniform(r);
    return field_motion(x, rows[severity].radius * scale, rows[severity].sigma * scale, degrees);
}

/* The mean of the picture and of its enlargements by 1, 1 + step, ...; as many of them as the published ranges give in
 * floating point (12, not 11, at severity 1), and as NumPy's arange steps. */
int corrupt_zoom_blur(struct field *x, int severity, struct rng *r)
{
    static const struct {
        double step;
        int count;
    } rows[] = {{.01, 12}, {.01, 16}, {.02, 11}, {.02, 13}, {.03, 11}};
    const int count = rows[severity].count;
    struct field sum = {0}, one = {0};
    (void)r;
    int rc = field_copy(&sum, x);
    for (int k = 0; rc == 0 && k < count; k++) {
        rc = field_zoom(&one, x, 1 + k * (1 + rows[severity].step - 1));
        for (size_t i = 0; rc == 0 && i < field_count(x); i++)
            sum.v[i] += one.v[i];
        field_finish(&one);
    }
    for (size_t i = 0; rc == 0 && i < field_count(x); i++)
        x->v[i] = sum.v[i] / (float)(count + 1);
    field_finish(&sum);
    return rc;
}
