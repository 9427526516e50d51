/* readers.c - what kinds of ops read each value: those that only products read may be kept in fewer bits. */
#include "tape.h"

static int renames(const struct node *n, int kernel)
{
    return op_renames(n->op) || (n->op == OP_CUSTOM && !kernel);
}

/* Operands are older than their users, so going down, all that reads a value is known when it is passed on. */
void tape_readers(const struct tape *t, const unsigned char *live, const unsigned char *kernels,
                  unsigned char *readers)
{
    for (value v = tape_size(t) - 1; v > 0; v--) {
        const struct node *n = tape_node(t, v);
        const int kernel = n->op == OP_CUSTOM && (!kernels || kernels[v]);
        if (live && !live[v])
            continue;
        if (renames(n, kernel)) {
            readers[n->in[0]] |= readers[v];
            continue;
        }
        for (int i = kernel && kernels ? 1 : 0; i < op_arity[n->op]; i++)
            readers[n->in[i]] |= n->op == OP_MATMUL ? READER_PRODUCT : READER_OTHER;
    }
}
