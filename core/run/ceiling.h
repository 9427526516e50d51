/* ceiling.h - what a device does at its best with these kernels, measured: a large matrix product for arithmetic, a
 * large copy for memory. What a profile's rows are held against. */
#ifndef VITRO_RUN_CEILING_H
#define VITRO_RUN_CEILING_H

#include "engine.h"

struct ceiling {
    double flops, bytes; /* a second; the fastest of a few runs */
    uint32_t m, n, k;    /* of the product [m k] x [k n] */
    enum number number;  /* what its operands are rounded to */
    uint64_t copied;     /* bytes read and as many written */
};
/* A second or so, products with operands of that number. Refuses a device without timestamps. */
int ceiling_measure(struct ceiling *out, struct engine *engine, enum number number);

#endif
