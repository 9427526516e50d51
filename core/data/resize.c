/* resize.c - two passes of a separable cubic kernel in 22-bit fixed point, rounded to 8 bits in
 * between. For downscaling the kernel is stretched by the factor (antialias), so that every source
 * pixel counts. Kernel: Keys 1981 with a = -0.5. */
#include "resize.h"

#include "error.h"
#include "memory.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

enum { PRECISION = 32 - 8 - 2 }; /* 8 bits of pixel, 2 of head-room for the kernel's overshoot */

/* The weights of each output pixel: `weight[i * room]` onwards, for the sources from first[i]. */
struct taps {
    int room;
    int *first, *count;
    int32_t *weight;
};

static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

static void taps_finish(struct taps *t)
{
    mem_free(t->first);
    mem_free(t->count);
    mem_free(t->weight);
}

static int taps_init(struct taps *t, int from, int to)
{
    double scale = (double)from / to, stretch = scale < 1.0 ? 1.0 : scale, support = 2.0 * stretch;
    t->room = (int)ceil(support) * 2 + 1;
    t->first = mem_alloc((size_t)to, sizeof *t->first);
    t->count = mem_alloc((size_t)to, sizeof *t->count);
    t->weight = mem_alloc((size_t)to * (size_t)t->room, sizeof *t->weight);
    double *exact = mem_alloc((size_t)t->room, sizeof *exact);
    if (!t->first || !t->count || !t->weight || !exact) {
        mem_free(exact);
        return ERR_MEMORY;
    }
    for (int i = 0; i < to; i++) {
        double centre = (i + 0.5) * scale, inverse = 1.0 / stretch, sum = 0;
        int low = (int)(centre - support + 0.5), high = (int)(centre + support + 0.5);
        low = low < 0 ? 0 : low;
        high = high > from ? from : high;
        for (int k = 0; k < high - low; k++) {
            exact[k] = cubic((k + low - centre + 0.5) * inverse);
            sum += exact[k];
        }
        for (int k = 0; k < high - low; k++) {
            double w = sum != 0.0 ? exact[k] / sum : exact[k];
            t->weight[(size_t)i * (size_t)t->room + (size_t)k] =
                (int32_t)((w < 0 ? -0.5 : 0.5) + w * (1 << PRECISION));
        }
        t->first[i] = low;
        t->count[i] = high - low;
    }
    mem_free(exact);
    return 0;
}

static unsigned char clip(int32_t sum)
{
    int32_t value = sum >> PRECISION;
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* in [height][.][3] -> out [height][width][3] */
static void across(const struct taps *t, const unsigned char *in, int in_width, unsigned char *out, int width,
                   int height)
{
    for (int y = 0; y < height; y++, in += (size_t)in_width * 3)
        for (int x = 0; x < width; x++, out += 3) {
            const int32_t *w = t->weight + (size_t)x * (size_t)t->room;
            const unsigned char *p = in + (size_t)t->first[x] * 3;
            int32_t r = 1 << (PRECISION - 1), g = r, b = r;
            for (int k = 0; k < t->count[x]; k++, p += 3) {
                r += p[0] * w[k];
                g += p[1] * w[k];
                b += p[2] * w[k];
            }
            out[0] = clip(r);
            out[1] = clip(g);
            out[2] = clip(b);
        }
}

/* in [.][row] -> out [height][row]; a row's bytes are summed side by side in `sums` [row] */
static void down(const struct taps *t, const unsigned char *in, unsigned char *out, size_t row, int height,
                 int32_t *sums)
{
    for (int y = 0; y < height; y++, out += row) {
        const int32_t *w = t->weight + (size_t)y * (size_t)t->room;
        const unsigned char *p = in + (size_t)t->first[y] * row;
        for (size_t i = 0; i < row; i++)
            sums[i] = 1 << (PRECISION - 1);
        for (int k = 0; k < t->count[y]; k++, p += row)
            for (size_t i = 0; i < row; i++)
                sums[i] += p[i] * w[k];
        for (size_t i = 0; i < row; i++)
            out[i] = clip(sums[i]);
    }
}

int resize_bicubic(const struct image *image, unsigned char *out, int width, int height)
{
    if (width < 1 || height < 1 || width > IMAGE_SIDE_LIMIT || height > IMAGE_SIDE_LIMIT)
        return fail(ERR_INPUT, "a picture cannot be resized to %d x %d; a side is 1 to %d", width, height,
                    IMAGE_SIDE_LIMIT);
    int rc = 0, same_width = width == image->width, same_height = height == image->height;
    size_t row = (size_t)width * 3;
    struct taps x = {0}, y = {0};
    unsigned char *narrow = NULL; /* [image->height][width][3] */
    int32_t *sums = NULL;
    if (same_width && same_height) {
        memcpy(out, image->rgb, row * (size_t)height);
        return 0;
    }
    if (!same_width)
        TRY_OUT(taps_init(&x, image->width, width));
    if (!same_height) {
        TRY_OUT(taps_init(&y, image->height, height));
        sums = mem_alloc(row, sizeof *sums);
        narrow = same_width ? NULL : mem_alloc((size_t)image->height, row);
        rc = sums && (same_width || narrow) ? 0 : ERR_MEMORY;
        if (rc < 0)
            goto out;
    }
    if (!same_width)
        across(&x, image->rgb, image->width, narrow ? narrow : out, width, image->height);
    if (!same_height)
        down(&y, narrow ? narrow : image->rgb, out, row, height, sums);
out:
    taps_finish(&x);
    taps_finish(&y);
    mem_free(narrow);
    mem_free(sums);
    return rc;
}
