/* halves.c - which values may be stored as halves: those whose every reader is a product's operand, of a product that
 * rounds it to those very bits. The kernel that computes such a value stores it so where it can: program_result. */
#include "program.h"

#include "error.h"

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
    tape_readers(p->tape, p->live, p->kernels, readers);
    for (value v = 1; v < size; v++)
        p->multiplied[v] = tape_node(p->tape, v)->op != OP_LEAF && readers[v] == READER_PRODUCT;
}
