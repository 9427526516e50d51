/* corrupt_weather.c - snow, frost, fog and light. */
#include "corrupt_private.h"

#include "error.h"
#include "memory.h"

#include <math.h>

static float clip(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

/* Flakes: normal noise, enlarged, what is dark removed, blurred along the way they fall. */
static int draw_flakes(struct field *out, int side, const double *row, struct rng *r)
{
    const double scale = side / 224.0, zoom = row[2] * scale;
    struct field noise = {0};
    TRY(field_init(&noise, side, 1));
    for (size_t i = 0; i < field_count(&noise); i++)
        noise.v[i] = (float)(row[0] + row[1] * rng_normal(r));
    int rc = field_zoom(out, &noise, zoom > 1 ? zoom : 1);
    field_finish(&noise);
    for (size_t i = 0; rc == 0 && i < field_count(out); i++)
        out->v[i] = (double)out->v[i] < row[3] ? 0 : clip(out->v[i]);
    return rc < 0 ? rc : field_motion(out, row[4] * scale, row[5] * scale, -135 + 90 * rng_uniform(r));
}

int corrupt_snow(struct field *x, int severity, struct rng *r)
{
    /* mean and deviation of the noise, enlargement, threshold, radius and sigma of the blur, share of the picture */
    static const double rows[][7] = {{.1, .3, 3, .5, 10, 4, .8},
                                     {.2, .3, 2, .5, 12, 4, .7},
                                     {.55, .3, 4, .9, 12, 8, .7},
                                     {.55, .3, 4.5, .85, 12, 8, .65},
                                     {.55, .3, 2.5, .85, 12, 12, .55}};
    const float share = (float)rows[severity][6];
    const size_t pixels = (size_t)x->side * (size_t)x->side;
    struct field flakes = {0};
    int rc = draw_flakes(&flakes, x->side, rows[severity], r);
    for (size_t i = 0; rc == 0 && i < pixels; i++) {
        float *p = x->v + 3 * i;
        const float grey = .299f * p[0] + .587f * p[1] + .114f * p[2], white = grey * 1.5f + .5f;
        const float snow = flakes.v[i] + flakes.v[pixels - 1 - i]; /* and turned by half a circle */
        for (int c = 0; c < 3; c++)
            p[c] = share * p[c] + (1 - share) * (p[c] > white ? p[c] : white) + snow;
    }
    field_finish(&flakes);
    return rc;
}

int field_plasma(struct field *out, int side, double decay, struct rng *r)
{
    int n = 2;
    while (n < side)
        n *= 2;
    double *map = mem_alloc((size_t)(n * n), sizeof *map), wibble = 100, low = INFINITY, high = -INFINITY;
    if (!map)
        return ERR_MEMORY;
#define AT(y, x) map[(size_t)((y) & (n - 1)) * (size_t)n + (size_t)((x) & (n - 1))]
    for (int step = n; step >= 2; step /= 2, wibble /= decay) {
        const int half = step / 2;
        const double most = wibble * wibble;
        for (int y = half; y < n; y += step) /* centres of squares */
            for (int x = half; x < n; x += step)
                AT(y, x) = (AT(y - half, x - half) + AT(y - half, x + half) + AT(y + half, x - half) +
                            AT(y + half, x + half)) /
                               4 +
                           most * (2 * rng_uniform(r) - 1);
        for (int y = 0; y < n; y += half) /* centres of diamonds */
            for (int x = y % step == 0 ? half : 0; x < n; x += step)
                AT(y, x) = (AT(y - half, x) + AT(y + half, x) + AT(y, x - half) + AT(y, x + half)) / 4 +
                           most * (2 * rng_uniform(r) - 1);
    }
    for (int i = 0; i < n * n; i++) {
        low = fmin(low, map[i]);
        high = fmax(high, map[i]);
    }
    int rc = field_init(out, side, 1);
    for (int i = 0; rc == 0 && i < side * side; i++)
        out->v[i] = (float)((AT(i / side, i % side) - low) / (high - low));
#undef AT
    mem_free(map);
    return rc;
}

/* Ice on a window, in place of the photographs that the paper blends in: crystals are the ridges of fractal noise,
 * stretched along two directions, over a bright cloud, a little blue. Its mean and deviation are near the photographs'
 * (bright, with dark gaps). */
static int draw_ice(struct field *out, int side, struct rng *r)
{
    static const double smooth_decay = 2.2, rough_decay = 1.35;
    struct field cloud = {0}, ridges[2] = {{0}};
    int rc = field_plasma(&cloud, side, smooth_decay, r);
    for (int k = 0; rc == 0 && k < 2; k++) {
        rc = field_plasma(&ridges[k], side, rough_decay, r);
        for (size_t i = 0; rc == 0 && i < field_count(&ridges[k]); i++)
            ridges[k].v[i] = 1 - fabsf(2 * ridges[k].v[i] - 1); /* crests where the noise passes its middle */
        if (rc == 0)
            rc = field_motion(&ridges[k], 8 * side / 224.0 + 1, 5 * side / 224.0 + 0.5, 180 * rng_uniform(r));
    }
    if (rc == 0)
        rc = field_init(out, side, 1);
    for (size_t i = 0; rc == 0 && i < field_count(out); i++) {
        const float crest = ridges[0].v[i] > ridges[1].v[i] ? ridges[0].v[i] : ridges[1].v[i];
        out->v[i] = clip(1.6f * crest * crest * crest * (.35f + .65f * cloud.v[i]));
    }
    field_finish(&cloud);
    field_finish(&ridges[0]);
    field_finish(&ridges[1]);
    return rc;
}

int corrupt_frost(struct field *x, int severity, struct rng *r)
{
    static const float rows[][2] = {{1, .4f}, {.8f, .6f}, {.7f, .7f}, {.65f, .7f}, {.6f, .75f}};
    static const float tint[3] = {.92f, .97f, 1};
    struct field ice = {0};
    int rc = draw_ice(&ice, x->side, r);
    for (size_t i = 0; rc == 0 && i < field_count(x); i++)
        x->v[i] = rows[severity][0] * x->v[i] + rows[severity][1] * tint[i % 3] * ice.v[i / 3];
    field_finish(&ice);
    return rc;
}

/* The brightest value stays as bright as it was. */
int corrupt_fog(struct field *x, int severity, struct rng *r)
{
    static const double rows[][2] = {{1.5, 2}, {2, 2}, {2.5, 1.7}, {2.5, 1.5}, {3, 1.4}};
    const float density = (float)rows[severity][0];
    struct field mist = {0};
    float most = 0;
    for (size_t i = 0; i < field_count(x); i++)
        most = x->v[i] > most ? x->v[i] : most;
    int rc = field_plasma(&mist, x->side, rows[severity][1], r);
    for (size_t i = 0; rc == 0 && i < field_count(x); i++)
        x->v[i] = (x->v[i] + density * mist.v[i / 3]) * most / (most + density);
    field_finish(&mist);
    return rc;
}

/* The V of HSV is the largest of the three and hue and saturation are ratios to it: raising V scales all three; of
 * black, which has neither, it gives grey. */
int corrupt_brightness(struct field *x, int severity, struct rng *r)
{
    static const float more[] = {.1f, .2f, .3f, .4f, .5f};
    (void)r;
    for (size_t i = 0; i < field_count(x); i += 3) {
        float *p = x->v + i, v = fmaxf(p[0], fmaxf(p[1], p[2])), raised = clip(v + more[severity]);
        for (int c = 0; c < 3; c++)
            p[c] = v > 0 ? p[c] * raised / v : raised;
    }
    return 0;
}
