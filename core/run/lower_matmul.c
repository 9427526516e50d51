/* lower_matmul.c - matrix products with their epilogues. */
#include "gemm_cpu.h"

struct product product_of(const struct program *p, const struct node *n)
{
    struct shape s = n->shape, a = tape_shape(p->tape, n->in[0]), b = tape_shape(p->tape, n->in[1]);
    struct product r = {.m = (uint32_t)s.dim[s.rank - 2],
                        .n = (uint32_t)s.dim[s.rank - 1],
                        .k = (uint32_t)a.dim[a.rank - (n->attr.matmul.a_t ? 2 : 1)],
                        .a_t = n->attr.matmul.a_t,
                        .b_t = n->attr.matmul.b_t,
                        .a_batched = a.rank > 2,
                        .b_batched = b.rank > 2,
                        .number = p->number};
    r.batches = (uint32_t)shape_count(s) / (r.m * r.n);
    if (!r.a_t && !r.b_batched) { /* one matrix for all rows */
        r.m *= r.batches;
        r.batches = 1;
        r.a_batched = 0;
    }
    return r;
}

uint32_t fusion_epilogue(const struct fusion *f)
{
    return (f->bias ? EPILOGUE_BIAS : 0) | (f->residual ? EPILOGUE_RESIDUAL : 0) |
           (f->keep ? EPILOGUE_PRE : 0) | (f->activation ? EPILOGUE_ACT : 0) | (f->back ? EPILOGUE_BACK : 0);
}

void lower_gemm(struct program *p, value out, const struct fusion *f)
{
    struct product r = product_of(p, tape_node(p->tape, f->product));
    struct ladder_choice choice;
    int rc = products_choose(p->engine, &r, &choice);
    if (rc < 0) {
        program_refuse(p, rc);
        return;
    }
    if (choice.tile->rung == RUNG_CPU)
        lower_gemm_cpu(p, out, f, &r);
    else
        lower_gemm_gpu(p, out, f, &r, &choice);
}

/* A product whose epilogue is found elsewhere never gets here. */
void lower_matmul(struct program *p, value v, const struct node *n)
{
    (void)n;
    lower_gemm(p, v, &p->fusions[v]);
}
