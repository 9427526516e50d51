/* foresee.h - what a training will take of the device's memory, before it takes any: the session and its programs are
 * made once on a device that only pretends to have memory (device_rehearse_begin). */
#ifndef VITRO_TRAIN_FORESEE_H
#define VITRO_TRAIN_FORESEE_H

#include "run.h"
#include "session.h"

struct foresee_spec { /* lent */
    const struct recipe *recipe;
    uint32_t images; /* of the training set */
    int inference;   /* logits of batches, instead of training */
    int checkpoint_activations;
    int32_t feature_cache; /* train_spec's */
};

enum { FORESEEN_ALIVE = 12 };
struct foreseen {            /* bytes of device memory */
    struct bank_memory bank; /* of all trainings, what they share once */
    struct run_memory run;
    uint64_t images, features;
    uint64_t peak;   /* of all, with what buffers lose to alignment */
    uint64_t budget; /* what there is for this program */
    struct foreseen_alive {
        char text[160]; /* "gelu, backbone at ACT of block 3 [64 197 3072]" */
        uint64_t bytes;
    } alive[FORESEEN_ALIVE];         /* the largest when the activations are at their peak */
    uint32_t alive_count, alive_all; /* listed; and how many there are then */
};
int foresee(struct foreseen *out, const struct session_spec *session, const struct foresee_spec *spec);
/* Of `count` trainings at once. What they share counts once; what is alive is told of all. */
int foresee_packed(struct foreseen *out, const struct session_spec *sessions,
                   const struct foresee_spec *specs, uint32_t count, enum run_together together);

/* The same; *together may be RUN_AS_PAYS, and becomes what it then is. In turn on a software device, where side by side
 * takes as long and several times the memory for activations (docs/packed.md), and wherever that does not fit. */
int foresee_as_pays(struct foreseen *out, const struct session_spec *sessions,
                    const struct foresee_spec *specs, uint32_t count, enum run_together *together);

/* Refuses what will not fit, with how much is missing and what would fit; decides *together as above. */
int memory_check(const struct session_spec *sessions, const struct foresee_spec *specs, uint32_t count,
                 enum run_together *together);

/* "1.5 GiB", "312 MiB" */
const char *bytes_text(uint64_t bytes, char text[32]);

#endif
