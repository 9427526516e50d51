/* ref.h - the meaning of every op: an interpreter of a tape in plain C and double precision.
 * Kernels, derivatives and plugins are judged against it; it is not meant to be fast. */
#ifndef VITRO_REF_REF_H
#define VITRO_REF_REF_H

#include "tape.h"

struct ref;

/* `roots` are the values wanted; what they do not need is never computed. */
int ref_create(struct ref **out, const struct tape *t, const value *roots, size_t count);
void ref_destroy(struct ref *r); /* NULL is fine */

/* The contents of a leaf, shape_count numbers; lent for reading and writing until ref_destroy
 * (the image leaf holds its bytes as numbers). NULL when no root needs the leaf. */
double *ref_leaf(struct ref *r, value leaf);

/* What dropout masks depend on. */
void ref_seed(struct ref *r, uint64_t seed, uint32_t step);

int ref_run(struct ref *r);

/* After a run: from now on every DETACH gives what it gave in that run, whatever happens to its operand.
 * Differences taken around that run then see what the derivative sees, a constant. */
void ref_hold_detached(struct ref *r);
const double *ref_value(const struct ref *r, value v); /* after ref_run; NULL when not computed */

/* The mask of a dropout, shared with the kernels: keep (1) or drop (0) element `index`. */
int ref_keeps(uint64_t seed, uint32_t step, uint32_t stream, uint64_t index, float p);

#endif
