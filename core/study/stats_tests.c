/* stats_tests.c - tests of a difference and what many of them cost: McNemar, Holm, Friedman; see stats.h. */
#include "stats.h"

#include "error.h"
#include "memory.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static const double HALF_LOG_2PI = 0.91893853320467274178;
static const double TWO_PI = 6.28318530717958647693;

/* log(n!) less Stirling's n log n - n + log(2 pi n)/2, for n > 0 (Loader 2000, "Fast and accurate computation
 * of binomial probabilities"): small, where the difference of two lgamma of large numbers keeps few digits. */
static double stirling_error(double n)
{
    if (n <= 15) {
        double factorial = 1;
        for (double i = 2; i <= n; i++)
            factorial *= i; /* exact: 15! < 2^53 */
        return log(factorial) - (n + 0.5) * log(n) + n - HALF_LOG_2PI;
    }
    double m = 1 / (n * n);
    return (1.0 / 12 - (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - m / 1188) * m) * m) * m) / n;
}

/* The probability of exactly k of n under p = 1/2, k <= n/2, by Loader's saddle point. With d = 1 - 2k/n its
 * deviance k log(2k/n) + (n - k) log(2 (n - k)/n) is n/2 (2 d artanh d + log(1 - d^2)), which does not cancel
 * where d is small; where d is near 1 it is the first form that keeps its digits. */
static double half_binomial(double k, double n)
{
    if (k <= 0)
        return exp2(-n);
    double d = (n - 2 * k) / n, deviance;
    if (d < 0.5)
        deviance = n / 2 * (2 * d * atanh(d) + log1p(-d * d));
    else
        deviance = k * log(2 * k / n) + (n - k) * log(2 * (n - k) / n);
    return sqrt(n / (TWO_PI * k * (n - k))) *
           exp(stirling_error(n) - stirling_error(k) - stirling_error(n - k) - deviance);
}

double stats_mcnemar(uint64_t b, uint64_t c)
{
    if (b == c)
        return 1;
    double k = (double)(b < c ? b : c), n = (double)b + (double)c;
    /* the tail 0 .. k, in units of its last and largest term */
    double sum = 1, term = 1;
    for (double i = k; i >= 1 && term > sum * DBL_EPSILON / 16; i--) {
        term *= i / (n - i + 1);
        sum += term;
    }
    return fmin(2 * half_binomial(k, n) * sum, 1);
}

struct placed {
    double p;
    size_t place;
};

static int by_p(const void *left, const void *right)
{
    const struct placed *a = left, *b = right;
    return (a->p > b->p) - (a->p < b->p);
}

int stats_holm(double *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(p[i] >= 0 && p[i] <= 1))
            return fail(ERR_INPUT, "holm: p-value %zu is %g; it must be between 0 and 1", i, p[i]);
    struct placed *sorted = mem_alloc(count, sizeof *sorted);
    if (!sorted)
        return ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct placed){p[i], i};
    qsort(sorted, count, sizeof *sorted, by_p);
    double least = 0; /* an adjusted p is never below that of a smaller p */
    for (size_t i = 0; i < count; i++) {
        least = fmax(least, fmin((double)(count - i) * sorted[i].p, 1));
        p[sorted[i].place] = least;
    }
    mem_free(sorted);
    return 0;
}

/* The upper regularised incomplete gamma function Q(a, x), a > 0: the power series of P = 1 - Q below a + 1
 * (DLMF 8.11.4), Legendre's continued fraction above (DLMF 8.9.2) by the modified Lentz algorithm, so that a
 * small Q comes out with its full relative precision. */
static double upper_gamma(double a, double x)
{
    enum { MOST_TERMS = 100000 }; /* about sqrt(a) are needed */
    if (!(x > 0))
        return 1;
    if (isinf(x))
        return 0;
    double front = exp(a * log(x) - x - lgamma(a));
    if (x < a + 1) {
        double term = 1 / a, sum = term;
        for (int i = 1; i < MOST_TERMS && term > sum * DBL_EPSILON / 4; i++) {
            term *= x / (a + i);
            sum += term;
        }
        return fmax(1 - front * sum, 0);
    }
    double b = x + 1 - a, c = 1 / DBL_MIN, d = 1 / b, product = d;
    for (int i = 1; i < MOST_TERMS; i++) {
        double step = -i * (i - a);
        b += 2;
        d = step * d + b;
        c = b + step / c;
        if (fabs(d) < DBL_MIN)
            d = DBL_MIN;
        if (fabs(c) < DBL_MIN)
            c = DBL_MIN;
        d = 1 / d;
        product *= d * c;
        if (fabs(d * c - 1) < DBL_EPSILON)
            break;
    }
    return front * product;
}

/* What ties take off: 1 less the sum of t^3 - t over all runs of t equal ranks, over its largest value. */
static double runs_of_ties(const double *ranks, size_t count)
{
    /* a value tied with t - 1 others adds t^2 - 1; counting them is O(count^2), for a handful of methods */
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double run = 0;
        for (size_t j = 0; j < count; j++)
            run += ranks[i] == ranks[j];
        sum += run * run - 1;
    }
    return sum;
}

int stats_friedman(const double *values, size_t blocks, size_t treatments, double *chi2, double *p)
{
    if (!blocks || treatments < 2)
        return fail(ERR_INPUT,
                    "friedman: %zu blocks of %zu treatments; it takes 1 block and 2 treatments at least",
                    blocks, treatments);
    int rc = 0;
    double *ranks = mem_alloc(treatments, sizeof *ranks), *sums = mem_alloc(treatments, sizeof *sums);
    if (!ranks || !sums) {
        rc = ERR_MEMORY;
        goto out;
    }
    double n = (double)blocks, k = (double)treatments, ties = 0, squares = 0;
    for (size_t i = 0; i < blocks; i++) {
        TRY_OUT(stats_ranks(values + i * treatments, treatments, RANK_MEAN, ranks));
        ties += runs_of_ties(ranks, treatments);
        for (size_t j = 0; j < treatments; j++)
            sums[j] += ranks[j] - (k + 1) / 2; /* exact: multiples of 1/2 */
    }
    for (size_t j = 0; j < treatments; j++)
        squares += sums[j] * sums[j];
    double left = 1 - ties / (n * k * (k * k - 1));
    *chi2 = squares > 0 ? 12 * squares / (n * k * (k + 1)) / left : 0;
    *p = upper_gamma((k - 1) / 2, *chi2 / 2);
out:
    mem_free(sums);
    mem_free(ranks);
    return rc;
}
