/* lower_gemm_gpu.c - a product on the rungs for GPUs: constants and arguments of the chosen tile's kernel, and
 * the second kernel where k is cut. */
#include "program.h"

#include "ladder.h"

#include <string.h>

enum { KIND_ACROSS = 1, KIND_HALF = 2, KIND_FOUR = 4 }; /* shaders/lib/gemm_gpu.glsl */

struct operand {
    struct ref at;
    uint32_t kind, row; /* numbers between its rows, which run along k unless it lies across */
};

/* An operand [outer][inner] in memory. */
static struct operand operand_of(struct program *p, value v, int across, uint32_t inner, int need_half)
{
    const struct stored s = program_operand(p, v, need_half);
    return (struct operand){.at = s.at,
                            .kind = (across ? KIND_ACROSS : 0) | (s.halves ? KIND_HALF : 0) |
                                    (inner % 4 ? 0 : KIND_FOUR),
                            .row = inner};
}

static enum shader shader_of(const struct tile *t, enum number number)
{
    switch (t->rung) {
    case RUNG_WORKGROUP: return number == NUMBER_BF16 ? SHADER_GEMM_WORKGROUP_BF16 : SHADER_GEMM_WORKGROUP;
    case RUNG_SUBGROUP: return number == NUMBER_BF16 ? SHADER_GEMM_SUBGROUP_BF16 : SHADER_GEMM_SUBGROUP;
    case RUNG_PACKED: return SHADER_GEMM_PACKED;
    default: return SHADER_GEMM;
    }
}

struct launch { /* what both kernels of a product share */
    struct program *p;
    const struct fusion *f;
    const struct product *r;
    const struct tile *tile;
    struct operand a, b;
    int halves; /* C is stored as halves */
    struct push_gemm push;
};

/* `last`: it writes C, and not shares of it */
static void set_constants(const struct launch *l, struct work *w, int last, uint32_t invocations)
{
    const struct tile *t = l->tile;
    const uint32_t constants[] = {last ? fusion_epilogue(l->f) : 0,
                                  (uint32_t)l->f->fn,
                                  invocations,
                                  t->rows,
                                  t->columns,
                                  t->depth,
                                  t->m,
                                  t->n,
                                  t->buffers,
                                  (uint32_t)l->r->number,
                                  l->a.kind,
                                  l->b.kind,
                                  (l->r->n % 4 ? 0 : KIND_FOUR) | (last && l->halves ? KIND_HALF : 0)};
    memcpy(w->constants, constants, sizeof constants);
    w->constant_count = sizeof constants / sizeof *constants;
    if (t->rung == RUNG_SUBGROUP) {
        const struct device_matrix *m = ladder_matrix(l->p->engine, t, l->r->number);
        memcpy(w->constants + w->constant_count, &m->m, 3 * sizeof m->m);
        w->constant_count += 3;
    }
}

static struct ref optional(struct program *p, value v)
{
    return v ? program_value(p, v) : (struct ref){0};
}

/* refs a and b are given; c and the epilogue's operands follow */
static struct work *emit(struct launch *l, enum shader shader, struct ref a, struct ref b, struct ref c,
                         int epilogue, const uint32_t groups[3])
{
    const struct fusion *f = l->f;
    struct ref refs[6] = {a, b, c};
    if (epilogue) {
        refs[3] = optional(l->p, f->bias);
        refs[4] = optional(l->p, f->residual);
        refs[5] = optional(l->p, f->keep ? f->keep : f->back);
    }
    return program_emit(l->p, shader, &l->push, sizeof l->push, refs, 6, 4 | (epilogue && f->keep ? 32 : 0),
                        groups);
}

static void emit_product(struct launch *l, struct ref c, uint32_t splits)
{
    const struct product *r = l->r;
    const struct tile *t = l->tile;
    const uint32_t groups[3] = {tiles(r->n, t->columns), tiles(r->m, t->rows), r->batches * splits};
    l->push.k_share = tiles(tiles(r->k, splits), t->depth) * t->depth;
    l->push.alpha = splits > 1 ? 1 : l->f->alpha;
    struct work *w = emit(l, shader_of(t, r->number), l->a.at, l->b.at, c, splits == 1, groups);
    set_constants(l, w, splits == 1, ladder_invocations(l->p->engine, t));
    w->flops = 2.0 * r->batches * r->m * r->n * r->k;
}

static void emit_reduction(struct launch *l, struct ref partial, struct ref c, uint32_t splits)
{
    enum { INVOCATIONS = 64 };
    const struct product *r = l->r;
    const uint32_t groups[3] = {tiles(r->m * tiles(r->n, 4), INVOCATIONS), 1, r->batches};
    l->push.k = splits;
    l->push.alpha = l->f->alpha;
    struct work *w = emit(l, SHADER_GEMM_REDUCE, partial, (struct ref){0}, c, 1, groups);
    set_constants(l, w, 1, INVOCATIONS);
    w->constant_count = 13;
    w->label = "shares";
    w->bytes = (4.0 * splits + (l->halves ? 2 : 4)) * r->batches * r->m * r->n;
}

void lower_gemm_gpu(struct program *p, value out, const struct fusion *f, const struct product *r,
                    const struct ladder_choice *choice)
{
    const struct node *n = tape_node(p->tape, f->product);
    int halves = choice->tile->rung == RUNG_WORKGROUP;
    struct launch l = {.p = p, .f = f, .r = r, .tile = choice->tile};
    l.a = operand_of(p, n->in[0], r->a_t, r->a_t ? r->m : r->k, halves);
    l.b = operand_of(p, n->in[1], !r->b_t, r->b_t ? r->k : r->n, halves);
    l.push = (struct push_gemm){
        .m = r->m,
        .n = r->n,
        .k = r->k,
        .a_row = l.a.row,
        .a_col = l.a.row,
        .b_row = l.b.row,
        .c_row = r->n,
        .a_batch = r->a_batched ? r->m * r->k : 0,
        .b_batch = r->b_batched ? r->k * r->n : 0,
        .c_batch = r->m * r->n,
        .batches = r->batches,
    };
    struct ref c = program_result(p, out, r->n % 4 == 0, &l.halves), partial = c;
    if (choice->splits > 1)
        partial.slot = program_slot(p, "shares", 4ull * choice->splits * r->batches * r->m * r->n);
    if (p->rc < 0)
        return;
    emit_product(&l, partial, choice->splits);
    if (choice->splits > 1)
        emit_reduction(&l, partial, c, choice->splits);
}
