/* builtin_scene.h - the parts of a generated picture that several tasks share; for task_*.c. */
#ifndef VITRO_DATA_BUILTIN_SCENE_H
#define VITRO_DATA_BUILTIN_SCENE_H

#include "draw.h"

/* One item of an array. */
#define PICK(r, list) ((list)[rng_below(r, sizeof(list) / sizeof *(list))])

/* Fills the canvas with `ground`, unevenly: a texture of little contrast and light from one side. */
void scene_ground(struct canvas *c, struct rng *r, struct colour ground);

/* Two contrasting colours, the second already the ground of the picture: returns it, sets `ink`. */
struct colour scene_colours(struct canvas *c, struct rng *r, struct colour *ink);

/* Thin strokes across the picture that mean nothing. */
void scene_strokes(struct canvas *c, struct rng *r, int most, struct colour ground);

/* `count` places in the picture, at least about `apart` from one another and `margin` from the edge;
 * crowding brings them nearer. */
struct place {
    float x, y;
};
/* Between `low` and `high` on both axes. */
struct place scene_place(struct rng *r, float low, float high);

/* A pose turned at random. */
struct pose scene_pose(struct rng *r, struct place at, float radius);

/* `k`, moved towards or away from `other` by at most `most` of their difference. */
struct colour scene_shade(struct rng *r, struct colour k, struct colour other, float most);

void scene_places(struct rng *r, struct place *places, int count, float apart, float margin);

/* A value in range `label` of the `bins` between low and high, away from the ranges' borders. */
float scene_bin(struct rng *r, int label, int bins, float low, float high);

/* Two places at a distance, the second in direction `turns` from the first, both inside. */
void scene_pair(struct rng *r, float distance, float turns, float margin, struct place pair[2]);

/* the tasks' drawing functions, for builtin.c */
void task_textures(struct canvas *c, struct rng *r, int label);
void task_shapes(struct canvas *c, struct rng *r, int label);
void task_cells(struct canvas *c, struct rng *r, int label);
void task_count(struct canvas *c, struct rng *r, int label);
void task_orientation(struct canvas *c, struct rng *r, int label);
void task_distance(struct canvas *c, struct rng *r, int label);
void task_pretrain(struct canvas *c, struct rng *r, int label);

#endif
