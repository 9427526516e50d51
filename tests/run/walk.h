/* walk.h - a run taken work by work, held against what each work declares: that it writes nothing else and reads nothing
 * else. For small programs: all of the device's memory is looked at around every work. */
#ifndef VITRO_TESTS_RUN_WALK_H
#define VITRO_TESTS_RUN_WALK_H

#include "engine.h"
#include "run.h"

/* Walks through the run's set-up, which must find its own results, and through the step that run_begin made ready, which
 * must end in what run_go makes of it. Each work is done twice: as it comes, and with poison (not a number, whatever reads
 * it) in place of all that it does not declare; what lives within a step is poison until it is first written. Returns 0,
 * or negative with the sentence of the first that is wrong. *works: they were so many. What it leaves on the device is
 * worth nothing. */
int walk_run(struct engine *e, struct run *r, uint32_t *works);
/* The run's program, for tests that put something wrong in it. */
struct program *walk_program(struct run *r);

#endif
