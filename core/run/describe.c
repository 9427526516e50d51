/* describe.c - what each piece of work is to a profile: the op behind it, the place that recorded it, which part
 * of the step it belongs to, whose gradient it makes, and what it moves. */
#include "program.h"

#include "describe.h"
#include "error.h"

#include <string.h>

const char *const run_phases[RUN_PHASES] = {
    [RUN_FORWARD] = "forward", [RUN_BACKWARD] = "backward", [RUN_AGAIN] = "again", [RUN_STEP] = "step"};

enum { NOBODY = -1, SEVERAL = -2 };

/* The value whose op gives the work its name: the product under an epilogue, the gradient under a sum. */
static value subject(const struct program *p, const struct work *w)
{
    if (w->of && p->fusions[w->of].product)
        return p->fusions[w->of].product;
    return w->of && p->norm_back[w->of] ? p->norm_back[w->of] : w->of;
}

static void need(int64_t *who, int64_t by)
{
    *who = *who == NOBODY || *who == by ? by : SEVERAL;
}

/* who[v]: the tensor whose gradient alone needs v, else SEVERAL; NOBODY where nothing does. */
static void find_needs(const struct program *p, const struct run_spec *s, int64_t *who)
{
    uint32_t size = tape_size(p->tape);
    for (value v = 0; v < size; v++)
        who[v] = NOBODY;
    for (size_t i = 0; i < s->log_count; i++)
        who[s->logs[i]] = SEVERAL;
    for (size_t i = 0; i < s->gradient_count; i++)
        need(&who[s->gradients[i].gradient], (int64_t)s->gradients[i].id);
    for (value v = size - 1; v > 0; v--) {
        const struct node *n = tape_node(p->tape, v);
        for (int i = 0; who[v] != NOBODY && p->live[v] && i < op_arity[n->op]; i++)
            need(&who[n->in[i]], who[v]);
    }
}

/* Whether the forward part of a place reads the trainable tensor: work for its gradient alone is the tensor's own
 * there, and the network's where it only lies on the way. */
static int reads_at(const struct program *p, int64_t tensor, const char *place)
{
    for (value v = 1; v < tape_size(p->tape); v++) {
        const struct node *n = tape_node(p->tape, v);
        if (n->derivative || n->op == OP_LEAF || !n->name || strcmp(n->name, place) != 0)
            continue;
        for (int i = 0; i < op_arity[n->op]; i++) {
            const struct node *leaf = tape_node(p->tape, program_root(p, n->in[i]));
            if (leaf->op == OP_LEAF && leaf->attr.leaf.kind == LEAF_TRAINABLE && leaf->attr.leaf.id == tensor)
                return 1;
        }
    }
    return 0;
}

/* Each operand once; writes to a part of one count as that part. */
static double operands_bytes(const struct program *p, const struct work *w)
{
    double bytes = 0;
    for (uint32_t i = 0; i < w->ref_count; i++) {
        int again = !w->refs[i].slot;
        for (uint32_t k = 0; k < i; k++)
            again |= w->refs[k].slot == w->refs[i].slot;
        bytes += again ? 0 : (double)p->slots[w->refs[i].slot].bytes;
    }
    return bytes;
}

static void describe(struct program *p, struct work *w, const int64_t *who, struct note *note)
{
    value v = subject(p, w);
    const struct node *n = v ? tape_node(p->tape, v) : NULL;
    *note = (struct note){.op = w->label, .phase = RUN_STEP, .gradient = NOBODY};
    if (!n)
        return;
    if (w->label == op_names[tape_node(p->tape, w->of)->op])
        note->op = w->label = op_names[n->op];
    note->shape = n->shape;
    note->phase = n->again ? RUN_AGAIN : n->derivative ? RUN_BACKWARD : RUN_FORWARD;
    if (n->op != OP_LEAF)
        note->place = n->name;
    if (n->derivative && n->name && who[v] >= 0 && reads_at(p, who[v], n->name))
        note->gradient = who[v];
    if (w->bytes == 0)
        w->bytes = operands_bytes(p, w);
}

int describe_works(struct program *p, const struct run_spec *s)
{
    uint32_t count = 0;
    const char *last = NULL, *copy = NULL;
    int64_t *who = mem_alloc(tape_size(p->tape), sizeof *who);
    p->notes = arena_alloc(&p->arena, p->work_count, sizeof *p->notes);
    if (!who || !p->notes) {
        mem_free(who);
        return ERR_MEMORY;
    }
    find_needs(p, s, who);
    for (uint32_t i = 0; i < p->work_count; i++) {
        struct note *note = &p->notes[count];
        if (p->works[i].setup)
            continue;
        describe(p, &p->works[i], who, note);
        if (note->place && note->place != last) { /* the tape need not live as long as the run */
            last = note->place;
            copy = arena_string(&p->arena, last);
        }
        note->place = note->place ? copy : NULL;
        count++;
    }
    mem_free(who);
    return 0;
}
