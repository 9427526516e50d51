/* lower_matmul.c - matrix products with their epilogues. */
#include "program.h"

#include "error.h"
#include "products.h"

#include <string.h>

enum { PANEL = 16, PACK_STEPS = 64 }; /* columns of a panel; steps of k a workgroup packs */

static struct product product_of(const struct program *p, const struct node *n)
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

/* Work that fills the panels; marked as set-up when its source never changes. */
static void emit_pack(struct program *p, const struct product *r, struct ref from, struct ref panels,
                      int constant, int halves)
{
    uint32_t count = r->b_batched ? r->batches : 1, tiles = (r->n + PANEL - 1) / PANEL;
    struct push_pack push = {.n = r->n,
                             .k = r->k,
                             .k_stride = r->b_t ? 1 : r->n,
                             .n_stride = r->b_t ? r->k : 1,
                             .from_batch = r->n * r->k,
                             .panels_batch = tiles * PANEL * r->k};
    const struct ref refs[] = {from, panels};
    const uint32_t groups[3] = {tiles, (r->k + PACK_STEPS - 1) / PACK_STEPS, count};
    struct work *w = program_emit(p, SHADER_PACK, &push, sizeof push, refs, 2, 2, groups);
    w->constants[0] = (uint32_t)r->number;
    w->constants[1] = (uint32_t)halves;
    w->constant_count = 2;
    w->setup = constant;
    w->label = "pack";
    w->bytes = (double)count * r->n * r->k * 8;
}

/* B in panels of 16 columns: frozen weights once, in the bank, for all programs; others once a step. */
static struct ref panels_of(struct program *p, value b, const struct product *r)
{
    int fresh;
    uint64_t bytes =
        (uint64_t)(r->b_batched ? r->batches : 1) * ((r->n + PANEL - 1) / PANEL) * PANEL * r->k * 4;
    struct ref panels = program_copy(p, b, r->b_t ? LAYOUT_PANELS_T : LAYOUT_PANELS, bytes, &fresh);
    int halves = program_has_half(p, b);
    if (fresh && p->rc == 0)
        emit_pack(p, r, halves ? program_narrow(p, b, LAYOUT_HALF) : program_value(p, b), panels,
                  p->constant[program_root(p, b)], halves);
    return panels;
}

/* An operand as floats that are rounded to the program's precision. */
static struct ref rounded(struct program *p, value v)
{
    return p->number == NUMBER_FP32 ? program_value(p, v) : program_narrow(p, v, LAYOUT_ROUNDED);
}

uint32_t fusion_epilogue(const struct fusion *f)
{
    return (f->bias ? EPILOGUE_BIAS : 0) | (f->residual ? EPILOGUE_RESIDUAL : 0) |
           (f->keep ? EPILOGUE_PRE : 0) | (f->activation ? EPILOGUE_ACT : 0) | (f->back ? EPILOGUE_BACK : 0);
}

/* Whether B is read from panels: a transposed one must be; a frozen one may as well. */
static int wants_panels(const struct program *p, const struct product *r, value b)
{
    const struct node *n = tape_node(p->tape, program_root(p, b));
    return r->b_t || (n->op == OP_LEAF && n->attr.leaf.kind == LEAF_FROZEN);
}

struct block { /* of C in registers, and steps of k in a turn of the loop */
    uint32_t rows, vectors, steps;
    int known; /* strides are compiled in */
};

/* Measured on lavapipe, 512-bit vectors (tests/bench). Compiled-in strides are 7 to 12 % faster; below
 * some 16 MFLOP a program for each width would take longer to compile than it can save. A turn of the
 * loop costs a blend per row, so it should be long; code beyond some 20 KiB stalls. 16 rows leave registers
 * for what a blend needs: with 24 it goes through memory. */
static struct block block_of(const struct product *r)
{
    const uint64_t worthwhile = 1 << 23;
    const uint32_t longest = 64, turns = (r->k + longest - 1) / longest;
    if (!r->a_t && r->m >= 16 && r->k >= 64 && (uint64_t)r->batches * r->m * r->n * r->k >= worthwhile)
        return (struct block){.rows = 16, .vectors = 1, .steps = r->k / turns, .known = 1};
    return (struct block){.rows = r->m <= 8 ? 8 : 16, .vectors = 1, .steps = r->k < 16 ? 8 : 16};
}

static struct ref optional(struct program *p, value v)
{
    return v ? program_value(p, v) : (struct ref){0};
}

static void lower_gemm_cpu(struct program *p, value out, const struct fusion *f, struct product r)
{
    const struct node *n = tape_node(p->tape, f->product);
    int packed = wants_panels(p, &r, n->in[1]);
    struct ref b = packed ? panels_of(p, n->in[1], &r) : rounded(p, n->in[1]);
    uint32_t tiles = (r.n + PANEL - 1) / PANEL;
    struct push_gemm push = {
        .m = r.m,
        .n = r.n,
        .k = r.k,
        .a_row = r.a_t ? 1 : r.k,
        .a_col = r.a_t ? r.m : 1,
        .b_panel = packed ? PANEL * r.k : PANEL,
        .b_row = packed ? PANEL : r.n,
        .c_row = r.n,
        .r_row = r.n,
        .a_batch = r.a_batched ? r.m * r.k : 0,
        .b_batch = !r.b_batched ? 0
                   : packed     ? tiles * PANEL * r.k
                                : r.k * r.n,
        .c_batch = r.m * r.n,
        .r_batch = r.m * r.n,
        .alpha = f->alpha,
        .batches = r.batches,
        .k_share = r.k,
    };
    const struct ref refs[] = {rounded(p, n->in[0]),     b,
                               program_value(p, out),    optional(p, f->bias),
                               optional(p, f->residual), optional(p, f->keep ? f->keep : f->back)};
    struct block t = block_of(&r);
    uint32_t columns = t.vectors * engine_lanes(p->engine);
    const uint32_t groups[3] = {(r.n + columns - 1) / columns, (r.m + t.rows - 1) / t.rows, r.batches};
    struct work *w =
        program_emit(p, SHADER_GEMM_CPU, &push, sizeof push, refs, 6, 4 | (f->keep ? 32 : 0), groups);
    const uint32_t constants[] = {fusion_epilogue(f),
                                  (uint32_t)f->fn,
                                  (uint32_t)r.a_t,
                                  t.rows,
                                  t.vectors,
                                  t.steps,
                                  t.known ? push.a_row : 0,
                                  t.known ? push.b_row : 0,
                                  t.known ? push.c_row : 0};
    memcpy(w->constants, constants, sizeof constants);
    w->constant_count = sizeof constants / sizeof *constants;
    w->flops = 2.0 * r.batches * r.m * r.n * r.k;
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
        lower_gemm_cpu(p, out, f, r);
    else
        lower_gemm_gpu(p, out, f, &r, &choice);
}

/* A product whose epilogue is found elsewhere never gets here. */
void lower_matmul(struct program *p, value v, const struct node *n)
{
    (void)n;
    lower_gemm(p, v, &p->fusions[v]);
}
