/* fuse_rows.c - finds what kernels along rows and elementwise ones take over: the second of two elementwise
 * ops, an addition before a normalisation, and the gradients of a normalisation's gain and bias, which are sums
 * over the rows that its own gradient reads. */
#include "program.h"

#include "error.h"

static int taken(const struct program *p, value v)
{
    return p->absorbed[v] || p->fusions[v].product || p->norm_back[v] || p->summed[v];
}

static int same_shape(const struct program *p, value a, value b)
{
    return shape_equal(tape_shape(p->tape, a), tape_shape(p->tape, b));
}

static int is_elementwise(enum op op)
{
    return op == OP_ADD || op == OP_MUL || op == OP_AFFINE || op == OP_UNARY || op == OP_UNARY_BACK ||
           op == OP_DROPOUT;
}

/* y = (f of x) + c or times c in one pass. c lies as y does, or as f's own second operand: SSF's scale and
 * shift. f's result has no other use. */
static void chain(struct program *p, const struct use *uses, value v)
{
    const struct node *n = tape_node(p->tape, v);
    const value u = uses[v].first;
    if (!is_elementwise(n->op) || !u || uses[v].count > 1 || taken(p, v) || taken(p, u) || p->chained[v])
        return;
    if (p->chained[u]) /* two ops a kernel: the other operand was first */
        return;
    const struct node *next = tape_node(p->tape, u);
    if ((next->op != OP_ADD && next->op != OP_MUL) || p->constant[u] != p->constant[v] ||
        !same_shape(p, v, u))
        return;
    const value c = next->in[0] == v ? next->in[1] : next->in[0]; /* as it is shaped here */
    if (!other_operand(p, u, v) || (next->in[0] != v && next->in[1] != v))
        return;
    const int as_b = op_arity[n->op] == 2 && same_shape(p, c, n->in[1]) && n->op != OP_UNARY_BACK;
    if (!same_shape(p, c, u) && !as_b)
        return;
    p->chained[u] = v;
    p->absorbed[v] = 1;
}

/* An addition whose first use is a normalisation: one kernel gives the sum and its norm. */
static void add_before(struct program *p, const struct use *uses, value v)
{
    const value u = program_root(p, tape_node(p->tape, v)->in[0]);
    const struct node *add = tape_node(p->tape, u);
    if (add->op != OP_ADD || !p->live[u] || taken(p, u) || p->chained[u] || uses[u].first != v ||
        p->constant[u])
        return;
    if (!shape_equal(tape_shape(p->tape, add->in[0]), add->shape) ||
        !shape_equal(tape_shape(p->tape, add->in[1]), add->shape))
        return;
    p->norm_add[v] = u;
    p->absorbed[u] = 1;
}

/* Whether all users of v are lowered behind `end`. */
static int used_after(const struct use *uses, value v, value end)
{
    return !uses[v].first || uses[v].first > end;
}

static int is_sum_over_rows(const struct program *p, value v, int32_t width)
{
    const struct node *n = tape_node(p->tape, v);
    if (n->op != OP_SUM || p->absorbed[v])
        return 0;
    const struct shape s = tape_shape(p->tape, n->in[0]);
    if (s.dim[s.rank - 1] != width)
        return 0;
    uint32_t axes = 0; /* those that are more than 1 long */
    for (int i = 0; i < s.rank; i++)
        axes |= s.dim[i] > 1 ? 1u << i : 0;
    const uint32_t rows = axes & ((1u << (s.rank - 1)) - 1);
    return width > 1 && (n->attr.sum.axes & axes) == rows;
}

/* The gradient of the gain: the sum of d_y normalize(x), whose factors nobody else asks for. */
static int is_gain(const struct program *p, const struct use *uses, value v, value x, value d_y)
{
    const value product = p->summed[v];
    if (!product)
        return 0;
    const value norm = other_operand(p, product, d_y);
    return norm && tape_node(p->tape, norm)->op == OP_NORMALIZE && uses[norm].count == 1 &&
           !p->absorbed[norm] && !p->norm_add[norm] && program_root(p, tape_node(p->tape, norm)->in[0]) == x;
}

/* `v` is a normalisation's gradient, which runs where `at` is lowered. */
static void params_with(struct program *p, const struct use *uses, value v, value at)
{
    const struct node *n = tape_node(p->tape, v);
    const value x = program_root(p, n->in[0]), d_y = program_root(p, n->in[2]);
    struct norm_params *params = &p->norm_params[v];
    for (value s = 1; s < tape_size(p->tape); s++) {
        if (!p->live[s] || !is_sum_over_rows(p, s, n->shape.dim[n->shape.rank - 1]) ||
            !used_after(uses, s, at))
            continue;
        if (!params->gain && is_gain(p, uses, s, x, d_y)) {
            params->gain = s;
            p->absorbed[other_operand(p, p->summed[s], d_y)] = 1;
        } else if (!params->bias && !p->summed[s] && program_root(p, tape_node(p->tape, s)->in[0]) == d_y) {
            params->bias = s;
        }
    }
    if (params->gain)
        p->absorbed[params->gain] = 1;
    if (params->bias)
        p->absorbed[params->bias] = 1;
}

void fuse_rows(struct program *p, const struct use *uses)
{
    const uint32_t size = tape_size(p->tape);
    p->chained = arena_alloc(&p->arena, size, sizeof *p->chained);
    p->norm_add = arena_alloc(&p->arena, size, sizeof *p->norm_add);
    p->norm_params = arena_alloc(&p->arena, size, sizeof *p->norm_params);
    value *runs_at = arena_alloc(&p->arena, size, sizeof *runs_at);
    if (!p->chained || !p->norm_add || !p->norm_params || !runs_at) {
        program_refuse(p, ERR_MEMORY);
        return;
    }
    for (value v = 1; v < size; v++)
        if (p->live[v])
            chain(p, uses, v);
    for (value v = 1; v < size; v++)
        if (p->norm_back[v])
            runs_at[p->norm_back[v]] = v;
    for (value v = 1; v < size; v++) {
        const struct node *n = tape_node(p->tape, v);
        const int64_t width = n->shape.rank ? n->shape.dim[n->shape.rank - 1] : 1;
        if (!p->live[v])
            continue;
        if ((n->op == OP_LAYERNORM || n->op == OP_NORMALIZE) && norm_in_registers(p, width) &&
            !p->absorbed[v])
            add_before(p, uses, v);
        if (n->op == OP_LAYERNORM_BACK && norm_gives_params(p, width))
            params_with(p, uses, v, runs_at[v] ? runs_at[v] : v);
    }
}
