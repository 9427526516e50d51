/* slice.c - slices, moved down to where they save work: rows that nobody reads are never computed.
 *
 * slice(f(x)) = f(slice(x)) for every f that treats the rows apart. Followed from the class token down,
 * this leaves the last block's projection and MLP one row an image; followed from where a method takes
 * its prompts off, the prompts serve as keys and values only. Both are exact: the same numbers, fewer. */
#include "tape_private.h"

#include <string.h>

struct cut { /* rows from .. to - 1 of an axis */
    int32_t axis, from, to;
};

static value cut_value(struct tape *t, value x, struct cut c);

/* An operand that is stretched to shape s: its own rows, or the one row that serves for all. */
static value cut_operand(struct tape *t, value x, struct shape s, struct cut c)
{
    struct shape own = tape_shape(t, x);
    struct cut moved = {c.axis - (s.rank - own.rank), c.from, c.to};
    return moved.axis < 0 || own.dim[moved.axis] == 1 ? x : cut_value(t, x, moved);
}

/* [.. rows, k] x plain matrix, recorded as a product of [all rows, k] between two reshapes: 0 when the
 * value x is not one. */
static value cut_product(struct tape *t, value x, struct cut c)
{
    struct node outer = *tape_node(t, x), product = *tape_node(t, outer.in[0]);
    if (product.op != OP_MATMUL || product.attr.matmul.a_t || product.shape.rank != 2)
        return 0;
    const struct node *rows = tape_node(t, product.in[0]);
    struct shape from = rows->op == OP_RESHAPE ? tape_shape(t, rows->in[0]) : rows->shape, expected = outer.shape;
    expected.dim[expected.rank - 1] = from.dim[from.rank - 1];
    if (!shape_equal(from, expected) || outer.shape.dim[outer.shape.rank - 1] != product.shape.dim[1])
        return 0;
    value a = cut_value(t, rows->in[0], c);
    return tape_matmul(t, a, product.in[1], 0, product.attr.matmul.b_t);
}

/* The cut of x by an op below it, or 0 where it cannot go further down. */
static value cut_below(struct tape *t, value x, struct cut c)
{
    struct node n = *tape_node(t, x); /* a copy: recording may move the array */
    int last = c.axis == n.shape.rank - 1;
    switch (n.op) {
    case OP_ADD: return tape_add(t, cut_operand(t, n.in[0], n.shape, c), cut_operand(t, n.in[1], n.shape, c));
    case OP_MUL: return tape_mul(t, cut_operand(t, n.in[0], n.shape, c), cut_operand(t, n.in[1], n.shape, c));
    case OP_AFFINE: return tape_affine(t, cut_value(t, n.in[0], c), n.attr.affine.scale, n.attr.affine.shift);
    case OP_UNARY: return tape_unary(t, cut_value(t, n.in[0], c), (enum unary_fn)n.attr.unary.fn);
    case OP_NORMALIZE: return last ? 0 : tape_normalize(t, cut_value(t, n.in[0], c), n.attr.norm.eps);
    case OP_LAYERNORM:
        return last ? 0 : tape_layernorm(t, cut_value(t, n.in[0], c), n.in[1], n.in[2], n.attr.norm.eps);
    case OP_DROPOUT: /* only where the rows share their draws: they are counted by place */
        return n.attr.dropout.axes >> c.axis & 1 ? 0
                   : tape_dropout(t, cut_value(t, n.in[0], c), n.attr.dropout.p, n.attr.dropout.stream,
                                  n.attr.dropout.axes);
    case OP_SLICE:
        if (n.attr.slice.axis != c.axis)
            return 0;
        return cut_value(t, n.in[0], (struct cut){c.axis, c.from + n.attr.slice.from, c.to + n.attr.slice.from});
    case OP_RESHAPE: return last ? 0 : cut_product(t, x, c);
    default: return 0;
    }
}

static value cut_value(struct tape *t, value x, struct cut c)
{
    if (!x)
        return 0;
    struct shape s = tape_shape(t, x);
    if (c.to - c.from == s.dim[c.axis])
        return x;
    value below = cut_below(t, x, c);
    if (below || tape_why(t))
        return below;
    s.dim[c.axis] = c.to - c.from;
    union attr attr;
    memset(&attr, 0, sizeof attr);
    attr.slice.axis = c.axis;
    attr.slice.from = c.from;
    attr.slice.to = c.to;
    return record(t, OP_SLICE, s, (const value[OP_INPUTS]){x}, attr, NULL);
}

value tape_slice(struct tape *t, value x, int32_t axis, int32_t from, int32_t to)
{
    if (!x)
        return 0;
    char text[SHAPE_TEXT];
    struct shape s = tape_shape(t, x);
    if (axis < 0 || axis >= s.rank)
        return tape_fail(t, "slice: axis %d of a value of shape %s does not exist", axis, shape_text(s, text));
    if (from < 0 || to > s.dim[axis] || from >= to)
        return tape_fail(t, "slice: %d to %d is not a part of an axis of %d", from, to, s.dim[axis]);
    return cut_value(t, x, (struct cut){axis, from, to});
}
