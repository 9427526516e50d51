/* ref.c - walks a tape in order and computes what the roots need, keeping every value. */
#include "ref.h"

#include "error.h"
#include "memory.h"
#include "ref_private.h"

#include <string.h>

struct ref {
    const struct tape *tape;
    uint32_t count;
    unsigned char *live;
    double **values;
    uint64_t seed;
    uint32_t step;
    int held; /* DETACH nodes keep the values they have */
};

static void (*const ops[OP_COUNT])(const struct call *) = {
#define OP(NAME, name, arity) compute_##name,
#include "ops.def"
#undef OP
};

int ref_create(struct ref **out, const struct tape *t, const value *roots, size_t count)
{
    if (tape_why(t))
        return fail(ERR_INPUT, "%s", tape_why(t));
    struct ref *r = mem_alloc(1, sizeof *r);
    if (!r)
        return ERR_MEMORY;
    r->tape = t;
    r->count = tape_size(t);
    r->live = mem_alloc(r->count, 1);
    r->values = mem_alloc(r->count, sizeof *r->values);
    if (!r->live || !r->values)
        goto fail;
    tape_live(t, roots, count, r->live);
    for (value v = 1; v < r->count; v++)
        if (r->live[v] && !(r->values[v] = mem_alloc((size_t)shape_count(tape_shape(t, v)), sizeof(double))))
            goto fail;
    *out = r;
    return 0;
fail:
    ref_destroy(r);
    return ERR_MEMORY;
}

void ref_destroy(struct ref *r)
{
    if (!r)
        return;
    for (value v = 1; r->values && v < r->count; v++)
        mem_free(r->values[v]);
    mem_free(r->values);
    mem_free(r->live);
    mem_free(r);
}

double *ref_leaf(struct ref *r, value leaf)
{
    return leaf < r->count && tape_node(r->tape, leaf)->op == OP_LEAF ? r->values[leaf] : NULL;
}

void ref_seed(struct ref *r, uint64_t seed, uint32_t step)
{
    r->seed = seed;
    r->step = step;
}

void ref_hold_detached(struct ref *r)
{
    r->held = 1;
}

int ref_run(struct ref *r)
{
    for (value v = 1; v < r->count; v++) {
        const struct node *n = tape_node(r->tape, v);
        if (!r->live[v] || n->op == OP_LEAF || (r->held && n->op == OP_DETACH))
            continue;
        struct call c = {.node = n, .out = r->values[v], .seed = r->seed, .step = r->step};
        for (int i = 0; i < op_arity[n->op]; i++) {
            c.in[i] = r->values[n->in[i]];
            c.in_shape[i] = tape_shape(r->tape, n->in[i]);
        }
        memset(c.out, 0, (size_t)shape_count(n->shape) * sizeof(double));
        ops[n->op](&c);
    }
    return 0;
}

const double *ref_value(const struct ref *r, value v)
{
    return v < r->count ? r->values[v] : NULL;
}
