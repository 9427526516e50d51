/* task_structured.c - the structured tasks: how many, turned how far, how far apart. */
#include "builtin_scene.h"

enum { COUNT_CLASSES = 8, TURN_CLASSES = 8, DISTANCE_CLASSES = 6 };

/* 1 to 8 things of mixed form and size. */
void task_count(struct canvas *c, struct rng *r, int label)
{
    static const enum figure shapes[] = {SHAPE_DISC, SHAPE_SQUARE, SHAPE_TRIANGLE, SHAPE_STAR, SHAPE_RING};
    struct place places[COUNT_CLASSES];
    struct colour ink, ground = scene_colours(c, r, &ink);
    scene_places(r, places, label + 1, 0.26f, 0.11f);
    for (int i = 0; i <= label; i++) {
        float radius = draw_uniform(r, 0.07f, 0.115f);
        enum figure shape = PICK(r, shapes);
        struct pose pose = scene_pose(r, places[i], radius);
        struct paint p = {.a = scene_shade(r, ink, ground, 0.25f)};
        draw_shape(c, shape, &pose, &p);
    }
}

/* One long thing - an ellipse, a bar or a row of dots - in eight ranges of 22.5 degrees. */
void task_orientation(struct canvas *c, struct rng *r, int label)
{
    struct paint p = {0};
    struct colour ground = scene_colours(c, r, &p.a);
    scene_strokes(c, r, 2, ground);
    float turns = scene_bin(r, label, TURN_CLASSES, 0, 0.5f), radius = draw_uniform(r, 0.25f, 0.4f);
    struct place at = scene_place(r, 0.35f, 0.65f);
    struct pose pose = {at.x, at.y, radius, turns, 1};
    uint32_t form = rng_below(r, 3);
    if (form == 0) {
        pose.slimness = draw_uniform(r, 2, 3.5f);
        draw_shape(c, SHAPE_DISC, &pose, &p);
    } else if (form == 1) {
        pose.slimness = draw_uniform(r, 0.8f, 1.4f);
        draw_shape(c, SHAPE_BAR, &pose, &p);
    } else {
        float dx = 0.8f * radius * draw_cosine(turns), dy = 0.8f * radius * draw_sine(turns);
        for (int i = -1; i <= 1; i++) {
            struct pose dot = {at.x + (float)i * dx, at.y + (float)i * dy, 0.25f * radius, 0, 1};
            draw_shape(c, SHAPE_DISC, &dot, &p);
        }
    }
}

/* Two like marks, in six ranges of distance from 0.14 to 0.8 of the picture's side. */
void task_distance(struct canvas *c, struct rng *r, int label)
{
    static const enum figure shapes[] = {SHAPE_DISC, SHAPE_STAR, SHAPE_RING};
    struct place pair[2];
    struct paint p = {0};
    struct colour ground = scene_colours(c, r, &p.a);
    scene_strokes(c, r, 3, ground);
    float distance = scene_bin(r, label, DISTANCE_CLASSES, 0.14f, 0.8f), turns = draw_uniform(r, 0, 1);
    scene_pair(r, distance, turns, 0.08f, pair);
    enum figure shape = PICK(r, shapes);
    float radius = draw_uniform(r, 0.06f, 0.09f);
    for (int i = 0; i < 2; i++) {
        struct pose pose = scene_pose(r, pair[i], radius);
        draw_shape(c, shape, &pose, &p);
    }
}
