/* check.h - every op's kernels on a device, held against the reference interpreter: what `vitro
 * selftest` shows and the kernel tests assert. */
#ifndef VITRO_CHECK_CHECK_H
#define VITRO_CHECK_CHECK_H

#include "engine.h"

struct check_result { /* one case; lent for the call of the report */
    const char *name; /* "matmul nt 197x576x192 + bias + gelu" */
    int rc;           /* negative: it could not run; error_text() says why */
    double error;     /* largest |device - reference| / (largest |reference|) over the outputs */
    double tolerance;
    double seconds;        /* median of a few replays, the whole case */
    double gflops, gbytes; /* rates, 0 where the case has no such count */
    int passed;
};

/* Runs the cases whose name contains `filter` (NULL: all), `report` after each. Returns the number of
 * failed ones, or negative when nothing could run. `repeats` replays are timed; 0: none. */
int check_ops(struct engine *engine, const char *filter, int repeats,
              void (*report)(void *context, const struct check_result *result), void *context);

/* As check_ops: matrix products by the tiles that this engine may take (ladder.h), every layout, epilogue and
 * precision that they have, with rests along every axis. Results are named "subgroup 64x64 / 2: tn fp16 + gelu". */
int check_products(struct engine *engine, const char *filter, int repeats,
                   void (*report)(void *context, const struct check_result *result), void *context);

/* As check_ops: attention in fp16 and bf16, where this engine computes it on matrix units. Results are named
 * "attention subgroup fp16 2x197, 3x64": batch x tokens, heads x width. */
int check_attention(struct engine *engine, const char *filter, int repeats,
                    void (*report)(void *context, const struct check_result *result), void *context);

#endif
