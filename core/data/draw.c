/* draw.c - the canvas: filling, shapes, lines, and the way to bytes. */
#include "draw.h"

#include "draw_shape.h"
#include "draw_texture.h"
#include "error.h"
#include "memory.h"

#include <math.h>

int canvas_init(struct canvas *c, int size)
{
    c->size = size;
    c->rgb = mem_alloc((size_t)size * (size_t)size, 3 * sizeof *c->rgb);
    return c->rgb ? 0 : ERR_MEMORY;
}

void canvas_finish(struct canvas *c)
{
    mem_free(c->rgb);
    *c = (struct canvas){0};
}

float draw_uniform(struct rng *r, float low, float high)
{
    return low + (high - low) * ((float)(rng_u32(r) >> 8) * (1.0f / 16777216));
}

int draw_chance(struct rng *r, float probability)
{
    return draw_uniform(r, 0, 1) < probability;
}

/* The Taylor polynomial of sine to the 9th power, on a quarter turn to either side. */
float draw_sine(float turns)
{
    float t = turns - floorf(turns); /* 0 .. 1 */
    t = t > 0.75f ? t - 1 : t > 0.25f ? 0.5f - t : t;
    float x = t * 6.2831853f, s = x * x;
    return x * (1 + s * (-1.0f / 6 + s * (1.0f / 120 + s * (-1.0f / 5040 + s * (1.0f / 362880)))));
}

float draw_cosine(float turns)
{
    return draw_sine(turns + 0.25f);
}

static float brightness(const struct colour *k)
{
    return 0.3f * k->c[0] + 0.55f * k->c[1] + 0.15f * k->c[2];
}

/* Moves a colour along grey until its brightness is `wanted`. */
static void set_brightness(struct colour *k, float wanted)
{
    float shift = wanted - brightness(k);
    for (int i = 0; i < 3; i++) {
        float v = k->c[i] + shift;
        k->c[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
}

void draw_colours(struct rng *r, float contrast, struct colour *a, struct colour *b)
{
    for (int i = 0; i < 3; i++) {
        a->c[i] = draw_uniform(r, 0.2f, 0.8f);
        b->c[i] = draw_uniform(r, 0.2f, 0.8f);
    }
    float middle = draw_uniform(r, 0.1f + contrast / 2, 0.9f - contrast / 2);
    float half = draw_chance(r, 0.5f) ? contrast / 2 : -contrast / 2;
    set_brightness(a, middle + half);
    set_brightness(b, middle - half);
}

struct texture draw_texture(struct rng *r, enum texture_family family, float low, float high)
{
    float turns = draw_uniform(r, 0, 1);
    struct texture t = {.family = family, .frequency = draw_uniform(r, low, high)};
    t.cosine = draw_cosine(turns);
    t.sine = draw_sine(turns);
    t.shift_x = draw_uniform(r, -1, 1);
    t.shift_y = draw_uniform(r, -1, 1);
    t.duty = draw_uniform(r, 0.35f, 0.65f);
    t.seed = rng_u32(r);
    return t;
}

/* Puts the paint's colour at (u, v) over what is there, `cover` of it, times `light`. */
static void blend(float *pixel, const struct paint *p, float u, float v, float width, float cover,
                  float light)
{
    float mix = p->texture ? texture_value(p->texture, u, v, width) : 0;
    for (int i = 0; i < 3; i++) {
        float value = (p->a.c[i] + (p->b.c[i] - p->a.c[i]) * mix) * light;
        pixel[i] += (value - pixel[i]) * cover;
    }
}

void draw_fill(struct canvas *c, struct rng *r, const struct paint *p, float light)
{
    float turns = draw_uniform(r, 0, 1), dx = light * draw_cosine(turns), dy = light * draw_sine(turns);
    float width = 1.0f / (float)c->size, *pixel = c->rgb;
    for (int y = 0; y < c->size; y++)
        for (int x = 0; x < c->size; x++, pixel += 3) {
            float u = ((float)x + 0.5f) * width, v = ((float)y + 0.5f) * width;
            blend(pixel, p, u, v, width, 1, 1 + dx * (u - 0.5f) + dy * (v - 0.5f));
        }
}

/* The pixels that a disc of `reach` around `centre` may touch, along one axis. */
static void span(const struct canvas *c, float centre, float reach, int *first, int *end)
{
    float low = floorf((centre - reach) * (float)c->size - 1),
          high = floorf((centre + reach) * (float)c->size + 2);
    *first = low < 0 ? 0 : (int)low;
    *end = high > (float)c->size ? c->size : high < 0 ? 0 : (int)high;
}

void draw_shape(struct canvas *c, enum figure shape, const struct pose *pose, const struct paint *p)
{
    int x0, x1, y0, y1;
    float cosine = draw_cosine(pose->turns), sine = draw_sine(pose->turns), width = 1.0f / (float)c->size;
    span(c, pose->x, pose->radius, &x0, &x1);
    span(c, pose->y, pose->radius, &y0, &y1);
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) {
            float u = ((float)x + 0.5f) * width, v = ((float)y + 0.5f) * width;
            float du = (u - pose->x) / pose->radius, dv = (v - pose->y) / pose->radius;
            float d =
                shape_distance(shape, du * cosine + dv * sine, (dv * cosine - du * sine) * pose->slimness);
            float cover = 0.5f - d * pose->radius / (width * (0.5f + 0.5f * pose->slimness));
            if (cover > 0)
                blend(c->rgb + 3 * ((size_t)y * (size_t)c->size + (size_t)x), p, u, v, width,
                      cover > 1 ? 1 : cover, 1);
        }
}

void draw_line(struct canvas *c, float x0, float y0, float x1, float y1, float width, struct colour colour)
{
    struct paint p = {.a = colour};
    float ex = x1 - x0, ey = y1 - y0, length = ex * ex + ey * ey + 1e-12f, pixel = 1.0f / (float)c->size;
    int left, right, top, bottom;
    span(c, (x0 + x1) / 2, fabsf(ex) / 2 + width, &left, &right);
    span(c, (y0 + y1) / 2, fabsf(ey) / 2 + width, &top, &bottom);
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++) {
            float wx = ((float)x + 0.5f) * pixel - x0, wy = ((float)y + 0.5f) * pixel - y0;
            float t = (wx * ex + wy * ey) / length;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            float dx = wx - ex * t, dy = wy - ey * t;
            float cover = 0.5f + (width / 2 - sqrtf(dx * dx + dy * dy)) / pixel;
            if (cover > 0)
                blend(c->rgb + 3 * ((size_t)y * (size_t)c->size + (size_t)x), &p, 0, 0, pixel,
                      cover > 1 ? 1 : cover, 1);
        }
}

void draw_finish(const struct canvas *c, struct rng *r, float noise, unsigned char *rgb)
{
    float gain = draw_uniform(r, 0.85f, 1.15f), shift = draw_uniform(r, -0.08f, 0.08f);
    uint64_t key = rng_u32(r);
    key = key << 32 | rng_u32(r);
    size_t pixels = (size_t)c->size * (size_t)c->size;
    for (size_t i = 0; i < pixels; i++) {
        /* one word a channel; the sum of its 4 bytes is nearly normal, with deviation 147.8 */
        struct philox words = philox4x32(key, i, 0);
        for (int k = 0; k < 3; k++) {
            uint32_t w = words.word[k];
            float sum = (float)(w & 255) + (float)(w >> 8 & 255) + (float)(w >> 16 & 255) + (float)(w >> 24);
            float v = 0.5f + gain * (c->rgb[3 * i + (size_t)k] - 0.5f) + shift + noise * (sum - 510) / 147.8f;
            v = v * 255 + 0.5f;
            rgb[3 * i + (size_t)k] = (unsigned char)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
}
