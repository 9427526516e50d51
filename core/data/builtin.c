/* builtin.c - the list of generated tasks, and packs made of them. */
#include "builtin.h"

#include "builtin_scene.h"
#include "error.h"
#include "memory.h"
#include "pack_file.h"

#include <stdio.h>
#include <string.h>

static const char *const texture_names[] = {"dots",  "bricks", "cracks", "zigzag",
                                            "weave", "wood",   "scales", "ripples"};
static const char *const shape_names[] = {"triangle", "square", "star",  "cross",
                                          "crescent", "ring",   "arrow", "hourglass"};
static const char *const cell_names[] = {"round",  "rods",      "pairs",   "chains",
                                         "clumps", "nucleated", "sickles", "hollow"};
static const char *const count_names[] = {"one", "two", "three", "four", "five", "six", "seven", "eight"};
static const char *const turn_names[] = {"0 to 22 degrees",    "22 to 45 degrees",  "45 to 67 degrees",
                                         "67 to 90 degrees",   "90 to 112 degrees", "112 to 135 degrees",
                                         "135 to 157 degrees", "157 to 180 degrees"};
static const char *const distance_names[] = {"nearest", "very near", "near", "far", "very far", "farthest"};

#define EIGHT(scene, a, b, c, d, e, f, g, h) \
    scene a, scene b, scene c, scene d, scene e, scene f, scene g, scene h
static const char *const pretrain_names[] = {
    EIGHT("texture ", "stripes", "checks", "rings", "clouds", "hatch", "triangles", "spots", "speckle"),
    EIGHT("shape ", "disc", "half", "ell", "tee", "chevron", "bolt", "spark", "trapezoid"),
    EIGHT("number ", "3", "4", "5", "6", "7", "8", "9", "10"),
    EIGHT("turn ", "0", "22", "45", "67", "90", "112", "135", "157"),
    EIGHT("direction ", "0", "45", "90", "135", "180", "225", "270", "315"),
    EIGHT("distance ", "1", "2", "3", "4", "5", "6", "7", "8"),
    EIGHT("place ", "north west", "north", "north east", "west", "east", "south west", "south", "south east"),
    EIGHT("population ", "compact", "long", "compact hollow", "long hollow", "compact grouped",
          "long grouped", "compact hollow grouped", "long hollow grouped"),
};

/* name, kind, question, names of the classes */
#define TASKS(X)                                                                     \
    X(textures, "natural", "which texture fills the picture", texture_names)         \
    X(shapes, "natural", "which shape lies in the clutter", shape_names)             \
    X(cells, "specialised", "which form and arrangement have the cells", cell_names) \
    X(count, "structured", "how many things are there", count_names)                 \
    X(orientation, "structured", "how far is the long thing turned", turn_names)     \
    X(distance, "structured", "how far apart are the two marks", distance_names)     \
    X(pretrain, "pretrain", "which of eight scenes, and which of its eight values", pretrain_names)

static const struct builtin_task tasks[] = {
#define X(name, kind, question, names) \
    {#name, kind, question, sizeof names / sizeof *names, names, task_##name},
    TASKS(X)
#undef X
};
enum { TASK_COUNT = sizeof tasks / sizeof *tasks };

/* Sensor noise, as a fraction of white. */
static const float noise = 0.04f;
static const uint32_t default_count[PACK_SPLITS] = {800, 200, 1000};

const struct builtin_task *builtin_task(int index)
{
    return index >= 0 && index < TASK_COUNT ? &tasks[index] : NULL;
}

int builtin_find(const struct builtin_task **out, const char *name)
{
    char all[256] = "";
    for (int i = 0; i < TASK_COUNT; i++) {
        *out = &tasks[i];
        if (strcmp(name, tasks[i].name) == 0)
            return 0;
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", tasks[i].name);
    }
    *out = NULL;
    return fail(ERR_INPUT, "there is no built-in task \"%s\"; there are %s", name, all);
}

void builtin_draw(const struct builtin_task *task, struct canvas *c, uint64_t seed, uint64_t index, int label,
                  unsigned char *rgb)
{
    struct rng r = rng_named(seed, task->name);
    r.stream += (index + 1) * 0x9E3779B97F4A7C15u; /* odd, so that all indices have different streams */
    task->draw(c, &r, label);
    draw_finish(c, &r, noise, rgb);
}

/* Labels in an order of their own, every class as often as the others, or once more. */
static int32_t *make_labels(const struct builtin_task *task, uint64_t seed, int split, uint32_t count)
{
    static const char *const purposes[PACK_SPLITS] = {"train labels", "val labels", "test labels"};
    struct rng r = rng_named(seed, purposes[split]);
    uint32_t *labels = mem_alloc(count, sizeof *labels);
    for (uint32_t i = 0; labels && i < count; i++)
        labels[i] = i % (uint32_t)task->class_count;
    if (labels)
        rng_shuffle(&r, labels, count);
    return (int32_t *)labels;
}

struct generation {
    const struct builtin_task *task;
    const struct builtin_spec *spec;
    int32_t *labels[PACK_SPLITS];
    struct canvas canvas;
    unsigned char *rgb; /* one picture */
    struct pack_writer *writer;
    size_t done, total;
};

static int generate_split(struct generation *g, int split, const uint32_t *count, pack_progress *progress,
                          void *context)
{
    for (uint32_t i = 0; i < count[split]; i++, g->done++) {
        if (progress && g->done % 256 == 0 && progress(context, g->done, g->total))
            return fail(ERR_STOPPED, "drawing the task %s was stopped", g->task->name);
        /* the split is in the index's high bits: a longer split keeps its first pictures */
        builtin_draw(g->task, &g->canvas, g->spec->seed, (uint64_t)split << 32 | i, g->labels[split][i],
                     g->rgb);
        TRY(pack_writer_put(g->writer, g->rgb, 1));
    }
    return 0;
}

static int generate(struct generation *g, const struct pack_info *info, pack_progress *progress,
                    void *context)
{
    for (int k = 0; k < PACK_SPLITS; k++) {
        g->labels[k] = make_labels(g->task, g->spec->seed, k, info->count[k]);
        if (!g->labels[k])
            return ERR_MEMORY;
        g->total += info->count[k];
    }
    TRY(canvas_init(&g->canvas, info->size));
    g->rgb = mem_alloc((size_t)info->size * (size_t)info->size, 3);
    if (!g->rgb)
        return ERR_MEMORY;
    TRY(pack_writer_create(&g->writer, NULL, info, (const int32_t *const *)g->labels));
    for (int k = 0; k < PACK_SPLITS; k++)
        TRY(generate_split(g, k, info->count, progress, context));
    if (progress)
        progress(context, g->total, g->total);
    return 0;
}

int pack_builtin(struct pack **out, const struct builtin_spec *spec, pack_progress *progress, void *context)
{
    *out = NULL;
    struct generation g = {.spec = spec};
    char origin[64];
    TRY(builtin_find(&g.task, spec->task));
    if (spec->size < BUILTIN_SIZE_LOW || spec->size > PACK_SIZE_LIMIT)
        return fail(ERR_INPUT, "the picture size is %d; built-in tasks are drawn at %d to %d", spec->size,
                    BUILTIN_SIZE_LOW, PACK_SIZE_LIMIT);
    struct pack_info info = {.task = g.task->name,
                             .kind = g.task->kind,
                             .normalise = spec->normalise,
                             .size = spec->size,
                             .class_count = g.task->class_count,
                             .class_names = g.task->class_names,
                             .origin = origin};
    TRY(pack_normalise(spec->normalise, info.mean, info.deviation));
    snprintf(origin, sizeof origin, "generated from seed %llu", (unsigned long long)spec->seed);
    int given = spec->count[PACK_TRAIN] || spec->count[PACK_VAL] || spec->count[PACK_TEST];
    for (int k = 0; k < PACK_SPLITS; k++) {
        info.count[k] = given ? spec->count[k] : default_count[k];
        if (info.count[k] > PACK_COUNT_LIMIT)
            return fail(ERR_INPUT, "%u pictures are asked for; a split has at most %d",
                        (unsigned)info.count[k], PACK_COUNT_LIMIT);
    }
    int rc = generate(&g, &info, progress, context);
    if (rc == 0) {
        rc = pack_writer_finish(g.writer, out);
        g.writer = NULL;
    }
    pack_writer_abandon(g.writer);
    canvas_finish(&g.canvas);
    mem_free(g.rgb);
    for (int k = 0; k < PACK_SPLITS; k++)
        mem_free(g.labels[k]);
    return rc;
}
