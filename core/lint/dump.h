/* dump.h - what a declared and recorded stack is, as lines of text: equal texts, equal methods. */
#ifndef VITRO_LINT_DUMP_H
#define VITRO_LINT_DUMP_H

#include "lab.h"

struct dump { /* grows; a zeroed one is empty */
    char *text;
    size_t size, room;
    int failed;
};
void dump_free(struct dump *d);
/* Every tensor with its shape, start and flags, then every value of the tape. Negative: out of memory. */
int dump_lab(struct dump *d, const struct lab *l);
/* The first line in which they differ, of either, "the end" where there is none; 0 when they are equal. */
enum { DUMP_LINE = 200 };
int dump_differ(const struct dump *a, const struct dump *b, char of_a[DUMP_LINE], char of_b[DUMP_LINE]);

#endif
