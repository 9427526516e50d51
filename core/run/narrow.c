/* narrow.c - copies of values for products: rounded to the program's precision, or in another layout. */
#include "program.h"

#include "error.h"

#include <string.h>

struct ref program_copy(struct program *p, value v, enum layout layout, uint64_t bytes, int *fresh)
{
    value root = program_root(p, v);
    const struct node *n = tape_node(p->tape, root);
    uint32_t slot;
    *fresh = 0;
    for (struct copy_memo *m = p->copies; m; m = m->next)
        if (m->of == root && m->layout == layout)
            return (struct ref){m->slot, 0};
    *fresh = 1;
    if (n->op == OP_LEAF && n->attr.leaf.kind == LEAF_FROZEN) {
        uint64_t address;
        int rc =
            bank_layout(p->bank, n->attr.leaf.id, (int)layout + 8 * (int)p->number, bytes, &address, fresh);
        if (rc < 0) {
            program_refuse(p, rc);
            return (struct ref){0};
        }
        slot = program_slot_at(p, "copy", bytes, address);
    } else {
        slot = program_slot(p, "copy", bytes);
    }
    struct copy_memo *memo = arena_alloc(&p->arena, 1, sizeof *memo);
    if (!memo || !slot) {
        program_refuse(p, ERR_MEMORY);
        return (struct ref){0};
    }
    p->slots[slot].kept = p->slots[slot].constant = p->constant[root];
    *memo = (struct copy_memo){p->copies, root, layout, slot};
    p->copies = memo;
    return (struct ref){slot, 0};
}

int program_has_half(const struct program *p, value v)
{
    value root = program_root(p, v);
    for (const struct copy_memo *m = p->copies; m; m = m->next)
        if (m->of == root && m->layout == LAYOUT_HALF)
            return 1;
    return 0;
}

struct ref program_narrow(struct program *p, value v, enum layout layout)
{
    enum { INVOCATIONS = 64, GROUPS_MAX = 32768 };
    int fresh, wide = layout == LAYOUT_ROUNDED;
    uint64_t fours = ((uint64_t)shape_count(tape_shape(p->tape, v)) + 3) / 4;
    struct ref to = program_copy(p, v, layout, fours * (wide ? 16 : 8), &fresh);
    if (!fresh || p->rc < 0)
        return to;
    struct push_narrow push = {.fours = (uint32_t)fours};
    const struct ref refs[] = {program_value(p, v), to};
    uint32_t groups = (uint32_t)((fours + INVOCATIONS - 1) / INVOCATIONS),
             across = groups < GROUPS_MAX ? groups : GROUPS_MAX;
    struct work *w = program_emit(p, SHADER_NARROW, &push, sizeof push, refs, 2, 2,
                                  (const uint32_t[3]){across, (groups + across - 1) / across, 1});
    const uint32_t constants[] = {INVOCATIONS, (uint32_t)p->number, (uint32_t)wide};
    memcpy(w->constants, constants, sizeof constants);
    w->constant_count = 3;
    w->setup = p->constant[program_root(p, v)];
    w->label = "narrow";
    w->bytes = (double)fours * (wide ? 32 : 24);
    return to;
}
