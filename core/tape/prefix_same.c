/* prefix_same.c - whether two prefixes are one computation, see prefix.h. */
#include "prefix.h"

#include "error.h"
#include "memory.h"

#include <string.h>

struct match {
    const struct tape *a, *b;
    value *to; /* per value of a: its like on b, once found */
    int (*same_leaf)(void *context, uint32_t id);
    void *context;
};

static int same_value(struct match *m, value a, value b)
{
    if (!a || !b)
        return a == b;
    if (m->to[a])
        return m->to[a] == b;
    const struct node *x = tape_node(m->a, a), *y = tape_node(m->b, b);
    if (x->op != y->op || x->again != y->again || x->op == OP_CUSTOM || !shape_equal(x->shape, y->shape) ||
        memcmp(&x->attr, &y->attr, sizeof x->attr)) /* as the tape finds equal operations */
        return 0;
    if (x->op == OP_LEAF && x->attr.leaf.kind == LEAF_FROZEN && !m->same_leaf(m->context, x->attr.leaf.id))
        return 0;
    for (int i = 0; i < op_arity[x->op]; i++)
        if (!same_value(m, x->in[i], y->in[i]))
            return 0;
    m->to[a] = b;
    return 1;
}

int prefix_same(const struct tape *a, const struct prefix *at, const struct tape *b, const struct prefix *cut,
                int (*same_leaf)(void *context, uint32_t id), void *context)
{
    struct match m = {a, b, mem_alloc(tape_size(a), sizeof *m.to), same_leaf, context};
    if (!m.to)
        return ERR_MEMORY;
    int same = at->count == cut->count;
    for (size_t i = 0; i < at->count && same; i++)
        same = same_value(&m, at->cut[i], cut->cut[i]);
    mem_free(m.to);
    return same;
}
