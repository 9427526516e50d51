/* multiplied.c - which leaves only products read: those may be kept in fewer bits. */
#include "tape.h"

static int reads(const struct tape *t, const struct node *n, int input, value root)
{
    value v = n->in[input];
    while (v && v != root) {
        const struct node *m = tape_node(t, v);
        if (m->op != OP_RESHAPE && m->op != OP_HOOKED && m->op != OP_DETACH)
            return 0;
        v = m->in[0];
    }
    return v == root;
}

int tape_only_multiplied(const struct tape *t, value leaf)
{
    int products = 0;
    for (value v = 1; v < tape_size(t); v++) {
        const struct node *n = tape_node(t, v);
        if (n->op == OP_RESHAPE || n->op == OP_HOOKED || n->op == OP_DETACH)
            continue;
        for (int i = 0; i < op_arity[n->op]; i++) {
            if (!reads(t, n, i, leaf))
                continue;
            if (n->op != OP_MATMUL)
                return 0;
            products++;
        }
    }
    return products > 0;
}
