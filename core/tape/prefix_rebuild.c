/* prefix_rebuild.c - see prefix.h: the copy of a tape that takes the cut values from tables. */
#include "prefix.h"

#include "error.h"
#include "tape_private.h"

#include <stdio.h>

struct rebuild {
    const struct prefix *prefix;
    const struct prefix_spec *spec;
    unsigned char *needed; /* per value: copied, or cut */
    struct tape *tape;     /* in the making */
    value *map, *tables;
    int32_t images;
    uint32_t first_id;
};

/* Which of the cut values v is; prefix.count: none. They are in order. */
static size_t cut_at(const struct prefix *p, value v)
{
    size_t low = 0, high = p->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (p->cut[middle] < v)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->count && p->cut[low] == v ? low : p->count;
}

/* What the roots need, without looking below the cut. */
static void mark(struct rebuild *r)
{
    const struct tape *t = r->spec->tape;
    for (size_t i = 0; i < r->spec->root_count; i++)
        r->needed[r->spec->roots[i]] = 1;
    r->needed[r->spec->index] = 1;
    for (value v = tape_size(t) - 1; v > 0; v--) {
        const struct node *n = tape_node(t, v);
        if (!r->needed[v] || cut_at(r->prefix, v) < r->prefix->count)
            continue;
        for (int i = 0; i < op_arity[n->op]; i++)
            r->needed[n->in[i]] = 1;
    }
}

static value from_table(struct rebuild *r, size_t i, struct shape shape)
{
    char name[32];
    snprintf(name, sizeof name, "features %zu", i);
    shape.dim[0] = r->images;
    r->tables[i] = tape_leaf(r->tape, LEAF_INPUT, shape, r->first_id + (uint32_t)i, name);
    return tape_gather(r->tape, r->tables[i], r->map[r->spec->index]);
}

static value copied(struct rebuild *r, const struct node *n)
{
    const struct tape *t = r->spec->tape;
    value in[OP_INPUTS] = {0};
    for (int i = 0; i < op_arity[n->op]; i++)
        in[i] = r->map[n->in[i]];
    return tape_copy_node(r->tape, t, n, in);
}

static void copy(struct rebuild *r)
{
    const struct tape *t = r->spec->tape;
    r->map[r->spec->index] = copied(r, tape_node(t, r->spec->index)); /* before the first row of a table */
    for (value v = 1; v < tape_size(t); v++) {
        if (!r->needed[v] || v == r->spec->index)
            continue;
        size_t i = cut_at(r->prefix, v);
        const struct node *n = tape_node(t, v);
        r->tape->derivative = n->derivative;
        r->map[v] = i < r->prefix->count ? from_table(r, i, n->shape) : copied(r, n);
    }
}

int prefix_rebuild(const struct prefix *p, const struct prefix_spec *spec, int32_t images, uint32_t first_id,
                   struct tape **out, value *map, value *tables)
{
    struct rebuild r = {
        .prefix = p, .spec = spec, .map = map, .tables = tables, .images = images, .first_id = first_id};
    int rc = 0;
    r.needed = mem_alloc(tape_size(spec->tape), sizeof *r.needed);
    r.tape = tape_create();
    if (!r.needed || !r.tape) {
        rc = ERR_MEMORY;
        goto out;
    }
    for (value v = 0; v < tape_size(spec->tape); v++)
        map[v] = 0;
    mark(&r);
    copy(&r);
    if (tape_why(r.tape))
        rc = fail(ERR_INPUT, "%s", tape_why(r.tape));
out:
    mem_free(r.needed);
    if (rc < 0)
        tape_destroy(r.tape);
    else
        *out = r.tape;
    return rc;
}
