/* join.c - attention of queries, keys and values one by one, as many keys as values.
 *
 * The kernels take one tensor [b t 3D]. Where the three are still its slices, but for tokens left away in
 * front, it serves as it is, with ranges; else a new one is put together. */
#include "tape_private.h"

/* v as it was before hooks that leave its numbers alone. */
static value unhooked(const struct tape *t, value v, int *hooked)
{
    while (tape_node(t, v) && tape_node(t, v)->op == OP_HOOKED) {
        *hooked = 1;
        v = tape_node(t, v)->in[0];
    }
    return v;
}

/* Whether v's numbers are those of the last tokens of qkv, columns from .. to - 1. */
static int is_part(const struct tape *t, value v, value qkv, int32_t from, int32_t to, int *hooked)
{
    int32_t total = tape_shape(t, qkv).dim[1];
    const struct node *n = tape_node(t, v = unhooked(t, v, hooked));
    if (n->op == OP_SLICE && n->attr.slice.axis == 1 && n->attr.slice.to == total)
        n = tape_node(t, v = unhooked(t, n->in[0], hooked));
    return n->op == OP_SLICE && n->in[0] == qkv && n->attr.slice.axis == 2 && n->attr.slice.from == from &&
           n->attr.slice.to == to;
}

/* The gradient of what looks like qkv goes to the three that it was put together from. */
static int joined_rule(void *context, struct tape *t, value y, value d_y)
{
    (void)y;
    tape_add_gradient(t, (value)(uintptr_t)context, d_y);
    return 0;
}

void tape_attention_split(struct tape *t, value qkv, value three[3])
{
    struct shape s = tape_shape(t, qkv);
    union attr attr = attr_zero();
    int good = s.rank == 3 && s.dim[2] % 3 == 0;
    if (qkv && !good)
        refuse_axis(t, OP_ATTENTION, qkv, 2);
    s.dim[2] /= 3;
    for (int i = 0; i < 3; i++) {
        attr.slice.axis = 2;
        attr.slice.from = i * s.dim[2];
        attr.slice.to = (i + 1) * s.dim[2];
        three[i] = good ? record1(t, OP_SLICE, s, attr, qkv) : 0;
    }
}

value tape_attention_joined(struct tape *t, value qkv, value q, value k, value v, int32_t heads)
{
    struct shape s = tape_shape(t, qkv), sq = tape_shape(t, q), sk = tape_shape(t, k);
    const value three[] = {q, k, v};
    value joined = 0;
    int inside = 1, hooked = 0;
    if (!qkv || !q || !k || !v)
        return 0;
    if (s.rank != 3 || sq.rank != 3 || sk.rank != 3 || !shape_equal(sk, tape_shape(t, v)) ||
        sq.dim[2] != sk.dim[2] || s.dim[2] != 3 * sq.dim[2])
        return refuse_shapes(t, OP_ATTENTION, q, shape_equal(sq, sk) ? v : k);
    int32_t tokens = sq.dim[1] > sk.dim[1] ? sq.dim[1] : sk.dim[1], width = sq.dim[2];
    struct attention part = {heads, tokens - sq.dim[1], tokens, tokens - sk.dim[1]};
    for (int i = 0; i < 3; i++) {
        value whole = tape_pad(t, three[i], 1, tokens - tape_shape(t, three[i]).dim[1], tokens);
        joined = i ? tape_concat(t, joined, whole, 2) : whole;
        inside &= tokens == s.dim[1] && is_part(t, three[i], qkv, i * width, (i + 1) * width, &hooked);
    }
    if (inside)
        joined = hooked ? tape_hooked(t, qkv, joined_rule, (void *)(uintptr_t)joined) : qkv;
    return tape_attention_part(t, joined, part);
}
