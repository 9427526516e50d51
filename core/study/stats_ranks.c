/* stats_ranks.c - what depends on the order of scores: ranks, how often which, the best of n; see stats.h. */
#include "stats.h"

#include "error.h"
#include "memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scored {
    double value;
    size_t place;
};

static int larger_first(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;
    return (a->value < b->value) - (a->value > b->value);
}

static int refuse_nan(const char *who, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isnan(values[i]))
            return fail(ERR_INPUT, "%s: value %zu of %zu is not a number; leave out what was not measured",
                        who, i, count);
    return 0;
}

/* `sorted` [count] is scratch; the values are numbers. */
static void rank_with(struct scored *sorted, const double *values, size_t count, enum rank_ties ties,
                      double *ranks)
{
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct scored){values[i], i};
    qsort(sorted, count, sizeof *sorted, larger_first);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && sorted[end].value == sorted[first].value;)
            end++;
        double rank = ties == RANK_BEST ? (double)(first + 1) : (double)(first + 1 + end) / 2;
        for (size_t i = first; i < end; i++)
            ranks[sorted[i].place] = rank;
    }
}

int stats_ranks(const double *values, size_t count, enum rank_ties ties, double *ranks)
{
    TRY(refuse_nan("ranks", values, count));
    struct scored *sorted = mem_alloc(count, sizeof *sorted);
    if (!sorted)
        return ERR_MEMORY;
    rank_with(sorted, values, count, ties, ranks);
    mem_free(sorted);
    return 0;
}

int stats_rank_frequency(const double *values, size_t tasks, size_t methods, enum rank_ties ties,
                         uint32_t *frequency)
{
    if (!tasks || !methods || tasks > UINT32_MAX)
        return fail(ERR_INPUT, "rank frequency: %zu tasks of %zu methods; it takes one of each at least",
                    tasks, methods);
    TRY(refuse_nan("rank frequency", values, tasks * methods));
    int rc = 0;
    struct scored *sorted = mem_alloc(methods, sizeof *sorted);
    double *ranks = mem_alloc(methods, sizeof *ranks);
    if (!sorted || !ranks) {
        rc = ERR_MEMORY;
        goto out;
    }
    memset(frequency, 0, methods * methods * sizeof *frequency);
    for (size_t t = 0; t < tasks; t++) {
        rank_with(sorted, values + t * methods, methods, ties, ranks);
        for (size_t m = 0; m < methods; m++)
            frequency[m * methods + (size_t)ranks[m] - 1]++;
    }
out:
    mem_free(ranks);
    mem_free(sorted);
    return rc;
}

static int smaller_first(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* With v_1 <= .. <= v_N and P(best of n <= v_i) = (i/N)^n, summation by parts of equation 4 gives
 * E = v_N - sum over i < N of (i/N)^n (v_{i+1} - v_i): no term cancels, and E never falls with n. */
int stats_expected_best(const double *scores, size_t count, double *out)
{
    TRY(refuse_nan("expected best", scores, count));
    int rc = 0;
    double *sorted = mem_alloc(count, sizeof *sorted), *gap = mem_alloc(count, sizeof *gap);
    if (!sorted || !gap) {
        rc = ERR_MEMORY;
        goto out;
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = scores[i];
    qsort(sorted, count, sizeof *sorted, smaller_first);
    for (size_t i = 1; i < count; i++)
        gap[i] = sorted[i] > sorted[i - 1] ? sorted[i] - sorted[i - 1] : 0; /* also where both are infinite */
    for (size_t n = 0; n < count; n++) {
        double missed = 0;
        for (size_t i = 1; i < count; i++) {
            gap[i] *= (double)i / (double)count;
            missed += gap[i];
        }
        out[n] = sorted[count - 1] - missed;
    }
out:
    mem_free(gap);
    mem_free(sorted);
    return rc;
}
