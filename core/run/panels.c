/* panels.c - finds the values that stay in panels: results of products, what their epilogues keep, and gradients of
 * attention, which nobody reads but products and sums over rows. */
#include "gemm_cpu.h"

#include "error.h"

struct reader {      /* of a value */
    uint32_t uses;   /* that take it in panels */
    uint16_t wanted; /* not only taken */
    uint16_t left;   /* what computes it may leave it in panels */
};

/* Whether the value is, to its reader, a matrix of as many columns as it has. */
static int has_columns(const struct program *p, value root, uint32_t columns)
{
    const struct shape s = tape_shape(p->tape, root);
    return s.rank && s.dim[s.rank - 1] == (int32_t)columns;
}

static void read_operand(const struct program *p, struct reader *readers, const struct product *r, value v,
                         int operand)
{
    const value root = program_root(p, v);
    const enum panel_use use = gemm_cpu_reads_panels(p, r, operand);
    if (use == PANELS_UNREAD || !has_columns(p, root, operand == 1 ? r->n : r->a_t ? r->m : r->k))
        return;
    readers[root].uses++;
    readers[root].wanted |= use == PANELS_WANTED;
}

static void read_product(struct program *p, struct reader *readers, value out)
{
    const struct fusion *f = &p->fusions[out];
    const struct node *n = tape_node(p->tape, f->product);
    const struct product r = product_of(p, n);
    if (!gemm_cpu_serves(p, &r))
        return;
    for (int i = 0; i < 2; i++)
        read_operand(p, readers, &r, n->in[i], i);
    if (!gemm_cpu_leaves_panels(p, &r))
        return;
    readers[out].left = 1;
    if (f->keep) {
        readers[f->keep].left = readers[f->keep].wanted = 1; /* in panels its stores wait for fewer lines */
        readers[f->keep].uses++;                             /* by the activation, in the same epilogue */
    }
    if (f->back && has_columns(p, f->back, r.n))
        readers[f->back].uses++;
}

static void read_sum(const struct program *p, struct reader *readers, value v)
{
    const struct node *n = tape_node(p->tape, v);
    const struct shape s = tape_shape(p->tape, n->in[0]);
    const value root = program_root(p, n->in[0]);
    if (s.rank > 1 && n->attr.sum.axes == (1u << (s.rank - 1)) - 1 &&
        has_columns(p, root, (uint32_t)s.dim[s.rank - 1]))
        readers[root].uses++;
}

void find_panels(struct program *p, const struct use *uses)
{
    if (!engine_cpu_style(p->engine))
        return;
    struct reader *readers = arena_alloc(&p->arena, tape_size(p->tape), sizeof *readers);
    if (!readers) {
        program_refuse(p, ERR_MEMORY);
        return;
    }
    for (value v = 1; v < tape_size(p->tape) && p->rc == 0; v++) {
        const struct node *n = tape_node(p->tape, v);
        if (!p->live[v] || p->absorbed[v])
            continue;
        if (p->fusions[v].product)
            read_product(p, readers, v);
        else if (n->op == OP_SUM && !p->summed[v])
            read_sum(p, readers, v);
        else if (n->op == OP_ATTENTION_BACK)
            readers[v].left = attention_leaves_panels(p, n) != 0;
    }
    for (value v = 1; v < tape_size(p->tape); v++)
        p->in_panels[v] = readers[v].left && readers[v].wanted && readers[v].uses == uses[v].count;
}
