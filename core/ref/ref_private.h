/* ref_private.h - what one op is computed from. */
#ifndef VITRO_REF_PRIVATE_H
#define VITRO_REF_PRIVATE_H

#include "ref.h"

struct call {
    const struct node *node;
    const double *in[OP_INPUTS];
    struct shape in_shape[OP_INPUTS];
    double *out; /* zeroed */
    uint64_t seed;
    uint32_t step;
};

/* compute_<name>: one function per op */
#define OP(NAME, name, arity) void compute_##name(const struct call *c);
#include "ops.def"
#undef OP

/* Elements of the last axis, and how many rows of them there are. */
static inline int64_t row_length(struct shape s) { return s.rank ? s.dim[s.rank - 1] : 1; }
static inline int64_t row_count(struct shape s) { return shape_count(s) / row_length(s); }

#endif
