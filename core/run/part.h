/* part.h - one tape on its way into a run: lowered to work of its own, with the little that the host hands it at the
 * start of a series. A run holds one part, or one for each of several packed trials; what a part computes does
 * not depend on what lies beside it. Private to core/run. */
#ifndef VITRO_RUN_PART_H
#define VITRO_RUN_PART_H

#include "program.h"
#include "run.h"

struct log { /* one kept value */
    uint32_t floats;
    struct buffer buffer;
};

struct part { /* a zeroed one is empty */
    struct program program;
    struct device *device;
    uint32_t batch, series;
    float beta1, beta2;
    struct buffer control, order, rates;
    int scaled, begun;          /* the loss has a scale; it is the device's now */
    struct run_scaling scaling; /* until it is */
    struct log *logs;
    size_t log_count;
    int logs_lent; /* their buffers are the caller's */
};

/* Lowers the tape; then its works are put in order. */
int part_lower(struct part *r, const struct run_spec *s);
int part_schedule(struct part *r, const struct run_spec *s);
void part_finish(struct part *r);

int part_begin(struct part *r, const struct run_series *s); /* nothing of it is running */
void part_set_scaling(struct part *r, const struct run_scaling *s);
int part_scaling(struct part *r, struct run_scaling *out);

#endif
