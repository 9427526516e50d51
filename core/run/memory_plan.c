/* memory_plan.c - barriers and places: which work may run side by side, and where slots live. */
#include "program.h"

#include "error.h"
#include "plan.h"

#include <string.h>

/* Whether two references may be the same memory: one slot, or slots at fixed places that overlap. */
static int overlap(const struct program *p, struct ref a, struct ref b)
{
    if (!a.slot || !b.slot)
        return 0;
    const struct slot *s = &p->slots[a.slot], *t = &p->slots[b.slot];
    if (a.slot == b.slot)
        return 1;
    return s->address && t->address && s->address < t->address + t->bytes &&
           t->address < s->address + s->bytes;
}

static int conflict(const struct program *p, const struct work *a, const struct work *b)
{
    for (uint32_t i = 0; i < a->ref_count; i++)
        for (uint32_t j = 0; j < b->ref_count; j++)
            if (((a->writes >> i | b->writes >> j) & 1) && overlap(p, a->refs[i], b->refs[j]))
                return 1;
    return 0;
}

/* Whether works[i] must wait for one of the works of its kind from `first` on. */
static int must_wait(const struct program *p, uint32_t first, uint32_t i)
{
    for (uint32_t j = first; j < i; j++)
        if (p->works[j].setup == p->works[i].setup && conflict(p, &p->works[i], &p->works[j]))
            return 1;
    return 0;
}

/* Consecutive work without conflicts shares a group: no barrier inside it. Two slots that one group
 * touches never share memory, since lifetimes are counted in groups. */
static void assign_groups(struct program *p, int setup)
{
    int32_t group = 0;
    uint32_t first = 0;
    for (uint32_t i = 0; i < p->work_count; i++) {
        struct work *w = &p->works[i];
        if (w->setup != setup)
            continue;
        if (must_wait(p, first, i)) {
            group++;
            first = i;
        }
        w->group = group;
        for (uint32_t k = 0; k < w->ref_count; k++) {
            struct slot *s = &p->slots[w->refs[k].slot];
            s->kept |= setup; /* what the set-up touches is there in every step */
            s->first = group < s->first ? group : s->first;
            s->last = group > s->last ? group : s->last;
        }
    }
}

static void patch(struct program *p)
{
    for (uint32_t i = 0; i < p->work_count; i++)
        for (uint32_t k = 0; k < p->works[i].ref_count; k++) {
            struct ref r = p->works[i].refs[k];
            uint64_t address = r.slot ? p->slots[r.slot].address + r.offset : 0;
            memcpy(p->works[i].push + k * sizeof address, &address, sizeof address);
        }
}

/* Offsets: kept slots side by side, the others by lifetime. */
static int place(struct program *p, struct span *spans, uint64_t *activations, uint64_t *kept)
{
    *kept = 0;
    uint64_t *offset = mem_alloc(p->slot_count, sizeof *offset);
    if (!offset)
        return ERR_MEMORY;
    for (uint32_t i = 1; i < p->slot_count; i++) {
        struct slot *s = &p->slots[i];
        if (s->address || s->last < 0)
            continue;
        if (s->kept) {
            offset[i] = *kept;
            *kept += (s->bytes + PLAN_ALIGN - 1) & ~(uint64_t)(PLAN_ALIGN - 1);
        } else {
            spans[i] = (struct span){.size = s->bytes, .first = s->first, .last = s->last};
        }
    }
    int rc = plan_offsets(spans, p->slot_count, activations);
    for (uint32_t i = 1; i < p->slot_count; i++)
        if (p->slots[i].kept)
            spans[i].offset = offset[i];
    mem_free(offset);
    return rc;
}

int memory_plan(struct memory *m, struct program *p)
{
    int rc = 0;
    uint64_t activations, kept;
    assign_groups(p, 1);
    assign_groups(p, 0);
    struct span *spans = mem_alloc(p->slot_count + 1, sizeof *spans);
    if (!spans)
        return ERR_MEMORY;
    TRY_OUT(place(p, spans, &activations, &kept));
    struct device *d = engine_device(p->engine);
    if (activations)
        TRY_OUT(buffer_create(&m->activations, d, BUFFER_DEVICE, activations, "activations"));
    if (kept)
        TRY_OUT(buffer_create(&m->kept, d, BUFFER_DEVICE, kept, "constants"));
    for (uint32_t i = 1; i < p->slot_count; i++) {
        struct slot *s = &p->slots[i];
        if (!s->address && s->last >= 0)
            s->address = (s->kept ? m->kept.address : m->activations.address) + spans[i].offset;
    }
    patch(p);
out:
    mem_free(spans);
    return rc;
}

void memory_finish(struct memory *m, struct device *d)
{
    buffer_destroy(d, &m->activations);
    buffer_destroy(d, &m->kept);
}

int memory_write(struct memory *m, struct device *d, uint64_t address, const void *bytes, size_t size)
{
    return buffer_write(d, &m->kept, address - m->kept.address, bytes, size);
}
