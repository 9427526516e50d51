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

enum number program_kept_as(const struct program *p, value v)
{
    const value root = program_root(p, v);
    const struct node *n = tape_node(p->tape, root);
    if (p->halves[root])
        return p->number;
    return n->op == OP_LEAF && n->attr.leaf.kind == LEAF_FROZEN ? bank_number(p->bank, n->attr.leaf.id)
                                                                : NUMBER_FP32;
}

int program_has_half(const struct program *p, value v)
{
    value root = program_root(p, v);
    if (p->number != NUMBER_FP32 && program_kept_as(p, root) == p->number)
        return 1;
    for (const struct copy_memo *m = p->copies; m; m = m->next)
        if (m->of == root && m->layout == LAYOUT_HALF)
            return 1;
    return 0;
}

struct stored program_operand(struct program *p, value v, int needs)
{
    const int halves = needs || (p->number != NUMBER_FP32 && program_has_half(p, v));
    return (struct stored){halves ? program_narrow(p, v, LAYOUT_HALF) : program_value(p, v), halves};
}

/* The bank's own halves, or the value itself. */
static struct ref kept_halves(struct program *p, value root)
{
    if (p->halves[root])
        return (struct ref){p->slot_of[root], 0};
    const struct node *n = tape_node(p->tape, root);
    uint32_t slot = program_slot_at(p, n->name, (uint64_t)shape_count(n->shape) * 2,
                                    bank_address(p->bank, n->attr.leaf.id));
    if (slot)
        p->slots[slot].kept = p->slots[slot].constant = 1;
    return (struct ref){slot, 0};
}

enum form { FORM_HALVES, FORM_ROUNDED, FORM_WIDE }; /* what narrow.comp writes */

static void emit_narrow(struct program *p, struct ref from, struct ref to, uint64_t fours, enum number number,
                        enum form form, int constant)
{
    enum { INVOCATIONS = 64, GROUPS_MAX = 32768 };
    static const double bytes[] = {24, 32, 24}; /* of four numbers, in and out */
    struct push_narrow push = {.fours = (uint32_t)fours};
    const struct ref refs[] = {from, to};
    uint32_t groups = (uint32_t)((fours + INVOCATIONS - 1) / INVOCATIONS),
             across = groups < GROUPS_MAX ? groups : GROUPS_MAX;
    struct work *w = program_emit(p, SHADER_NARROW, &push, sizeof push, refs, 2, 2,
                                  (const uint32_t[3]){across, (groups + across - 1) / across, 1});
    const uint32_t constants[] = {INVOCATIONS, (uint32_t)number, (uint32_t)form};
    memcpy(w->constants, constants, sizeof constants);
    w->constant_count = 3;
    w->setup = constant;
    w->label = form == FORM_WIDE ? "widen" : "narrow";
    w->bytes = (double)fours * bytes[form];
}

static uint64_t fours_of(const struct program *p, value v)
{
    return ((uint64_t)shape_count(tape_shape(p->tape, v)) + 3) / 4;
}

struct ref program_widen(struct program *p, value v)
{
    int fresh;
    value root = program_root(p, v);
    uint64_t fours = fours_of(p, root);
    struct ref to = program_copy(p, root, LAYOUT_WIDE, fours * 16, &fresh);
    if (fresh && p->rc == 0)
        emit_narrow(p, kept_halves(p, root), to, fours, program_kept_as(p, root), FORM_WIDE,
                    p->constant[root]);
    return to;
}

struct ref program_narrow(struct program *p, value v, enum layout layout)
{
    int fresh, halves = layout == LAYOUT_HALF;
    value root = program_root(p, v);
    if (program_kept_as(p, root) == p->number && p->number != NUMBER_FP32)
        return halves ? kept_halves(p, root) : program_widen(p, root);
    uint64_t fours = fours_of(p, root);
    struct ref to = program_copy(p, root, layout, fours * (halves ? 8 : 16), &fresh);
    if (fresh && p->rc == 0)
        emit_narrow(p, program_value(p, root), to, fours, p->number, halves ? FORM_HALVES : FORM_ROUNDED,
                    p->constant[root]);
    return to;
}
