/* describe.h - notes on the works of a step, in their order, for run_profile. Private to core/run. */
#ifndef VITRO_RUN_DESCRIBE_H
#define VITRO_RUN_DESCRIBE_H

#include "run.h"

struct note {
    const char *op, *place; /* place NULL: none */
    enum run_phase phase;
    int64_t gradient;
    struct shape shape;
};

struct program;
/* Fills p->notes, and the works' bytes where their lowering does not say them; after lowering. */
int describe_works(struct program *p, const struct run_spec *s);

/* Fills p->alive; after memory is planned. */
int describe_peak(struct program *p);

#endif
