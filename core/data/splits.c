/* splits.c - which images train, which validate, which are judged, where a data set does not say; few-shot subsets; parts
 * of a split. A function of the images' order, their labels and the seed alone; items keep their order. */
#include "layout.h"

#include "error.h"
#include "folders.h"
#include "rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT = LIST_SPLITS }; /* of none of the splits */

/* The items of a split class by class: those of class c are order[start[c]] to order[start[c + 1] - 1]. */
struct by_class {
    uint32_t *order, *start;
};

static int sort_by_class(struct by_class *out, const struct lists *lists, const struct list *list)
{
    const size_t classes = (size_t)lists->class_count;
    out->order = mem_alloc(list->count + 1, sizeof *out->order);
    out->start = mem_alloc(classes + 2, sizeof *out->start);
    if (!out->order || !out->start)
        return ERR_MEMORY;
    for (size_t i = 0; i < list->count; i++)
        out->start[list->items[i].label + 2]++;
    for (size_t c = 2; c < classes + 2; c++)
        out->start[c] += out->start[c - 1];
    for (size_t i = 0; i < list->count; i++)
        out->order[out->start[list->items[i].label + 1]++] = (uint32_t)i;
    return 0;
}

static void forget(struct by_class *sorted)
{
    mem_free(sorted->order);
    mem_free(sorted->start);
}

static uint32_t *shuffle_class(struct by_class *sorted, int c, const char *what, struct rng *r, uint64_t seed,
                               uint32_t *n)
{
    char purpose[64];
    uint32_t *order = sorted->order + sorted->start[c];
    snprintf(purpose, sizeof purpose, "%s of class %d", what, c);
    *r = rng_named(seed, purpose);
    *n = sorted->start[c + 1] - sorted->start[c];
    rng_shuffle(r, order, *n);
    return order;
}

/* Distributes a split's items: target[i] is where item i goes. Only the split itself may hold items among targets. */
static int deal(struct lists *lists, enum list_split from, const unsigned char *target)
{
    const struct list list = lists->split[from];
    lists->split[from] = (struct list){0};
    for (int k = 0; k < LIST_SPLITS; k++) {
        size_t n = 0;
        for (size_t i = 0; i < list.count; i++)
            n += target[i] == k;
        if (n)
            TRY(layout_room(lists, (enum list_split)k, n));
    }
    for (size_t i = 0; i < list.count; i++)
        if (target[i] != OUT) {
            struct list *to = &lists->split[target[i]];
            to->items[to->count++] = list.items[i];
        }
    return 0;
}

struct draw {
    int test, val;  /* whether they are drawn */
    uint32_t shots; /* 0: all */
};

/* Of each class in a random order: first a fifth for test, then a fifth (or `shots`) for val, the rest (or `shots`) for
 * train. */
static int draw_targets(const struct lists *lists, struct by_class *sorted, struct draw how, uint64_t seed,
                        unsigned char *target)
{
    for (int c = 0; c < lists->class_count; c++) {
        struct rng r;
        uint32_t n;
        const uint32_t *order = shuffle_class(sorted, c, "split", &r, seed, &n);
        const uint64_t fifth = ((uint64_t)n + 4) / 5, tests = how.test ? fifth : 0,
                       vals = !how.val    ? 0
                              : how.shots ? how.shots
                                          : fifth,
                       taken = tests + vals,
                       trains = how.shots   ? how.shots
                                : n > taken ? n - taken
                                            : 0;
        if (!n)
            continue;
        if (taken + trains > n || !trains)
            return fail(ERR_INPUT, "the class %s has %u images, too few for %s%s%s", lists->class_names[c], n,
                        how.shots ? "so many shots in " : "", how.val ? "train and val" : "train",
                        how.test ? " beside test" : "");
        for (uint32_t i = 0; i < n; i++)
            target[order[i]] = i < tests            ? LIST_TEST
                               : i < taken          ? LIST_VAL
                               : i < taken + trains ? LIST_TRAIN
                                                    : OUT;
    }
    return 0;
}

static int draw(struct lists *lists, enum list_split from, struct draw how, uint64_t seed)
{
    struct by_class sorted = {0};
    unsigned char *target = mem_alloc(lists->split[from].count + 1, 1);
    int rc = target ? sort_by_class(&sorted, lists, &lists->split[from]) : ERR_MEMORY;
    if (rc == 0)
        rc = draw_targets(lists, &sorted, how, seed, target);
    if (rc == 0)
        rc = deal(lists, from, target);
    forget(&sorted);
    mem_free(target);
    return rc;
}

/* Of each class of val `shots` at random; fewer where there are fewer. */
static int thin_val(struct lists *lists, uint32_t shots, uint64_t seed)
{
    struct by_class sorted = {0};
    const struct list *val = &lists->split[LIST_VAL];
    unsigned char *target = mem_alloc(val->count + 1, 1);
    int rc = target ? sort_by_class(&sorted, lists, val) : ERR_MEMORY;
    for (int c = 0; rc == 0 && c < lists->class_count; c++) {
        struct rng r;
        uint32_t n;
        const uint32_t *order = shuffle_class(&sorted, c, "val shots", &r, seed, &n);
        for (uint32_t i = 0; i < n; i++)
            target[order[i]] = i < shots ? LIST_VAL : OUT;
    }
    if (rc == 0)
        rc = deal(lists, LIST_VAL, target);
    forget(&sorted);
    mem_free(target);
    return rc;
}

static void move(struct lists *lists, enum list_split from, enum list_split to)
{
    lists->split[to] = lists->split[from];
    lists->split[from] = (struct list){0};
}

int splits_shots(struct lists *lists, const struct folders_spec *spec)
{
    const uint32_t shots = (uint32_t)spec->shots;
    lists->is_drawn = 1;
    TRY(draw(lists, LIST_TRAIN, (struct draw){0, 0, shots}, spec->seed));
    return thin_val(lists, shots, spec->seed);
}

int splits_draw(struct lists *lists, const struct folders_spec *spec, const char **how)
{
    struct list *split = lists->split;
    lists->is_drawn =
        spec->shots || !split[LIST_TRAIN].count || !split[LIST_VAL].count || !split[LIST_TEST].count;
    const uint32_t shots = (uint32_t)spec->shots;
    if (!split[LIST_TRAIN].count) {
        if (split[LIST_VAL].count && split[LIST_TEST].count)
            return fail(ERR_INPUT, "it has val and test, but no train images");
        *how = split[LIST_TEST].count ? "no train split, all three drawn from test"
                                      : "no train split, all three drawn from val";
        move(lists, split[LIST_TEST].count ? LIST_TEST : LIST_VAL, LIST_TRAIN);
        return draw(lists, LIST_TRAIN, (struct draw){1, 1, shots}, spec->seed);
    }
    if (!split[LIST_TEST].count && !split[LIST_VAL].count) {
        *how = "no splits published, val and test drawn";
        return draw(lists, LIST_TRAIN, (struct draw){1, 1, shots}, spec->seed);
    }
    if (!split[LIST_TEST].count) {
        *how = "val taken as test, another val drawn from train";
        move(lists, LIST_VAL, LIST_TEST);
        return draw(lists, LIST_TRAIN, (struct draw){0, 1, shots}, spec->seed);
    }
    if (!split[LIST_VAL].count) {
        *how = "test as published, val drawn from train";
        return draw(lists, LIST_TRAIN, (struct draw){0, 1, shots}, spec->seed);
    }
    *how = shots ? "test as published, the shots drawn from train and val" : "splits as published";
    return shots ? splits_shots(lists, spec) : 0;
}

/* --- parts of a split */

struct ranked {
    double place; /* of an image in its class, in [0, 1) */
    uint32_t item;
};

static int by_place(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    return x->place != y->place ? (x->place < y->place ? -1 : 1) : (x->item > y->item) - (x->item < y->item);
}

/* The images with the lowest places: of each class its share, the rest of the division by lot. */
static int limit_split(struct lists *lists, enum list_split k, uint32_t most, uint64_t seed)
{
    static const char *const purposes[LIST_SPLITS] = {"part of train", "part of val", "part of test"};
    static const char *const split_names[LIST_SPLITS] = {"train", "val", "test"};
    const struct list *list = &lists->split[k];
    struct by_class sorted = {0};
    if (list->count < most)
        return fail(ERR_INPUT, "it has %zu %s images, but %u are asked for", list->count, split_names[k],
                    most);
    struct ranked *ranked = mem_alloc(list->count + 1, sizeof *ranked);
    unsigned char *target = mem_alloc(list->count + 1, 1);
    int rc = ranked && target ? sort_by_class(&sorted, lists, list) : ERR_MEMORY;
    size_t at = 0;
    for (int c = 0; rc == 0 && c < lists->class_count; c++) {
        struct rng r;
        uint32_t n;
        const uint32_t *order = shuffle_class(&sorted, c, purposes[k], &r, seed, &n);
        const double offset = rng_uniform(&r);
        for (uint32_t i = 0; i < n; i++)
            ranked[at++] = (struct ranked){(i + offset) / n, order[i]};
    }
    if (rc == 0) {
        qsort(ranked, at, sizeof *ranked, by_place);
        for (size_t i = 0; i < at; i++)
            target[ranked[i].item] = i < most ? (unsigned char)k : OUT;
        rc = deal(lists, k, target);
    }
    forget(&sorted);
    mem_free(target);
    mem_free(ranked);
    return rc;
}

int splits_limit(struct lists *lists, const struct folders_spec *spec)
{
    for (int k = 0; k < LIST_SPLITS; k++)
        if (spec->most[k]) {
            lists->is_drawn = 1;
            TRY(limit_split(lists, (enum list_split)k, spec->most[k], spec->seed));
        }
    return 0;
}
