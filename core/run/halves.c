/* halves.c - which values may be stored as halves: those that are read as operands of products alone, of matrix products and
 * of attention's on matrix units, which round them to those very bits. The kernel that computes such a value stores it
 * so where it can: program_result. */
#include "program.h"

#include "error.h"

static int is_attention(enum op op)
{
    return op == OP_ATTENTION || op == OP_ATTENTION_LSE || op == OP_ATTENTION_BACK;
}

/* Attention in fp32 does not round what it reads. */
static void note_exact_attention(struct program *p, unsigned char *readers)
{
    for (value v = 1; v < tape_size(p->tape); v++) {
        const struct node *n = tape_node(p->tape, v);
        if (!p->live[v] || !is_attention(n->op) || attention_rounds(p, n))
            continue;
        for (int i = 0; i < op_arity[n->op]; i++)
            readers[n->in[i]] |= READER_OTHER;
    }
}

void find_multiplied(struct program *p, const value *roots, size_t count)
{
    const uint32_t size = tape_size(p->tape);
    if (p->number == NUMBER_FP32 || !engine_stores_halves(p->engine))
        return;
    unsigned char *readers = arena_alloc(&p->arena, size, 1);
    if (!readers) {
        program_refuse(p, ERR_MEMORY);
        return;
    }
    for (size_t i = 0; i < count; i++)
        readers[roots[i]] = READER_OTHER; /* the host, or the optimizer */
    note_exact_attention(p, readers);
    tape_readers(p->tape, p->live, p->kernels, readers);
    for (value v = 1; v < size; v++)
        p->multiplied[v] =
            tape_node(p->tape, v)->op != OP_LEAF && readers[v] != 0 && !(readers[v] & READER_OTHER);
}
