/* builtin_scene.c - see builtin_scene.h. */
#include "builtin_scene.h"

#include <math.h>

static struct colour near(struct rng *r, struct colour k, float by)
{
    float shift = draw_chance(r, 0.5f) ? by : -by;
    for (int i = 0; i < 3; i++) {
        float v = k.c[i] + shift + draw_uniform(r, -0.03f, 0.03f);
        k.c[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
    return k;
}

struct place scene_place(struct rng *r, float low, float high)
{
    struct place at;
    at.x = draw_uniform(r, low, high);
    at.y = draw_uniform(r, low, high);
    return at;
}

struct pose scene_pose(struct rng *r, struct place at, float radius)
{
    return (struct pose){at.x, at.y, radius, draw_uniform(r, 0, 1), 1};
}

struct colour scene_shade(struct rng *r, struct colour k, struct colour other, float most)
{
    struct colour shade;
    for (int i = 0; i < 3; i++)
        shade.c[i] = k.c[i] + (k.c[i] - other.c[i]) * draw_uniform(r, -most, most);
    return shade;
}

void scene_ground(struct canvas *c, struct rng *r, struct colour ground)
{
    static const enum texture_family families[] = {TEXTURE_CLOUDS,  TEXTURE_CLOUDS, TEXTURE_SPECKLE,
                                                   TEXTURE_STRIPES, TEXTURE_SPOTS,  TEXTURE_CHECKS};
    enum texture_family family = PICK(r, families);
    struct texture t = draw_texture(r, family, 2, 7);
    float contrast = draw_uniform(r, 0.03f, 0.1f);
    struct paint p = {ground, near(r, ground, contrast), &t};
    draw_fill(c, r, &p, draw_uniform(r, 0, 0.5f));
}

struct colour scene_colours(struct canvas *c, struct rng *r, struct colour *ink)
{
    struct colour ground;
    float contrast = draw_uniform(r, 0.25f, 0.5f);
    draw_colours(r, contrast, ink, &ground);
    scene_ground(c, r, ground);
    return ground;
}

void scene_strokes(struct canvas *c, struct rng *r, int most, struct colour ground)
{
    for (int n = (int)rng_below(r, (uint32_t)most + 1); n > 0; n--) {
        struct place at = scene_place(r, 0, 1);
        float turns = draw_uniform(r, 0, 1), width = draw_uniform(r, 0.02f, 0.04f);
        float dx = draw_cosine(turns) * 0.6f, dy = draw_sine(turns) * 0.6f;
        draw_line(c, at.x - dx, at.y - dy, at.x + dx, at.y + dy, width, near(r, ground, 0.14f));
    }
}

void scene_places(struct rng *r, struct place *places, int count, float apart, float margin)
{
    for (int i = 0; i < count; i++)
        for (int tries = 0; tries >= 0;) {
            struct place at = scene_place(r, margin, 1 - margin);
            tries++;
            apart = tries % 16 == 0 ? apart * 0.9f : apart;
            int clear = 1;
            for (int k = 0; k < i; k++) {
                float dx = at.x - places[k].x, dy = at.y - places[k].y;
                clear &= dx * dx + dy * dy >= apart * apart;
            }
            if (clear) {
                places[i] = at;
                tries = -1;
            }
        }
}

float scene_bin(struct rng *r, int label, int bins, float low, float high)
{
    return low + (high - low) * ((float)label + draw_uniform(r, 0.1f, 0.9f)) / (float)bins;
}

/* The places at which one end can lie form a rectangle, whatever the direction; its middle is the
 * picture's. A pair longer than the picture is moved together. */
static float start(struct rng *r, float step, float margin)
{
    float room = 1 - 2 * margin - fabsf(step);
    room = room < 0 ? 0 : room;
    return 0.5f - step / 2 + draw_uniform(r, -0.5f, 0.5f) * room;
}

void scene_pair(struct rng *r, float distance, float turns, float margin, struct place pair[2])
{
    float dx = distance * draw_cosine(turns), dy = distance * draw_sine(turns);
    pair[0].x = start(r, dx, margin);
    pair[0].y = start(r, dy, margin);
    pair[1] = (struct place){pair[0].x + dx, pair[0].y + dy};
}
