/* derive.c - reverse-mode differentiation: one rule per op, and the walk from the loss down.
 *
 * A rule records the gradients of an op's operands as more operations; equations: Griewank and
 * Walther 2008, chapter 3, and for the layers the formulas cited at the kernels. */
#include "tape_private.h"

#include "error.h"

struct backward {
    value *gradient;    /* of each value that was on the tape when the walk began */
    struct rows *needs; /* the value, or some of its rows, bear on a wrt */
    uint32_t count;
    value at; /* the value whose rule runs */
};

/* A gradient that is zero but for rows which were computed by themselves is theirs: the value with all
 * rows may have no other use. */
static void to_kept_slice(struct tape *t, value *v, value *d)
{
    for (;;) {
        *d = needs_rows(t, t->backward->needs[*v], *d);
        value inside = zeros_inside(t, *d);
        if (!inside)
            return;
        int32_t axis = tape_node(t, *d)->attr.pad.axis, from = tape_node(t, *d)->attr.pad.before;
        const struct kept_slice *k = slice_kept(t, *v, axis, from, from + tape_shape(t, inside).dim[axis]);
        if (!k || k->made >= t->backward->at)
            return;
        *v = k->made;
        *d = tape_pad(t, inside, axis, from - k->from, k->to - k->from);
    }
}

void tape_add_gradient(struct tape *t, value v, value d)
{
    struct backward *b = t->backward;
    if (!b || !v || !d)
        return;
    if (v >= b->at) {
        tape_fail(t, "gradient of a value that is not older than the hooked one");
        return;
    }
    if (!shape_equal(tape_shape(t, v), tape_shape(t, d))) {
        char sv[SHAPE_TEXT], sd[SHAPE_TEXT];
        tape_fail(t, "gradient of shape %s for a value of shape %s", shape_text(tape_shape(t, d), sd),
                  shape_text(tape_shape(t, v), sv));
        return;
    }
    if (b->needs[v].to)
        to_kept_slice(t, &v, &d);
    if (b->needs[v].to && !zeros_all(t, d))
        b->gradient[v] = b->gradient[v] ? tape_add(t, b->gradient[v], d) : d;
}

/* Sums d over the axes along which a value of shape `to` was stretched. */
static value unbroadcast(struct tape *t, value d, struct shape to)
{
    struct shape s = tape_shape(t, d);
    uint32_t axes = 0;
    for (int i = 0; i < s.rank; i++) {
        int j = i - (s.rank - to.rank);
        if (s.dim[i] > 1 && (j < 0 || to.dim[j] == 1))
            axes |= 1u << i;
    }
    return tape_reshape(t, tape_sum(t, d, axes), to);
}

static void give(struct tape *t, value operand, value d)
{
    if (d)
        tape_add_gradient(t, operand, unbroadcast(t, d, tape_shape(t, operand)));
}

static int wanted(const struct tape *t, value operand)
{
    return t->backward->needs[operand].to > 0;
}

/* One rule per op: n is the operation y = op(n->in), d the gradient of y. */
#define RULE(name) static void vjp_##name(struct tape *t, const struct node *n, value y, value d)
#define UNUSED (void)y, (void)d, (void)n, (void)t

RULE(leaf)
{
    UNUSED;
}
RULE(fill)
{
    UNUSED;
}

RULE(add)
{
    UNUSED;
    for (int i = 0; i < 2; i++)
        if (wanted(t, n->in[i]))
            give(t, n->in[i], d);
}

RULE(mul)
{
    UNUSED;
    for (int i = 0; i < 2; i++)
        if (wanted(t, n->in[i]))
            give(t, n->in[i], tape_mul(t, d, n->in[1 - i]));
}

RULE(affine)
{
    UNUSED;
    give(t, n->in[0], tape_affine(t, d, n->attr.affine.scale, 0));
}

RULE(unary)
{
    UNUSED;
    give(t, n->in[0], tape_unary_back(t, n->in[0], d, (enum unary_fn)n->attr.unary.fn));
}

RULE(dropout)
{
    UNUSED;
    give(t, n->in[0], tape_dropout_part(t, d, n->attr.dropout));
}

/* All leading axes as rows of one matrix. */
static value as_rows(struct tape *t, value x)
{
    struct shape s = tape_shape(t, x);
    int32_t width = s.dim[s.rank - 1];
    return tape_reshape(t, x, SHAPE((int32_t)(shape_count(s) / width), width));
}

/* y = A B, A = a or its transpose, likewise B:  dA = d B^T, dB = A^T d. */
RULE(matmul)
{
    UNUSED;
    value a = n->in[0], b = n->in[1];
    int a_t = n->attr.matmul.a_t, b_t = n->attr.matmul.b_t;
    if (wanted(t, a))
        give(t, a, a_t ? tape_matmul(t, b, d, b_t, 1) : tape_matmul(t, d, b, 0, !b_t));
    if (!wanted(t, b))
        return;
    if (tape_shape(t, b).rank == 2 && !a_t) { /* one matrix for all rows */
        a = as_rows(t, a);
        d = as_rows(t, d);
    }
    give(t, b, b_t ? tape_matmul(t, d, a, 1, a_t) : tape_matmul(t, a, d, !a_t, 0));
}

RULE(softmax)
{
    UNUSED;
    give(t, n->in[0], tape_softmax_back(t, y, d));
}

RULE(normalize)
{
    UNUSED;
    give(t, n->in[0], tape_normalize_back(t, n->in[0], d, n->attr.norm.eps));
}

RULE(layernorm)
{
    UNUSED;
    value x = n->in[0];
    if (wanted(t, x))
        give(t, x, tape_layernorm_back(t, x, n->in[1], d, n->attr.norm.eps));
    if (wanted(t, n->in[1]))
        give(t, n->in[1], tape_mul(t, d, tape_normalize(t, x, n->attr.norm.eps)));
    if (wanted(t, n->in[2]))
        give(t, n->in[2], d);
}

RULE(attention)
{
    UNUSED;
    value lse = tape_attention_lse(t, n->in[0], n->attr.attention);
    give(t, n->in[0], tape_attention_back(t, n->in[0], y, lse, d, n->attr.attention));
}

RULE(reshape)
{
    UNUSED;
    give(t, n->in[0], tape_reshape(t, d, tape_shape(t, n->in[0])));
}

RULE(permute)
{
    UNUSED;
    int32_t inverse[SHAPE_RANK] = {0};
    for (int i = 0; i < n->shape.rank; i++)
        inverse[n->attr.permute.axes[i]] = i;
    give(t, n->in[0], tape_permute(t, d, inverse));
}

RULE(expand)
{
    UNUSED;
    give(t, n->in[0], d);
}

RULE(concat)
{
    UNUSED;
    int32_t axis = n->attr.concat.axis, split = tape_shape(t, n->in[0]).dim[axis];
    if (wanted(t, n->in[0]))
        give(t, n->in[0], tape_slice(t, d, axis, 0, split));
    if (wanted(t, n->in[1]))
        give(t, n->in[1], tape_slice(t, d, axis, split, n->shape.dim[axis]));
}

RULE(slice)
{
    UNUSED;
    int32_t axis = n->attr.slice.axis;
    give(t, n->in[0], tape_pad(t, d, axis, n->attr.slice.from, tape_shape(t, n->in[0]).dim[axis]));
}

RULE(pad)
{
    UNUSED;
    int32_t axis = n->attr.pad.axis, from = n->attr.pad.before;
    give(t, n->in[0], tape_slice(t, d, axis, from, from + tape_shape(t, n->in[0]).dim[axis]));
}

RULE(sum)
{
    UNUSED;
    give(t, n->in[0], tape_expand(t, d, tape_shape(t, n->in[0])));
}

RULE(unfold)
{
    UNUSED;
    give(t, n->in[0], tape_fold(t, d, n->attr.unfold.k));
}

RULE(fold)
{
    UNUSED;
    give(t, n->in[0], tape_unfold(t, d, n->attr.unfold.k));
}

RULE(cross_entropy)
{
    UNUSED;
    give(t, n->in[0], tape_cross_entropy_back(t, n->in[0], n->in[1], d));
}

RULE(detach)
{
    (void)t, (void)n;
    UNUSED;
}

/* The rule speaks of all rows: those that were cut off have a gradient of zero. */
RULE(hooked)
{
    struct rule rule = t->rules[n->attr.hooked.rule];
    if (rule.of)
        d = tape_pad(t, d, rule.axis, rule.from, rule.total);
    if (d && rule.call(rule.context, t, rule.of ? rule.of : y, d) < 0)
        tape_fail(t, "the derivative written by hand failed");
}

RULE(custom)
{
    uint32_t which = n->attr.custom.rule;
    const struct rule *rule = which ? &t->rules[which - 1] : NULL;
    if (!rule)
        give(t, n->in[0], d);
    else if (rule->call(rule->context, t, y, d) < 0)
        tape_fail(t, "the derivative of the kernel %s failed", tape_call(t, n)->name);
}

/* Derivative partners and images are not differentiated again. */
RULE(refused)
{
    UNUSED;
    tape_fail(t, "%s has no derivative", op_names[n->op]);
}
#define vjp_unary_back vjp_refused
#define vjp_softmax_back vjp_refused
#define vjp_normalize_back vjp_refused
#define vjp_layernorm_back vjp_refused
#define vjp_attention_lse vjp_refused
#define vjp_attention_back vjp_refused
#define vjp_gather vjp_refused
#define vjp_patches vjp_refused
#define vjp_cross_entropy_back vjp_refused

static void (*const rules[OP_COUNT])(struct tape *, const struct node *, value, value) = {
#define OP(NAME, name, arity) vjp_##name,
#include "ops.def"
#undef OP
};

static void walk(struct tape *t, value loss)
{
    struct backward *b = t->backward;
    for (value v = loss; v > 0 && !tape_why(t); v--) {
        if (!b->needs[v].to || !b->gradient[v])
            continue;
        b->at = v;
        struct node n = t->nodes[v]; /* a copy: the rule's ops may move the array */
        const char *place = t->place;
        t->place = n.name;
        rules[n.op](t, &n, v, b->gradient[v]);
        t->place = place;
    }
}

int tape_backward(struct tape *t, value loss, const value *wrt, size_t count, value *grads)
{
    int rc = 0;
    struct backward b = {.count = t->count};
    if (!loss || shape_count(tape_shape(t, loss)) != 1)
        tape_fail(t, "the loss is not a single number");
    b.gradient = mem_alloc(t->count, sizeof *b.gradient);
    b.needs = mem_alloc(t->count, sizeof *b.needs);
    if (!b.gradient || !b.needs) {
        rc = ERR_MEMORY;
        goto out;
    }
    t->backward = &b;
    t->derivative = 1;
    needs_mark(t, b.needs, b.count, wrt, count);
    if (!tape_why(t))
        b.gradient[loss] = tape_fill(t, tape_shape(t, loss), 1);
    walk(t, loss);
    for (size_t i = 0; i < count; i++) {
        grads[i] = wrt[i] < b.count ? b.gradient[wrt[i]] : 0;
        if (!grads[i])
            grads[i] = tape_fill(t, tape_shape(t, wrt[i]), 0);
    }
    if (tape_why(t))
        rc = fail(ERR_INPUT, "%s", tape_why(t));
out:
    t->backward = NULL;
    t->derivative = 0;
    mem_free(b.gradient);
    mem_free(b.needs);
    return rc;
}
