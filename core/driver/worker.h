/* worker.h - one trial of a study in a worker's process: from its job to what it leaves in its folder. Several may share
 * the process, its device and the data (docs/packed.md); each leaves what it leaves alone. */
#ifndef VITRO_DRIVER_WORKER_H
#define VITRO_DRIVER_WORKER_H

#include "machine.h"
#include "pack.h"
#include "trial.h"

struct worker;

struct workplace { /* of the process */
    struct machine machine;
    struct pack *pack;
    struct worker *workers;
    uint32_t count;
    double told; /* when progress was last written */
};

struct worker { /* `at` by the caller, the rest zeroed */
    struct workplace *at;
    struct json *job;
    const struct json *spec, *places;
    const char *stage, *out;
    char id[HASH_TEXT];
    int final;
    struct settings with;
    struct trial trial;
    struct train_result trained;
    double share; /* of its training, done */
    struct json *result, *run, *files;
    double eval_seconds;
    char began[32];
    uint64_t random_seed;
};

/* A line to whoever started the process (core/study/pool.h). */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reads the job's file; `s` is what the command line said. */
int worker_read(struct worker *w, const char *path, const struct settings *s);
/* Opens all that the trial needs. The first of several opens device, data and backbone for all. */
int worker_begin(struct worker *w);
/* How it trains; everything is lent by the worker. */
int worker_training(struct worker *w, struct train_spec *spec);
/* Judges what was trained, or that it diverged, and writes the result. */
int worker_finish(struct worker *w);
void worker_close(struct worker *w);

/* worker_result.c */
int worker_describe(struct worker *w, const char *outcome, const char *reason);
int worker_judge(struct worker *w, enum pack_split split, const char *file);
int worker_keep_method(struct worker *w);
int worker_write(struct worker *w); /* run.json and, last, result.json */

const char *worker_text(const struct json *object, const char *key); /* "" where it is not */

#endif
