/* task_pretrain.c - eight kinds of scene with eight values each. Their textures and shapes are not
 * those of the six tasks, and their questions are put differently: gratings instead of bars, a small
 * mark beside a large one, the place of a thing. */
#include "builtin_scene.h"

enum { VALUES = 8 };

static void texture_scene(struct canvas *c, struct rng *r, int value)
{
    static const enum texture_family families[VALUES] = {TEXTURE_STRIPES, TEXTURE_CHECKS, TEXTURE_RINGS,
                                                         TEXTURE_CLOUDS,  TEXTURE_HATCH,  TEXTURE_TRIANGLES,
                                                         TEXTURE_SPOTS,   TEXTURE_SPECKLE};
    struct texture t = draw_texture(r, families[value], 2.5f, 6.5f);
    struct paint p = {.texture = &t};
    float contrast = draw_uniform(r, 0.2f, 0.5f), light = draw_uniform(r, 0, 0.8f);
    draw_colours(r, contrast, &p.a, &p.b);
    draw_fill(c, r, &p, light);
}

static void shape_scene(struct canvas *c, struct rng *r, int value)
{
    static const enum figure shapes[VALUES] = {SHAPE_DISC,    SHAPE_HALF, SHAPE_ELL,   SHAPE_TEE,
                                               SHAPE_CHEVRON, SHAPE_BOLT, SHAPE_SPARK, SHAPE_TRAPEZOID};
    struct colour ink, ground = scene_colours(c, r, &ink);
    enum texture_family coat = draw_chance(r, 0.5f) ? TEXTURE_CLOUDS : TEXTURE_HATCH;
    struct texture t = draw_texture(r, coat, 3, 8);
    scene_strokes(c, r, 4, ground);
    struct paint p = {ink, scene_shade(r, ink, ground, 0.3f), &t};
    float radius = draw_uniform(r, 0.24f, 0.4f);
    struct place at = scene_place(r, radius, 1 - radius);
    struct pose pose = scene_pose(r, at, radius);
    pose.slimness = draw_uniform(r, 1, 1.25f);
    draw_shape(c, shapes[value], &pose, &p);
}

/* 3 to 10 like things: one or two are the other scenes' business. */
static void number_scene(struct canvas *c, struct rng *r, int value)
{
    static const enum figure shapes[] = {SHAPE_HEXAGON, SHAPE_CROSS, SHAPE_TRAPEZOID, SHAPE_SPARK, SHAPE_ELL};
    struct place places[VALUES + 2];
    struct paint p = {0};
    scene_colours(c, r, &p.a);
    scene_places(r, places, value + 3, 0.26f, 0.11f);
    enum figure shape = PICK(r, shapes);
    float radius = draw_uniform(r, 0.075f, 0.11f);
    for (int i = 0; i < value + 3; i++) {
        struct pose pose = scene_pose(r, places[i], radius);
        draw_shape(c, shape, &pose, &p);
    }
}

/* A grating behind a round window, on their middle colour. */
static void turn_scene(struct canvas *c, struct rng *r, int value)
{
    struct paint p = {0};
    struct colour ground;
    float turns = scene_bin(r, value, VALUES, 0, 0.5f), contrast = draw_uniform(r, 0.2f, 0.5f);
    struct texture t = draw_texture(r, TEXTURE_STRIPES, 3, 7);
    t.cosine = draw_cosine(turns);
    t.sine = draw_sine(turns);
    p.texture = &t;
    draw_colours(r, contrast, &p.a, &p.b);
    for (int i = 0; i < 3; i++)
        ground.c[i] = (p.a.c[i] + p.b.c[i]) / 2;
    scene_ground(c, r, ground);
    struct place at = scene_place(r, 0.35f, 0.65f);
    struct pose pose = {at.x, at.y, draw_uniform(r, 0.25f, 0.45f), 0, 1};
    draw_shape(c, SHAPE_DISC, &pose, &p);
}

/* From a large mark to a small one, in eight directions. */
static void direction_scene(struct canvas *c, struct rng *r, int value)
{
    struct place pair[2];
    struct paint p = {0};
    struct colour ground = scene_colours(c, r, &p.a);
    scene_strokes(c, r, 1, ground);
    float distance = draw_uniform(r, 0.3f, 0.6f), turns = scene_bin(r, value, VALUES, 0, 1);
    scene_pair(r, distance, turns, 0.12f, pair);
    float large = draw_uniform(r, 0.13f, 0.17f), small = draw_uniform(r, 0.06f, 0.08f);
    for (int i = 0; i < 2; i++) {
        struct pose pose = scene_pose(r, pair[i], i ? small : large);
        draw_shape(c, SHAPE_HEXAGON, &pose, &p);
    }
}

/* Two like marks, in eight ranges of distance. */
static void distance_scene(struct canvas *c, struct rng *r, int value)
{
    static const enum figure shapes[] = {SHAPE_CROSS, SHAPE_TRAPEZOID, SHAPE_HEXAGON};
    struct place pair[2];
    struct paint p = {0};
    struct colour ground = scene_colours(c, r, &p.a);
    scene_strokes(c, r, 1, ground);
    float distance = scene_bin(r, value, VALUES, 0.15f, 0.85f), turns = draw_uniform(r, 0, 1);
    scene_pair(r, distance, turns, 0.08f, pair);
    enum figure shape = PICK(r, shapes);
    float radius = draw_uniform(r, 0.07f, 0.11f);
    for (int i = 0; i < 2; i++) {
        struct pose pose = scene_pose(r, pair[i], radius);
        draw_shape(c, shape, &pose, &p);
    }
}

/* One thing in one of the eight outer ninths of the picture. */
static void place_scene(struct canvas *c, struct rng *r, int value)
{
    static const enum figure shapes[] = {SHAPE_CHEVRON, SHAPE_TEE, SHAPE_HALF};
    struct paint p = {0};
    struct colour ground = scene_colours(c, r, &p.a);
    scene_strokes(c, r, 1, ground);
    int ninth = value < 4 ? value : value + 1;
    struct place at = scene_place(r, 0.2f, 0.8f); /* in the ninth */
    at.x = ((float)(ninth % 3) + at.x) / 3;
    at.y = ((float)(ninth / 3) + at.y) / 3;
    enum figure shape = PICK(r, shapes);
    float radius = draw_uniform(r, 0.1f, 0.16f);
    struct pose pose = scene_pose(r, at, radius);
    draw_shape(c, shape, &pose, &p);
}

/* Many small things: long or compact, hollow or solid, in groups of four or scattered. */
static void population_scene(struct canvas *c, struct rng *r, int value)
{
    enum { GROUPS = 3, MEMBERS = 4, ALL = GROUPS * MEMBERS };
    struct place places[ALL], groups[GROUPS];
    struct paint body = {0}, ground = {0};
    int is_long = value & 1, hollow = value & 2, grouped = value & 4;
    ground.a = scene_colours(c, r, &body.a);
    scene_places(r, places, ALL, 0.24f, 0.06f);
    scene_places(r, groups, GROUPS, 0.5f, 0.2f);
    for (int i = 0; i < ALL; i++) {
        struct place at = places[i];
        if (grouped) {
            struct place shaken = scene_place(r, -0.02f, 0.02f);
            at.x = groups[i / MEMBERS].x + (i & 1 ? 0.075f : -0.075f) + shaken.x;
            at.y = groups[i / MEMBERS].y + (i & 2 ? 0.075f : -0.075f) + shaken.y;
        }
        float radius = draw_uniform(r, 0.06f, 0.085f) * (is_long ? 1.5f : 1);
        struct pose pose = scene_pose(r, at, radius);
        pose.slimness = is_long ? 2.2f : 1;
        draw_shape(c, SHAPE_HEXAGON, &pose, &body);
        pose.radius = 0.5f * radius;
        if (hollow)
            draw_shape(c, SHAPE_HEXAGON, &pose, &ground);
    }
}

void task_pretrain(struct canvas *c, struct rng *r, int label)
{
    static void (*const scenes[])(struct canvas *, struct rng *,
                                  int) = {texture_scene,   shape_scene,    number_scene, turn_scene,
                                          direction_scene, distance_scene, place_scene,  population_scene};
    scenes[label / VALUES](c, r, label % VALUES);
}
