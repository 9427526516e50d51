/* plan.h - where values live: offsets in one arena such that values alive at the same time do not
 * overlap. */
#ifndef VITRO_TAPE_PLAN_H
#define VITRO_TAPE_PLAN_H

#include <stddef.h>
#include <stdint.h>

struct span { /* one tensor: filled by the caller except offset */
    uint64_t size;      /* bytes; 0 takes no room */
    int32_t first, last; /* the steps that first write and last touch it, inclusive */
    uint64_t offset;    /* out: a multiple of PLAN_ALIGN */
};
enum { PLAN_ALIGN = 256 };

/* Greedy by size (Pisarchyk and Lee 2020, arXiv:2001.03288): largest first, each at the lowest
 * offset free for its whole life. No span crosses a multiple of `piece`, of which PLAN_ALIGN is a divisor and no span
 * is larger: the arena may lie in pieces. 0: in one. *total: bytes of the arena. Negative: out of memory. */
int plan_offsets(struct span *spans, size_t count, uint64_t piece, uint64_t *total);

#endif
