/* corrupt_digital.c - contrast, elastic deformation, coarse pixels, JPEG. */
#include "corrupt_private.h"

#include "error.h"
#include "image_codec.h"
#include "memory.h"

#include <math.h>
#include <string.h>

/* Around the mean of each colour. */
int corrupt_contrast(struct field *x, int severity, struct rng *r)
{
    static const double kept[] = {.4, .3, .2, .1, .05};
    const size_t pixels = field_count(x) / 3;
    (void)r;
    for (size_t c = 0; c < 3; c++) {
        double mean = 0;
        for (size_t i = 0; i < pixels; i++)
            mean += (double)x->v[3 * i + c] / (double)pixels;
        for (size_t i = 0; i < pixels; i++)
            x->v[3 * i + c] = (float)(((double)x->v[3 * i + c] - mean) * kept[severity] + mean);
    }
    return 0;
}

static double between(struct rng *r, double low, double high)
{
    return low + (high - low) * rng_uniform(r);
}

/* The affine map from corners `to` back to corners `from`, three points (x, y) each: y = m (x, y, 1). */
static void solve_affine(double from[3][2], double to[3][2], double m[2][3])
{
    const double ax = to[1][0] - to[0][0], ay = to[1][1] - to[0][1], bx = to[2][0] - to[0][0],
                 by = to[2][1] - to[0][1], area = ax * by - ay * bx;
    for (int k = 0; k < 2; k++) {
        const double da = from[1][k] - from[0][k], db = from[2][k] - from[0][k];
        m[k][0] = (da * by - db * ay) / area;
        m[k][1] = (db * ax - da * bx) / area;
        m[k][2] = from[0][k] - m[k][0] * to[0][0] - m[k][1] * to[0][1];
    }
}

/* Moves three points of the middle by up to `most` pixels, and everything with them. */
static int warp_affine(struct field *x, double most, struct rng *r, double *places)
{
    const int side = x->side, middle = side / 2, part = side / 3;
    double from[3][2] = {
        {middle + part, middle + part}, {middle + part, middle - part}, {middle - part, middle - part}};
    double to[3][2], m[2][3];
    struct field out = {0};
    for (int k = 0; k < 3; k++)
        for (int c = 0; c < 2; c++)
            to[k][c] = from[k][c] + between(r, -most, most);
    solve_affine(from, to, m);
    for (int i = 0; i < side * side; i++) {
        const int px = i % side, py = i / side;
        places[2 * i] = m[1][0] * px + m[1][1] * py + m[1][2];
        places[2 * i + 1] = m[0][0] * px + m[0][1] * py + m[0][2];
    }
    int rc = field_sample(&out, x, places, EDGE_MIRROR);
    if (rc == 0)
        memcpy(x->v, out.v, field_count(x) * sizeof *x->v);
    field_finish(&out);
    return rc;
}

/* Adds to coordinate `axis` of every place a smooth random distance (Simard et al. 2003). */
static int bend(int side, int axis, double alpha, double sigma, struct rng *r, double *places)
{
    struct field d = {0};
    TRY(field_init(&d, side, 1));
    for (size_t i = 0; i < field_count(&d); i++)
        d.v[i] = (float)between(r, -1, 1);
    int rc = field_gauss(&d, sigma, 3, EDGE_REFLECT);
    for (int i = 0; rc == 0 && i < side * side; i++)
        places[2 * i + axis] = (axis ? i % side : i / side) + alpha * (double)d.v[i];
    field_finish(&d);
    return rc;
}

int corrupt_elastic_transform(struct field *x, int severity, struct rng *r)
{
    /* strength and smoothness of the bending, distance of the affine map, in parts of 244 pixels: the published
     * numbers, whose 244 is not the picture's 224 */
    static const double rows[][3] = {
        {2, .7, .1}, {2, .08, .2}, {.05, .01, .02}, {.07, .01, .02}, {.12, .01, .02}};
    const double unit = 244 * corrupt_scale(x), *row = rows[severity];
    struct field out = {0};
    double *places = mem_alloc((size_t)(x->side * x->side), 2 * sizeof *places);
    int rc = places ? warp_affine(x, row[2] * unit, r, places) : ERR_MEMORY;
    if (rc == 0)
        rc = bend(x->side, 1, row[0] * unit, row[1] * unit, r, places);
    if (rc == 0)
        rc = bend(x->side, 0, row[0] * unit, row[1] * unit, r, places);
    if (rc == 0)
        rc = field_sample(&out, x, places, EDGE_REFLECT);
    if (rc == 0)
        memcpy(x->v, out.v, field_count(x) * sizeof *x->v);
    field_finish(&out);
    mem_free(places);
    return rc;
}

/* --- corruptions of bytes */

static void to_bytes(const struct field *x, unsigned char *rgb)
{
    for (size_t i = 0; i < field_count(x); i++) {
        const float v = x->v[i] * 255 + .5f;
        rgb[i] = (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

static void from_bytes(struct field *x, const unsigned char *rgb)
{
    for (size_t i = 0; i < field_count(x); i++)
        x->v[i] = rgb[i] / 255.0f;
}

/* The weight of source pixel k in output pixel i of a box filter from `from` to `to` pixels, as Pillow's BOX: whole
 * pixels whose middle is in the box count, alike. */
static void box_range(int i, int from, int to, int *low, int *high)
{
    const double scale = (double)from / to, support = .5 * (scale < 1 ? 1 : scale), centre = (i + .5) * scale;
    int a = (int)(centre - support + .5), b = (int)(centre + support + .5);
    *low = a < 0 ? 0 : a;
    *high = b > from ? from : b;
}

/* One pass, across; bytes are rounded as Pillow rounds between its two. */
static void box_across(const unsigned char *in, int from, unsigned char *out, int to, int rows)
{
    for (int x = 0; x < to; x++) {
        int low, high;
        box_range(x, from, to, &low, &high);
        for (int y = 0; y < rows; y++)
            for (int c = 0; c < 3; c++) {
                int sum = 0;
                for (int k = low; k < high; k++)
                    sum += in[3 * (y * from + k) + c];
                out[3 * (y * to + x) + c] = (unsigned char)((2 * sum + high - low) / (2 * (high - low)));
            }
    }
}

static void turn(const unsigned char *in, int width, int height, unsigned char *out)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(out + 3 * (x * height + y), in + 3 * (y * width + x), 3);
}

/* [from][from] to [to][to]: across, then down; `a` and `b` hold side x side pixels each. */
static void box_resize(unsigned char *picture, int from, int to, unsigned char *a, unsigned char *b)
{
    box_across(picture, from, a, to, from);
    turn(a, to, from, b); /* now [to][from] */
    box_across(b, from, a, to, to);
    turn(a, to, to, picture);
}

int corrupt_pixelate(struct field *x, int severity, struct rng *r)
{
    static const double share[] = {.6, .5, .4, .3, .25};
    const int side = x->side, coarse = (int)(side * share[severity]);
    const size_t bytes = field_count(x);
    unsigned char *rgb = mem_alloc(3, bytes);
    (void)r;
    if (!rgb)
        return ERR_MEMORY;
    to_bytes(x, rgb);
    box_resize(rgb, side, coarse < 1 ? 1 : coarse, rgb + bytes, rgb + 2 * bytes);
    box_resize(rgb, coarse < 1 ? 1 : coarse, side, rgb + bytes, rgb + 2 * bytes);
    from_bytes(x, rgb);
    mem_free(rgb);
    return 0;
}

int corrupt_jpeg_compression(struct field *x, int severity, struct rng *r)
{
    static const int quality[] = {25, 18, 15, 10, 7};
    unsigned char *rgb = mem_alloc(field_count(x), 1), *jpeg = NULL;
    struct image image = {0};
    size_t size = 0;
    (void)r;
    int rc = rgb ? 0 : ERR_MEMORY;
    if (rc == 0) {
        to_bytes(x, rgb);
        rc = image_encode_jpeg(rgb, x->side, x->side, quality[severity], &jpeg, &size);
    }
    if (rc == 0)
        rc = image_decode_jpeg(&image, jpeg, size);
    if (rc == 0)
        from_bytes(x, image.rgb);
    image_finish(&image);
    mem_free(jpeg);
    mem_free(rgb);
    return rc;
}
