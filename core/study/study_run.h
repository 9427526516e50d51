/* study_run.h - runs what a plan asks for, in worker processes, until nothing is left. */
#ifndef VITRO_STUDY_STUDY_RUN_H
#define VITRO_STUDY_STUDY_RUN_H

#include "plan.h"

struct study_slot { /* a trial that runs, lent for a report */
    const struct plan_trial *trial;
    const char *method, *pack;
    double share;
    const char *note;
};
struct study_progress { /* lent for the call */
    const struct plan *plan;
    struct plan_counts counts;
    const struct study_slot *slots;
    int slot_count;
    double running;   /* work of the trials that run, as far as they are (plan_counts.work's unit) */
    const char *news; /* a sentence about the trial that just ended badly, or NULL */
};

struct study_run_spec {        /* all lent */
    const struct study *study; /* resolved */
    struct store *store;       /* open for writing */
    int final;                 /* open the test splits, each once a (method, pack, seed) */
    const char *again;         /* the reason to open them once more; NULL: refuse that */
    int workers;
    int packed;                 /* trials at most that a worker trains in one command buffer; 1: each alone */
    const int32_t *devices;     /* one a worker */
    const char *const *command; /* what starts a worker; a job's file follows; ended by NULL */
    const char *const *environment; /* pool_spec's */
    int32_t feature_cache;          /* MiB; train_spec's */
    int32_t device_memory;          /* MiB of its device that a worker may use; 0: all of it */
    int checkpoint_activations;     /* train_spec's */
    const char *tuning;             /* the user's file for the device (tuning.h); NULL: none */
    void (*report)(void *context, const struct study_progress *p);
    int (*stop)(void); /* other than 0: end in good order */
    void *context;
};
struct study_summary {
    struct plan_counts counts;
    uint32_t refused; /* test splits that were not opened; the last reason is in `refusal` */
    char refusal[512];
    char index[512]; /* why the index does not hold all of it; "" */
};
/* 0 when nothing is left to do. ERR_STOPPED when it was asked to stop, ERR_IO when a result cannot be written:
 * what is done is kept. Trials that fail are results as well and not an error. */
int study_run(const struct study_run_spec *spec, struct study_summary *out);

#endif
