/* readers.c - what kinds of ops read each value: what only products read may be kept in fewer bits. */
#include "tape.h"

/* How n reads its operand i. The gradient of attention asks for more of its result than products do. */
static unsigned char reads(const struct node *n, int i)
{
    switch (n->op) {
    case OP_MATMUL: return READER_PRODUCT;
    case OP_ATTENTION:
    case OP_ATTENTION_LSE: return READER_ATTENTION;
    case OP_ATTENTION_BACK: return i == 0 || i == 3 ? READER_ATTENTION : READER_OTHER;
    default: return READER_OTHER;
    }
}

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
            readers[n->in[i]] |= reads(n, i);
    }
}
