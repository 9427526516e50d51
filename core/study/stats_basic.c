/* stats_basic.c - means, deviations, quantiles and the interval of a proportion; see stats.h. */
#include "stats.h"

#include <math.h>

struct interval stats_wilson(uint64_t right, uint64_t count, double z)
{
    if (!count)
        return (struct interval){0, 1};
    double n = (double)count, k = (double)(right < count ? right : count), z2 = z * z;
    double middle = (k + z2 / 2) / (n + z2);
    double half = z / (n + z2) * sqrt(k * (n - k) / n + z2 / 4);
    /* at both ends one bound is exactly 0 or 1, which rounding must not spoil */
    return (struct interval){k > 0 ? fmax(middle - half, 0) : 0, k < n ? fmin(middle + half, 1) : 1};
}

double stats_mean(const double *values, size_t count)
{
    if (!count)
        return NAN;
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return sum / (double)count;
}

double stats_deviation(const double *values, size_t count)
{
    if (count < 2)
        return 0;
    /* two passes; the sum of the residues, zero but for rounding, repairs the mean's own error */
    double mean = stats_mean(values, count), squares = 0, residue = 0;
    for (size_t i = 0; i < count; i++) {
        double d = values[i] - mean;
        squares += d * d;
        residue += d;
    }
    double n = (double)count;
    return sqrt(fmax(squares - residue * residue / n, 0) / (n - 1));
}

double stats_quantile(const double *sorted, size_t count, double q)
{
    if (!count || isnan(q))
        return NAN;
    double place = fmin(fmax(q, 0), 1) * (double)(count - 1);
    size_t below = (size_t)place;
    if (below + 1 >= count)
        return sorted[count - 1];
    double a = sorted[below], b = sorted[below + 1], t = place - (double)below;
    if (a == b) /* also where both are infinite */
        return a;
    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);
}
