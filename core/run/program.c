/* program.c - see program.h. */
#include "program.h"

#include "error.h"

#include <string.h>

int program_renames(const struct program *p, value v)
{
    enum op op = tape_node(p->tape, v)->op;
    return op_renames(op) || (op == OP_CUSTOM && !p->kernels[v]);
}

value program_root(const struct program *p, value v)
{
    for (;;) {
        const struct node *n = tape_node(p->tape, v);
        if (!program_renames(p, v))
            return v;
        v = n->in[0];
    }
}

void program_refuse(struct program *p, int rc)
{
    if (p->rc == 0)
        p->rc = rc;
}

uint32_t program_slot(struct program *p, const char *name, uint64_t bytes)
{
    if (p->slot_count == p->slot_room) {
        uint32_t room = p->slot_room ? 2 * p->slot_room : 256;
        struct slot *grown = mem_grow(p->slots, p->slot_room, room, sizeof *grown);
        if (!grown) {
            program_refuse(p, ERR_MEMORY);
            return 0;
        }
        p->slots = grown;
        p->slot_room = room;
    }
    if (p->slot_count == 0)
        p->slot_count = 1; /* slot 0 is none */
    p->slots[p->slot_count] =
        (struct slot){.name = name, .bytes = bytes, .of = p->now, .first = INT32_MAX, .last = -1};
    return p->slot_count++;
}

uint32_t program_slot_at(struct program *p, const char *name, uint64_t bytes, uint64_t address)
{
    uint32_t s = program_slot(p, name, bytes);
    if (s)
        p->slots[s].address = address, p->slots[s].fixed = 1;
    return s;
}

static struct ref place(struct program *p, value root, uint64_t bytes)
{
    if (!p->slot_of[root]) {
        const struct node *n = tape_node(p->tape, root);
        uint32_t s;
        if (n->op == OP_LEAF && n->attr.leaf.kind >= LEAF_FROZEN)
            s = program_slot_at(p, n->name, bytes, bank_address(p->bank, n->attr.leaf.id));
        else
            s = program_slot(p, n->name ? n->name : op_names[n->op], bytes);
        if (s) {
            p->slots[s].of = root;
            p->slots[s].constant = p->constant[root];
            p->slots[s].kept = p->constant[root] || n->op == OP_LEAF;
        }
        p->slot_of[root] = s;
    }
    return (struct ref){p->slot_of[root], 0};
}

struct ref program_value(struct program *p, value v)
{
    value root = program_root(p, v);
    const struct node *n = tape_node(p->tape, root);
    if (p->halves[root]) { /* a widened copy would be right to products alone */
        program_refuse(p, fail(ERR_INPUT, "a kernel wants floats of what is stored as halves: %s of %s",
                               op_names[n->op], n->name ? n->name : "the step"));
        return (struct ref){0};
    }
    if (program_kept_as(p, root) != NUMBER_FP32)
        return program_widen(p, root);
    return place(p, root, (uint64_t)shape_count(n->shape) * sizeof(float));
}

struct ref program_result(struct program *p, value v, int can_be_halves, int *halves)
{
    value root = program_root(p, v);
    if (can_be_halves && p->multiplied[root] && !p->slot_of[root])
        p->halves[root] = 1;
    *halves = p->halves[root];
    if (!*halves)
        return program_value(p, root);
    return place(p, root, ((uint64_t)shape_count(tape_shape(p->tape, root)) + 3) / 4 * 8);
}

struct work *program_emit(struct program *p, enum shader shader, const void *push, uint32_t push_bytes,
                          const struct ref *refs, uint32_t ref_count, uint32_t writes,
                          const uint32_t groups[3])
{
    static struct work dummy;
    if (p->work_count == p->work_room) {
        uint32_t room = p->work_room ? 2 * p->work_room : 512;
        struct work *grown = mem_grow(p->works, p->work_room, room, sizeof *grown);
        if (!grown)
            program_refuse(p, ERR_MEMORY);
        else
            p->works = grown, p->work_room = room;
    }
    if (p->rc < 0)
        return &dummy;
    struct work *w = &p->works[p->work_count++];
    *w = (struct work){.shader = shader,
                       .push_bytes = push_bytes,
                       .ref_count = ref_count,
                       .writes = writes,
                       .groups = {groups[0], groups[1], groups[2]}};
    memcpy(w->push, push, push_bytes);
    memcpy(w->refs, refs, ref_count * sizeof *refs);
    w->setup = p->now && p->constant[p->now];
    w->of = p->now;
    w->label = p->now ? op_names[tape_node(p->tape, p->now)->op] : "step";
    return w;
}

void program_finish(struct program *p)
{
    mem_free(p->slots);
    mem_free(p->works);
    arena_finish(&p->arena);
}
