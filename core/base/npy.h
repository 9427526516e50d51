/* npy.h - the header of NumPy's .npy format, versions 1 to 3: what the array behind it is.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#ifndef VITRO_BASE_NPY_H
#define VITRO_BASE_NPY_H

#include "safetensors.h"

enum { NPY_RANK = 8, NPY_DTYPE = 16, NPY_HEADER_LIMIT = 1 << 16 };
struct npy {
    enum safetensors_type type; /* UNKNOWN: a kind of element that is not read */
    char dtype[NPY_DTYPE];      /* as the header spells it: "<f4" */
    int is_fortran;             /* the first axis is the fastest */
    size_t rank, count, offset; /* offset: where the elements begin */
    int64_t dim[NPY_RANK];
};

/* Of the first `size` bytes of a file; `what` names it. Objects, records and arrays of more than 8 axes are refused. */
int npy_read_header(struct npy *out, const void *bytes, size_t size, const char *what);

#endif
