/* builtin.h - generated tasks that need no download, in VTAB's three kinds, and one to pre-train on.
 *
 * They are stand-ins for real data sets: small, quick, deterministic from a seed and the same on every
 * machine. Colour, place, size, turn, light and noise vary at random, so that no class can be told by
 * its mean colour. The six tasks' own textures and shapes do not occur in `pretrain`.
 *
 * `pretrain` has 64 classes for plain classification: eight kinds of scene (texture, shape, number,
 * turn, direction, distance, place, population) times eight values; the class is scene * 8 + value.
 * The scenes look different, so one label is enough for a network to learn all eight questions. */
#ifndef VITRO_DATA_BUILTIN_H
#define VITRO_DATA_BUILTIN_H

#include "draw.h"
#include "pack.h"

enum { BUILTIN_SIZE_LOW = 16 }; /* of the pictures; at most PACK_SIZE_LIMIT */

struct builtin_task {
    const char *name, *kind, *question; /* kind: natural, specialised, structured or pretrain */
    int class_count;
    const char *const *class_names;
    void (*draw)(struct canvas *c, struct rng *r, int label);
};

/* The tasks in turn, `pretrain` last; NULL beyond the end. */
const struct builtin_task *builtin_task(int index);
/* A sentence with all names when there is none of this name. */
int builtin_find(const struct builtin_task **out, const char *name);

/* Draws picture `index` of class `label` into rgb [size][size][3]. Depends on the task, the canvas's
 * size, the seed, index and label alone. A canvas serves one thread at a time. */
void builtin_draw(const struct builtin_task *task, struct canvas *c, uint64_t seed, uint64_t index, int label,
                  unsigned char *rgb);

struct builtin_spec {
    const char *task, *normalise;
    int size;
    uint64_t seed;
    uint32_t count[PACK_SPLITS]; /* all zero: 800, 200 and 1,000 */
};
/* A pack in memory; write it with pack_save. Classes are as evenly filled as the counts allow. */
int pack_builtin(struct pack **out, const struct builtin_spec *spec, pack_progress *progress, void *context);

#endif
