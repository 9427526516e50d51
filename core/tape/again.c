/* again.c - see again.h. */
#include "again.h"

#include "error.h"
#include "tape_private.h"

#include <string.h>

struct repetition {
    const struct again_spec *spec;
    const struct tape *from;
    struct tape *tape;     /* in the making */
    unsigned char *needed; /* per value */
    unsigned char *stays;  /* per value: not repeated */
    value *first,
        *second;    /* per value: what it is on the new tape, and what it is there for the backward pass */
    uint32_t count; /* of repeated values */
};

/* As tape_live, for kernels from outside with both what they read and their equivalents. */
static void mark_needed(struct repetition *r)
{
    for (size_t i = 0; i < r->spec->root_count; i++)
        r->needed[r->spec->roots[i]] = 1;
    for (value v = tape_size(r->from) - 1; v > 0; v--) {
        const struct node *n = tape_node(r->from, v);
        for (int i = 0; r->needed[v] && i < op_arity[n->op]; i++)
            r->needed[n->in[i]] = 1;
    }
}

/* What is kept, what comes after the last of that, and what is never computed in a step: leaves and what is made of
 * frozen ones alone. */
static void mark_staying(struct repetition *r)
{
    value last = 0;
    for (size_t i = 0; i < r->spec->kept_count; i++) {
        value v = r->spec->kept[i];
        r->stays[v] = 1;
        last = r->needed[v] && v > last ? v : last;
    }
    for (value v = 1; v < tape_size(r->from); v++) {
        const struct node *n = tape_node(r->from, v);
        int constant = n->op != OP_DROPOUT;
        for (int i = 0; i < op_arity[n->op]; i++) {
            const struct node *m = tape_node(r->from, n->in[i]);
            constant &= m->op == OP_LEAF ? m->attr.leaf.kind == LEAF_FROZEN : r->stays[n->in[i]] == 2;
        }
        if (n->op == OP_LEAF || v > last)
            r->stays[v] = 1;
        else if (constant)
            r->stays[v] = 2;
    }
}

static value copied(struct repetition *r, const struct node *n, const value *map)
{
    value in[OP_INPUTS] = {0};
    for (int i = 0; i < op_arity[n->op]; i++)
        in[i] = map[n->in[i]];
    r->tape->derivative = n->derivative;
    return tape_copy_node(r->tape, r->from, n, in);
}

/* v for the backward pass: itself where it stays, else a repetition of it, operands first. */
static void repeat(struct repetition *r, value v)
{
    const struct node *n = tape_node(r->from, v);
    if (r->second[v])
        return;
    if (r->stays[v]) {
        r->second[v] = r->first[v];
        return;
    }
    for (int i = 0; i < op_arity[n->op]; i++)
        repeat(r, n->in[i]);
    r->tape->again = 1;
    r->second[v] = copied(r, n, r->second);
    r->tape->again = 0;
    r->count++;
}

/* The attention that comes with the sums asked for here: one kernel makes both, the attention being first. */
static void repeat_attention(struct repetition *r, const struct node *lse)
{
    for (value v = 1; v < tape_size(r->from); v++) {
        const struct node *n = tape_node(r->from, v);
        if (r->needed[v] && n->op == OP_ATTENTION && n->in[0] == lse->in[0] &&
            !memcmp(&n->attr.attention, &lse->attr.attention, sizeof n->attr.attention))
            repeat(r, v);
    }
}

static void rebuild(struct repetition *r)
{
    for (value v = 1; v < tape_size(r->from); v++) {
        const struct node *n = tape_node(r->from, v);
        if (!r->needed[v])
            continue;
        if (!n->derivative) {
            r->first[v] = copied(r, n, r->first);
            continue;
        }
        for (int i = 0; i < op_arity[n->op]; i++)
            if (!r->second[n->in[i]])
                repeat(r, n->in[i]);
        if (n->op == OP_ATTENTION_LSE)
            repeat_attention(r, n);
        r->first[v] = r->second[v] = copied(r, n, r->second);
    }
}

int again_rebuild(const struct again_spec *spec, struct tape **out, value *map, uint32_t *repeated)
{
    struct repetition r = {.spec = spec, .from = spec->tape, .tape = tape_create(), .first = map};
    uint32_t size = tape_size(spec->tape);
    int rc = 0;
    memset(map, 0, size * sizeof *map);
    r.needed = mem_alloc(size, 2);
    r.second = mem_alloc(size, sizeof *r.second);
    if (!r.tape || !r.needed || !r.second) {
        rc = ERR_MEMORY;
        goto out;
    }
    r.stays = r.needed + size;
    mark_needed(&r);
    mark_staying(&r);
    rebuild(&r);
    if (tape_why(r.tape))
        rc = fail(ERR_INPUT, "%s", tape_why(r.tape));
    *repeated = r.count;
out:
    mem_free(r.needed);
    mem_free(r.second);
    if (rc < 0)
        tape_destroy(r.tape);
    else
        *out = r.tape;
    return rc;
}
