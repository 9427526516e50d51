/* likeness.h - how alike two methods are: not by their names, constants, widths and the order in which they
 * say things, but by what they compute from what, where. */
#ifndef VITRO_LINT_LIKENESS_H
#define VITRO_LINT_LIKENESS_H

#include "lab.h"

enum { LIKENESS_SHAPES = 2, LIKENESS_ROUNDS = 4, LIKENESS_VIEWS = LIKENESS_SHAPES * LIKENESS_ROUNDS };

struct view { /* sorted; one number for each of the method's values, parameters and unfrozen tensors */
    uint64_t *features;
    size_t count;
};
struct likeness { /* a zeroed one is empty */
    struct view view[LIKENESS_VIEWS];
};

/* Records the method on networks of two shapes. Round k of a view looks k operations around each value
 * (Weisfeiler and Lehman 1968), the backbone's included. */
int likeness_of(struct likeness *out, struct subject *s, const char *text);
void likeness_free(struct likeness *l);
/* 0 .. 1: shared over all features (Jaccard), the mean of the views. 1 only for the same structure. */
double likeness_compare(const struct likeness *a, const struct likeness *b);

#endif
