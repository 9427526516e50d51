/* packing.h - which trials of a study share a worker and its command buffer (docs/packed.md). */
#ifndef VITRO_STUDY_PACKING_H
#define VITRO_STUDY_PACKING_H

#include "plan.h"

enum { PACKED_MOST = 16, PACKED_PAYS = 8 };

/* What a study has learnt of its workers: how much of their time is no training. A worker starts a process, opens the
 * device, compiles kernels and reads data once, for one trial or for several. */
struct packing {
    uint32_t most;      /* trials at most in a worker; 0: as many as pay */
    uint32_t too_large; /* a pack of so many broke a limit; 0: none did */
    uint32_t workers, trials;
    double start_seconds, trial_seconds; /* sums over all workers that ended well */
};
/* A worker of so many trials took `seconds`, `training` of which it trained and judged. */
void packing_learn(struct packing *k, uint32_t trials, double seconds, double training);
/* A pack was too large for the device's memory, or a limit of the recipe. */
void packing_shrink(struct packing *k, uint32_t trials);
/* How many trials a worker should get at most: PACKED_PAYS where starting a worker takes more than a tenth of what one
 * trial takes, as the first workers showed; else 1. */
uint32_t packing_size(const struct packing *k);

/* The next trials for one of `workers` workers, at most `most` of them, all marked as started: the plan's next one, and
 * those that can share its step. Returns how many; 0: none before some that run have ended. The fewer are left, the
 * fewer are taken at once, so that all workers end at about the same time (guided self-scheduling, Polychronopoulos and
 * Kuck 1987). Where a recipe limits tuning by seconds, each trial has its worker to itself, as its time counts. */
uint32_t packing_next(struct plan *p, uint32_t most, uint32_t workers, struct plan_trial *out[PACKED_MOST]);

/* Writes the list of the trials' jobs, each of which is job.json in the trial's folder, beside the first one's. */
int packing_write(const struct store *s, struct plan_trial *const *trials, uint32_t count,
                  char path[STORE_PATH]);

#endif
