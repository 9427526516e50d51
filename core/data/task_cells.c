/* task_cells.c - the specialised task: cells under a microscope, told by form and arrangement. */
#include "builtin_scene.h"

/* the classes, in builtin.c's order */
enum { ROUND, RODS, PAIRS, CHAINS, CLUMPS, NUCLEATED, SICKLES, HOLLOW, CLASSES };
enum { COLONY_LIMIT = 9 };

/* Arrangements of several cells are fewer, so that the covered area does not tell the class. */
static const struct {
    int low, high;
} numbers[CLASSES] = {
    [ROUND] = {5, 9},  [RODS] = {4, 8},      [PAIRS] = {3, 6},   [CHAINS] = {2, 4},
    [CLUMPS] = {2, 3}, [NUCLEATED] = {5, 8}, [SICKLES] = {5, 8}, [HOLLOW] = {5, 8},
};

static void disc(struct canvas *c, float x, float y, float radius, const struct paint *p)
{
    struct pose pose = {x, y, radius, 0, 1};
    draw_shape(c, SHAPE_DISC, &pose, p);
}

/* Cells touching one another in a row that bends a little. */
static void chain(struct canvas *c, struct rng *r, struct place at, int count, float radius,
                  const struct paint *p)
{
    float turns = draw_uniform(r, 0, 1);
    for (int i = 0; i < count; i++) {
        disc(c, at.x, at.y, radius, p);
        turns += draw_uniform(r, -0.06f, 0.06f);
        at.x += 1.8f * radius * draw_cosine(turns);
        at.y += 1.8f * radius * draw_sine(turns);
    }
}

/* One cell with five around it. */
static void clump(struct canvas *c, struct rng *r, struct place at, float radius, const struct paint *p)
{
    float turns = draw_uniform(r, 0, 1), away = 1.7f * radius;
    disc(c, at.x, at.y, radius, p);
    for (int i = 0; i < 5; i++, turns += 0.2f)
        disc(c, at.x + away * draw_cosine(turns), at.y + away * draw_sine(turns), radius, p);
}

static void colony(struct canvas *c, struct rng *r, int label, struct place at, const struct paint *body,
                   const struct paint *ground)
{
    float radius = draw_uniform(r, 0.06f, 0.085f);
    struct pose pose = scene_pose(r, at, 1.25f * radius);
    if (label == PAIRS || label == CHAINS) {
        chain(c, r, at, label == PAIRS ? 2 : 5, 0.75f * radius, body);
    } else if (label == CLUMPS) {
        clump(c, r, at, 0.7f * radius, body);
    } else if (label == RODS) {
        pose.radius = 1.7f * radius;
        pose.slimness = 3;
        draw_shape(c, SHAPE_DISC, &pose, body);
    } else if (label == SICKLES) {
        pose.radius = 1.5f * radius;
        draw_shape(c, SHAPE_CRESCENT, &pose, body);
    } else {
        draw_shape(c, label == HOLLOW ? SHAPE_RING : SHAPE_DISC, &pose, body);
    }
    if (label == NUCLEATED) {
        struct place aside = scene_place(r, -0.3f * radius, 0.3f * radius);
        disc(c, at.x + aside.x, at.y + aside.y, 0.5f * radius, ground);
    }
}

void task_cells(struct canvas *c, struct rng *r, int label)
{
    struct place places[COLONY_LIMIT];
    struct paint body = {0}, ground = {0};
    ground.a = scene_colours(c, r, &body.a);
    int span = numbers[label].high - numbers[label].low + 1;
    int count = numbers[label].low + (int)rng_below(r, (uint32_t)span);
    scene_places(r, places, count, 0.3f, 0.1f);
    for (int i = 0; i < count; i++)
        colony(c, r, label, places[i], &body, &ground);
}
