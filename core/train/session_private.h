/* session_private.h - a session's inside, for the files of this folder. */
#ifndef VITRO_TRAIN_SESSION_PRIVATE_H
#define VITRO_TRAIN_SESSION_PRIVATE_H

#include "run.h"
#include "session.h"

struct session {
    struct session_spec spec;
    const struct tensor *tensors;
    size_t count;
    struct bank *bank;
};

struct program_spec { /* what a program of a session does */
    const struct feed *feed;
    uint32_t batch, series;
    const struct recipe *recipe; /* NULL: evaluation */
    int update;                  /* with a recipe: apply AdamW */
    int profile;                 /* time every dispatch */
};
/* Traces, differentiates and compiles. Training logs the loss (1 number a step), evaluation the logits
 * ([batch][classes] a step). */
int session_program(struct session *s, const struct program_spec *spec, struct run **out);

#endif
