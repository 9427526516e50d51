/* prefix.c - see prefix.h: which values are rows of single images, where cutting is cheapest, and the copy
 * of the tape behind the cut. */
#include "prefix.h"

#include "cut.h"
#include "error.h"
#include "tape_private.h"

#include <string.h>

/* Floating-point operations in the time of moving one byte, and the operations of an element where it is
 * treated alone: rough, since a wrong guess costs time, never correctness. */
enum { WORK_A_BYTE = 16, WORK_AN_ELEMENT = 8 };
static const double worth = 0.1; /* keep nothing that spares less of a step's arithmetic */

/* How a value hangs on the images. Rows: its first axis is a multiple of the batch, so that it falls into
 * one piece of equal length an image, in the order of the batch. */
enum form {
    FIXED, /* not at all: made of frozen tensors and constants */
    SAME,  /* not at all, and all rows are equal */
    ROWS,  /* row i is a function of image index[i] alone */
    MIXED, /* also on trainable tensors, draws, the step, or several images at once */
};

struct search {
    const struct prefix_spec *spec;
    const struct tape *tape;
    int32_t batch;
    struct arena arena;
    unsigned char *live, *form, *wanted; /* per value; wanted: by a value that is mixed, or as a root */
    uint32_t *node;                      /* per value that is rows: its two nodes start here */
    uint32_t node_count;
    unsigned char *near; /* per node: kept, or only needed for what is kept */
};

static int has_rows(const struct search *s, struct shape shape)
{
    return shape.rank > 0 && shape.dim[0] % s->batch == 0;
}

/* What an operand is once it is stretched to a result of the shape `to`. */
static enum form stretched(const struct search *s, enum form f, struct shape from, struct shape to)
{
    int along = from.rank == to.rank && from.dim[0] == to.dim[0];
    if (f == ROWS)
        return along ? ROWS : MIXED;
    if (f == MIXED || !has_rows(s, to))
        return f == MIXED ? MIXED : FIXED;
    return along && s->batch > 1 ? f : SAME;
}

/* Partners in an operation row by row. */
static enum form joined(enum form a, enum form b)
{
    if (a == MIXED || b == MIXED)
        return MIXED;
    if (a == ROWS || b == ROWS)
        return a == FIXED || b == FIXED ? MIXED : ROWS;
    return a == FIXED || b == FIXED ? FIXED : SAME;
}

/* Rows that are torn apart. */
static enum form torn(enum form f)
{
    return f == ROWS || f == MIXED ? MIXED : FIXED;
}

static enum form form_of_matmul(const struct search *s, const struct node *n, enum form a, enum form b)
{
    int rank_a = tape_shape(s->tape, n->in[0]).rank, rank_b = tape_shape(s->tape, n->in[1]).rank;
    if (rank_b == 2) /* one matrix for all rows */
        return torn(b) == FIXED && !(rank_a == 2 && n->attr.matmul.a_t) ? a : joined(torn(a), torn(b));
    return rank_a == 2 ? joined(torn(a) == FIXED ? SAME : MIXED, b) : joined(a, b);
}

static enum form form_of_leaf(const struct search *s, value v, const struct node *n)
{
    if (v == s->spec->index)
        return ROWS;
    return n->attr.leaf.kind == LEAF_FROZEN || n->attr.leaf.kind == LEAF_IMAGES ? FIXED : MIXED;
}

static enum form form_of(const struct search *s, value v, const struct node *n)
{
    enum form f[OP_INPUTS] = {FIXED}, worst = FIXED;
    for (int i = 0; i < op_arity[n->op]; i++) {
        f[i] = (enum form)s->form[n->in[i]];
        worst = f[i] > worst ? f[i] : worst;
    }
    struct shape first = op_arity[n->op] ? tape_shape(s->tape, n->in[0]) : n->shape;
    switch (n->op) {
    case OP_LEAF: return form_of_leaf(s, v, n);
    case OP_FILL: return has_rows(s, n->shape) ? SAME : FIXED;
    case OP_ADD:
    case OP_MUL:
    case OP_UNARY_BACK:
        return joined(stretched(s, f[0], first, n->shape),
                      stretched(s, f[1], tape_shape(s->tape, n->in[1]), n->shape));
    case OP_AFFINE:
    case OP_UNARY:
    case OP_DETACH:
    case OP_HOOKED:
    case OP_ATTENTION:
    case OP_ATTENTION_LSE:
    case OP_UNFOLD:
    case OP_FOLD: return f[0];
    case OP_SOFTMAX:
    case OP_NORMALIZE: return first.rank > 1 ? f[0] : torn(f[0]);
    case OP_LAYERNORM:
        return first.rank > 1 && torn(f[1]) == FIXED && torn(f[2]) == FIXED ? f[0] : torn(worst);
    case OP_MATMUL: return form_of_matmul(s, n, f[0], f[1]);
    case OP_RESHAPE: return has_rows(s, n->shape) ? f[0] : torn(f[0]);
    case OP_EXPAND: return stretched(s, f[0], first, n->shape);
    case OP_PERMUTE: return n->attr.permute.axes[0] == 0 ? f[0] : torn(f[0]);
    case OP_SLICE: return n->attr.slice.axis > 0 ? f[0] : torn(f[0]);
    case OP_PAD: return n->attr.pad.axis > 0 ? f[0] : torn(f[0]);
    case OP_SUM: return n->attr.sum.axes & 1 ? torn(f[0]) : f[0];
    case OP_CONCAT: return n->attr.concat.axis > 0 ? joined(f[0], f[1]) : torn(worst);
    case OP_PATCHES:
    case OP_GATHER: return torn(f[0]) == FIXED && f[1] == ROWS ? ROWS : torn(worst);
    case OP_CUSTOM: return worst == MIXED ? MIXED : f[0]; /* the same function as its first operand */
    case OP_DROPOUT: return MIXED;
    default: return torn(worst);
    }
}

/* A kernel from outside is priced as its equivalent is. */
static int renames(enum op op)
{
    return op_renames(op) || op == OP_CUSTOM;
}

/* Floating-point operations. */
static double work_of(const struct search *s, value v)
{
    const struct node *n = tape_node(s->tape, v);
    double count = (double)shape_count(n->shape);
    struct shape a = tape_shape(s->tape, n->in[0]);
    switch (n->op) {
    case OP_LEAF:
    case OP_FILL: return 0;
    case OP_MATMUL: return 2 * count * a.dim[a.rank - (n->attr.matmul.a_t ? 2 : 1)];
    case OP_ATTENTION: return 4 * count * a.dim[1];             /* 2 products with all tokens */
    case OP_ATTENTION_LSE: return 0;                            /* comes with the attention */
    case OP_ATTENTION_BACK: return 14.0 / 3 * count * a.dim[1]; /* 7 products; count has 3 D */
    default: return renames(n->op) ? 0 : WORK_AN_ELEMENT * count;
    }
}

/* Of one image, in bytes moved: what it costs to compute v in every step. */
static uint64_t price_of_computing(const struct search *s, value v)
{
    const struct node *n = tape_node(s->tape, v);
    double moved = (double)shape_count(n->shape);
    if (renames(n->op) || n->op == OP_LEAF)
        return 0;
    for (int i = 0; i < op_arity[n->op]; i++)
        if (s->form[n->in[i]] == ROWS)
            moved += (double)shape_count(n->op == OP_SLICE ? n->shape : tape_shape(s->tape, n->in[i]));
    return (uint64_t)((work_of(s, v) / WORK_A_BYTE + moved * sizeof(float)) / s->batch);
}

static uint64_t bytes_of(const struct search *s, value v)
{
    return (uint64_t)(shape_count(tape_shape(s->tape, v)) / s->batch) * sizeof(float);
}

/* As tape_live, for kernels from outside with both what they read and their equivalents. */
static void mark_live(struct search *s)
{
    for (size_t i = 0; i < s->spec->root_count; i++)
        s->live[s->spec->roots[i]] = s->wanted[s->spec->roots[i]] = 1;
    for (value v = tape_size(s->tape) - 1; v > 0; v--) {
        const struct node *n = tape_node(s->tape, v);
        for (int i = 0; s->live[v] && i < op_arity[n->op]; i++)
            s->live[n->in[i]] = 1;
    }
}

static int survey(struct search *s)
{
    uint32_t size = tape_size(s->tape);
    s->live = arena_alloc(&s->arena, size, 1);
    s->form = arena_alloc(&s->arena, size, 1);
    s->wanted = arena_alloc(&s->arena, size, 1);
    s->node = arena_alloc(&s->arena, size, sizeof *s->node);
    s->near = arena_alloc(&s->arena, 2 * (size_t)size + 2, 1);
    if (!s->live || !s->form || !s->wanted || !s->node || !s->near)
        return ERR_MEMORY;
    mark_live(s);
    s->node_count = 2; /* source and sink */
    for (value v = 1; v < size; v++) {
        const struct node *n = tape_node(s->tape, v);
        if (!s->live[v])
            continue;
        s->form[v] = (unsigned char)form_of(s, v, n);
        if (s->form[v] == MIXED)
            for (int i = 0; i < op_arity[n->op]; i++)
                s->wanted[n->in[i]] = 1;
        if (s->form[v] == ROWS && n->op != OP_LEAF) {
            s->node[v] = s->node_count;
            s->node_count += 2;
        }
    }
    return 0;
}

/* Each value is two nodes: "in" and "out". Near the source lies what a step does without; the arc from in to
 * out costs keeping the value, the arc from the source to "in" computing it in every step, and a value near
 * the source keeps its users' "in" there unless it is kept itself. */
static int build(const struct search *s, struct cut *c, uint64_t price)
{
    enum { SOURCE, SINK };
    for (value v = 1; v < tape_size(s->tape); v++) {
        uint32_t in = s->node[v], out = in + 1;
        const struct node *n = tape_node(s->tape, v);
        if (!in)
            continue;
        int storable = n->shape.rank > 0 && n->shape.dim[0] == s->batch;
        TRY(cut_arc(c, SOURCE, in, price_of_computing(s, v)));
        TRY(cut_arc(c, in, out, storable ? (2 + price) * bytes_of(s, v) : CUT_NEVER));
        if (s->wanted[v])
            TRY(cut_arc(c, out, SINK, CUT_NEVER));
        for (int i = 0; i < op_arity[n->op]; i++)
            if (s->node[n->in[i]])
                TRY(cut_arc(c, s->node[n->in[i]] + 1, in, CUT_NEVER));
    }
    return 0;
}

/* The cheapest cut where a kept byte costs as much as moving `price` of them, beside being moved itself. */
static int solve(struct search *s, uint64_t price)
{
    struct cut *c = NULL;
    TRY(cut_create(&c, s->node_count));
    int rc = build(s, c, price);
    if (rc == 0)
        cut_solve(c, 0, 1, s->near);
    cut_destroy(c);
    return rc;
}

static int is_kept(const struct search *s, value v)
{
    return s->node[v] && s->near[s->node[v]] && !s->near[s->node[v] + 1];
}

static int collect(const struct search *s, struct prefix *p)
{
    double all = 0, spared = 0;
    p->count = 0;
    p->image_bytes = 0;
    for (value v = 1; v < tape_size(s->tape); v++) {
        all += s->live[v] ? work_of(s, v) : 0;
        spared += s->node[v] && s->near[s->node[v]] ? work_of(s, v) : 0;
        if (!is_kept(s, v))
            continue;
        value *cut = mem_grow(p->cut, p->count, p->count + 1, sizeof *cut);
        if (!cut)
            return ERR_MEMORY;
        p->cut = cut;
        cut[p->count++] = v;
        p->image_bytes += bytes_of(s, v);
    }
    p->saved = all > 0 ? spared / all : 0;
    return 0;
}

int prefix_find(struct prefix *out, const struct prefix_spec *spec)
{
    int rc;
    struct prefix p = {0};
    struct search s = {.spec = spec, .tape = spec->tape, .batch = tape_shape(spec->tape, spec->index).dim[0]};
    *out = p;
    TRY_OUT(survey(&s));
    for (uint64_t price = 1;; price *= 2) { /* at the latest when keeping costs more than everything else */
        TRY_OUT(solve(&s, price));
        TRY_OUT(collect(&s, &p));
        if (p.image_bytes <= spec->image_bytes)
            break;
    }
    if (p.saved >= worth) {
        *out = p;
        p = (struct prefix){0};
    }
out:
    arena_finish(&s.arena);
    prefix_finish(&p);
    return rc;
}

void prefix_finish(struct prefix *p)
{
    mem_free(p->cut);
    *p = (struct prefix){0};
}
