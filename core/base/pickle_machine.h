/* pickle_machine.h - what a pickle's opcodes work on: bytes, a stack of values with marks, and the memo; with limits to all
 * of them. Private to pickle.c, whose opcodes it serves. */
#ifndef VITRO_BASE_PICKLE_MACHINE_H
#define VITRO_BASE_PICKLE_MACHINE_H

#include "pickle.h"

enum { PICKLE_MARKS = 1 << 10 };
struct pickle_machine {
    const char *what;
    struct arena *arena;
    const unsigned char *at, *begin, *end;
    const struct pickle_global *globals;
    struct pickle_node **stack, **memo;
    size_t height, room, memo_room, nodes;
    uint32_t memo_next; /* MEMOIZE's */
    size_t marks[PICKLE_MARKS], mark_count;
};

/* ERR_INPUT: "the pickle is damaged at byte N: why". */
int pickle_refuse(const struct pickle_machine *m, const char *why);

/* A value in the arena; NULL with a sentence when there are too many. pickle_push refuses NULL. */
struct pickle_node *pickle_make(struct pickle_machine *m, enum pickle_kind kind);
int pickle_push(struct pickle_machine *m, struct pickle_node *n);
int pickle_pop(struct pickle_machine *m, struct pickle_node **out);
/* How many values are above the last mark, or on the whole stack. */
size_t pickle_above_mark(const struct pickle_machine *m);
/* Takes the last mark; `first` is the height that it was set at. */
int pickle_take_mark(struct pickle_machine *m, size_t *first);

int pickle_append(struct pickle_machine *m, struct pickle_node *to, struct pickle_node *item);
/* The values from `first` on become items of `to`. */
int pickle_take(struct pickle_machine *m, struct pickle_node *to, size_t first);
/* Another node's items, counted as values: the same ones can be asked for any number of times. */
int pickle_copy_items(struct pickle_machine *m, struct pickle_node *to, const struct pickle_node *from);

/* The next bytes, and the next little-endian number. */
int pickle_bytes(struct pickle_machine *m, size_t count, const unsigned char **out);
int pickle_number(struct pickle_machine *m, size_t count, uint64_t *out);

/* Keeps the value on top under the index. */
int pickle_memoize(struct pickle_machine *m, uint64_t index);

#endif
