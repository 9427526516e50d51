/* space.h - what tuning chooses from: the axes of a method, and the points that a strategy tries. */
#ifndef VITRO_STUDY_SPACE_H
#define VITRO_STUDY_SPACE_H

#include "study.h"

enum { AXIS_LIMIT = 16, VALUE_TEXT = 64, SPACE_TEXT = 512 };
struct point { /* a value for each axis, as it is written */
    char value[AXIS_LIMIT][VALUE_TEXT];
};

/* How many points there are; infinite with a range. */
double space_size(const struct study_method *m);

/* The first `count` points that the strategy tries; the same for every pack, and a function of the axes, the
 * strategy and its seed alone. A grid without a budget is walked in order; otherwise points are drawn by Latin
 * hypercube (McKay et al. 1979): the values of each axis are used as evenly as the number of points allows, none
 * of a finite space twice. Returns how many there are, fewer than asked when the space has no more, or a negative
 * code. */
int64_t space_points(const struct study_method *m, const struct study_tune *tune, uint32_t count,
                     struct point *out);

/* Which values of the point lie at an end of their axis: "lr at its highest, r at its lowest"; "". Axes of words have
 * no ends. */
void space_edges(const struct study_method *m, const struct point *p, char text[SPACE_TEXT]);
/* "lr 0.0003 .. 0.03 (log), decay 0.0001 0.001, r 1 8 16 32" */
void space_text(const struct study_method *m, char text[SPACE_TEXT]);

/* The stack with the point's options, every option spelt out; at most `size` bytes, returns the length wanted. */
size_t space_method(const struct study_method *m, const struct point *p, char *text, size_t size);
/* The training with the point's numbers. */
int space_training(const struct study_method *m, const struct point *p, struct recipe *r);

#endif
