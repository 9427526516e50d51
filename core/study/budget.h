/* budget.h - how a tuning strategy spends its budget: how many points it starts from, and the rungs of successive
 * halving (Jamieson and Talwalkar 2016, arXiv 1502.07943). */
#ifndef VITRO_STUDY_BUDGET_H
#define VITRO_STUDY_BUDGET_H

#include "space.h"

/* Rung k of halving trains n / eta^k points, rounded up, for epochs / eta^(last - k). */
int32_t halving_epochs(const struct study *s, int32_t rung);
uint32_t halving_keeps(const struct study *s, uint32_t first, int32_t rung);

/* Draws the points that a method's tuning starts from into the study, which keeps them: a later program that draws
 * otherwise goes on with these. */
int budget_draw(struct study *s, struct study_method *m);
/* The same read back; `out` holds m->point_count. */
void budget_points(const struct study_method *m, struct point *out);

#endif
