/* ops.c - one builder per op: checks the operands, works out the shape, simplifies what costs
 * nothing to simplify (identities, constants, zeros), records. Those that move are in ops_move.c. */
#include "tape_private.h"

#include "error.h"

#include <string.h>

union attr attr_zero(void)
{
    union attr a;
    memset(&a, 0, sizeof a);
    return a;
}

value record1(struct tape *t, enum op op, struct shape s, union attr attr, value x)
{
    return record(t, op, s, (const value[OP_INPUTS]){x}, attr, NULL);
}

value record2(struct tape *t, enum op op, struct shape s, union attr attr, value x, value y)
{
    return record(t, op, s, (const value[OP_INPUTS]){x, y}, attr, NULL);
}

value refuse_shapes(struct tape *t, enum op op, value a, value b)
{
    char ta[SHAPE_TEXT], tb[SHAPE_TEXT];
    return tape_fail(t, "%s: shapes %s and %s do not fit", op_names[op], shape_text(tape_shape(t, a), ta),
                     shape_text(tape_shape(t, b), tb));
}

value refuse_axis(struct tape *t, enum op op, value x, int axis)
{
    char text[SHAPE_TEXT];
    return tape_fail(t, "%s: axis %d of a value of shape %s does not exist", op_names[op], axis,
                     shape_text(tape_shape(t, x), text));
}

static const struct node *at(const struct tape *t, value v)
{
    return tape_node(t, v);
}

value tape_leaf(struct tape *t, enum leaf_kind kind, struct shape shape, uint32_t id, const char *name)
{
    union attr attr = attr_zero();
    attr.leaf.kind = (int32_t)kind;
    attr.leaf.id = id;
    for (int i = 0; i < shape.rank; i++)
        if (shape.dim[i] < 1)
            return tape_fail(t, "leaf %s: axis %d has size %d", name, i, shape.dim[i]);
    return record(t, OP_LEAF, shape, (const value[OP_INPUTS]){0}, attr, name);
}

value tape_fill(struct tape *t, struct shape shape, float number)
{
    union attr attr = attr_zero();
    attr.fill.value = number;
    return record(t, OP_FILL, shape, (const value[OP_INPUTS]){0}, attr, NULL);
}

/* a when b is the constant that changes nothing (0 for add) and a already has the result's shape. */
static value drop_constant(struct tape *t, value a, value b, struct shape s, float neutral)
{
    const struct node *n = at(t, b);
    return n->op == OP_FILL && n->attr.fill.value == neutral && shape_equal(tape_shape(t, a), s) ? a : 0;
}

value tape_add(struct tape *t, value a, value b)
{
    if (!a || !b)
        return 0;
    struct shape s;
    if (shape_broadcast(tape_shape(t, a), tape_shape(t, b), &s) < 0)
        return refuse_shapes(t, OP_ADD, a, b);
    value same = drop_constant(t, a, b, s, 0);
    if (!same)
        same = drop_constant(t, b, a, s, 0);
    if (!same)
        same = zeros_add(t, a, b);
    return same ? same : record2(t, OP_ADD, s, attr_zero(), a, b);
}

value tape_mul(struct tape *t, value a, value b)
{
    if (!a || !b)
        return 0;
    struct shape s;
    if (shape_broadcast(tape_shape(t, a), tape_shape(t, b), &s) < 0)
        return refuse_shapes(t, OP_MUL, a, b);
    value pair[2] = {a, b};
    for (int i = 0; i < 2; i++) /* times a constant */
        if (at(t, pair[i])->op == OP_FILL && shape_equal(tape_shape(t, pair[1 - i]), s))
            return tape_affine(t, pair[1 - i], at(t, pair[i])->attr.fill.value, 0);
    for (int i = 0; i < 2; i++)
        if (zeros_inside(t, pair[i]) && shape_equal(tape_shape(t, pair[i]), s))
            return zeros_around(t, tape_mul(t, zeros_inside(t, pair[i]), zeros_rows(t, pair[1 - i], pair[i])),
                                pair[i]);
    return record2(t, OP_MUL, s, attr_zero(), a, b);
}

value tape_affine(struct tape *t, value x, float scale, float shift)
{
    if (!x || (scale == 1 && shift == 0))
        return x;
    union attr attr = attr_zero();
    attr.affine.scale = scale;
    attr.affine.shift = shift;
    if (at(t, x)->op == OP_FILL)
        return tape_fill(t, tape_shape(t, x), at(t, x)->attr.fill.value * scale + shift);
    if (zeros_inside(t, x) && shift == 0)
        return zeros_around(t, tape_affine(t, zeros_inside(t, x), scale, 0), x);
    return record1(t, OP_AFFINE, tape_shape(t, x), attr, x);
}

value tape_unary(struct tape *t, value x, enum unary_fn fn)
{
    if (!x)
        return 0;
    if (fn >= UNARY_COUNT)
        return tape_fail(t, "unary: there is no function %d", (int)fn);
    union attr attr = attr_zero();
    attr.unary.fn = (int32_t)fn;
    return record1(t, OP_UNARY, tape_shape(t, x), attr, x);
}

value tape_unary_back(struct tape *t, value x, value d_y, enum unary_fn fn)
{
    if (!x || !d_y)
        return 0;
    if (fn >= UNARY_COUNT)
        return tape_fail(t, "unary_back: there is no function %d", (int)fn);
    if (!shape_equal(tape_shape(t, x), tape_shape(t, d_y)))
        return refuse_shapes(t, OP_UNARY_BACK, x, d_y);
    if (zeros_inside(t, d_y))
        return zeros_around(t, tape_unary_back(t, zeros_rows(t, x, d_y), zeros_inside(t, d_y), fn), d_y);
    union attr attr = attr_zero();
    attr.unary.fn = (int32_t)fn;
    return record2(t, OP_UNARY_BACK, tape_shape(t, x), attr, x, d_y);
}

value tape_dropout(struct tape *t, value x, float p, uint32_t stream, uint32_t axes)
{
    return tape_dropout_part(t, x, (struct dropout){.p = p, .stream = stream, .axes = axes});
}

value tape_dropout_part(struct tape *t, value x, struct dropout d)
{
    if (!x || d.p == 0)
        return x;
    if (!(d.p > 0 && d.p < 1))
        return tape_fail(t, "dropout: p is %g; it must be at least 0 and below 1", (double)d.p);
    struct shape s = tape_shape(t, x);
    if (d.total && (d.axis < 0 || d.axis >= s.rank || d.from < 0 || d.total - d.from < s.dim[d.axis]))
        return tape_fail(t, "dropout: there are no rows from %d of %d along axis %d", d.from, d.total,
                         d.axis);
    d.axes &= (1u << s.rank) - 1;
    struct dropout inside = d;
    if (zeros_inside(t, x) && dropout_cut(&inside, s, at(t, x)->attr.pad.axis, at(t, x)->attr.pad.before))
        return zeros_around(t, tape_dropout_part(t, zeros_inside(t, x), inside), x);
    if (zeros_all(t, x))
        return x;
    union attr attr = attr_zero();
    attr.dropout = d;
    return record1(t, OP_DROPOUT, s, attr, x);
}

value tape_matmul(struct tape *t, value a, value b, int a_t, int b_t)
{
    if (!a || !b)
        return 0;
    struct shape sa = tape_shape(t, a), sb = tape_shape(t, b);
    if (sa.rank < 2 || sb.rank < 2)
        return refuse_shapes(t, OP_MATMUL, a, b);
    int32_t m = sa.dim[sa.rank - (a_t ? 1 : 2)], ka = sa.dim[sa.rank - (a_t ? 2 : 1)];
    int32_t n = sb.dim[sb.rank - (b_t ? 2 : 1)], kb = sb.dim[sb.rank - (b_t ? 1 : 2)];
    int batched = sa.rank > 2 && sb.rank > 2;
    if (ka != kb || (batched && sa.rank != sb.rank))
        return refuse_shapes(t, OP_MATMUL, a, b);
    for (int i = 0; batched && i < sa.rank - 2; i++)
        if (sa.dim[i] != sb.dim[i])
            return refuse_shapes(t, OP_MATMUL, a, b);
    if (sb.rank == 2 && zeros_inside(t, a) && !a_t && at(t, a)->attr.pad.axis < sa.rank - 1)
        return zeros_around(t, tape_matmul(t, zeros_inside(t, a), b, 0, b_t), a);
    if (sa.rank == 2 && sb.rank == 2 && a_t && !b_t)
        zeros_drop_rows(t, &a, &b);
    struct shape s = sa.rank >= sb.rank ? sa : sb;
    s.dim[s.rank - 2] = m;
    s.dim[s.rank - 1] = n;
    union attr attr = attr_zero();
    attr.matmul.a_t = !!a_t;
    attr.matmul.b_t = !!b_t;
    return record2(t, OP_MATMUL, s, attr, a, b);
}

static value rows_op(struct tape *t, enum op op, value x, value d_y, float eps)
{
    if (!x || (op_arity[op] > 1 && !d_y))
        return 0;
    if (tape_shape(t, x).rank < 1)
        return refuse_axis(t, op, x, 0);
    if (op_arity[op] > 1 && !shape_equal(tape_shape(t, x), tape_shape(t, d_y)))
        return refuse_shapes(t, op, x, d_y);
    if (op_arity[op] > 1 && zeros_whole_rows(t, d_y))
        return zeros_around(t, rows_op(t, op, zeros_rows(t, x, d_y), zeros_inside(t, d_y), eps), d_y);
    union attr attr = attr_zero();
    attr.norm.eps = eps;
    return record2(t, op, tape_shape(t, x), attr, x, op_arity[op] > 1 ? d_y : 0);
}

value tape_softmax(struct tape *t, value x)
{
    return rows_op(t, OP_SOFTMAX, x, 0, 0);
}

value tape_softmax_back(struct tape *t, value y, value d_y)
{
    return rows_op(t, OP_SOFTMAX_BACK, y, d_y, 0);
}

value tape_normalize(struct tape *t, value x, float eps)
{
    return rows_op(t, OP_NORMALIZE, x, 0, eps);
}

value tape_normalize_back(struct tape *t, value x, value d_y, float eps)
{
    return rows_op(t, OP_NORMALIZE_BACK, x, d_y, eps);
}

static value layernorm(struct tape *t, enum op op, value x, value w, value last, struct shape last_shape,
                       float eps)
{
    struct shape s = tape_shape(t, x);
    if (s.rank < 1 || !shape_equal(tape_shape(t, w), SHAPE(s.dim[s.rank - 1])))
        return refuse_shapes(t, op, x, w);
    if (!shape_equal(tape_shape(t, last), last_shape))
        return refuse_shapes(t, op, x, last);
    union attr attr = attr_zero();
    attr.norm.eps = eps;
    return record(t, op, s, (const value[OP_INPUTS]){x, w, last}, attr, NULL);
}

value tape_layernorm(struct tape *t, value x, value w, value b, float eps)
{
    return x && w && b ? layernorm(t, OP_LAYERNORM, x, w, b, tape_shape(t, w), eps) : 0;
}

value tape_layernorm_back(struct tape *t, value x, value w, value d_y, float eps)
{
    if (!x || !w || !d_y)
        return 0;
    if (zeros_whole_rows(t, d_y) && shape_equal(tape_shape(t, x), tape_shape(t, d_y)))
        return zeros_around(t, tape_layernorm_back(t, zeros_rows(t, x, d_y), w, zeros_inside(t, d_y), eps),
                            d_y);
    return layernorm(t, OP_LAYERNORM_BACK, x, w, d_y, tape_shape(t, x), eps);
}

/* Shared by the three attention ops: qkv [b t 3D], heads that divide D, ranges of its tokens. */
static int attention_fits(struct tape *t, enum op op, value qkv, struct attention a)
{
    char text[SHAPE_TEXT];
    struct shape s = tape_shape(t, qkv);
    if (s.rank != 3 || a.heads < 1 || s.dim[2] % 3 || s.dim[2] / 3 % a.heads)
        tape_fail(t, "%s: %s cannot be queries, keys and values of %d heads", op_names[op],
                  shape_text(s, text), a.heads);
    else if (a.q_from < 0 || a.q_from >= a.q_to || a.q_to > s.dim[1] || a.k_from < 0 || a.k_from >= s.dim[1])
        tape_fail(t, "%s: queries %d to %d and keys from %d on are not parts of %d tokens", op_names[op],
                  a.q_from, a.q_to, a.k_from, s.dim[1]);
    else
        return 1;
    return 0;
}

static union attr attr_attention(struct attention part)
{
    union attr attr = attr_zero();
    attr.attention = part;
    return attr;
}

value tape_attention(struct tape *t, value qkv, int32_t heads)
{
    return tape_attention_part(t, qkv, (struct attention){heads, 0, tape_shape(t, qkv).dim[1], 0});
}

value tape_attention_part(struct tape *t, value qkv, struct attention part)
{
    if (!qkv || !attention_fits(t, OP_ATTENTION, qkv, part))
        return 0;
    struct shape s = tape_shape(t, qkv);
    s.dim[1] = part.q_to - part.q_from;
    s.dim[2] /= 3;
    return record1(t, OP_ATTENTION, s, attr_attention(part), qkv);
}

value tape_attention_lse(struct tape *t, value qkv, struct attention part)
{
    if (!qkv || !attention_fits(t, OP_ATTENTION_LSE, qkv, part))
        return 0;
    struct shape s = SHAPE(tape_shape(t, qkv).dim[0], part.heads, part.q_to - part.q_from);
    return record1(t, OP_ATTENTION_LSE, s, attr_attention(part), qkv);
}

value tape_attention_back(struct tape *t, value qkv, value out, value lse, value d_out, struct attention part)
{
    if (!qkv || !out || !lse || !d_out || !attention_fits(t, OP_ATTENTION_BACK, qkv, part))
        return 0;
    struct shape s = tape_shape(t, qkv);
    int32_t queries = part.q_to - part.q_from;
    if (!shape_equal(tape_shape(t, out), SHAPE(s.dim[0], queries, s.dim[2] / 3)) ||
        !shape_equal(tape_shape(t, out), tape_shape(t, d_out)))
        return refuse_shapes(t, OP_ATTENTION_BACK, out, d_out);
    if (!shape_equal(tape_shape(t, lse), SHAPE(s.dim[0], part.heads, queries)))
        return refuse_shapes(t, OP_ATTENTION_BACK, qkv, lse);
    if (zeros_inside(t, d_out) && at(t, d_out)->attr.pad.axis == 1) { /* who asks in vain asks not */
        struct attention asking = part;
        asking.q_from += at(t, d_out)->attr.pad.before;
        asking.q_to = asking.q_from + tape_shape(t, zeros_inside(t, d_out)).dim[1];
        return tape_attention_back(t, qkv, zeros_rows(t, out, d_out), tape_attention_lse(t, qkv, asking),
                                   zeros_inside(t, d_out), asking);
    }
    return record(t, OP_ATTENTION_BACK, s, (const value[OP_INPUTS]){qkv, out, lse, d_out},
                  attr_attention(part), NULL);
}

value tape_patches(struct tape *t, value images, value index, int32_t patch, const float mean[3],
                   const float std[3])
{
    if (!images || !index)
        return 0;
    struct shape s = tape_shape(t, images), si = tape_shape(t, index);
    if (s.rank != 4 || s.dim[3] != 3 || si.rank != 1)
        return refuse_shapes(t, OP_PATCHES, images, index);
    if (patch < 1 || s.dim[1] % patch || s.dim[2] % patch)
        return tape_fail(t, "patches: images of %d x %d do not divide into patches of %d", s.dim[1], s.dim[2],
                         patch);
    union attr attr = attr_zero();
    attr.patches.patch = patch;
    memcpy(attr.patches.mean, mean, sizeof attr.patches.mean);
    memcpy(attr.patches.std, std, sizeof attr.patches.std);
    return record2(t, OP_PATCHES, SHAPE(si.dim[0], s.dim[1] / patch * (s.dim[2] / patch), 3 * patch * patch),
                   attr, images, index);
}

value tape_cross_entropy(struct tape *t, value logits, value labels)
{
    if (!logits || !labels)
        return 0;
    struct shape s = tape_shape(t, logits), sl = tape_shape(t, labels);
    if (s.rank != 2 || !shape_equal(sl, SHAPE(s.dim[0])))
        return refuse_shapes(t, OP_CROSS_ENTROPY, logits, labels);
    return record2(t, OP_CROSS_ENTROPY, sl, attr_zero(), logits, labels);
}

value tape_cross_entropy_back(struct tape *t, value logits, value labels, value d_loss)
{
    if (!logits || !labels || !d_loss)
        return 0;
    if (!shape_equal(tape_shape(t, labels), tape_shape(t, d_loss)))
        return refuse_shapes(t, OP_CROSS_ENTROPY_BACK, labels, d_loss);
    return record(t, OP_CROSS_ENTROPY_BACK, tape_shape(t, logits),
                  (const value[OP_INPUTS]){logits, labels, d_loss}, attr_zero(), NULL);
}

value tape_detach(struct tape *t, value x)
{
    return x ? record1(t, OP_DETACH, tape_shape(t, x), attr_zero(), x) : 0;
}

value record_hooked(struct tape *t, value x, struct rule rule)
{
    union attr attr = attr_zero();
    if (!x || keep_rule(t, rule, &attr.hooked.rule) < 0)
        return 0;
    return record1(t, OP_HOOKED, tape_shape(t, x), attr, x);
}

value tape_hooked(struct tape *t, value x, hooked_rule rule, void *context)
{
    return record_hooked(t, x, (struct rule){.call = rule, .context = context});
}
