/* steering.h - plugins' part in a training (vitro/training.h) between the session and the host: the scan,
 * the beginning, and the words between steps. */
#ifndef VITRO_TRAIN_STEERING_H
#define VITRO_TRAIN_STEERING_H

#include "feed.h"
#include "session.h"

/* What is due before the first step of a fresh training; not again when the session has been through it or
 * has been loaded. `steps`: of the whole training. */
int steering_begin(struct session *s, const struct feed *feed, const struct recipe *recipe, uint32_t steps);

/* Steps from `step` until a plugin wants a word, or UINT32_MAX. */
int steering_until(const struct session *s, uint32_t step, uint32_t steps, uint32_t *until);
/* The word itself, after `step` steps are done and before a checkpoint of them. */
int steering_step(struct session *s, uint32_t step, uint32_t steps);

#endif
