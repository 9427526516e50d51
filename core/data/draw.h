/* draw.h - what the built-in tasks are drawn with: a canvas, textures and shapes, with soft edges one
 * pixel wide at any size.
 *
 * Coordinates run from 0 to 1 from the top left. Only +, -, *, /, sqrt and floor are used, which IEEE
 * 754 defines to the bit, and no function of libm: a picture is the same on every machine. */
#ifndef VITRO_DATA_DRAW_H
#define VITRO_DATA_DRAW_H

#include "rng.h"

struct canvas {
    int size;
    float *rgb; /* [size][size][3], 0 is black, 1 white */
};
int canvas_init(struct canvas *c, int size);
void canvas_finish(struct canvas *c);

struct colour {
    float c[3];
};

/* C leaves open in which order the arguments of a call or the parts of an initializer are computed:
 * draw at most once in each. */
float draw_uniform(struct rng *r, float low, float high);
int draw_chance(struct rng *r, float probability);
float draw_sine(float turns); /* of 2 pi turns; wrong by at most 1e-4 */
float draw_cosine(float turns);

/* Two colours of random hue whose brightness differs by `contrast`, either of them the brighter. */
void draw_colours(struct rng *r, float contrast, struct colour *a, struct colour *b);

/* the families of texture */
#define DRAW_TEXTURES(X)    \
    X(STRIPES, stripes)     \
    X(CHECKS, checks)       \
    X(DOTS, dots)           \
    X(RINGS, rings)         \
    X(BRICKS, bricks)       \
    X(CLOUDS, clouds)       \
    X(CRACKS, cracks)       \
    X(HATCH, hatch)         \
    X(ZIGZAG, zigzag)       \
    X(TRIANGLES, triangles) \
    X(SPOTS, spots)         \
    X(WEAVE, weave)         \
    X(WOOD, wood)           \
    X(SPECKLE, speckle)     \
    X(SCALES, scales)       \
    X(RIPPLES, ripples)
enum texture_family {
#define X(NAME, name) TEXTURE_##NAME,
    DRAW_TEXTURES(X)
#undef X
        TEXTURE_COUNT
};

/* A texture in place: `frequency` periods across the picture. */
struct texture {
    enum texture_family family;
    float frequency, cosine, sine, shift_x, shift_y, duty;
    uint32_t seed;
};
struct texture draw_texture(struct rng *r, enum texture_family family, float low, float high);

/* Colours `a` and `b` mixed by a texture; without one (NULL), `a` alone. `light` is how much
 * brighter one side is, from a random direction. */
struct paint {
    struct colour a, b;
    const struct texture *texture;
};
void draw_fill(struct canvas *c, struct rng *r, const struct paint *p, float light);

/* the outlines: name; corners are in draw_shape.c */
#define DRAW_SHAPES(X) \
    X(DISC)            \
    X(RING)            \
    X(CRESCENT)        \
    X(HALF)            \
    X(TRIANGLE)        \
    X(SQUARE)          \
    X(HEXAGON)         \
    X(STAR)            \
    X(SPARK)           \
    X(CROSS)           \
    X(ARROW)           \
    X(ELL)             \
    X(TEE)             \
    X(CHEVRON)         \
    X(BOLT)            \
    X(HOURGLASS)       \
    X(TRAPEZOID)       \
    X(BAR)
enum figure {
#define X(NAME) SHAPE_##NAME,
    DRAW_SHAPES(X)
#undef X
        SHAPE_COUNT
};

/* Where a shape lies: `radius` of the circle around it, turned clockwise, made `slimness` times as
 * thin across its own y axis. */
struct pose {
    float x, y, radius, turns, slimness;
};
void draw_shape(struct canvas *c, enum figure shape, const struct pose *pose, const struct paint *p);

/* A stroke with round ends. */
void draw_line(struct canvas *c, float x0, float y0, float x1, float y1, float width, struct colour colour);

/* Exposure and sensor noise, then bytes. */
void draw_finish(const struct canvas *c, struct rng *r, float noise, unsigned char *rgb);

#endif
