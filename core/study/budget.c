/* budget.c - see budget.h. */
#include "budget.h"

#include "error.h"

#include <math.h>
#include <stdio.h>

enum {
    TIMED_MOST = 256, /* points of a method at most where only time limits them */
    HALVING_MOST = 100000,
};

static uint64_t power(uint64_t base, int exponent)
{
    uint64_t value = 1;
    while (exponent-- > 0)
        value *= base;
    return value;
}

int32_t halving_epochs(const struct study *s, int32_t rung)
{
    const double epochs = s->training.epochs / (double)power((uint64_t)s->tune.eta, s->tune.rungs - 1 - rung);
    return epochs < 1 ? 1 : (int32_t)lround(epochs);
}

uint32_t halving_keeps(const struct study *s, uint32_t first, int32_t rung)
{
    const uint64_t divisor = power((uint64_t)s->tune.eta, rung);
    return (uint32_t)((first + divisor - 1) / divisor);
}

/* The most points whose rungs together cost no more epochs than the budget of whole trainings. */
static uint32_t halving_points(const struct study *s)
{
    uint32_t n = 1;
    for (;; n++) {
        double cost = 0;
        for (int32_t k = 0; k < s->tune.rungs; k++)
            cost += (double)halving_keeps(s, n + 1, k) * halving_epochs(s, k);
        if (cost > (double)s->tune.trials * s->training.epochs || n >= HALVING_MOST)
            return n;
    }
}

static uint32_t wanted(const struct study *s, const struct study_method *m)
{
    if (s->tune.strategy == TUNE_NONE)
        return 1;
    if (s->tune.strategy == TUNE_HALVING)
        return halving_points(s);
    if (s->tune.trials)
        return s->tune.trials;
    return s->tune.seconds > 0 ? TIMED_MOST
                               : (uint32_t)space_size(m); /* resolve_method bounds a whole grid */
}

int budget_draw(struct study *s, struct study_method *m)
{
    const uint32_t most = wanted(s, m);
    struct point *points = mem_alloc(most, sizeof *points);
    const int64_t count = points ? space_points(m, &s->tune, most, points) : ERR_MEMORY;
    int rc = count < 0 ? (int)count : 0;
    m->point_count = count < 0 ? 0 : (uint32_t)count;
    m->points = arena_alloc(&s->arena, (size_t)m->point_count * m->axis_count + 1, sizeof *m->points);
    if (rc == 0 && !m->points)
        rc = ERR_MEMORY;
    for (uint32_t k = 0; k < m->point_count && rc == 0; k++)
        for (uint32_t i = 0; i < m->axis_count && rc == 0; i++) {
            const char *value = arena_string(&s->arena, points[k].value[i]);
            m->points[(size_t)k * m->axis_count + i] = value;
            rc = value ? 0 : ERR_MEMORY;
        }
    mem_free(points);
    return rc;
}

void budget_points(const struct study_method *m, struct point *out)
{
    for (uint32_t k = 0; k < m->point_count; k++)
        for (uint32_t i = 0; i < m->axis_count; i++)
            snprintf(out[k].value[i], VALUE_TEXT, "%s", m->points[(size_t)k * m->axis_count + i]);
}
