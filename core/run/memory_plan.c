/* memory_plan.c - where slots live. */
#include "program.h"

#include "error.h"
#include "plan.h"

#include <string.h>

static void patch(struct program *p)
{
    for (uint32_t i = 0; i < p->work_count; i++)
        for (uint32_t k = 0; k < p->works[i].ref_count; k++) {
            struct ref r = p->works[i].refs[k];
            uint64_t address = r.slot ? p->slots[r.slot].address + r.offset : 0;
            memcpy(p->works[i].push + k * sizeof address, &address, sizeof address);
        }
}

static int refuse_large(const struct program *p, const struct slot *s, uint64_t piece)
{
    return fail(
        ERR_DEVICE,
        "a single tensor (%s) takes %.1f MiB, but the largest buffer on %s is %.1f MiB; use a smaller batch",
        s->name, (double)s->bytes / (1 << 20), device_info(engine_device(p->engine))->name,
        (double)piece / (1 << 20));
}

static int pieces_create(struct pieces *a, struct device *d, uint64_t bytes, uint64_t each, const char *name)
{
    uint32_t count = (uint32_t)((bytes + each - 1) / each);
    a->buffers = mem_alloc(count, sizeof *a->buffers);
    if (!a->buffers)
        return ERR_MEMORY;
    a->each = each;
    for (; a->count < count; a->count++) {
        uint64_t left = bytes - a->count * each, size = left < each ? left : each;
        TRY(buffer_create(&a->buffers[a->count], d, BUFFER_DEVICE, size, name));
        a->bytes += size;
    }
    return 0;
}

static uint64_t piece_address(const struct pieces *a, uint64_t offset)
{
    return a->buffers[offset / a->each].address + offset % a->each;
}

static void pieces_destroy(struct pieces *a, struct device *d)
{
    for (uint32_t i = 0; i < a->count; i++)
        buffer_destroy(d, &a->buffers[i]);
    mem_free(a->buffers);
    *a = (struct pieces){0};
}

/* Offsets: kept slots side by side, the others by lifetime. */
static int place(struct program *p, struct span *spans, uint64_t piece, uint64_t *activations, uint64_t *kept)
{
    *kept = 0;
    uint64_t *offset = mem_alloc(p->slot_count, sizeof *offset);
    if (!offset)
        return ERR_MEMORY;
    for (uint32_t i = 1; i < p->slot_count; i++) {
        struct slot *s = &p->slots[i];
        if (s->address || s->last < 0)
            continue;
        if (s->bytes > piece) {
            mem_free(offset);
            return refuse_large(p, s, piece);
        }
        if (s->kept) {
            if (s->bytes && *kept / piece != (*kept + s->bytes - 1) / piece) /* not across two pieces */
                *kept = (*kept / piece + 1) * piece;
            offset[i] = *kept;
            *kept += (s->bytes + PLAN_ALIGN - 1) & ~(uint64_t)(PLAN_ALIGN - 1);
        } else {
            spans[i] = (struct span){.size = s->bytes, .first = s->first, .last = s->last};
        }
    }
    int rc = plan_offsets(spans, p->slot_count, piece, activations);
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
    struct span *spans = mem_alloc(p->slot_count + 1, sizeof *spans);
    if (!spans)
        return ERR_MEMORY;
    struct device *d = engine_device(p->engine);
    uint64_t piece = device_largest_buffer(d) / PLAN_ALIGN * PLAN_ALIGN;
    TRY_OUT(place(p, spans, piece, &activations, &kept));
    TRY_OUT(pieces_create(&m->activations, d, activations, piece, "activations"));
    TRY_OUT(pieces_create(&m->kept, d, kept, piece, "constants"));
    for (uint32_t i = 1; i < p->slot_count; i++) {
        struct slot *s = &p->slots[i];
        if (!s->address && s->last >= 0)
            s->address = piece_address(s->kept ? &m->kept : &m->activations, spans[i].offset);
    }
    patch(p);
out:
    mem_free(spans);
    return rc;
}

void memory_finish(struct memory *m, struct device *d)
{
    pieces_destroy(&m->activations, d);
    pieces_destroy(&m->kept, d);
}

int memory_write(struct memory *m, struct device *d, uint64_t address, const void *bytes, size_t size)
{
    for (uint32_t i = 0; i < m->kept.count; i++) {
        const struct buffer *b = &m->kept.buffers[i];
        if (address >= b->address && address - b->address < b->size)
            return buffer_write(d, b, address - b->address, bytes, size);
    }
    return fail(ERR_INPUT, "there is no tensor at that address to write to");
}
