/* singular.c - see singular.h. */
#include "singular.h"

#include "error.h"
#include "memory.h"

#include <lapacke.h>
#include <math.h>

/* 1 or -1: the sign of the entry of column k that is largest in size, the first of equals. u [rows, most] */
static double sign_of(const double *u, int32_t rows, int32_t most, int32_t k)
{
    double top = 0;
    for (int32_t i = 0; i < rows; i++)
        if (fabs(u[(int64_t)i * most + k]) > fabs(top))
            top = u[(int64_t)i * most + k];
    return top < 0 ? -1 : 1;
}

/* LAPACK stores by columns: what it is handed as a is aT = v diag(s) uT, so its u is our vt and its vt our u. */
static int decompose(double *a, int32_t rows, int32_t columns, double *u, double *s, double *vt)
{
    int32_t most = rows < columns ? rows : columns;
    lapack_int info =
        LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'S', columns, rows, a, columns, s, vt, columns, u, most);
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return fail(ERR_MEMORY, "out of memory for the singular values of a %d by %d matrix", rows, columns);
    if (info)
        return fail(ERR_INPUT,
                    "the singular values of a %d by %d matrix were not found (LAPACK's dgesdd: %d)", rows,
                    columns, (int)info);
    return 0;
}

static int check(const float *a, int32_t rows, int32_t columns, int32_t rank)
{
    int32_t most = rows < columns ? rows : columns;
    if (most < 1 || rank < 1 || rank > most)
        return fail(ERR_INPUT, "a %d by %d matrix has no %d singular values", rows, columns, rank);
    for (int64_t i = 0; i < (int64_t)rows * columns; i++)
        if (!isfinite(a[i]))
            return fail(ERR_INPUT,
                        "a matrix whose singular values are wanted holds a number that is not finite");
    return 0;
}

int singular_values(const float *a, int32_t rows, int32_t columns, int32_t rank, float *u, float *s,
                    float *vt)
{
    TRY(check(a, rows, columns, rank));
    int32_t most = rows < columns ? rows : columns;
    size_t n = (size_t)rows * (size_t)columns, left = (size_t)rows * (size_t)most;
    double *room = mem_alloc(n + left + (size_t)most + (size_t)most * (size_t)columns, sizeof *room);
    if (!room)
        return ERR_MEMORY;
    double *all_u = room + n, *all_s = all_u + left, *all_vt = all_s + most;
    for (size_t i = 0; i < n; i++)
        room[i] = (double)a[i];
    int rc = decompose(room, rows, columns, all_u, all_s, all_vt);
    for (int32_t k = 0; k < rank && rc == 0; k++) {
        double sign = sign_of(all_u, rows, most, k);
        s[k] = (float)all_s[k];
        for (int32_t i = 0; i < rows; i++)
            u[(int64_t)i * rank + k] = (float)(sign * all_u[(int64_t)i * most + k]);
        for (int32_t j = 0; j < columns; j++)
            vt[(int64_t)k * columns + j] = (float)(sign * all_vt[(int64_t)k * columns + j]);
    }
    mem_free(room);
    return rc;
}
