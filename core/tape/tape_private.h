/* tape_private.h - the tape's inside, for the files of this folder. */
#ifndef VITRO_TAPE_PRIVATE_H
#define VITRO_TAPE_PRIVATE_H

#include "memory.h"
#include "tape.h"

enum { WHY_SIZE = 512 };

struct rule { /* of a hooked value */
    hooked_rule call;
    void *context;
    value of;                   /* 0, or the hooked value whose rows along axis this is, */
    int32_t axis, from, total;  /* from `from` on, of `total` */
};

struct rows { /* from .. to - 1; to 0: none */
    int32_t from, to;
};

struct kept_slice { /* the rows from .. to - 1 of a value, computed by themselves as `made` */
    value of, made;
    int32_t axis, from, to;
};

struct backward; /* the gradients in the making, see derive.c */

struct tape {
    struct node *nodes;
    uint32_t count, room;
    uint32_t *table; /* open addressing from a node's hash to its value; 0 is free */
    uint32_t table_size;
    struct rule *rules;
    uint32_t rule_count;
    struct kept_slice *slices;
    uint32_t slice_count;
    struct arena names;
    const char *place;
    char why[WHY_SIZE];
    long fail_countdown;
    struct backward *backward;
    uint32_t again; /* of what is recorded: node's */
    int derivative;
    const struct custom **calls; /* of custom values, in `names` */
    uint32_t call_count;
};

/* Appends the operation, or returns the value of an equal one. */
value record(struct tape *t, enum op op, struct shape shape, const value in[OP_INPUTS], union attr attr,
             const char *name);

/* n, of the tape `from`, with these operands. Nothing is simplified; derivatives written by hand stay behind. */
value tape_copy_node(struct tape *to, const struct tape *from, const struct node *n, const value in[OP_INPUTS]);

/* Keeps a rule; *at is its number. Negative: the tape is poisoned. */
int keep_rule(struct tape *t, struct rule rule, uint32_t *at);

union attr attr_zero(void); /* all bytes of an attribute take part in comparisons */
value record1(struct tape *t, enum op op, struct shape s, union attr attr, value x);
value record2(struct tape *t, enum op op, struct shape s, union attr attr, value x, value y);
/* Poison, with a sentence. */
value refuse_shapes(struct tape *t, enum op op, value a, value b);
value refuse_axis(struct tape *t, enum op op, value x, int axis);

/* The shape to which both stretch, trailing axes aligned; negative when they do not fit. */
int shape_broadcast(struct shape a, struct shape b, struct shape *out);

/* hooked(x) with a rule of its own. */
value record_hooked(struct tape *t, value x, struct rule rule);

/* The narrowest that holds these rows of v, or NULL; lent until the next slice. */
const struct kept_slice *slice_kept(const struct tape *t, value v, int32_t axis, int32_t from, int32_t to);
/* Rows from .. to - 1 of a value of shape `of` as those of its reshaping to `other`; 0 if they are none. */
int reshape_rows(struct shape of, struct shape other, int32_t axis, int32_t *from, int32_t *to);
/* Makes d, the dropout of a value of shape s, that of its rows from `from` on; 0 if there is no such. */
int dropout_cut(struct dropout *d, struct shape s, int32_t axis, int32_t from);

/* Which values below count bear on wrt, and of a tensor [b t n] which tokens: needs[v].to > 0. Zeroed. */
enum { NEEDS_RANK = 3, NEEDS_AXIS = 1 };
void needs_mark(const struct tape *t, struct rows *needs, uint32_t count, const value *wrt, size_t wrt_count);
/* d without the rows that are not needed: zeros. */
value needs_rows(struct tape *t, struct rows r, value d);

/* zeros.c: what a padded value pads, or 0; padding of `part` like that of `like`; the rows of x, which
 * aligns with `like` as in broadcasting, where `like` is not zero. */
value zeros_inside(const struct tape *t, value v);
value zeros_around(struct tape *t, value part, value like);
value zeros_rows(struct tape *t, value x, value like);
int zeros_all(const struct tape *t, value v);               /* a constant 0 */
int zeros_whole_rows(const struct tape *t, value v);        /* padded along another axis than the last */
/* The sum of two padded values that are zero in the same rows, or one where the other is not; or 0. */
value zeros_add(struct tape *t, value a, value b);
/* Whether padding x only puts back zeros that a slice took off. */
int zeros_cut_off(const struct tape *t, value x, int32_t axis, int32_t before, int32_t total);
/* A padded value in another shape that keeps its zeros together, or 0. */
value zeros_reshape(struct tape *t, value v, struct shape to);
/* Of matrices whose rows are summed over: leaves away the rows that are zero in one. b may be NULL. */
void zeros_drop_rows(struct tape *t, value *a, value *b);

#endif
