/* training_private.h - one callback of vitro/training.h at a time: whose, when, and what it was lent. */
#ifndef VITRO_HOST_TRAINING_PRIVATE_H
#define VITRO_HOST_TRAINING_PRIVATE_H

#include "method_private.h"
#include "training_extension.h"

#include <vitro/training.h>

struct training_room { /* memory that a plugin computes in, from its first scan to the end of begin */
    struct training_room *next;
    uint32_t slot;
    size_t floats;
    float *data;
};

struct training_part { /* of an instance that takes part */
    vitro_training info;
    uint32_t batches;      /* that it scans */
    unsigned char *wanted; /* one per tensor of the backbone: the scan gives its gradient */
    struct training_room *rooms;
};

enum training_stage { STAGE_SCAN = 1, STAGE_BEGIN = 2, STAGE_STEP = 4 };

struct training_call { /* one callback */
    struct instance *in;
    const struct training_tensors *at;
    enum training_stage stage;
    int (*callback)(void *self, vitro_trainer *);
    const char *name;
    uint32_t step, steps;
    /* the host's while it runs */
    struct training_loan *loans; /* what was read for it */
    int rc;                      /* negative: what failed was not the plugin */
};

/* Runs it and writes what it edited; a refusal names the plugin. */
int training_call(struct training_call *c);
#endif
