/* ops.c - one builder per op: checks the operands, works out the shape, simplifies what costs
 * nothing to simplify (identities, constants), records. */
#include "tape_private.h"

#include "error.h"

#include <string.h>

/* All bytes of an attribute take part in comparisons, so it starts zeroed. */
static union attr attr_zero(void)
{
    union attr a;
    memset(&a, 0, sizeof a);
    return a;
}

static value record1(struct tape *t, enum op op, struct shape s, union attr attr, value x)
{
    return record(t, op, s, (const value[OP_INPUTS]){x}, attr, NULL);
}

static value record2(struct tape *t, enum op op, struct shape s, union attr attr, value x, value y)
{
    return record(t, op, s, (const value[OP_INPUTS]){x, y}, attr, NULL);
}

static const struct node *at(const struct tape *t, value v)
{
    return tape_node(t, v);
}

static value mismatch(struct tape *t, enum op op, value a, value b)
{
    char ta[SHAPE_TEXT], tb[SHAPE_TEXT];
    return tape_fail(t, "%s: shapes %s and %s do not fit", op_names[op], shape_text(tape_shape(t, a), ta),
                     shape_text(tape_shape(t, b), tb));
}

static value bad_axis(struct tape *t, enum op op, value x, int axis)
{
    char text[SHAPE_TEXT];
    return tape_fail(t, "%s: axis %d of a value of shape %s does not exist", op_names[op], axis,
                     shape_text(tape_shape(t, x), text));
}

value tape_leaf(struct tape *t, enum leaf_kind kind, struct shape shape, uint32_t id, const char *name)
{
    union attr attr = attr_zero();
    attr.leaf.kind = kind;
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

/* Trailing axes align; negative when they do not fit. */
static int broadcast(struct shape a, struct shape b, struct shape *out)
{
    struct shape s = {.rank = a.rank > b.rank ? a.rank : b.rank};
    for (int i = 1; i <= s.rank; i++) {
        int32_t da = i <= a.rank ? a.dim[a.rank - i] : 1, db = i <= b.rank ? b.dim[b.rank - i] : 1;
        if (da != db && da != 1 && db != 1)
            return -1;
        s.dim[s.rank - i] = da > db ? da : db;
    }
    *out = s;
    return 0;
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
    if (broadcast(tape_shape(t, a), tape_shape(t, b), &s) < 0)
        return mismatch(t, OP_ADD, a, b);
    value same = drop_constant(t, a, b, s, 0);
    if (!same)
        same = drop_constant(t, b, a, s, 0);
    return same ? same : record2(t, OP_ADD, s, attr_zero(), a, b);
}

value tape_mul(struct tape *t, value a, value b)
{
    if (!a || !b)
        return 0;
    struct shape s;
    if (broadcast(tape_shape(t, a), tape_shape(t, b), &s) < 0)
        return mismatch(t, OP_MUL, a, b);
    value pair[2] = {a, b};
    for (int i = 0; i < 2; i++) /* times a constant */
        if (at(t, pair[i])->op == OP_FILL && shape_equal(tape_shape(t, pair[1 - i]), s))
            return tape_affine(t, pair[1 - i], at(t, pair[i])->attr.fill.value, 0);
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
        return mismatch(t, OP_UNARY_BACK, x, d_y);
    union attr attr = attr_zero();
    attr.unary.fn = (int32_t)fn;
    return record2(t, OP_UNARY_BACK, tape_shape(t, x), attr, x, d_y);
}

value tape_dropout(struct tape *t, value x, float p, uint32_t stream, uint32_t axes)
{
    if (!x || p == 0)
        return x;
    if (!(p > 0 && p < 1))
        return tape_fail(t, "dropout: p is %g; it must be at least 0 and below 1", (double)p);
    struct shape s = tape_shape(t, x);
    union attr attr = attr_zero();
    attr.dropout.p = p;
    attr.dropout.stream = stream;
    attr.dropout.axes = axes & ((1u << s.rank) - 1);
    return record1(t, OP_DROPOUT, s, attr, x);
}

value tape_matmul(struct tape *t, value a, value b, int a_t, int b_t)
{
    if (!a || !b)
        return 0;
    struct shape sa = tape_shape(t, a), sb = tape_shape(t, b);
    if (sa.rank < 2 || sb.rank < 2)
        return mismatch(t, OP_MATMUL, a, b);
    int32_t m = sa.dim[sa.rank - (a_t ? 1 : 2)], ka = sa.dim[sa.rank - (a_t ? 2 : 1)];
    int32_t n = sb.dim[sb.rank - (b_t ? 2 : 1)], kb = sb.dim[sb.rank - (b_t ? 1 : 2)];
    int batched = sa.rank > 2 && sb.rank > 2;
    if (ka != kb || (batched && sa.rank != sb.rank))
        return mismatch(t, OP_MATMUL, a, b);
    for (int i = 0; batched && i < sa.rank - 2; i++)
        if (sa.dim[i] != sb.dim[i])
            return mismatch(t, OP_MATMUL, a, b);
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
        return bad_axis(t, op, x, 0);
    if (op_arity[op] > 1 && !shape_equal(tape_shape(t, x), tape_shape(t, d_y)))
        return mismatch(t, op, x, d_y);
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
        return mismatch(t, op, x, w);
    if (!shape_equal(tape_shape(t, last), last_shape))
        return mismatch(t, op, x, last);
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
    return x && w && d_y ? layernorm(t, OP_LAYERNORM_BACK, x, w, d_y, tape_shape(t, x), eps) : 0;
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
        return mismatch(t, OP_ATTENTION_BACK, out, d_out);
    if (!shape_equal(tape_shape(t, lse), SHAPE(s.dim[0], part.heads, queries)))
        return mismatch(t, OP_ATTENTION_BACK, qkv, lse);
    return record(t, OP_ATTENTION_BACK, s, (const value[OP_INPUTS]){qkv, out, lse, d_out},
                  attr_attention(part), NULL);
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
            return bad_axis(t, OP_PERMUTE, x, axes[i]);
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
    if (broadcast(tape_shape(t, x), to, &s) < 0 || !shape_equal(s, to)) {
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

value tape_concat(struct tape *t, value a, value b, int32_t axis)
{
    if (!a || !b)
        return 0;
    struct shape s = tape_shape(t, a), sb = tape_shape(t, b);
    if (axis < 0 || axis >= s.rank)
        return bad_axis(t, OP_CONCAT, a, axis);
    struct shape same = sb;
    same.dim[axis] = s.dim[axis];
    if (!shape_equal(s, same))
        return mismatch(t, OP_CONCAT, a, b);
    s.dim[axis] += sb.dim[axis];
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
        return bad_axis(t, OP_PAD, x, axis);
    if (before < 0 || total < before || total - before < s.dim[axis])
        return tape_fail(t, "pad: %d rows behind %d do not fit into %d", s.dim[axis], before, total);
    if (total == s.dim[axis])
        return x;
    s.dim[axis] = total;
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
    return shape_equal(s, to) ? x : record1(t, OP_SUM, to, attr, x);
}

value tape_gather(struct tape *t, value table, value index)
{
    if (!table || !index)
        return 0;
    struct shape s = tape_shape(t, table), si = tape_shape(t, index);
    if (s.rank < 1 || si.rank != 1)
        return mismatch(t, OP_GATHER, table, index);
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
    union attr attr = attr_zero();
    attr.unfold.k = k;
    return record1(t, OP_FOLD, s, attr, x);
}

value tape_patches(struct tape *t, value images, value index, int32_t patch, const float mean[3],
                   const float std[3])
{
    if (!images || !index)
        return 0;
    struct shape s = tape_shape(t, images), si = tape_shape(t, index);
    if (s.rank != 4 || s.dim[3] != 3 || si.rank != 1)
        return mismatch(t, OP_PATCHES, images, index);
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
        return mismatch(t, OP_CROSS_ENTROPY, logits, labels);
    return record2(t, OP_CROSS_ENTROPY, sl, attr_zero(), logits, labels);
}

value tape_cross_entropy_back(struct tape *t, value logits, value labels, value d_loss)
{
    if (!logits || !labels || !d_loss)
        return 0;
    if (!shape_equal(tape_shape(t, labels), tape_shape(t, d_loss)))
        return mismatch(t, OP_CROSS_ENTROPY_BACK, labels, d_loss);
    return record(t, OP_CROSS_ENTROPY_BACK, tape_shape(t, logits),
                  (const value[OP_INPUTS]){logits, labels, d_loss}, attr_zero(), NULL);
}

value tape_detach(struct tape *t, value x)
{
    return x ? record1(t, OP_DETACH, tape_shape(t, x), attr_zero(), x) : 0;
}

value tape_hooked(struct tape *t, value x, hooked_rule rule, void *context)
{
    if (!x)
        return 0;
    struct rule *rules = mem_grow(t->rules, t->rule_count, t->rule_count + 1, sizeof *rules);
    if (!rules)
        return tape_fail(t, "%s", error_text());
    t->rules = rules;
    rules[t->rule_count] = (struct rule){rule, context};
    union attr attr = attr_zero();
    attr.hooked.rule = t->rule_count++;
    return record1(t, OP_HOOKED, tape_shape(t, x), attr, x);
}
