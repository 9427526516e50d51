/* zeros.c - values that are zero but for some rows along one axis: the padding stays outermost.
 *
 * f(pad(x)) = pad(f(x)) for what treats the rows apart and keeps zeros, and rows of zeros add nothing to a
 * sum. So the gradient of a value of which few rows matter costs those few, all the way down and also
 * through a derivative that a plugin wrote for all rows. Exact: the same numbers, fewer. */
#include "tape_private.h"

value zeros_inside(const struct tape *t, value v)
{
    const struct node *n = tape_node(t, v);
    return n && n->op == OP_PAD ? n->in[0] : 0;
}

int zeros_all(const struct tape *t, value v)
{
    const struct node *n = tape_node(t, v);
    return n && n->op == OP_FILL && n->attr.fill.value == 0;
}

value zeros_around(struct tape *t, value part, value like)
{
    const struct node *n = tape_node(t, like);
    int32_t axis = n->attr.pad.axis;
    return tape_pad(t, part, axis, n->attr.pad.before, n->shape.dim[axis]);
}

value zeros_rows(struct tape *t, value x, value like)
{
    const struct node *n = tape_node(t, like);
    struct shape s = tape_shape(t, x);
    int32_t from = n->attr.pad.before, rows = tape_shape(t, n->in[0]).dim[n->attr.pad.axis];
    int32_t axis = n->attr.pad.axis - (n->shape.rank - s.rank);
    return axis < 0 || s.dim[axis] == 1 ? x : tape_slice(t, x, axis, from, from + rows);
}

value zeros_add(struct tape *t, value a, value b)
{
    value x = zeros_inside(t, a), y = zeros_inside(t, b);
    const struct node *na = tape_node(t, a), *nb = tape_node(t, b);
    if (!x || !y || !shape_equal(na->shape, nb->shape) || na->attr.pad.axis != nb->attr.pad.axis)
        return 0;
    int32_t axis = na->attr.pad.axis, from = na->attr.pad.before, other = nb->attr.pad.before;
    int32_t to = from + tape_shape(t, x).dim[axis], other_to = other + tape_shape(t, y).dim[axis];
    if (from == other && to == other_to)
        return zeros_around(t, tape_add(t, x, y), a);
    if (to == other)
        return zeros_around(t, tape_concat(t, x, y, axis), a);
    return from == other_to ? zeros_around(t, tape_concat(t, y, x, axis), b) : 0;
}

/* Whether rows from .. to - 1 of v, [b t n], are zero in the columns first .. last - 1: in attention's gradient
 * those of tokens that did not ask or were not asked. */
static int zeros_known(const struct tape *t, value v, int32_t first, int32_t last, int32_t from, int32_t to)
{
    const struct node *n = tape_node(t, v);
    struct attention a = n->attr.attention;
    int32_t width = n->shape.dim[2] / 3;
    if (from == to)
        return 1;
    if (n->op == OP_SLICE && n->attr.slice.axis == 2)
        return zeros_known(t, n->in[0], first + n->attr.slice.from, last + n->attr.slice.from, from, to);
    if (n->op == OP_ADD && shape_equal(tape_shape(t, n->in[0]), tape_shape(t, n->in[1])))
        return zeros_known(t, n->in[0], first, last, from, to) &&
               zeros_known(t, n->in[1], first, last, from, to);
    if (n->op != OP_ATTENTION_BACK)
        return 0;
    int asks = first<width, asked = last> width;
    return (!asks || from >= a.q_to || to <= a.q_from) && (!asked || to <= a.k_from);
}

int zeros_cut_off(const struct tape *t, value x, int32_t axis, int32_t before, int32_t total)
{
    const struct node *n = tape_node(t, x);
    if (n->op != OP_SLICE || n->attr.slice.axis != axis || n->attr.slice.from != before)
        return 0;
    struct shape s = tape_shape(t, n->in[0]);
    return axis == 1 && s.rank == 3 && s.dim[1] == total &&
           zeros_known(t, n->in[0], 0, s.dim[2], 0, before) &&
           zeros_known(t, n->in[0], 0, s.dim[2], n->attr.slice.to, total);
}

int zeros_whole_rows(const struct tape *t, value v)
{
    const struct node *n = tape_node(t, v);
    return zeros_inside(t, v) && n->attr.pad.axis < n->shape.rank - 1;
}

value zeros_reshape(struct tape *t, value v, struct shape to)
{
    const struct node *n = tape_node(t, v);
    int32_t axis = n->attr.pad.axis, first = n->attr.pad.before;
    int32_t last = first + tape_shape(t, n->in[0]).dim[axis];
    if (!reshape_rows(n->shape, to, axis, &first, &last))
        return 0;
    struct shape s = to;
    s.dim[axis] = last - first;
    return tape_pad(t, tape_reshape(t, n->in[0], s), axis, first, to.dim[axis]);
}

/* The shape with all axes but the last as rows of one matrix. */
static struct shape flat(struct shape s)
{
    int32_t width = s.rank > 0 ? s.dim[s.rank - 1] : 1; /* 0 axes: of poison */
    return SHAPE((int32_t)(shape_count(s) / width), width);
}

/* The padded value whose rows, all in a row, are those of the matrix v, or 0. */
static value padded_rows(const struct tape *t, value v)
{
    const struct node *n = tape_node(t, v);
    if (!n) /* poison */
        return 0;
    value p = n->op == OP_RESHAPE ? n->in[0] : v;
    return zeros_whole_rows(t, p) && shape_equal(flat(tape_shape(t, p)), n->shape) ? p : 0;
}

void zeros_drop_rows(struct tape *t, value *a, value *b)
{
    value *pair[] = {a, b};
    for (int i = 0; i < 2; i++) {
        value *other = pair[1 - i], p = pair[i] ? padded_rows(t, *pair[i]) : 0;
        if (!p)
            continue;
        value inside = zeros_inside(t, p);
        *pair[i] = tape_reshape(t, inside, flat(tape_shape(t, inside)));
        if (!other)
            continue;
        struct shape s = tape_shape(t, p);
        s.dim[s.rank - 1] = tape_shape(t, *other).dim[1];
        value rows = zeros_rows(t, tape_reshape(t, *other, s), p);
        *other = tape_reshape(t, rows, flat(tape_shape(t, rows)));
    }
}
