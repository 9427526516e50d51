/* bench.h - what the programs that measure have in common. BENCH is the program's name. */
#ifndef VITRO_BENCH_H
#define VITRO_BENCH_H

#include "error.h"
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline void must(int rc)
{
    if (rc < 0) {
        fprintf(stderr, BENCH ": %s\n", error_text());
        exit(1);
    }
}

static inline double clock_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline double now(void)
{
    return clock_seconds(CLOCK_MONOTONIC);
}

/* Of all threads: on a CPU device what a step cost, however busy the machine was. */
static inline double processor_time(void)
{
    return clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Leaves them in order, so the best is the first. */
static inline double median(double *numbers, int count)
{
    qsort(numbers, (size_t)count, sizeof *numbers, by_value);
    return numbers[count / 2];
}

/* A Vision Transformer of random weights. */
static inline struct vit *random_vit(int image, int patch, int dim, int depth, int heads, int classes)
{
    struct vit *vit;
    must(vit_create(&vit, &(struct vit_shape){.image = image,
                                              .patch = patch,
                                              .dim = dim,
                                              .depth = depth,
                                              .heads = heads,
                                              .hidden = 4 * dim,
                                              .classes = classes,
                                              .eps = 1e-6f}));
    vit_random(vit, 1);
    return vit;
}

#endif
