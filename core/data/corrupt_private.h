/* corrupt_private.h - what the corruptions share: a picture in floats, and the filters they are made of. */
#ifndef VITRO_DATA_CORRUPT_PRIVATE_H
#define VITRO_DATA_CORRUPT_PRIVATE_H

#include "corrupt.h"
#include "rng.h"

#include <stddef.h>

/* [side][side][channels], black 0 and white 1. A zeroed field is empty. */
struct field {
    int side, channels;
    float *v;
};
int field_init(struct field *f, int side, int channels);
int field_copy(struct field *out, const struct field *f);
void field_finish(struct field *f);
static inline size_t field_count(const struct field *f)
{
    return (size_t)f->side * (size_t)f->side * (size_t)f->channels;
}
static inline float *field_at(const struct field *f, int y, int x)
{
    return f->v + ((size_t)y * (size_t)f->side + (size_t)x) * (size_t)f->channels;
}

/* What lies beyond the edge: a|abc|c, ba|abc|cb (half-sample symmetric), cb|abc|ba (whole-sample). */
enum edge { EDGE_NEAREST, EDGE_REFLECT, EDGE_MIRROR };
int edge_index(int i, int side, enum edge edge);

/* Gaussian of deviation `sigma` pixels, cut off at `truncate` deviations, across then down. */
int field_gauss(struct field *f, double sigma, double truncate, enum edge edge);
/* Correlation with kernel [width][width], width odd. */
int field_filter(struct field *f, const double *kernel, int width);
/* The middle 1 / zoom of the picture, linearly enlarged to all of it. */
int field_zoom(struct field *out, const struct field *f, double zoom);
/* The one-sided motion blur of ImageMagick: weights exp(-i^2 / (2 sigma^2)) over 2 radius + 1 steps along `degrees`. */
int field_motion(struct field *f, double radius, double sigma, double degrees);
/* out(y, x) = f at (place[0], place[1]) of places [side][side][2] in pixels (y, x), linearly between pixels. */
int field_sample(struct field *out, const struct field *f, const double *places, enum edge edge);
/* A disc of `radius` pixels, smoothed by a 3 x 3 (radius at 224 pixels beyond 8: 5 x 5) Gaussian, sum 1; *width is
 * odd; the caller frees it. */
int disc_kernel(double **out, int *width, double radius, double smooth, int taps);

/* Diamond-square noise (Fournier, Fussell and Carpenter 1982) on a torus, 0 .. 1; amplitudes fall by decay^2 each time
 * the step is halved. */
int field_plasma(struct field *out, int side, double decay, struct rng *r);

/* Each changes a picture in place at severity 0 .. 4 of its table; bytes are clipped afterwards. */
#define X(name, family) int corrupt_##name(struct field *x, int severity, struct rng *r);
CORRUPTIONS(X)
#undef X

/* What a length in the paper's pixels is here. */
static inline double corrupt_scale(const struct field *x)
{
    return x->side / 224.0;
}

/* Writes an RGB picture as JPEG into memory, 4:2:0, as Pillow does at `quality`; the caller frees it. */
int image_encode_jpeg(const unsigned char *rgb, int width, int height, int quality, unsigned char **out,
                      size_t *size);

#endif
