/* recompute.h - activation checkpointing: a step whose backward pass computes each block's forward part again from the
 * block's input, instead of keeping it (core/tape/again.h). Same bits, less memory, more time. */
#ifndef VITRO_TRAIN_RECOMPUTE_H
#define VITRO_TRAIN_RECOMPUTE_H

#include "run.h"

struct recompute { /* zeroed before; what the changed run_spec points to */
    struct tape *tape;
    value *values;
    struct run_table *tables;
    struct run_gradient *gradients;
    uint32_t repeated; /* values that are computed twice */
};

/* Turns *spec into such a step. `kept`: the blocks' inputs on spec's tape; 0 where there is none. */
int recompute_apply(struct recompute *r, struct run_spec *spec, const value *kept, size_t count);
void recompute_finish(struct recompute *r); /* zeroed is fine */

#endif
