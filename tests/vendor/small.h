/* small.h - what the tests of this folder run on a device: a few cases of every kernel against the reference, and a
 * few training steps whose losses are those of the device as it is. */
#ifndef VITRO_TESTS_VENDOR_SMALL_H
#define VITRO_TESTS_VENDOR_SMALL_H

#include "engine.h"

/* Trains on the first device as it is: the losses that small_agrees expects. 0, or negative with the sentence. */
int small_learn(void);
/* Fails the running test where a kernel disagrees with the reference. */
void small_kernels(struct engine *engine);
/* Fails it where a loss is another than small_learn's, in the first `count` of the trainings: the first two
 * ask for every kernel of a training. */
enum { SMALL_TRAININGS = 3 };
void small_trainings(struct engine *engine, int count);
/* Fails it where a kernel of the engine's style was asked for by neither: call it after both. */
void small_all_ran(struct engine *engine);

#endif
