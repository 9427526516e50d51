/* lint.h - the judge of plugins: a table of checks, each made in a child process with a limit on time and
 * memory, so that a plugin that crashes, hangs or scribbles costs one line of the report.
 *
 * Nothing of a plugin runs in the caller's process. Arithmetic is judged by core/ref in double, on networks
 * small enough that all checks together take about a second; no device is needed. What is random follows
 * from the seed. */
#ifndef VITRO_LINT_LINT_H
#define VITRO_LINT_LINT_H

#include <stddef.h>
#include <stdint.h>

#include "plugin.h"

enum lint_result {
    LINT_PASS,
    LINT_WARN, /* nothing breaks, but somebody should know */
    LINT_SKIP, /* it does not apply, or what it needs failed */
    LINT_FAIL,
    LINT_CRASH, /* the plugin ended the process; the sentence names the signal */
    LINT_RESULTS
};
extern const char *const lint_result_names[LINT_RESULTS]; /* "pass" */

struct lint_check {
    const char *name;
    const char *proves; /* "it exports vitro_plugin and nothing else" */
    const char *needs;  /* the check that must not fail before, or NULL */
};
size_t lint_count(void);
const struct lint_check *lint_at(size_t i); /* in the order in which they are made */

struct lint_finding { /* lent for the call */
    const struct lint_check *check;
    enum lint_result result;
    const char *text; /* one sentence: what, where, expected, found */
    double seconds;
};

enum { LINT_PATIENCE = 6 };  /* a busy machine is no hang */
struct lint_job {            /* everything is lent for the call */
    struct plugins *plugins; /* where ids, and the methods to compare with, are looked for */
    const char *plugin;      /* an id or a path, with or without [options] */
    const char *const *only; /* names of the checks wanted; the checks that these need are made, not told */
    size_t only_count;       /* 0: all */
    uint64_t seed;
    double seconds; /* that a check may compute; by the clock it has LINT_PATIENCE times as many */
    void (*found)(void *context, const struct lint_finding *finding); /* called in the order of the checks */
    void *context;
};
/* How many findings failed or crashed, or negative where no check could be made: no such plugin, no such
 * check. `path`, PATH_MAX bytes, gets the plugin's file. */
int lint_run(const struct lint_job *job, char *path);

#endif
