/* slice.h - between slice.c, which decides what is cut, and slice_rows.c, which knows each op's rows. */
#ifndef VITRO_TAPE_SLICE_H
#define VITRO_TAPE_SLICE_H

#include "tape_private.h"

struct cut { /* along an axis, and what is known of each value */
    struct tape *tape;
    int32_t axis;
    uint32_t *uses;       /* by values that are needed whole */
    unsigned char *flags; /* SPARE, IDLE */
    struct rows *rows;    /* asked for */
    value *made;          /* those rows, once recorded */
};

enum way {
    ROWS_STAY,  /* cut out of the whole value */
    ROWS_THERE, /* part of an operand already, or zeros */
    ROWS_BELOW, /* computed, from rows of operands or all of them: if nobody needs the whole value */
};

/* How to come by rows r of v, and which rows of its operands that takes; need is zeroed. */
enum way rows_way(const struct cut *c, value v, struct rows r, struct rows need[OP_INPUTS]);
/* Records the rows asked of v, those that it takes being made. Not for ROWS_STAY. */
value rows_make(struct cut *c, value v);

#endif
