/* training_extension.h - what the plugins of a stack do around training (vitro/training.h), as the layer
 * that trains sees it:
 *
 *     fresh:     method_training_plan -> method_training_scan per batch -> method_training_begin
 *     each step: method_training_next says when, then method_training_step
 *
 * A stack without such plugins plans no batches and has no next step. */
#ifndef VITRO_HOST_TRAINING_EXTENSION_H
#define VITRO_HOST_TRAINING_EXTENSION_H

#include "host.h"

struct training_tensors { /* how to reach the tensors of method_tensors by index, as they are now */
    void *context;
    int (*read)(void *context, size_t tensor, float *out);
    int (*gradient)(void *context, size_t tensor, float *out); /* the last batch's */
    int (*write)(void *context, size_t tensor, const float *data);
};

/* Batches to scan, at most `pass`; wanted[i], zeroed by the caller, becomes 1 for each tensor whose
 * gradient the scan needs. */
int method_training_plan(struct method *m, uint32_t pass, unsigned char *wanted, uint32_t *batches);
/* After batch `batch`, from 0 on, of those planned. */
int method_training_scan(struct method *m, const struct training_tensors *at, uint32_t batch);
/* `steps`: of the whole training. */
int method_training_begin(struct method *m, const struct training_tensors *at, uint32_t steps);
/* Frees what the scan kept; after method_training_begin or instead of it. */
void method_training_forget(struct method *m);

/* The next step after which a plugin wants to be called; 0: none. */
int method_training_next(const struct method *m, uint32_t step, uint32_t steps, uint32_t *next);
/* After `step` steps are done: calls whoever wants to be called now. */
int method_training_step(struct method *m, const struct training_tensors *at, uint32_t step, uint32_t steps);

#endif
