/* needs.c - which values, and which of their rows, bear on what is differentiated.
 *
 * Learned tokens that ask but are not asked bear on their own rows alone, prompts in the first block on none
 * but theirs until the first attention: the gradients of the other rows are not needed. */
#include "tape_private.h"

static struct rows whole(struct shape s)
{
    return (struct rows){0, s.rank == NEEDS_RANK ? s.dim[NEEDS_AXIS] : 1};
}

static struct rows both(struct rows a, struct rows b)
{
    if (!a.to || !b.to)
        return a.to ? a : b;
    return (struct rows){a.from < b.from ? a.from : b.from, a.to > b.to ? a.to : b.to};
}

/* r, moved by `by` and cut to 0 .. count - 1. */
static struct rows moved(struct rows r, int32_t by, int32_t count)
{
    if (!r.to)
        return r;
    r.from = r.from + by > 0 ? r.from + by : 0;
    r.to = r.to + by < count ? r.to + by : count;
    return r.from < r.to ? r : (struct rows){0, 0};
}

/* Of an operand whose rows are the result's, or serve for all of them. */
static struct rows passed(const struct tape *t, const struct rows *needs, value x, struct shape s)
{
    struct shape in = tape_shape(t, x);
    int along = s.rank == NEEDS_RANK && in.rank == s.rank && in.dim[NEEDS_AXIS] == s.dim[NEEDS_AXIS];
    return !needs[x].to || along ? needs[x] : whole(s);
}

static struct rows any(const struct rows *needs, const struct node *n)
{
    for (int i = 0; i < op_arity[n->op]; i++)
        if (needs[n->in[i]].to)
            return whole(n->shape);
    return (struct rows){0, 0};
}

static struct rows of_rows(const struct tape *t, const struct rows *needs, const struct node *n)
{
    struct rows r = {0, 0};
    for (int i = 0; i < op_arity[n->op]; i++)
        r = both(r, passed(t, needs, n->in[i], n->shape));
    return r;
}

/* Of a result that has the rows of its left operand alone. */
static struct rows of_matmul(const struct tape *t, const struct rows *needs, const struct node *n)
{
    int plain = tape_shape(t, n->in[1]).rank == 2 && !n->attr.matmul.a_t;
    return plain ? of_rows(t, needs, n) : any(needs, n);
}

/* Whoever is asked bears on all who ask; a query on its own row. */
static struct rows of_attention(const struct rows *needs, const struct node *n)
{
    struct attention a = n->attr.attention;
    struct rows r = needs[n->in[0]];
    return r.to > a.k_from ? whole(n->shape) : moved(r, -a.q_from, a.q_to - a.q_from);
}

static struct rows of_concat(const struct tape *t, const struct rows *needs, const struct node *n)
{
    int32_t first = tape_shape(t, n->in[0]).dim[NEEDS_AXIS];
    if (n->attr.concat.axis != NEEDS_AXIS)
        return of_rows(t, needs, n);
    return both(needs[n->in[0]], moved(needs[n->in[1]], first, n->shape.dim[NEEDS_AXIS]));
}

static struct rows of_node(const struct tape *t, const struct rows *needs, const struct node *n)
{
    struct shape s = n->shape;
    if (s.rank != NEEDS_RANK)
        return any(needs, n);
    switch (n->op) {
    case OP_ADD:
    case OP_MUL:
    case OP_AFFINE:
    case OP_UNARY:
    case OP_DROPOUT:
    case OP_SOFTMAX:
    case OP_NORMALIZE:
    case OP_LAYERNORM:
    case OP_DETACH:
    case OP_HOOKED: return of_rows(t, needs, n);
    case OP_MATMUL: return of_matmul(t, needs, n);
    case OP_ATTENTION: return of_attention(needs, n);
    case OP_CONCAT: return of_concat(t, needs, n);
    case OP_SLICE:
        return moved(needs[n->in[0]], n->attr.slice.axis == NEEDS_AXIS ? -n->attr.slice.from : 0,
                     s.dim[NEEDS_AXIS]);
    case OP_PAD:
        return moved(needs[n->in[0]], n->attr.pad.axis == NEEDS_AXIS ? n->attr.pad.before : 0,
                     s.dim[NEEDS_AXIS]);
    default: return any(needs, n);
    }
}

void needs_mark(const struct tape *t, struct rows *needs, uint32_t count, const value *wrt, size_t wrt_count)
{
    for (size_t i = 0; i < wrt_count; i++)
        if (wrt[i] < count)
            needs[wrt[i]] = whole(tape_shape(t, wrt[i]));
    for (value v = 1; v < count; v++)
        needs[v] = both(needs[v], of_node(t, needs, tape_node(t, v)));
}

value needs_rows(struct tape *t, struct rows r, value d)
{
    struct shape s = tape_shape(t, d);
    if (!d || s.rank != NEEDS_RANK || r.to - r.from == s.dim[NEEDS_AXIS])
        return d;
    value rows = tape_slice(t, d, NEEDS_AXIS, r.from, r.to);
    return tape_pad(t, rows, NEEDS_AXIS, r.from, s.dim[NEEDS_AXIS]);
}
