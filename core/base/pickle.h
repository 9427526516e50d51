/* pickle.h - a tree of plain values from a Python pickle, executing nothing.
 *
 * Only the opcodes that containers, numbers, strings and calls need are known; a call or a reference is
 * a node that says what would be called. Whatever global the table below it does not name is refused by name. */
#ifndef VITRO_BASE_PICKLE_H
#define VITRO_BASE_PICKLE_H

#include "memory.h"

#include <stddef.h>
#include <stdint.h>

enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_FLOAT,
    PICKLE_STRING,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_DICT,       /* items: key, value, key, value ... */
    PICKLE_GLOBAL,     /* number: index into the table of globals */
    PICKLE_CALL,       /* items: what is called (a GLOBAL), then its arguments (a TUPLE) */
    PICKLE_PERSISTENT, /* items: the id; the archive knows what it stands for */
};

struct pickle_node {
    enum pickle_kind kind;
    int64_t number;   /* BOOL, INT, GLOBAL; DICT: whether it is an object */
    double real;      /* FLOAT */
    const char *text; /* STRING: UTF-8, ended by 0, without one inside */
    struct pickle_node **items;
    size_t count, room;
};

enum pickle_role {
    PICKLE_VALUE,
    PICKLE_MAKES_DICT, /* called without arguments it is an empty dictionary, whose attributes are passed over */
    PICKLE_MAKES_OBJECT, /* a class: its object is a dictionary of its attributes */
};
struct pickle_global {         /* a row of what may be named; ended by a NULL module */
    const char *module, *name; /* without a name: whatever stands in the module and in the modules below it */
    enum pickle_role role;
};

/* The pickle's value, which lives in `arena` and may hold itself: bound the depth of a walk. `what` names the
 * bytes in sentences. */
int pickle_read(struct pickle_node **out, struct arena *arena, const void *bytes, size_t size,
                const struct pickle_global *globals, const char *what);

#endif
