/* recovery.h - a training after the loss of its device: what is remembered of it on the host, and all that lay on the
 * device made anew. */
#ifndef VITRO_TRAIN_RECOVERY_H
#define VITRO_TRAIN_RECOVERY_H

#include "session_private.h"

struct recovery {               /* a zeroed one is empty */
    uint32_t step;              /* that the copy stands at */
    float *arenas;              /* what training changes: weights and both moments; NULL: no copy */
    struct run_scaling scaling; /* of the loss, then */
    size_t floats;              /* of each */
    double taken;               /* when, on clock.h's clock */
};

/* A copy of the bank as it is now, where the device can be lost at all. */
int recovery_take(struct recovery *r, struct session *s, uint32_t step);
/* Whether the last copy is old enough for another. */
int recovery_is_due(const struct recovery *r);
/* What of the session lay on the device; before the device is opened anew. */
void recovery_drop(struct session *s);
/* And then: its bank again, with the copy in it unless `fill` is 0. */
int recovery_fill(const struct recovery *r, struct session *s, int fill);
void recovery_finish(struct recovery *r);

#endif
