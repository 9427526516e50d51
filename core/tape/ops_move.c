/* ops_move.c - the builders of ops that move elements or sum them; see ops.c. The slice has slice.c. */
#include "tape_private.h"

static const struct node *at(const struct tape *t, value v)
{
    return tape_node(t, v);
}

value tape_reshape(struct tape *t, value x, struct shape to)
{
    if (!x)
        return 0;
    if (shape_count(to) != shape_count(tape_shape(t, x))) {
        char from[SHAPE_TEXT], wanted[SHAPE_TEXT];
        return tape_fail(t, "reshape: %s cannot become %s", shape_text(tape_shape(t, x), from),
                         shape_text(to, wanted));
    }
    if (at(t, x)->op == OP_RESHAPE)
        x = at(t, x)->in[0];
    if (at(t, x)->op == OP_FILL)
        return tape_fill(t, to, at(t, x)->attr.fill.value);
    value padded = zeros_inside(t, x) && !shape_equal(tape_shape(t, x), to) ? zeros_reshape(t, x, to) : 0;
    if (padded)
        return padded;
    return shape_equal(tape_shape(t, x), to) ? x : record1(t, OP_RESHAPE, to, attr_zero(), x);
}

value tape_permute(struct tape *t, value x, const int32_t axes[SHAPE_RANK])
{
    if (!x)
        return 0;
    struct shape s = tape_shape(t, x), to = {.rank = s.rank};
    union attr attr = attr_zero();
    uint32_t seen = 0;
    int moved = 0;
    for (int i = 0; i < s.rank; i++) {
        if (axes[i] < 0 || axes[i] >= s.rank || seen >> axes[i] & 1)
            return refuse_axis(t, OP_PERMUTE, x, axes[i]);
        seen |= 1u << axes[i];
        moved |= axes[i] != i;
        attr.permute.axes[i] = axes[i];
        to.dim[i] = s.dim[axes[i]];
    }
    return moved ? record1(t, OP_PERMUTE, to, attr, x) : x;
}

value tape_expand(struct tape *t, value x, struct shape to)
{
    if (!x)
        return 0;
    struct shape s;
    if (shape_broadcast(tape_shape(t, x), to, &s) < 0 || !shape_equal(s, to)) {
        char from[SHAPE_TEXT], wanted[SHAPE_TEXT];
        return tape_fail(t, "expand: %s cannot stretch to %s", shape_text(tape_shape(t, x), from),
                         shape_text(to, wanted));
    }
    if (shape_equal(tape_shape(t, x), to))
        return x;
    if (at(t, x)->op == OP_FILL)
        return tape_fill(t, to, at(t, x)->attr.fill.value);
    return record1(t, OP_EXPAND, to, attr_zero(), x);
}

/* Neighbouring slices of one value, put together again; else 0. */
static value rows_in_a_row(struct tape *t, value a, value b, int32_t axis)
{
    const struct node *na = at(t, a), *nb = at(t, b);
    if (na->op != OP_SLICE || nb->op != OP_SLICE || na->in[0] != nb->in[0] || na->attr.slice.axis != axis ||
        nb->attr.slice.axis != axis || na->attr.slice.to != nb->attr.slice.from)
        return 0;
    return tape_slice(t, na->in[0], axis, na->attr.slice.from, nb->attr.slice.to);
}

value tape_concat(struct tape *t, value a, value b, int32_t axis)
{
    if (!a || !b)
        return 0;
    struct shape s = tape_shape(t, a), sb = tape_shape(t, b);
    if (axis < 0 || axis >= s.rank)
        return refuse_axis(t, OP_CONCAT, a, axis);
    struct shape same = sb;
    same.dim[axis] = s.dim[axis];
    if (!shape_equal(s, same))
        return refuse_shapes(t, OP_CONCAT, a, b);
    s.dim[axis] += sb.dim[axis];
    if (zeros_all(t, a))
        return tape_pad(t, b, axis, s.dim[axis] - sb.dim[axis], s.dim[axis]);
    if (zeros_all(t, b))
        return tape_pad(t, a, axis, 0, s.dim[axis]);
    value whole = rows_in_a_row(t, a, b, axis);
    if (whole)
        return whole;
    union attr attr = attr_zero();
    attr.concat.axis = axis;
    return record2(t, OP_CONCAT, s, attr, a, b);
}

value tape_pad(struct tape *t, value x, int32_t axis, int32_t before, int32_t total)
{
    if (!x)
        return 0;
    struct shape s = tape_shape(t, x);
    if (axis < 0 || axis >= s.rank)
        return refuse_axis(t, OP_PAD, x, axis);
    if (before < 0 || total < before || total - before < s.dim[axis])
        return tape_fail(t, "pad: %d rows behind %d do not fit into %d", s.dim[axis], before, total);
    if (total == s.dim[axis])
        return x;
    s.dim[axis] = total;
    if (zeros_all(t, x))
        return tape_fill(t, s, 0);
    if (zeros_inside(t, x) && at(t, x)->attr.pad.axis == axis)
        return tape_pad(t, zeros_inside(t, x), axis, before + at(t, x)->attr.pad.before, total);
    if (zeros_cut_off(t, x, axis, before, total))
        return at(t, x)->in[0];
    union attr attr = attr_zero();
    attr.pad.axis = axis;
    attr.pad.before = before;
    return record1(t, OP_PAD, s, attr, x);
}

value tape_sum(struct tape *t, value x, uint32_t axes)
{
    if (!x)
        return 0;
    struct shape s = tape_shape(t, x), to = s;
    union attr attr = attr_zero();
    attr.sum.axes = axes & ((1u << s.rank) - 1);
    for (int i = 0; i < s.rank; i++)
        if (attr.sum.axes >> i & 1)
            to.dim[i] = 1;
    if (shape_equal(s, to))
        return x;
    if (zeros_all(t, x))
        return tape_fill(t, to, 0);
    if (zeros_inside(t, x)) {
        value sum = tape_sum(t, zeros_inside(t, x), axes);
        return attr.sum.axes >> at(t, x)->attr.pad.axis & 1 ? sum : zeros_around(t, sum, x);
    }
    if (attr.sum.axes == 1 && s.rank == 2)
        zeros_drop_rows(t, &x, NULL);
    return record1(t, OP_SUM, to, attr, x);
}

value tape_gather(struct tape *t, value table, value index)
{
    if (!table || !index)
        return 0;
    struct shape s = tape_shape(t, table), si = tape_shape(t, index);
    if (s.rank < 1 || si.rank != 1)
        return refuse_shapes(t, OP_GATHER, table, index);
    s.dim[0] = si.dim[0];
    return record2(t, OP_GATHER, s, attr_zero(), table, index);
}

value tape_unfold(struct tape *t, value x, int32_t k)
{
    if (!x)
        return 0;
    struct shape s = tape_shape(t, x);
    if (s.rank != 4 || k < 1 || k % 2 == 0)
        return tape_fail(t, "unfold: needs a value [b h w c] and an odd width, not rank %d and %d", s.rank,
                         k);
    s.dim[3] *= k * k;
    if (zeros_all(t, x))
        return tape_fill(t, s, 0);
    union attr attr = attr_zero();
    attr.unfold.k = k;
    return record1(t, OP_UNFOLD, s, attr, x);
}

value tape_fold(struct tape *t, value x, int32_t k)
{
    if (!x)
        return 0;
    struct shape s = tape_shape(t, x);
    if (s.rank != 4 || k < 1 || k % 2 == 0 || s.dim[3] % (k * k))
        return tape_fail(t, "fold: needs a value [b h w k k c] and an odd width, not rank %d and %d", s.rank,
                         k);
    s.dim[3] /= k * k;
    if (zeros_all(t, x))
        return tape_fill(t, s, 0);
    union attr attr = attr_zero();
    attr.unfold.k = k;
    return record1(t, OP_FOLD, s, attr, x);
}
