/* checkpoint.h - a training interrupted: everything that the rest of it depends on. */
#ifndef VITRO_TRAIN_CHECKPOINT_H
#define VITRO_TRAIN_CHECKPOINT_H

#include "bank.h"
#include "run.h"

struct checkpoint {             /* where a training stands */
    uint32_t step, steps;       /* done, and of the whole training */
    float *losses;              /* [steps], the first `step` of them known */
    struct run_scaling scaling; /* of the loss; scale 0: it has none */
};

/* Writes the bank's arenas and the state, the whole file or none of it. `identity` is what they belong to. */
int checkpoint_write(const char *path, const char *identity, struct bank *bank, const struct checkpoint *c);
/* Refuses a file that belongs to something else, naming it. */
int checkpoint_read(const char *path, const char *identity, struct bank *bank, struct checkpoint *c);

#endif
