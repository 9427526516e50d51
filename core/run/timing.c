/* timing.c - see timing.h. */
#include "timing.h"

#include "clock.h"
#include "error.h"
#include "memory.h"
#include "rng.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

enum { REPEATS_MOST = 32, WARM = 2 };

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int device_seconds(struct run *run, const char *kernel, double *seconds)
{
    *seconds = 0;
    for (uint32_t i = 0; i < run_profile_count(run); i++) {
        struct run_time t;
        TRY(run_profile(run, i, &t));
        if (strstr(t.kernel, kernel))
            *seconds += t.ns * 1e-9;
    }
    return 0;
}

int time_fill(struct run *run, const struct tape *t, value leaf, uint64_t stream, enum number number)
{
    enum { PERIOD = 65521 }; /* a prime: rows begin with different numbers */
    const size_t count = (size_t)shape_count(tape_shape(t, leaf));
    struct rng g = {.seed = 17, .stream = stream};
    float *x = mem_alloc(count, sizeof *x);
    for (size_t i = 0; x && i < count; i++)
        x[i] = i < PERIOD ? number_round(number, (float)(2 * rng_uniform(&g) - 1)) : x[i - PERIOD];
    int rc = x ? run_write(run, leaf, x) : ERR_MEMORY;
    mem_free(x);
    return rc;
}

int time_steps(struct run *run, const char *kernel, int repeats, double slow, double *seconds)
{
    double times[REPEATS_MOST];
    repeats = repeats < 1 ? 1 : repeats > REPEATS_MOST ? REPEATS_MOST : repeats;
    for (int i = -WARM; i < repeats; i++) {
        TRY(run_begin(run, &(struct run_series){.steps = 1}));
        const double start = clock_seconds();
        TRY(run_go(run, 1));
        TRY(run_wait(run, 0));
        double took = clock_seconds() - start;
        if (kernel)
            TRY(device_seconds(run, kernel, &took));
        if (i >= 0)
            times[i] = took;
        if (i == -1 && slow > 0 && took > slow) {
            *seconds = took;
            return 0;
        }
    }
    qsort(times, (size_t)repeats, sizeof *times, by_value);
    *seconds = times[repeats / 2];
    return 0;
}
