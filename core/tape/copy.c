/* copy.c - a node of one tape on another: for passes that rebuild a differentiated tape. */
#include "tape_private.h"

value tape_copy_node(struct tape *to, const struct tape *from, const struct node *n,
                     const value in[OP_INPUTS])
{
    if (n->op == OP_HOOKED || n->op == OP_DETACH) /* mattered to the derivative alone */
        return in[0];
    if (n->op == OP_CUSTOM) /* its call lives with the other tape */
        return tape_custom(to, in[0], in + 1, tape_call(from, n), NULL, NULL);
    return record(to, n->op, n->shape, in, n->attr, n->name);
}
