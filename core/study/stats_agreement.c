/* stats_agreement.c - how far two labellings agree beyond chance; see stats.h. */
#include "stats.h"

#include <math.h>

/* Labels are counted this many classes at a time, so that no memory is asked for and nothing can fail. */
enum { CLASSES_AT_ONCE = 1024 };

/* (observed - chance) / (1 - chance) from whole numbers: `agree` of n, and `products` = n^2 times chance. */
static double kappa_of(double n, double agree, double products)
{
    return products < n * n ? (n * agree - products) / (n * n - products) : NAN;
}

double stats_kappa(const int32_t *a, const int32_t *b, size_t count, int32_t classes)
{
    double agree = 0, products = 0;
    for (size_t i = 0; i < count; i++) {
        if (a[i] < 0 || a[i] >= classes || b[i] < 0 || b[i] >= classes)
            return NAN;
        agree += a[i] == b[i];
    }
    for (int32_t first = 0; first < classes;) {
        int32_t width = classes - first < CLASSES_AT_ONCE ? classes - first : CLASSES_AT_ONCE;
        uint64_t of_a[CLASSES_AT_ONCE] = {0}, of_b[CLASSES_AT_ONCE] = {0};
        for (size_t i = 0; i < count; i++) {
            if (a[i] >= first && a[i] - first < width)
                of_a[a[i] - first]++;
            if (b[i] >= first && b[i] - first < width)
                of_b[b[i] - first]++;
        }
        for (int32_t c = 0; c < width; c++)
            products += (double)of_a[c] * (double)of_b[c];
        first += width;
    }
    return kappa_of((double)count, agree, products);
}

double stats_error_consistency(const unsigned char *right_a, const unsigned char *right_b, size_t count)
{
    double n = (double)count, a = 0, b = 0, agree = 0;
    for (size_t i = 0; i < count; i++) {
        int in_a = right_a[i] != 0, in_b = right_b[i] != 0;
        a += in_a;
        b += in_b;
        agree += in_a == in_b;
    }
    return kappa_of(n, agree, a * b + (n - a) * (n - b));
}
