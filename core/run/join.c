/* join.c - several programs in one: their slots and works, in one order. Each program's own order stays, so every work
 * reads what it read alone; they have nothing in common that a step writes. */
#include "program.h"

#include "error.h"

#include <string.h>

struct joint {
    struct program *all;
    struct program *const *parts;
    uint32_t count;
    uint32_t *slots; /* per part: what its slots' numbers are moved by */
    int32_t *groups; /* per part: the same of its steps' groups */
};

/* One more than the last group of the part's works of one kind. */
static int32_t groups_of(const struct program *p, int setup)
{
    int32_t groups = 0;
    for (uint32_t i = 0; i < p->work_count; i++)
        if (p->works[i].setup == setup && p->works[i].group >= groups)
            groups = p->works[i].group + 1;
    return groups;
}

static int count_all(struct joint *j, enum run_together together)
{
    struct program *all = j->all;
    int32_t groups = 0;
    all->slot_count = 1; /* slot 0 is none */
    for (uint32_t k = 0; k < j->count; k++) {
        const struct program *p = j->parts[k];
        j->slots[k] = all->slot_count - 1;
        j->groups[k] = together == RUN_IN_TURN ? groups : 0;
        groups += groups_of(p, 0);
        all->slot_count += p->slot_count ? p->slot_count - 1 : 0;
        all->work_room += p->work_count;
    }
    all->slots = mem_alloc(all->slot_count, sizeof *all->slots);
    all->works = mem_alloc(all->work_room, sizeof *all->works);
    return all->slots && all->works ? 0 : ERR_MEMORY;
}

static void join_slots(const struct joint *j, uint32_t k)
{
    const struct program *p = j->parts[k];
    for (uint32_t i = 1; i < p->slot_count; i++) {
        struct slot *s = &j->all->slots[j->slots[k] + i];
        *s = p->slots[i];
        s->tape = p->tape;
        if (s->last >= 0) {
            s->first += j->groups[k];
            s->last += j->groups[k];
        }
    }
}

static void join_work(const struct joint *j, uint32_t k, const struct work *from, int32_t group)
{
    struct work *w = &j->all->works[j->all->work_count++];
    *w = *from;
    w->part = k;
    w->group = group;
    for (uint32_t i = 0; i < w->ref_count; i++)
        w->refs[i].slot += w->refs[i].slot ? j->slots[k] : 0;
}

/* Set-ups one after the other: a later one may read a layout that an earlier one fills. */
static void join_setups(const struct joint *j)
{
    int32_t base = 0;
    for (uint32_t k = 0; k < j->count; k++) {
        const struct program *p = j->parts[k];
        for (uint32_t i = 0; i < p->work_count; i++)
            if (p->works[i].setup)
                join_work(j, k, &p->works[i], base + p->works[i].group);
        base += groups_of(p, 1);
    }
}

/* Works are in the order of their groups, so one pass over each part does it. */
static int join_steps(const struct joint *j)
{
    uint32_t *next = mem_alloc(j->count, sizeof *next), left = j->all->work_room - j->all->work_count;
    if (!next)
        return ERR_MEMORY;
    for (int32_t group = 0; left > 0; group++)
        for (uint32_t k = 0; k < j->count; k++) {
            const struct program *p = j->parts[k];
            for (; next[k] < p->work_count; next[k]++) {
                const struct work *w = &p->works[next[k]];
                if (w->setup)
                    continue;
                if (w->group + j->groups[k] != group)
                    break;
                join_work(j, k, w, group);
                left--;
            }
        }
    mem_free(next);
    return 0;
}

int program_join(struct program *all, struct program *const *parts, uint32_t count,
                 enum run_together together)
{
    struct joint j = {.all = all,
                      .parts = parts,
                      .count = count,
                      .slots = mem_alloc(count, sizeof *j.slots),
                      .groups = mem_alloc(count, sizeof *j.groups)};
    int rc = j.slots && j.groups ? 0 : ERR_MEMORY;
    all->engine = parts[0]->engine;
    if (rc == 0)
        rc = count_all(&j, together);
    for (uint32_t k = 0; k < count && rc == 0; k++)
        join_slots(&j, k);
    if (rc == 0) {
        join_setups(&j);
        rc = join_steps(&j);
    }
    mem_free(j.slots);
    mem_free(j.groups);
    return rc;
}
