/* prefix.h - the part of a step that comes out the same whenever an image comes by: what depends on the
 * image and on frozen tensors alone, on no trainable one, no random draw and no other image of the batch.
 * Its results can be kept for all images and taken from there in later epochs. Nothing here knows a method:
 * for a linear probe the part ends at the class features, for a method of the last block at that block's
 * input. */
#ifndef VITRO_TAPE_PREFIX_H
#define VITRO_TAPE_PREFIX_H

#include "tape.h"

struct prefix_spec {         /* lent */
    const struct tape *tape; /* of a whole step, backward pass included */
    const value *roots;      /* what the step must produce */
    size_t root_count;
    value index;          /* the leaf [batch]: which images the batch is */
    uint64_t image_bytes; /* keep at most so much for an image */
};

struct prefix { /* a zeroed one is empty */
    value *cut; /* the values to keep: [batch ...], row i a function of image index[i] alone */
    size_t count;
    uint64_t image_bytes; /* of all of them, for one image */
    double saved;         /* share of the step's arithmetic that they spare */
};

/* The values whose keeping makes a step cheapest, within image_bytes; count 0 where it is not worth it.
 * Negative: out of memory. */
int prefix_find(struct prefix *out, const struct prefix_spec *spec);
void prefix_finish(struct prefix *p); /* zeroed is fine */

/* A tape that takes the cut values from tables instead: cut[i] becomes the rows `index` of tables[i], a leaf
 * [images ...] of kind LEAF_INPUT with the id first_id + i. It holds what the roots need; map[v] is what
 * value v of the old tape is there, 0 if it is not. `map` holds tape_size(spec->tape) values, `tables`
 * p->count. The new tape cannot be differentiated: derivatives written by hand stay behind. */
int prefix_rebuild(const struct prefix *p, const struct prefix_spec *spec, int32_t images, uint32_t first_id,
                   struct tape **out, value *map, value *tables);

/* Whether two tapes compute the same values of an image up to their cuts: the same operations on the same leaves, as far
 * as `same_leaf` (context, a frozen leaf's id on both) says so. 1 or 0; negative: out of memory. */
int prefix_same(const struct tape *a, const struct prefix *at, const struct tape *b, const struct prefix *cut,
                int (*same_leaf)(void *context, uint32_t id), void *context);

#endif
