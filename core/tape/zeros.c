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

/* Whether rows from .. to - 1 of attention's gradient, or of its columns first .. last - 1, are of tokens that
 * did not ask or were not asked. */
static int zeros_of_attention(const struct node *n, int32_t first, int32_t last, int32_t from, int32_t to)
{
    struct attention a = n->attr.attention;
    int32_t width = n->shape.dim[2] / 3;
    int asks = first<width, asked = last> width;
    return (!asks || from >= a.q_to || to <= a.q_from) && (!asked || to <= a.k_from);
}

static int zeros_known(const struct tape *t, value v, int32_t axis, int32_t from, int32_t to)
{
    const struct node *n = tape_node(t, v);
    if (from == to)
        return 1;
    if (n->op == OP_ATTENTION_BACK && axis == 1)
        return zeros_of_attention(n, 0, n->shape.dim[2], from, to);
    if (n->op != OP_SLICE || n->attr.slice.axis != 2 || axis != 1)
        return 0;
    const struct node *whole = tape_node(t, n->in[0]);
    return whole->op == OP_ATTENTION_BACK &&
           zeros_of_attention(whole, n->attr.slice.from, n->attr.slice.to, from, to);
}

int zeros_cut_off(const struct tape *t, value x, int32_t axis, int32_t before, int32_t total)
{
    const struct node *n = tape_node(t, x);
    return n->op == OP_SLICE && n->attr.slice.axis == axis && n->attr.slice.from == before &&
           tape_shape(t, n->in[0]).dim[axis] == total && zeros_known(t, n->in[0], axis, 0, before) &&
           zeros_known(t, n->in[0], axis, n->attr.slice.to, total);
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
