/* task_natural.c - the natural-looking tasks: which texture, which shape. */
#include "builtin_scene.h"

void task_textures(struct canvas *c, struct rng *r, int label)
{
    static const enum texture_family families[] = {TEXTURE_DOTS,   TEXTURE_BRICKS, TEXTURE_CRACKS,
                                                   TEXTURE_ZIGZAG, TEXTURE_WEAVE,  TEXTURE_WOOD,
                                                   TEXTURE_SCALES, TEXTURE_RIPPLES};
    struct texture t = draw_texture(r, families[label], 2.5f, 6);
    struct paint p = {.texture = &t};
    float contrast = draw_uniform(r, 0.2f, 0.5f), light = draw_uniform(r, 0, 0.8f);
    draw_colours(r, contrast, &p.a, &p.b);
    draw_fill(c, r, &p, light);
    scene_strokes(c, r, 2, p.a);
}

void task_shapes(struct canvas *c, struct rng *r, int label)
{
    static const enum figure shapes[] = {SHAPE_TRIANGLE, SHAPE_SQUARE, SHAPE_STAR,  SHAPE_CROSS,
                                         SHAPE_CRESCENT, SHAPE_RING,   SHAPE_ARROW, SHAPE_HOURGLASS};
    static const enum texture_family coats[] = {TEXTURE_CLOUDS, TEXTURE_STRIPES, TEXTURE_SPECKLE,
                                                TEXTURE_CHECKS};
    struct colour ink, ground = scene_colours(c, r, &ink);
    enum texture_family coat = PICK(r, coats);
    struct texture t = draw_texture(r, coat, 3, 8);
    scene_strokes(c, r, 4, ground);
    struct paint p = {ink, scene_shade(r, ink, ground, 0.3f), &t};
    float radius = draw_uniform(r, 0.24f, 0.4f);
    struct place at = scene_place(r, radius, 1 - radius);
    struct pose pose = scene_pose(r, at, radius);
    pose.slimness = draw_uniform(r, 1, 1.25f);
    draw_shape(c, shapes[label], &pose, &p);
}
