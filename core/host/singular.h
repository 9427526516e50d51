/* singular.h - the singular value decomposition, by LAPACK. */
#ifndef VITRO_HOST_SINGULAR_H
#define VITRO_HOST_SINGULAR_H

#include <stdint.h>

/* a [rows, columns] = u diag(s) vt, the `rank` largest singular values: u [rows, rank], s [rank] falling,
 * vt [rank, columns]; all row-major, computed in double. The sign of a pair of vectors is such that the
 * first of the largest entries of each u is positive. Refuses sizes that are impossible and numbers that
 * are not finite. */
int singular_values(const float *a, int32_t rows, int32_t columns, int32_t rank, float *u, float *s,
                    float *vt);

#endif
