/* study_source.h - the study that a verb is given: a recipe's file, or the name of one that the store knows. */
#ifndef VITRO_DRIVER_STUDY_SOURCE_H
#define VITRO_DRIVER_STUDY_SOURCE_H

#include "driver.h"
#include "store.h"
#include "study.h"

/* Whether the argument is a file (or would be one); else it is the name of a study of the store. */
int study_is_file(const char *argument);

/* A recipe resolved against this machine: weights and plugins are hashed, data is prepared into the store. What the
 * store already has under this name must be the same study; settings.replace takes the new one instead. */
int study_resolve(struct study **out, struct store *store, const struct settings *s, struct study *recipe);

/* A study of the store as it was resolved, by name or by its recipe's file. */
int study_open(struct study **out, const struct store *store, const char *argument);

/* How studies run here: how many workers, on which devices, with which environment. */
enum { CREW_MOST = 64 };
struct crew {
    int workers;
    int32_t devices[CREW_MOST];
    const char *command[4], *environment[3];
    char launcher[4096], program[4096], threads[48];
    char tuning[1024]; /* the user's file for the first device (tuning.h); "": none */
    char text[160]; /* "2 workers of 1 thread each on llvmpipe" */
};
int crew_find(struct crew *c, const struct settings *s);

#endif
