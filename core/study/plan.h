/* plan.h - what a study still has to do: a function of the study and of the results that are there, and of nothing
 * else. So a study that was interrupted, however, goes on with the same trials to the same end.
 *
 * A cell is one method on one pack and backbone. Its trials, in turn:
 *
 *   tune    points of its search space, trained on train, judged on val
 *   refit   the chosen point, once a seed, trained on train and val together
 *   final   each refit judged on test: only when that was asked for */
#ifndef VITRO_STUDY_PLAN_H
#define VITRO_STUDY_PLAN_H

#include "space.h"
#include "store.h"
#include "study.h"

enum stage { STAGE_TUNE, STAGE_REFIT, STAGE_FINAL, STAGE_COUNT };
extern const char *const stage_names[];

struct plan_trial {
    enum stage stage;
    uint32_t cell;
    int32_t seed;  /* index into the study's seeds; -1 in tune */
    int32_t point; /* index into the cell's points */
    int32_t rung;  /* of successive halving */
    int32_t epochs;
    struct json *spec; /* owned */
    char id[HASH_TEXT];
    int started; /* a worker has it */
    int alone;   /* it came to no end beside others: it gets a process of its own */
    struct outcome outcome;
};

struct plan_cell {
    uint32_t backbone, pack, method;
    struct point *points;
    uint32_t point_count;
    struct plan_trial **tune; /* in the order in which they came up */
    uint32_t tune_count;
    int32_t rung;                       /* halving: the last that was planned */
    int tuned;                          /* all of tune is there */
    int32_t chosen, ties;               /* index into tune; -1: none did it */
    struct plan_trial **refit, **final; /* one a seed; NULL until planned */
};

struct plan {
    const struct study *study;
    const struct store *store;
    int final; /* plan the finals too */
    struct plan_cell *cells;
    uint32_t cell_count;
};

/* Reads what is there and plans as far as it allows. */
int plan_create(struct plan **out, const struct study *study, const struct store *store, int final);
void plan_destroy(struct plan *p); /* NULL is fine */

/* The next trial that nobody has begun, marked as started; NULL: none before some that run have ended, or ever. Cell by cell,
 * so that first results come early; once no more than twice as many cells are left as there are workers, the earliest stage
 * first, as what follows it waits for it. */
struct plan_trial *plan_next(struct plan *p, uint32_t workers);
/* The same among those that can share a step with `first` (spec_can_share); and how many there are. */
struct plan_trial *plan_next_beside(struct plan *p, const struct plan_trial *first);
uint32_t plan_count_beside(struct plan *p, const struct plan_trial *first);
/* The trial's result is in the store: reads it and plans what follows. */
int plan_done(struct plan *p, struct plan_trial *t);
/* Forgets that a worker had it. */
void plan_return(struct plan_trial *t);

struct plan_counts {               /* trials by stage */
    uint32_t planned[STAGE_COUNT]; /* an estimate for cells whose tuning goes on */
    uint32_t done[STAGE_COUNT], diverged, failed, edited;
    double seconds;         /* of training, of what is done */
    double work, work_done; /* in images seen by training, to guess how long the rest takes */
};
void plan_count(const struct plan *p, struct plan_counts *c);

/* "grid, 6 trials a method", one line. */
void plan_strategy(const struct study *s, char text[256]);

#endif
