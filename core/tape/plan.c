/* plan.c - see plan.h. */
#include "plan.h"

#include "error.h"
#include "memory.h"

#include <stdlib.h>

struct place { /* a span on its way through the sort */
    struct span *span;
    size_t index;
};

static int by_size(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->span->size != y->span->size)
        return x->span->size < y->span->size ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index; /* qsort is not stable; plans are */
}

static int by_offset(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->span->offset != y->span->offset)
        return x->span->offset < y->span->offset ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static uint64_t aligned(uint64_t n)
{
    return (n + PLAN_ALIGN - 1) & ~(uint64_t)(PLAN_ALIGN - 1);
}

/* Where a span of that size that should lie at `offset` does not cross into the next piece. */
static uint64_t within_piece(uint64_t offset, uint64_t size, uint64_t piece)
{
    return piece && offset / piece != (offset + size - 1) / piece ? (offset / piece + 1) * piece : offset;
}

/* The lowest gap among the placed spans, sorted by offset, that overlap s in time. */
static uint64_t lowest_gap(const struct place *placed, size_t count, const struct span *s, uint64_t piece)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        const struct span *p = placed[i].span;
        if (p->last < s->first || p->first > s->last)
            continue;
        if (p->offset >= offset + s->size)
            break;
        if (aligned(p->offset + p->size) > offset)
            offset = within_piece(aligned(p->offset + p->size), s->size, piece);
    }
    return offset;
}

int plan_offsets(struct span *spans, size_t count, uint64_t piece, uint64_t *total)
{
    *total = 0;
    struct place *order = mem_alloc(count, 2 * sizeof *order);
    if (!order)
        return ERR_MEMORY;
    struct place *placed = order + count;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        order[i] = (struct place){&spans[i], i};
    qsort(order, count, sizeof *order, by_size);
    for (size_t i = 0; i < count; i++) {
        struct span *s = order[i].span;
        s->offset = 0;
        if (!s->size)
            continue;
        s->offset = lowest_gap(placed, n, s, piece);
        if (s->offset + s->size > *total)
            *total = aligned(s->offset + s->size);
        size_t at = n++; /* insertion keeps the placed ones sorted */
        placed[at] = order[i];
        while (at && by_offset(&placed[at], &placed[at - 1]) < 0) {
            struct place swap = placed[at];
            placed[at] = placed[at - 1];
            placed[--at] = swap;
        }
    }
    mem_free(order);
    return 0;
}
