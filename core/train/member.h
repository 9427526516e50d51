/* member.h - one training among those that run together: where it stands, and what becomes of it between series. */
#ifndef VITRO_TRAIN_MEMBER_H
#define VITRO_TRAIN_MEMBER_H

#include "checkpoint.h"
#include "recovery.h"
#include "session_private.h"

struct member { /* session, spec, result by the caller, the rest zeroed */
    struct session *session;
    const struct train_spec *spec;
    struct train_result *result;
    uint32_t steps_an_epoch;
    struct checkpoint at; /* steps done, all steps, losses */
    int32_t *order;       /* of epoch `ordered` */
    int32_t ordered;      /* -1: none yet */
    float *rates;         /* of a series */
    double epoch_loss;
    double seconds, began; /* its share of the series' time; when the present series began */
    uint32_t counted;      /* steps that `seconds` covers */
    uint32_t sharing;      /* trainings in the present series */
    struct recovery copy;
    uint32_t filed; /* steps in the file */
    struct features features;
    struct train_features kept; /* what is told of them */
    struct traced step;         /* while the run is made */
    int over;                   /* it has ended: at its last step, or diverged */
};

int member_begin(struct member *m); /* from the checkpoint, where there is one */
void member_finish(struct member *m);
/* What lies on the device beside the session's bank. */
void member_release(struct member *m);

/* Traces the step, with what can be computed once for all epochs in at most a `share`-th of what spec allows; what is the
 * same for a member before, which outlives this one's run, is taken from there. `before` may be NULL. */
int member_trace(struct member *m, const struct feed *feed, uint32_t share, const struct member *before);
void member_traced(struct member *m); /* the run is made: the trace is not needed any more */
/* How many steps may follow each other before something is due: the epoch's end, a checkpoint, a plugin's word. */
int member_until(const struct member *m, uint32_t *steps);
/* Hands the next `steps` steps to part `part` of the run. */
int member_series(struct member *m, struct run *run, uint32_t part, uint32_t steps);
/* Tells how far it is; ERR_STOPPED when that is answered with a stop. */
int member_report(struct member *m, uint32_t submitted);
/* Takes what the run's part did. */
int member_take(struct member *m, struct run *run, uint32_t part, uint32_t steps);
/* What is due then. ERR_DIVERGED when a loss was not finite, and then it is over. */
int member_settle(struct member *m, int stopping);
/* The loss of the last epoch, for one that was resumed at its end. */
int member_check(struct member *m);

int member_take_copy(struct member *m);
/* After a loss of the device: fills the session's new bank from the later of the two checkpoints. */
int member_recover(struct member *m);

#endif
