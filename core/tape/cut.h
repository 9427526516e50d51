/* cut.h - the cheapest set of arcs whose removal separates a source from a sink. */
#ifndef VITRO_TAPE_CUT_H
#define VITRO_TAPE_CUT_H

#include <stdint.h>

struct cut;

#define CUT_NEVER \
    (UINT64_MAX / 4) /* the cost of an arc that must stay; below it, costs must not add up to it */

int cut_create(struct cut **out, uint32_t nodes);
void cut_destroy(struct cut *c); /* NULL is fine */
int cut_arc(struct cut *c, uint32_t from, uint32_t to, uint64_t cost);

/* near[i] = 1 for every node that stays with the source; the cut arcs are those from near to the rest. Among
 * equally cheap cuts the one closest to the source. Uses the graph up. */
void cut_solve(struct cut *c, uint32_t source, uint32_t sink, unsigned char *near);

#endif
