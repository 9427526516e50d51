/* fuse.c - finds what a matrix product's epilogue can take over: a scale, a bias, an activation (keeping
 * the value before it when the backward pass wants it), the derivative of one, and a sum with another
 * tensor; the sums that a normalisation's gradient ends in; and the products
 * that a sum over rows adds up. */
#include "gemm_cpu.h"

#include "error.h"

value other_operand(const struct program *p, value v, value of)
{
    const struct node *n = tape_node(p->tape, v);
    value a = program_root(p, n->in[0]), b = program_root(p, n->in[1]);
    return a == of && b != of ? b : b == of && a != of ? a : 0;
}

/* Whether `v` is a vector along the last axis of a tensor of shape s. */
static int is_row_vector(const struct program *p, const struct node *add, value v, int32_t width)
{
    for (int i = 0; i < 2; i++)
        if (program_root(p, add->in[i]) == v) {
            struct shape s = tape_shape(p->tape, add->in[i]);
            return shape_count(s) == width && s.rank > 0 && s.dim[s.rank - 1] == width &&
                   add->shape.dim[add->shape.rank - 1] == width;
        }
    return 0;
}

static int same_count(const struct program *p, value a, value b)
{
    return shape_count(tape_shape(p->tape, a)) == shape_count(tape_shape(p->tape, b));
}

/* Takes over v, another product of few steps, scaled or not, that is added and has no other use: LoRA's beside the
 * frozen one. */
static int take_second(struct program *p, struct fusion *f, const struct use *uses, value v)
{
    const struct node *n = tape_node(p->tape, v);
    const value scaled = n->op == OP_AFFINE && n->attr.affine.shift == 0 ? v : 0,
                second = scaled ? program_root(p, n->in[0]) : v;
    if (f->second || tape_node(p->tape, second)->op != OP_MATMUL || p->fusions[v].product ||
        p->fusions[second].product || uses[second].count > 1 || uses[v].count > 1 ||
        p->constant[second] != p->constant[f->product])
        return 0;
    const struct product r = product_of(p, tape_node(p->tape, f->product)),
                         other = product_of(p, tape_node(p->tape, second));
    if (!gemm_cpu_adds(p, &r, &other))
        return 0;
    f->second = second;
    f->second_alpha = scaled ? n->attr.affine.scale : 1;
    p->absorbed[second] = p->absorbed[v] = 1;
    return 1;
}

/* Takes over the value u = op(at, ...) if it can; returns whether it did. `width` is the product's last
 * axis, `keep` says that `at` has other, later uses. */
static int take(struct program *p, struct fusion *f, const struct use *uses, value at, value u, int32_t width,
                int keep)
{
    const struct node *n = tape_node(p->tape, u);
    int plain = !f->bias && !f->activation && !f->back && !f->residual;
    value other = op_arity[n->op] == 2 ? other_operand(p, u, at) : 0;
    if (f->residual || !same_count(p, at, u))
        return 0;
    if (n->op == OP_UNARY && !f->activation && !f->back) {
        f->activation = 1;
        f->fn = n->attr.unary.fn;
        f->keep = keep ? at : 0;
        return 1;
    }
    if (keep)
        return 0;
    if (n->op == OP_AFFINE && plain && !f->second && n->attr.affine.shift == 0) {
        f->alpha *= n->attr.affine.scale;
        return 1;
    }
    if (n->op == OP_ADD && other && plain && is_row_vector(p, n, other, width)) {
        f->bias = other;
        return 1;
    }
    if (n->op == OP_UNARY_BACK && other && plain && program_root(p, n->in[1]) == at) {
        f->back = other;
        f->fn = n->attr.unary.fn;
        return 1;
    }
    if (n->op == OP_ADD && other && same_count(p, other, u)) {
        if (!f->activation && !f->back && take_second(p, f, uses, other))
            return 1;
        f->residual = other;
        return 1;
    }
    return 0;
}

static int is_product(const struct program *p, value v, int brief)
{
    const struct node *n = tape_node(p->tape, v);
    return n->op == OP_MATMUL && (product_of(p, n).k <= SECOND_MOST) == brief;
}

/* Follows the product at v upwards through its users. It runs where its epilogue ends, so that all
 * operands are there; a value kept on the way is written only then, which is early enough for its other
 * users, who come after the first, as long as nothing is taken over behind it. */
static void follow(struct program *p, const struct use *uses, value v)
{
    struct fusion f = {.product = v, .alpha = 1};
    struct shape s = tape_shape(p->tape, v);
    value at = v;
    while (!f.keep) {
        value u = uses[at].first;
        if (!u || p->absorbed[u] || p->fusions[u].product)
            break;
        if (!take(p, &f, uses, at, u, s.dim[s.rank - 1], uses[at].count > 1))
            break;
        p->absorbed[at] = 1;
        at = u;
    }
    p->fusions[at] = f;
}

/* A gradient that passes a normalisation meets the residual branch's: the kernel adds it. */
static void follow_norm_back(struct program *p, const struct use *uses, value v)
{
    value u = uses[v].first;
    if (!u || uses[v].count > 1 || p->absorbed[u] || p->fusions[u].product || p->norm_back[u])
        return;
    value other = tape_node(p->tape, u)->op == OP_ADD ? other_operand(p, u, v) : 0;
    if (!other || !same_count(p, v, u) || !same_count(p, other, u))
        return;
    p->norm_back[u] = v;
    p->absorbed[v] = 1;
}

/* The gradient of a gain is a sum over rows of an elementwise product, which need not be stored. */
static void follow_sum(struct program *p, const struct use *uses, value v)
{
    const struct node *n = tape_node(p->tape, v);
    value product = program_root(p, n->in[0]);
    const struct node *m = tape_node(p->tape, product);
    struct shape s = tape_shape(p->tape, n->in[0]);
    uint32_t all_but_last = (1u << (s.rank - 1)) - 1;
    if (m->op != OP_MUL || uses[product].count > 1 || p->absorbed[product] ||
        n->attr.sum.axes != all_but_last || s.dim[s.rank - 1] == 1 || !shape_equal(m->shape, s))
        return;
    if (!same_count(p, m->in[0], product) || !same_count(p, m->in[1], product))
        return;
    p->summed[v] = product;
    p->absorbed[product] = 1;
}

static void count_uses(struct program *p, struct use *uses, const value *roots, size_t count)
{
    for (value v = 1; v < tape_size(p->tape); v++) {
        const struct node *n = tape_node(p->tape, v);
        if (!p->live[v] || program_renames(p, v))
            continue;
        for (int i = 0; i < op_arity[n->op]; i++) {
            struct use *use = &uses[program_root(p, n->in[i])];
            if (use->count++ == 0)
                use->first = v;
        }
    }
    for (size_t i = 0; i < count; i++)
        uses[program_root(p, roots[i])].count += 2; /* wanted outside: never taken over */
}

void fuse_epilogues(struct program *p, const value *roots, size_t count)
{
    struct use *uses = arena_alloc(&p->arena, tape_size(p->tape), sizeof *uses);
    if (!uses) {
        program_refuse(p, ERR_MEMORY);
        return;
    }
    count_uses(p, uses, roots, count);
    for (int brief = 0; brief < 2; brief++) /* those that others may add come last */
        for (value v = 1; v < tape_size(p->tape); v++)
            if (p->live[v] && !p->absorbed[v] && !p->fusions[v].product && is_product(p, v, brief))
                follow(p, uses, v);
    for (value v = 1; v < tape_size(p->tape); v++) {
        enum op op = tape_node(p->tape, v)->op;
        if (p->live[v] && (op == OP_LAYERNORM_BACK || op == OP_NORMALIZE_BACK))
            follow_norm_back(p, uses, v);
        if (p->live[v] && op == OP_SUM)
            follow_sum(p, uses, v);
    }
    fuse_rows(p, uses);
    find_panels(p, uses);
}
