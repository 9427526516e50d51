/* profile.h - a few steps of a method on a device, timed dispatch by dispatch. */
#ifndef VITRO_TRAIN_PROFILE_H
#define VITRO_TRAIN_PROFILE_H

#include "json.h"
#include "run.h"
#include "session.h"

struct profile_spec {            /* lent */
    const struct recipe *recipe; /* its batch, and what training depends on */
    int inference;               /* logits of a batch instead of a training step */
    uint32_t steps;              /* timed, after one that is not */
    int again;                   /* train_spec's checkpoint_activations */
};

struct profile_step {                /* on the host, in seconds since the first step began */
    double begin, submit, wait, end; /* writes the batch; submits; waits; all read */
};

/* Texts and all else are lent until profile_finish. */
struct profile {
    struct run *run;
    uint32_t count, steps;     /* dispatches of a step, steps */
    struct run_time *works;    /* [count]: start_ns and ns are medians over the steps */
    const char **owners;       /* [count]: whose the work is: "backbone", "lora", "head", "loss", "step" */
    double *starts, *times;    /* [steps][count], nanoseconds as in run_time */
    struct profile_step *host; /* [steps] */
    double plain_seconds;      /* median of as many steps without timestamps, on the host's clock */
    double seconds;            /* median with them */
    double span_seconds;       /* median from the first dispatch's start to the last one's end */
    double busy_seconds;       /* of `works`, summed */
    uint64_t device_bytes;
};

/* Random images of the model's size serve as the batch. The session's tensors are trained on them. */
int profile_session(struct profile *out, struct session *s, const struct profile_spec *spec);
void profile_finish(struct profile *p); /* zeroed is fine; before the session's end */

/* All steps as Chrome's trace events, which ui.perfetto.dev opens: a track of the device's queue, one of the
 * host. The caller owns *out. */
int profile_trace(struct json **out, const struct profile *p, const char *device);

#endif
