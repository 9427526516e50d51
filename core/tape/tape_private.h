/* tape_private.h - the tape's inside, for the files of this folder. */
#ifndef VITRO_TAPE_PRIVATE_H
#define VITRO_TAPE_PRIVATE_H

#include "memory.h"
#include "tape.h"

enum { WHY_SIZE = 512 };

struct rule { /* of a hooked value */
    hooked_rule call;
    void *context;
};

struct backward; /* the gradients in the making, see derive.c */

struct tape {
    struct node *nodes;
    uint32_t *uses; /* of each value as an operand, so far */
    uint32_t count, room;
    uint32_t *table; /* open addressing from a node's hash to its value; 0 is free */
    uint32_t table_size;
    struct rule *rules;
    uint32_t rule_count;
    struct arena names;
    const char *place;
    char why[WHY_SIZE];
    long fail_countdown;
    struct backward *backward;
    const struct custom **calls; /* of custom values, in `names` */
    uint32_t call_count;
};

/* Appends the operation, or returns the value of an equal one. */
value record(struct tape *t, enum op op, struct shape shape, const value in[OP_INPUTS], union attr attr,
             const char *name);

#endif
