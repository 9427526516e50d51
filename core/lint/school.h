/* school.h - a method brought through what it does around training (vitro/training.h), on a lab's network and
 * with gradients from core/ref. */
#ifndef VITRO_LINT_SCHOOL_H
#define VITRO_LINT_SCHOOL_H

#include "lab.h"

struct school { /* a zeroed one is closed */
    struct lab *lab;
    uint64_t seed;
    float **data;            /* contents of each tensor as they are now */
    float **grads;           /* gradients of the last batch; NULL where none was wanted */
    uint32_t batches, calls; /* scanned; calls of step */
    int edited;              /* tensors that were written to */
};

/* Every tensor as it starts; the lab is lent. */
int school_open(struct school *c, struct lab *l, uint64_t seed);
/* plan, scan and begin: from here on `data` is where training starts. */
int school_begin(struct school *c);
/* Each step of a training of `steps` that the method asks for, the parameters otherwise unchanged. */
int school_steps(struct school *c, uint32_t steps);
void school_close(struct school *c);

#endif
