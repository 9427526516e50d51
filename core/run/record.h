/* record.h - a program's work in a stream, cut into submits of bounded length. Private to core/run. */
#ifndef VITRO_RUN_RECORD_H
#define VITRO_RUN_RECORD_H

#include "program.h"
#include "stream.h"

struct pace {                   /* how long the step's work takes; a zeroed one is empty */
    double *seconds;            /* of each of the program's works: estimated, then measured */
    uint32_t *segment, *parts;  /* where the last recording put it; into how many segments of its own, or 0 */
    uint32_t measured, at_once; /* steps that were measured; steps that one submit holds */
    int whole;                  /* no dispatch is divided */
    int told;                   /* of work that lasts too long and cannot be divided */
};
int pace_begin(struct pace *pace, const struct program *p);
void pace_finish(struct pace *pace);

/* Other works are to be recorded: what steps take is to be measured again. */
void pace_restart(struct pace *pace);

/* Records the works of one kind, cut where a submit would last longer than the engine allows. */
int record_work(struct program *p, struct stream *stream, int setup, struct pace *pace);

/* Runs `steps` steps. The first two are measured, segment by segment, and the recording is cut anew by what
 * they took. */
int pace_go(struct pace *pace, struct program *p, struct stream *stream, uint32_t steps);

#endif
