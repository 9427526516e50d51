/* again.h - less memory for more time: what the backward pass reads of the forward pass is computed once more, just
 * before it is read, from a few values that are kept (Chen et al. 2016, arXiv:1604.06174). The repeated operations
 * are the first ones on the same operands, masks of dropout included, so the step gives the same bits. */
#ifndef VITRO_TAPE_AGAIN_H
#define VITRO_TAPE_AGAIN_H

#include "tape.h"

struct again_spec {          /* lent */
    const struct tape *tape; /* of a whole step, backward pass included */
    const value *roots;      /* what the step must produce */
    size_t root_count;
    const value
        *kept; /* what stays: the input of each block. What comes after the last of them is not repeated */
    size_t kept_count;
};

/* The tape with the repetitions, of what the roots need; map[v] is what value v is there, 0 if it is not. `map` holds
 * tape_size(spec->tape) values. The new tape cannot be differentiated. *repeated: how many values there are twice. */
int again_rebuild(const struct again_spec *spec, struct tape **out, value *map, uint32_t *repeated);

#endif
