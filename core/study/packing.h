/* packing.h - which trials of a study share a worker and its command buffer (docs/packed.md). */
#ifndef VITRO_STUDY_PACKING_H
#define VITRO_STUDY_PACKING_H

#include "plan.h"

enum { PACKED_MOST = 16 };

/* The next trials for one of `workers` workers, at most `most` (1 .. PACKED_MOST) of them, all marked as started: the
 * plan's next one, and those that can share its step. Returns how many; 0: none before some that run have ended.
 * The fewer are left, the fewer are taken at once, so that all workers end at about the same time (guided
 * self-scheduling, Polychronopoulos and Kuck 1987). Where a recipe limits tuning by seconds, each trial has its worker
 * to itself, as its time counts. */
uint32_t packing_next(struct plan *p, uint32_t most, uint32_t workers, struct plan_trial *out[PACKED_MOST]);

/* Writes the list of the trials' jobs, each of which is job.json in the trial's folder, beside the first one's. */
int packing_write(const struct store *s, struct plan_trial *const *trials, uint32_t count,
                  char path[STORE_PATH]);

#endif
