/* schedule.c - the order of the step's work, and the barriers in it.
 *
 * Works of one group run side by side; between groups there is a barrier. Work is taken in the program's order,
 * but a group also takes work from further down that waits for nothing in it or behind it: list scheduling with
 * the program's order as priority (Graham 1966). What is computed earlier lives longer, so of the looks
 * ahead that cost a few per cent of memory at most, the shortest with the fewest barriers is taken. Neither order nor groups change a bit:
 * every work reads what it read before. */
#include "program.h"

#include "error.h"
#include "plan.h"

#include <string.h>

/* Works that may be passed over while a group is filled. */
static const uint32_t looks[] = {1, 2, 4, 16, 64, 256};
static const double memory_most = 1.05; /* of what the program's own order needs */

struct users {               /* of a slot, in the order of the program; numbers of works + 1, 0: none */
    uint32_t writer, reader; /* the last writer; the newest reader since, head of a list */
};

struct edge {          /* a work that must come before; or a slot that overlaps; or a reader */
    uint32_t to, next; /* next: number of an edge, 0: none */
};

struct graph {
    const struct program *p;
    uint32_t *works, count;   /* the works of one kind, in the program's order */
    struct users *users;      /* per slot */
    uint32_t *before, *aside; /* per work and per slot: the head of its list of edges */
    int32_t *group, *best;    /* per work */
    struct edge *edges;
    uint32_t edge_count, edge_room;
};

static int add_edge(struct graph *g, uint32_t *head, uint32_t to)
{
    if (*head && g->edges[*head].to == to)
        return 0;
    if (g->edge_count == g->edge_room) {
        uint32_t room = g->edge_room ? 2 * g->edge_room : 1024;
        struct edge *grown = mem_grow(g->edges, g->edge_room, room, sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        g->edges = grown;
        g->edge_room = room;
        g->edge_count += g->edge_count == 0; /* edge 0 is none */
    }
    g->edges[g->edge_count] = (struct edge){to, *head};
    *head = g->edge_count++;
    return 0;
}

/* Slots at fixed places may be the same memory: an arena and the tensors in it. Only where one is written. */
static int find_overlaps(struct graph *g)
{
    const struct program *p = g->p;
    int rc = 0;
    unsigned char *written = mem_alloc(p->slot_count + 1, 1);
    uint32_t *fixed = mem_alloc(p->slot_count + 1, sizeof *fixed), count = 0;
    if (!written || !fixed)
        rc = ERR_MEMORY;
    for (uint32_t i = 0; i < g->count && rc == 0; i++) {
        const struct work *w = &p->works[g->works[i]];
        for (uint32_t k = 0; k < w->ref_count; k++)
            written[w->refs[k].slot] |= (unsigned char)(w->writes >> k & 1);
    }
    for (uint32_t s = 1; s < p->slot_count && rc == 0; s++)
        if (p->slots[s].address)
            fixed[count++] = s;
    for (uint32_t i = 0; i < count && rc == 0; i++)
        for (uint32_t j = 0; j < count && rc == 0; j++) {
            const struct slot *a = &p->slots[fixed[i]], *b = &p->slots[fixed[j]];
            if (i != j && (written[fixed[i]] || written[fixed[j]]) && a->address < b->address + b->bytes &&
                b->address < a->address + a->bytes)
                rc = add_edge(g, &g->aside[fixed[i]], fixed[j]);
        }
    mem_free(written);
    mem_free(fixed);
    return rc;
}

/* Work i must come after whoever used the slot before: after its writer and, to write, after its readers. */
static int follow(struct graph *g, uint32_t i, uint32_t slot, int writes)
{
    const struct users *u = &g->users[slot];
    if (u->writer && u->writer - 1 != i)
        TRY(add_edge(g, &g->before[i], u->writer - 1));
    for (uint32_t e = writes ? u->reader : 0; e; e = g->edges[e].next)
        if (g->edges[e].to != i)
            TRY(add_edge(g, &g->before[i], g->edges[e].to));
    return 0;
}

static int find_order(struct graph *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        const struct work *w = &g->p->works[g->works[i]];
        for (uint32_t k = 0; k < w->ref_count; k++) {
            uint32_t slot = w->refs[k].slot;
            int writes = (int)(w->writes >> k & 1);
            if (!slot)
                continue;
            TRY(follow(g, i, slot, writes));
            for (uint32_t e = g->aside[slot]; e; e = g->edges[e].next)
                TRY(follow(g, i, g->edges[e].to, writes));
        }
        for (uint32_t k = 0; k < w->ref_count; k++) {
            struct users *u = &g->users[w->refs[k].slot];
            if (w->writes >> k & 1)
                *u = (struct users){.writer = i + 1};
            else
                TRY(add_edge(g, &u->reader, i));
        }
    }
    return 0;
}

/* Whether all that must come before work i is in an earlier group. */
static int is_ready(const struct graph *g, uint32_t i, int32_t group)
{
    for (uint32_t e = g->before[i]; e; e = g->edges[e].next) {
        int32_t at = g->group[g->edges[e].to];
        if (at < 0 || at >= group)
            return 0;
    }
    return 1;
}

/* Fills g->group; returns how many groups there are. */
static int32_t fill_groups(struct graph *g, uint32_t look)
{
    int32_t group = 0;
    for (uint32_t i = 0; i < g->count; i++)
        g->group[i] = -1;
    for (uint32_t first = 0; first < g->count; group++) {
        uint32_t passed = 0;
        for (uint32_t i = first; i < g->count && passed <= look; i++) {
            if (g->group[i] >= 0)
                continue;
            if (is_ready(g, i, group))
                g->group[i] = group;
            else
                passed++;
        }
        while (first < g->count && g->group[first] >= 0)
            first++;
    }
    return group;
}

/* From when to when each slot is in use. Two slots that one group touches never share memory. */
static void find_lives(struct program *p, const struct graph *g, const int32_t *group, int setup)
{
    for (uint32_t s = 1; s < p->slot_count && !setup; s++)
        if (!p->slots[s].kept) {
            p->slots[s].first = INT32_MAX;
            p->slots[s].last = -1;
        }
    for (uint32_t i = 0; i < g->count; i++) {
        const struct work *w = &p->works[g->works[i]];
        for (uint32_t k = 0; k < w->ref_count; k++) {
            struct slot *s = &p->slots[w->refs[k].slot];
            s->kept |= setup; /* what the set-up touches is there in every step */
            s->first = group[i] < s->first ? group[i] : s->first;
            s->last = group[i] > s->last ? group[i] : s->last;
        }
    }
}

static int memory_of(struct program *p, const struct graph *g, uint64_t *bytes)
{
    struct span *spans = mem_alloc(p->slot_count + 1, sizeof *spans);
    if (!spans)
        return ERR_MEMORY;
    find_lives(p, g, g->group, 0);
    for (uint32_t i = 1; i < p->slot_count; i++) {
        const struct slot *s = &p->slots[i];
        if (!s->address && !s->kept && s->last >= 0)
            spans[i] = (struct span){.size = s->bytes, .first = s->first, .last = s->last};
    }
    int rc = plan_offsets(spans, p->slot_count, 0, bytes);
    mem_free(spans);
    return rc;
}

/* The fewest groups that memory allows, in g->best. */
static int choose_groups(struct program *p, struct graph *g)
{
    enum { LOOKS = sizeof looks / sizeof *looks };
    uint64_t least, bytes;
    int32_t fewest = fill_groups(g, 0), groups; /* a group ends at the first work that must wait */
    TRY(memory_of(p, g, &least));
    memcpy(g->best, g->group, g->count * sizeof *g->best);
    for (int i = 0; i < LOOKS; i++) {
        groups = fill_groups(g, looks[i]);
        if (groups >= fewest)
            continue;
        TRY(memory_of(p, g, &bytes));
        if ((double)bytes > memory_most * (double)least)
            continue;
        fewest = groups;
        memcpy(g->best, g->group, g->count * sizeof *g->best);
    }
    return 0;
}

/* The works of one kind in the order of their groups, from `to` on. */
static uint32_t reorder(const struct program *p, const struct graph *g, struct work *to)
{
    uint32_t n = 0;
    int32_t last = -1;
    for (uint32_t i = 0; i < g->count; i++)
        last = g->best[i] > last ? g->best[i] : last;
    for (int32_t group = 0; group <= last; group++)
        for (uint32_t i = 0; i < g->count; i++)
            if (g->best[i] == group) {
                to[n] = p->works[g->works[i]];
                to[n++].group = group;
            }
    return n;
}

static int schedule(struct program *p, int setup, struct work *ordered, uint32_t *done)
{
    int rc = 0;
    struct graph g = {.p = p};
    struct arena arena = {0};
    g.works = arena_alloc(&arena, p->work_count + 1, sizeof *g.works);
    g.users = arena_alloc(&arena, p->slot_count + 1, sizeof *g.users);
    g.before = arena_alloc(&arena, p->work_count + 1, sizeof *g.before);
    g.aside = arena_alloc(&arena, p->slot_count + 1, sizeof *g.aside);
    g.group = arena_alloc(&arena, p->work_count + 1, sizeof *g.group);
    g.best = arena_alloc(&arena, p->work_count + 1, sizeof *g.best);
    if (!g.works || !g.users || !g.before || !g.aside || !g.group || !g.best) {
        rc = ERR_MEMORY;
        goto out;
    }
    for (uint32_t i = 0; i < p->work_count; i++)
        if (p->works[i].setup == setup)
            g.works[g.count++] = i;
    TRY_OUT(find_overlaps(&g));
    TRY_OUT(find_order(&g));
    if (setup) { /* its slots are kept, so order costs nothing */
        fill_groups(&g, UINT32_MAX);
        memcpy(g.best, g.group, g.count * sizeof *g.best);
    } else {
        TRY_OUT(choose_groups(p, &g));
    }
    find_lives(p, &g, g.best, setup);
    *done += reorder(p, &g, ordered + *done);
out:
    mem_free(g.edges);
    arena_finish(&arena);
    return rc;
}

int schedule_works(struct program *p)
{
    uint32_t done = 0;
    struct work *ordered = mem_alloc(p->work_room, sizeof *ordered);
    if (!ordered)
        return ERR_MEMORY;
    int rc = schedule(p, 1, ordered, &done);
    if (rc == 0)
        rc = schedule(p, 0, ordered, &done);
    if (rc < 0) {
        mem_free(ordered);
        return rc;
    }
    mem_free(p->works);
    p->works = ordered;
    return 0;
}
