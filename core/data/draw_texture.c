/* draw_texture.c - textures as functions of the place: 0 to 1, in periods of about 1. */
#include "draw_texture.h"

#include <math.h>

static float fraction(float x)
{
    return x - floorf(x);
}

static float clamp(float x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* 0 below, 1 above, a ramp of width `blur` around 0. */
static float step(float x, float blur)
{
    return clamp(0.5f + x / blur);
}

/* 0 in the middle of a period, 1 at its ends. */
static float wave(float x)
{
    return 2 * fabsf(fraction(x) - 0.5f);
}

/* A scramble of the bits of a lattice point (after Wang's and Murmur's finishers). */
static uint32_t scramble(int x, int y, uint32_t seed)
{
    uint32_t h = (uint32_t)x * 0x8da6b343u ^ (uint32_t)y * 0xd8163841u ^ seed;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

static float lattice(int x, int y, uint32_t seed)
{
    return (float)(scramble(x, y, seed) >> 8) * (1.0f / 16777216);
}

/* Values at lattice points, smoothly joined. */
static float smooth_noise(float x, float y, uint32_t seed)
{
    float fx = floorf(x), fy = floorf(y), u = x - fx, v = y - fy;
    int i = (int)fx, j = (int)fy;
    u = u * u * (3 - 2 * u);
    v = v * v * (3 - 2 * v);
    float top = lattice(i, j, seed) * (1 - u) + lattice(i + 1, j, seed) * u;
    float low = lattice(i, j + 1, seed) * (1 - u) + lattice(i + 1, j + 1, seed) * u;
    return top * (1 - v) + low * v;
}

static float fractal_noise(float x, float y, uint32_t seed)
{
    return (4 * smooth_noise(x, y, seed) + 2 * smooth_noise(2 * x, 2 * y, seed + 1) +
            smooth_noise(4 * x, 4 * y, seed + 2)) /
           7;
}

/* Distances to the nearest and second nearest of points scattered one to a lattice cell. */
static void nearest_two(float x, float y, uint32_t seed, float *first, float *second)
{
    int i = (int)floorf(x), j = (int)floorf(y);
    float a = 9, b = 9; /* squared */
    for (int dy = -1; dy <= 1; dy++)
        for (int dx = -1; dx <= 1; dx++) {
            uint32_t h = scramble(i + dx, j + dy, seed);
            float px = (float)(i + dx) + 0.15f + 0.7f * (float)(h & 0xffff) / 65536 - x;
            float py = (float)(j + dy) + 0.15f + 0.7f * (float)(h >> 16) / 65536 - y;
            float d = px * px + py * py;
            b = d < a ? a : d < b ? d : b;
            a = d < a ? d : a;
        }
    *first = sqrtf(a);
    *second = sqrtf(b);
}

/* x, y: place in periods; t: the texture; w: a pixel's width in periods */
static float stripes(float x, float y, const struct texture *t, float w)
{
    (void)y;
    return step(wave(x) - t->duty, 2 * w);
}
static float checks(float x, float y, const struct texture *t, float w)
{
    (void)t;
    float a = step(wave(x) - 0.5f, 2 * w), b = step(wave(y) - 0.5f, 2 * w);
    return a + b - 2 * a * b;
}
static float dots(float x, float y, const struct texture *t, float w)
{
    float u = fraction(x) - 0.5f, v = fraction(y) - 0.5f;
    return step(0.2f + 0.3f * t->duty - sqrtf(u * u + v * v), w);
}
static float rings(float x, float y, const struct texture *t, float w)
{
    return step(wave(sqrtf(x * x + y * y)) - t->duty, 2 * w);
}
static float bricks(float x, float y, const struct texture *t, float w)
{
    float row = floorf(y), u = x * 0.5f + 0.5f * (row - 2 * floorf(row / 2));
    float edge_x = 1 - wave(u), edge_y = 0.5f * (1 - wave(y)); /* in brick heights */
    float tone = 0.3f * lattice((int)floorf(u), (int)row, t->seed);
    return step((edge_x < edge_y ? edge_x : edge_y) - 0.06f - 0.08f * t->duty, w) * (0.7f + tone);
}
static float clouds(float x, float y, const struct texture *t, float w)
{
    (void)w;
    return clamp(2 * fractal_noise(x, y, t->seed) - 0.5f);
}
static float cracks(float x, float y, const struct texture *t, float w)
{
    float first, second;
    nearest_two(x, y, t->seed, &first, &second);
    return step(second - first - 0.05f - 0.1f * t->duty, 1.5f * w);
}
static float hatch(float x, float y, const struct texture *t, float w)
{
    float a = step(wave(x) - 0.5f - 0.4f * t->duty, 2 * w), b = step(wave(y) - 0.5f - 0.4f * t->duty, 2 * w);
    return a > b ? a : b;
}
static float zigzag(float x, float y, const struct texture *t, float w)
{
    return step(wave(x + 0.8f * wave(0.6f * y)) - t->duty, 2.8f * w);
}
static float triangles(float x, float y, const struct texture *t, float w)
{
    (void)t;
    float u = fraction(x - 0.57735f * y), v = fraction(1.1547f * y);
    return step(u + v - 1, 1.5f * w);
}
static float spots(float x, float y, const struct texture *t, float w)
{
    float first, second;
    nearest_two(x, y, t->seed, &first, &second);
    return step(0.15f + 0.25f * t->duty - first, w);
}
static float weave(float x, float y, const struct texture *t, float w)
{
    float parity = floorf(x) + floorf(y);
    int along = parity - 2 * floorf(parity / 2) > 0.5f;
    float across = along ? wave(y) : wave(x), length = along ? wave(x) : wave(y);
    return step(0.75f + 0.15f * t->duty - across, 2 * w) * (1 - 0.5f * length * length);
}
static float wood(float x, float y, const struct texture *t, float w)
{
    float grain = wave(x + 1.6f * smooth_noise(0.5f * x, 0.25f * y, t->seed));
    return clamp(0.15f + 0.6f * step(grain - t->duty, 4 * w + 0.6f) +
                 0.3f * smooth_noise(3 * x, 0.7f * y, t->seed + 1));
}
static float speckle(float x, float y, const struct texture *t, float w)
{
    return step(smooth_noise(2.5f * x, 2.5f * y, t->seed) - 0.45f - 0.2f * t->duty, w + 0.05f);
}
/* Rows of discs, each row over the one below it, with dark rims. */
static float scales(float x, float y, const struct texture *t, float w)
{
    float value = 0;
    for (int k = 0; k < 2; k++) {
        float row = floorf(y * 2) - (float)k, shift = 0.5f * (row - 2 * floorf(row / 2));
        float u = fraction(x + shift) - 0.5f, v = y - 0.5f * row;
        float inside = 0.72f - sqrtf(u * u + v * v);
        if (k == 0 || inside > 0)
            value = step(inside - 0.06f - 0.12f * t->duty, w) * (0.75f + 0.35f * inside);
    }
    return clamp(value);
}
static float ripples(float x, float y, const struct texture *t, float w)
{
    return step(wave(x + 0.35f * draw_sine(0.5f * y)) - t->duty, 2.2f * w);
}

typedef float texture_function(float x, float y, const struct texture *t, float w);
static texture_function *const functions[TEXTURE_COUNT] = {
#define X(NAME, name) [TEXTURE_##NAME] = name,
    DRAW_TEXTURES(X)
#undef X
};

float texture_value(const struct texture *t, float u, float v, float pixel)
{
    float x = u - 0.5f, y = v - 0.5f, f = t->frequency;
    float px = (x * t->cosine + y * t->sine) * f + t->shift_x,
          py = (y * t->cosine - x * t->sine) * f + t->shift_y;
    return functions[t->family](px, py, t, pixel * f);
}
