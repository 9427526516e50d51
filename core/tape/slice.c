/* slice.c - slices, moved down to where they save work: rows that nobody reads are never computed.
 *
 * slice(f(x)) = f(slice(x)) for every f that treats the rows apart. Followed from the class token down,
 * this leaves the last block's projection and MLP one row an image; followed from where a method takes
 * its prompts off, the prompts serve as keys and values only. Both are exact: the same numbers, fewer.
 * A value is cut only if all its users so far are cut too: else all of it is computed anyway. */
#include "tape_private.h"

#include "error.h"

#include <string.h>

struct cut { /* rows from .. to - 1 of an axis, and what is known of each value */
    struct tape *tape;
    int32_t axis, from, to;
    value top;
    uint32_t *wanted; /* uses by values that are cut */
    value *made;      /* the cut of a value, once recorded */
};

/* Whether an operand has rows of its own along the axis (and not one that serves for all). */
static int has_rows(const struct cut *c, value x, int32_t rank)
{
    struct shape s = tape_shape(c->tape, x);
    return s.rank == rank && s.dim[c->axis] > 1;
}

/* Bit i: operand i of a row-wise op must be cut for its result to be; 0: the op is not row-wise. */
static uint32_t operands_to_cut(const struct cut *c, const struct node *n)
{
    int last = c->axis == n->shape.rank - 1;
    switch (n->op) {
    case OP_ADD:
    case OP_MUL:
        for (int i = 0; i < 2; i++) { /* rows hidden in an operand of lower rank stay whole */
            struct shape s = tape_shape(c->tape, n->in[i]);
            if (s.rank < n->shape.rank && s.rank >= n->shape.rank - c->axis)
                return 0;
        }
        return (uint32_t)has_rows(c, n->in[0], n->shape.rank) | (uint32_t)has_rows(c, n->in[1], n->shape.rank)
                                                                    << 1;
    case OP_AFFINE:
    case OP_UNARY: return 1;
    case OP_NORMALIZE:
    case OP_LAYERNORM: return last ? 0 : 1;
    case OP_DROPOUT: return n->attr.dropout.axes >> c->axis & 1 ? 0 : 1; /* draws are counted by place */
    case OP_MATMUL: /* rows of the left operand, one matrix for all */
        return !last && !n->attr.matmul.a_t && tape_shape(c->tape, n->in[1]).rank == 2 ? 1 : 0;
    default: return 0;
    }
}

/* Whether v is cut by cutting its operands. */
static int goes_below(const struct cut *c, value v)
{
    int whole = v != c->top && c->wanted[v] < c->tape->uses[v];
    return !whole && operands_to_cut(c, &c->tape->nodes[v]) != 0;
}

/* From the top down, users before operands: counts the uses by cut values. */
static void mark(struct cut *c)
{
    c->wanted[c->top] = 1;
    for (value v = c->top; v > 0; v--) {
        if (!c->wanted[v] || !goes_below(c, v))
            continue;
        const struct node *n = &c->tape->nodes[v];
        uint32_t operands = operands_to_cut(c, n);
        for (int i = 0; i < op_arity[n->op]; i++)
            c->wanted[n->in[i]] += operands >> i & 1;
    }
}

static value plain_slice(struct cut *c, value x)
{
    union attr attr;
    memset(&attr, 0, sizeof attr);
    attr.slice.axis = c->axis;
    attr.slice.from = c->from;
    attr.slice.to = c->to;
    const struct node *n = &c->tape->nodes[x];
    if (n->op == OP_SLICE && n->attr.slice.axis == c->axis) { /* a slice of a slice */
        attr.slice.from += n->attr.slice.from;
        attr.slice.to += n->attr.slice.from;
        x = n->in[0];
    }
    struct shape s = tape_shape(c->tape, x);
    s.dim[c->axis] = c->to - c->from;
    return record(c->tape, OP_SLICE, s, (const value[OP_INPUTS]){x}, attr, NULL);
}

/* The same op on cut operands. */
static value remade(struct cut *c, value v)
{
    struct node n = c->tape->nodes[v]; /* a copy: recording may move the array */
    struct tape *t = c->tape;
    value in[OP_INPUTS];
    uint32_t operands = operands_to_cut(c, &n);
    for (int i = 0; i < op_arity[n.op]; i++)
        in[i] = operands >> i & 1 ? c->made[n.in[i]] : n.in[i];
    switch (n.op) {
    case OP_ADD: return tape_add(t, in[0], in[1]);
    case OP_MUL: return tape_mul(t, in[0], in[1]);
    case OP_AFFINE: return tape_affine(t, in[0], n.attr.affine.scale, n.attr.affine.shift);
    case OP_UNARY: return tape_unary(t, in[0], (enum unary_fn)n.attr.unary.fn);
    case OP_NORMALIZE: return tape_normalize(t, in[0], n.attr.norm.eps);
    case OP_LAYERNORM: return tape_layernorm(t, in[0], in[1], in[2], n.attr.norm.eps);
    case OP_DROPOUT:
        return tape_dropout(t, in[0], n.attr.dropout.p, n.attr.dropout.stream, n.attr.dropout.axes);
    case OP_MATMUL: return tape_matmul(t, in[0], in[1], 0, n.attr.matmul.b_t);
    default: return tape_fail(t, "slice: %s is not taken apart by rows", op_names[n.op]);
    }
}

value tape_slice(struct tape *t, value x, int32_t axis, int32_t from, int32_t to)
{
    if (!x)
        return 0;
    char text[SHAPE_TEXT];
    struct shape s = tape_shape(t, x);
    if (axis < 0 || axis >= s.rank)
        return tape_fail(t, "slice: axis %d of a value of shape %s does not exist", axis,
                         shape_text(s, text));
    if (from < 0 || to > s.dim[axis] || from >= to)
        return tape_fail(t, "slice: %d to %d is not a part of an axis of %d", from, to, s.dim[axis]);
    if (to - from == s.dim[axis])
        return x;
    struct cut c = {.tape = t, .axis = axis, .from = from, .to = to, .top = x};
    c.wanted = mem_alloc((size_t)x + 1, sizeof *c.wanted);
    c.made = mem_alloc((size_t)x + 1, sizeof *c.made);
    value result = c.wanted && c.made ? 0 : tape_fail(t, "%s", error_text());
    if (c.wanted && c.made) {
        mark(&c);
        for (value v = 1; v <= x; v++)
            if (c.wanted[v])
                c.made[v] = goes_below(&c, v) ? remade(&c, v) : plain_slice(&c, v);
        result = c.made[x];
    }
    mem_free(c.wanted);
    mem_free(c.made);
    return result;
}
