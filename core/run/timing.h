/* timing.h - how long a run's steps take. */
#ifndef VITRO_RUN_TIMING_H
#define VITRO_RUN_TIMING_H

#include "number.h"
#include "tape.h"

struct run;

/* Fills an input leaf with numbers from -1 to 1 that the precision has. They repeat, which no kernel minds. */
int time_fill(struct run *run, const struct tape *t, value leaf, uint64_t stream, enum number number);

/* The median of `repeats` steps, after two more that are not counted. `kernel`: of those kernels alone whose names have
 * this in them, by the device's clock, of a run that is profiled; NULL: of the whole step, as the host sees it.
 * `slow` > 0: where the second step took longer than that, its time is enough. */
int time_steps(struct run *run, const char *kernel, int repeats, double slow, double *seconds);

#endif
