/* cut.c - see cut.h: the largest flow from source to sink (Ford and Fulkerson 1956), along shortest paths
 * (Edmonds and Karp 1972); what the source still reaches then is its side of the cheapest cut. */
#include "cut.h"

#include "error.h"
#include "memory.h"

#include <string.h>

static const uint32_t none = UINT32_MAX;

struct arc { /* arcs 2 i and 2 i + 1 are each other's reverse */
    uint32_t to, next;
    uint64_t room;
};

struct cut {
    uint32_t nodes, arc_count, arc_room;
    struct arc *arcs;
    uint32_t *first; /* of each node's arcs */
    uint32_t *via;   /* the arc by which the search came to each node */
    uint32_t *queue;
};

int cut_create(struct cut **out, uint32_t nodes)
{
    struct cut *c = mem_alloc(1, sizeof *c);
    if (!c)
        return ERR_MEMORY;
    c->nodes = nodes;
    c->first = mem_alloc(nodes, sizeof *c->first);
    c->via = mem_alloc(nodes, sizeof *c->via);
    c->queue = mem_alloc(nodes, sizeof *c->queue);
    if (!c->first || !c->via || !c->queue) {
        cut_destroy(c);
        return ERR_MEMORY;
    }
    for (uint32_t i = 0; i < nodes; i++)
        c->first[i] = none;
    *out = c;
    return 0;
}

void cut_destroy(struct cut *c)
{
    if (!c)
        return;
    mem_free(c->arcs);
    mem_free(c->first);
    mem_free(c->via);
    mem_free(c->queue);
    mem_free(c);
}

static void append(struct cut *c, uint32_t from, uint32_t to, uint64_t room)
{
    c->arcs[c->arc_count] = (struct arc){to, c->first[from], room};
    c->first[from] = c->arc_count++;
}

int cut_arc(struct cut *c, uint32_t from, uint32_t to, uint64_t cost)
{
    if (c->arc_count + 2 > c->arc_room) {
        uint32_t room = c->arc_room ? 2 * c->arc_room : 1024;
        struct arc *arcs = mem_grow(c->arcs, c->arc_room, room, sizeof *arcs);
        if (!arcs)
            return ERR_MEMORY;
        c->arcs = arcs;
        c->arc_room = room;
    }
    append(c, from, to, cost);
    append(c, to, from, 0);
    return 0;
}

/* Marks what the source reaches along arcs with room; returns whether the sink is among it. */
static int search(struct cut *c, uint32_t source, uint32_t sink, unsigned char *near)
{
    uint32_t head = 0, tail = 0;
    memset(near, 0, c->nodes);
    near[source] = 1;
    c->queue[tail++] = source;
    while (head < tail && !near[sink]) {
        uint32_t at = c->queue[head++];
        for (uint32_t i = c->first[at]; i != none; i = c->arcs[i].next) {
            uint32_t to = c->arcs[i].to;
            if (near[to] || !c->arcs[i].room)
                continue;
            near[to] = 1;
            c->via[to] = i;
            c->queue[tail++] = to;
        }
    }
    return near[sink];
}

void cut_solve(struct cut *c, uint32_t source, uint32_t sink, unsigned char *near)
{
    while (search(c, source, sink, near)) {
        uint64_t least = UINT64_MAX;
        for (uint32_t at = sink; at != source; at = c->arcs[c->via[at] ^ 1].to)
            if (c->arcs[c->via[at]].room < least)
                least = c->arcs[c->via[at]].room;
        for (uint32_t at = sink; at != source; at = c->arcs[c->via[at] ^ 1].to) {
            c->arcs[c->via[at]].room -= least;
            c->arcs[c->via[at] ^ 1].room += least;
        }
    }
}
