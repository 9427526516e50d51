/* slice_rows.c - rows of each op's result: of which rows of its operands they are made, and how. */
#include "slice.h"

static struct shape operand_shape(const struct cut *c, const struct node *n, int i)
{
    return tape_shape(c->tape, n->in[i]);
}

/* A rule knows of one axis along which rows were cut off. */
static int hook_goes_along(const struct cut *c, const struct node *n)
{
    const struct rule *rule = &c->tape->rules[n->attr.hooked.rule];
    return !rule->of || rule->axis == c->axis;
}

static enum way elements_way(const struct cut *c, const struct node *n, struct rows r, struct rows *need)
{
    for (int i = 0; i < 2; i++) { /* rows hidden in an operand of lower rank stay whole */
        struct shape s = operand_shape(c, n, i);
        if (s.rank < n->shape.rank && s.rank >= n->shape.rank - c->axis)
            return ROWS_STAY;
        if (s.rank == n->shape.rank && s.dim[c->axis] > 1)
            need[i] = r;
    }
    return ROWS_BELOW;
}

static enum way concat_way(const struct cut *c, const struct node *n, struct rows r, struct rows *need)
{
    int32_t split = operand_shape(c, n, 0).dim[c->axis];
    if (n->attr.concat.axis != c->axis) {
        need[0] = need[1] = r;
        return ROWS_BELOW;
    }
    if (r.from < split)
        need[0] = (struct rows){r.from, r.to < split ? r.to : split};
    if (r.to > split)
        need[1] = (struct rows){r.from > split ? r.from - split : 0, r.to - split};
    return need[0].to && need[1].to ? ROWS_BELOW : ROWS_THERE;
}

/* Rows of a padded value: some of the rows inside, zeros around them. */
static enum way pad_way(const struct cut *c, const struct node *n, struct rows r, struct rows *need)
{
    int32_t before = n->attr.pad.before, end = before + operand_shape(c, n, 0).dim[c->axis];
    need[0] = r;
    if (n->attr.pad.axis != c->axis)
        return ROWS_THERE;
    if (r.to <= before || r.from >= end)
        need[0].to = 0;
    else
        need[0] = (struct rows){r.from > before ? r.from - before : 0, (r.to < end ? r.to : end) - before};
    return ROWS_THERE;
}

/* Of a slice along another axis if these rows of what it is cut out of were made before. */
static enum way slice_way(const struct cut *c, const struct node *n, struct rows r, struct rows *need)
{
    int32_t first = n->attr.slice.from;
    if (n->attr.slice.axis == c->axis)
        r = (struct rows){r.from + first, r.to + first};
    else if (!slice_kept(c->tape, n->in[0], c->axis, r.from, r.to))
        return ROWS_STAY;
    need[0] = r;
    return ROWS_THERE;
}

/* Columns, when only the axes before them are in another shape. */
static int are_columns(const struct cut *c, const struct node *n)
{
    struct shape x = operand_shape(c, n, 0);
    return c->axis == n->shape.rank - 1 && x.rank > 0 && x.dim[x.rank - 1] == n->shape.dim[c->axis];
}

static enum way reshape_way(const struct cut *c, const struct node *n, struct rows r, struct rows *need)
{
    if (are_columns(c, n))
        return ROWS_THERE; /* along the operand's last axis, which is apart from this */
    if (!reshape_rows(n->shape, operand_shape(c, n, 0), c->axis, &r.from, &r.to))
        return ROWS_STAY;
    need[0] = r;
    return ROWS_BELOW;
}

/* Rows that are there below a hooked value are there, and theirs is the same rule. */
static enum way hooked_way(const struct cut *c, const struct node *n, struct rows r, struct rows *need)
{
    struct rows below[OP_INPUTS] = {{0, 0}};
    if (!hook_goes_along(c, n))
        return ROWS_STAY;
    need[0] = r;
    return rows_way(c, n->in[0], r, below) == ROWS_THERE ? ROWS_THERE : ROWS_BELOW;
}

static enum way first_operands(struct rows r, struct rows *need, int row_wise)
{
    need[0] = row_wise ? r : need[0];
    return row_wise ? ROWS_BELOW : ROWS_STAY;
}

enum way rows_way(const struct cut *c, value v, struct rows r, struct rows need[OP_INPUTS])
{
    const struct node *n = &c->tape->nodes[v];
    int last = c->axis == n->shape.rank - 1;
    struct dropout dropout = n->attr.dropout;
    switch (n->op) {
    case OP_FILL: return ROWS_THERE;
    case OP_ADD:
    case OP_MUL: return elements_way(c, n, r, need);
    case OP_AFFINE:
    case OP_UNARY:
    case OP_DETACH: return first_operands(r, need, 1);
    case OP_SOFTMAX:
    case OP_NORMALIZE:
    case OP_LAYERNORM: return first_operands(r, need, !last);
    case OP_DROPOUT: return first_operands(r, need, dropout_cut(&dropout, n->shape, c->axis, r.from));
    case OP_MATMUL: /* rows of the left operand, one matrix for all */
        return first_operands(r, need, !last && !n->attr.matmul.a_t && operand_shape(c, n, 1).rank == 2);
    case OP_ATTENTION: return c->axis == 1 ? ROWS_BELOW : ROWS_STAY; /* told who asks; all are asked */
    case OP_RESHAPE: return reshape_way(c, n, r, need);
    case OP_CONCAT: return concat_way(c, n, r, need);
    case OP_SLICE: return slice_way(c, n, r, need);
    case OP_PAD: return pad_way(c, n, r, need);
    case OP_HOOKED: return hooked_way(c, n, r, need);
    default: return ROWS_STAY;
    }
}

/* These rows of x; not the ones that it was first asked for if another use asks for others. */
static value rows_of(struct cut *c, value x, struct rows r)
{
    return c->rows[x].from == r.from && c->rows[x].to == r.to ? c->made[x]
                                                              : tape_slice(c->tape, x, c->axis, r.from, r.to);
}

/* x, the rows of what v hooks, with v's rule. */
static value make_hooked(struct cut *c, value v, value x)
{
    struct rule rule = c->tape->rules[c->tape->nodes[v].attr.hooked.rule];
    if (!rule.of)
        rule = (struct rule){.call = rule.call,
                             .context = rule.context,
                             .of = v,
                             .axis = c->axis,
                             .total = c->tape->nodes[v].shape.dim[c->axis]};
    rule.from += c->rows[v].from;
    return record_hooked(c->tape, x, rule);
}

static value make_concat(struct cut *c, const struct node *n, const value *in, const struct rows *need)
{
    if (need[0].to && need[1].to)
        return tape_concat(c->tape, in[0], in[1], n->attr.concat.axis);
    return in[need[0].to ? 0 : 1];
}

static value make_padded(struct cut *c, const struct node *n, value x, struct rows r, const struct rows *need)
{
    int32_t axis = n->attr.pad.axis, before = n->attr.pad.before;
    struct shape s = n->shape;
    s.dim[c->axis] = r.to - r.from;
    if (!need[0].to)
        return tape_fill(c->tape, s, 0);
    return tape_pad(c->tape, x, axis, axis == c->axis ? before + need[0].from - r.from : before, s.dim[axis]);
}

static value make_slice(struct cut *c, const struct node *n, value x)
{
    int32_t axis = n->attr.slice.axis, first = n->attr.slice.from;
    return axis == c->axis ? x : tape_slice(c->tape, x, axis, first, first + n->shape.dim[axis]);
}

static value make_reshape(struct cut *c, const struct node *n, value x, struct rows r)
{
    struct shape s = n->shape;
    s.dim[c->axis] = r.to - r.from;
    if (are_columns(c, n))
        x = tape_slice(c->tape, n->in[0], operand_shape(c, n, 0).rank - 1, r.from, r.to);
    return tape_reshape(c->tape, x, s);
}

static value make_attention(struct cut *c, const struct node *n, struct rows r)
{
    struct attention part = n->attr.attention;
    part.q_to = part.q_from + r.to;
    part.q_from += r.from;
    return tape_attention_part(c->tape, n->in[0], part);
}

static value make_dropout(struct cut *c, const struct node *n, value x, struct rows r)
{
    struct dropout part = n->attr.dropout;
    dropout_cut(&part, n->shape, c->axis, r.from);
    return tape_dropout_part(c->tape, x, part);
}

value rows_make(struct cut *c, value v)
{
    struct node n = c->tape->nodes[v]; /* a copy: recording may move the array */
    struct tape *t = c->tape;
    struct rows r = c->rows[v], need[OP_INPUTS] = {{0, 0}};
    struct shape s = n.shape;
    value in[OP_INPUTS];
    rows_way(c, v, r, need);
    for (int i = 0; i < op_arity[n.op]; i++)
        in[i] = need[i].to ? rows_of(c, n.in[i], need[i]) : n.in[i];
    s.dim[c->axis] = r.to - r.from;
    switch (n.op) {
    case OP_FILL: return tape_fill(t, s, n.attr.fill.value);
    case OP_ADD: return tape_add(t, in[0], in[1]);
    case OP_MUL: return tape_mul(t, in[0], in[1]);
    case OP_AFFINE: return tape_affine(t, in[0], n.attr.affine.scale, n.attr.affine.shift);
    case OP_UNARY: return tape_unary(t, in[0], (enum unary_fn)n.attr.unary.fn);
    case OP_DETACH: return tape_detach(t, in[0]);
    case OP_SOFTMAX: return tape_softmax(t, in[0]);
    case OP_NORMALIZE: return tape_normalize(t, in[0], n.attr.norm.eps);
    case OP_LAYERNORM: return tape_layernorm(t, in[0], in[1], in[2], n.attr.norm.eps);
    case OP_DROPOUT: return make_dropout(c, &n, in[0], r);
    case OP_MATMUL: return tape_matmul(t, in[0], in[1], 0, n.attr.matmul.b_t);
    case OP_ATTENTION: return make_attention(c, &n, r);
    case OP_RESHAPE: return make_reshape(c, &n, in[0], r);
    case OP_CONCAT: return make_concat(c, &n, in, need);
    case OP_SLICE: return make_slice(c, &n, in[0]);
    case OP_PAD: return make_padded(c, &n, in[0], r, need);
    case OP_HOOKED: return make_hooked(c, v, in[0]);
    default: return tape_fail(t, "slice: %s is not taken apart by rows", op_names[n.op]);
    }
}
