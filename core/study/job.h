/* job.h - what a worker is told: a trial, and where everything lies on this machine (docs/store.md). */
#ifndef VITRO_STUDY_JOB_H
#define VITRO_STUDY_JOB_H

#include "store.h"
#include "study.h"

struct job { /* all lent */
    const struct json *spec;
    const struct study_backbone *backbone;
    const struct study_pack *pack;
    const struct study_method *method;
    const char *out, *checkpoint, *ledger; /* paths; a checkpoint of NULL: none */
    const char *refit;                     /* FINAL: the trained method's file; else NULL */
    int32_t device, feature_cache, device_memory; /* the latter two: MiB; device_memory 0: all of it */
    int checkpoint_activations;
    const char *tuning;                    /* the study's file of it, or "off" */
};
int job_write(const struct job *job, const char *path);

/* The study of the store, and in it backbone, pack and method, that a result's trial belongs to; refuses one that
 * no study of the store knows. The caller destroys the study. */
int job_find(struct job *job, struct study **study, const struct store *store, const struct json *spec);

#endif
