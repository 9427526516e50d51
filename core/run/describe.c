/* describe.c - what each piece of work is to a profile: the op behind it, the place that recorded it, which part
 * of the step it belongs to, whose gradient it makes, and what it moves. */
#include "program.h"

#include "describe.h"
#include "error.h"

#include <stdlib.h>
#include <string.h>

const char *const run_phases[RUN_PHASES] = {
    [RUN_FORWARD] = "forward", [RUN_BACKWARD] = "backward", [RUN_AGAIN] = "again", [RUN_STEP] = "step"};

static const char *const unary_names[UNARY_COUNT] = {
#define X(NAME, name) #name,
    UNARY_FUNCTIONS(X)
#undef X
};

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

static enum run_phase phase_of(const struct node *n)
{
    return n->again ? RUN_AGAIN : n->derivative ? RUN_BACKWARD : RUN_FORWARD;
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
    note->phase = phase_of(n);
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

/* A slot of the activations. */
static int is_activation(const struct slot *s)
{
    return !s->kept && s->last >= 0;
}

/* The group of work during which most bytes are in use. */
static int find_peak(const struct program *p, const unsigned char *counted, int32_t *peak)
{
    int32_t groups = 0;
    for (uint32_t i = 1; i < p->slot_count; i++)
        groups = p->slots[i].last >= groups ? p->slots[i].last + 1 : groups;
    int64_t *change = mem_alloc((size_t)groups + 1, sizeof *change), now = 0, most = -1;
    if (!change)
        return ERR_MEMORY;
    for (uint32_t i = 1; i < p->slot_count; i++)
        if (counted[i]) {
            change[p->slots[i].first] += (int64_t)p->slots[i].bytes;
            change[p->slots[i].last + 1] -= (int64_t)p->slots[i].bytes;
        }
    *peak = 0;
    for (int32_t g = 0; g < groups; g++) {
        now += change[g];
        if (now > most) {
            most = now;
            *peak = g;
        }
    }
    mem_free(change);
    return 0;
}

static int by_bytes(const void *a, const void *b)
{
    const struct run_alive *x = a, *y = b;
    return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

static struct run_alive alive_of(struct program *p, const struct slot *s)
{
    struct run_alive a = {.name = s->name, .bytes = s->bytes, .made = RUN_STEP};
    const struct node *n = s->of ? tape_node(s->tape, s->of) : NULL;
    if (!n)
        return a;
    int itself = s->name == n->name || s->name == op_names[n->op]; /* not a kernel's scratch */
    a.name = itself ? op_names[n->op] : s->name;
    if (n->op == OP_UNARY && itself)
        a.name = unary_names[n->attr.unary.fn];
    a.place = n->op != OP_LEAF && n->name ? arena_string(&p->arena, n->name) : NULL;
    a.shape = n->shape;
    a.made = phase_of(n);
    return a;
}

int describe_peak(struct program *p)
{
    int32_t peak;
    unsigned char *counted = mem_alloc(p->slot_count + 1, 1);
    p->alive = arena_alloc(&p->arena, p->slot_count + 1, sizeof *p->alive);
    if (!counted || !p->alive) {
        mem_free(counted);
        return ERR_MEMORY;
    }
    for (uint32_t i = 1; i < p->slot_count; i++)
        counted[i] = (unsigned char)(is_activation(&p->slots[i]) && !p->slots[i].fixed);
    int rc = find_peak(p, counted, &peak);
    for (uint32_t i = 1; i < p->slot_count && rc == 0; i++)
        if (counted[i] && p->slots[i].first <= peak && p->slots[i].last >= peak)
            p->alive[p->alive_count++] = alive_of(p, &p->slots[i]);
    qsort(p->alive, p->alive_count, sizeof *p->alive, by_bytes);
    mem_free(counted);
    return rc;
}
