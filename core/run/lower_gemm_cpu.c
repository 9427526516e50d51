/* lower_gemm_cpu.c - a product in the style of CPU devices: its tiles, their order, and the panels that it reads. */
#include "gemm_cpu.h"

#include "error.h"
#include "processors.h"

#include <string.h>

enum { PACK_STEPS = 64 };                                  /* of k, that a workgroup packs */
enum { PANELLED_A = 1, PANELLED_C = 2, PANELLED_PRE = 4 }; /* PANELLED of gemm_cpu.comp */

enum even { UNEVEN, ROWS, COLUMNS }; /* EVEN of pack_cpu.comp */

static enum even even_of(const struct program *p, const struct product *r, int halves)
{
    const uint32_t lanes = engine_lanes(p->engine);
    if (halves || r->n % PANEL || r->k < PACK_STEPS)
        return UNEVEN;
    if (!r->b_t)
        return PANEL % lanes == 0 ? ROWS : UNEVEN;
    return engine_in_step(p->engine) && (lanes == 8 || lanes == 16) && r->k % 8 == 0 ? COLUMNS : UNEVEN;
}

/* Of k, that a workgroup packs. Columns are read along k, and come from memory at twice the pace where they are long. */
static uint32_t pack_steps(const struct product *r, enum even even)
{
    enum { LONG = 256 };
    const uint32_t steps = r->k / tiles(r->k, LONG);
    return even == COLUMNS && steps % 8 == 0 ? steps : PACK_STEPS;
}

/* Work that fills the panels; marked as set-up when its source never changes. */
static void emit_pack(struct program *p, const struct product *r, struct ref from, struct ref panels,
                      int constant, int halves)
{
    const enum even even = even_of(p, r, halves);
    const uint32_t count = r->b_batched ? r->batches : 1, across = tiles(r->n, PANEL),
                   steps = pack_steps(r, even);
    struct push_pack push = {.n = r->n,
                             .k = r->k,
                             .k_stride = r->b_t ? 1 : r->n,
                             .n_stride = r->b_t ? r->k : 1,
                             .from_batch = r->n * r->k,
                             .panels_batch = across * PANEL * r->k};
    const struct ref refs[] = {from, panels};
    const uint32_t groups[3] = {across, tiles(r->k, steps), count};
    struct work *w = program_emit(p, SHADER_PACK, &push, sizeof push, refs, 2, 2, groups);
    const uint32_t constants[] = {(uint32_t)r->number, (uint32_t)halves, even,
                                  (uint32_t)engine_in_step(p->engine), steps};
    memcpy(w->constants, constants, sizeof constants);
    w->constant_count = sizeof constants / sizeof *constants;
    w->setup = constant;
    w->label = "pack";
    w->bytes = (double)count * r->n * r->k * 8;
}

/* B in panels: frozen weights once, in the bank, for all programs; others once a step, unless they are so anyway. */
static struct ref panels_of(struct program *p, value b, const struct product *r)
{
    if (p->in_panels[program_root(p, b)])
        return program_value(p, b);
    int fresh;
    uint64_t bytes = (uint64_t)(r->b_batched ? r->batches : 1) * tiles(r->n, PANEL) * PANEL * r->k * 4;
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

/* Whether B is read from panels: a transposed one must be; a frozen one may as well. */
static int wants_panels(const struct program *p, const struct product *r, value b)
{
    const struct node *n = tape_node(p->tape, program_root(p, b));
    return r->b_t || (n->op == OP_LEAF && n->attr.leaf.kind == LEAF_FROZEN);
}

struct block { /* of C in registers, and steps of k in a turn of the loop */
    uint32_t rows, vectors, steps;
    int known; /* strides are compiled in */
    int down;  /* tiles follow each other down the rows */
};

/* Measured on lavapipe (tests/bench, docs/performance.md). Compiled-in strides are 7 to 12 % faster; below
 * `worthwhile` products a program for each width would take longer to compile than it can save (LoRA's products of rank 8
 * are just above). Each turn of the
 * loop costs a blend per vector of C and reading k back from a vector, so it should be long; but one of
 * 96 steps takes a third longer a step than one of 24, likely where another thread has half of a core's decoded
 * instructions. */
static const uint64_t worthwhile = 1 << 21;

static uint32_t steps_of(uint32_t k, uint32_t longest)
{
    return k / tiles(k, longest);
}

/* 512-bit vectors: 32 registers, and a product can take its uniform operand from memory. 8 x 3 makes 24 sums of 11 loads a
 * step, 12 x 2 of 14, where columns come in pairs of panels; 16 x 1, of which each sum needs a load of its own, is for the
 * rest. A turn of 96 steps: with AVX-512 decoded instructions are not what is scarce. */
static struct block block_of_wide(const struct product *r)
{
    struct block t = {.rows = 8, .vectors = 3, .steps = steps_of(r->k, 96), .known = 1, .down = 1};
    if (r->k % PANEL == 0 && t.steps > PANEL)
        t.steps -= t.steps % PANEL; /* so that A may be in panels */
    if (r->n % (3 * PANEL) != 0 && (r->n % (2 * PANEL) == 0 || r->n < 8 * PANEL)) {
        t.vectors = r->n % (2 * PANEL) == 0 ? 2 : 1;
        t.rows = r->a_t ? 8 : t.vectors == 2 ? 12 : 16; /* 8 divides the 16 rows of a panel */
    }
    if (r->m >= 16 && r->k >= 64 && (uint64_t)r->batches * r->m * r->n * r->k >= worthwhile)
        return t;
    return (struct block){.rows = r->m <= 8 ? 8 : 16, .vectors = 1, .steps = r->k < 16 ? 8 : 16};
}

/* 256-bit vectors: 16 registers, and the uniform operand needs one, so 12 accumulators; 6 x 2 takes 8 loads for
 * 12 products (16 x 1 spills: half as fast). */
static struct block block_of_narrow(const struct product *r, uint32_t lanes)
{
    struct block t = {.rows = 6, .vectors = 2, .steps = steps_of(r->k, 32), .known = 1, .down = 1};
    if (r->n <= lanes)
        t.rows = 12, t.vectors = 1;
    else if (r->a_t || r->m <= 8) /* 4 divides the 16 rows of a panel */
        t.rows = 4, t.vectors = 3;
    if (r->m >= t.rows && r->k >= 8 && (uint64_t)r->batches * r->m * r->n * r->k >= worthwhile)
        return t;
    return (struct block){.rows = r->m <= 8 ? 8 : 12, .vectors = 1, .steps = r->k < 16 ? 8 : 16};
}

static struct block block_of(const struct product *r, uint32_t lanes)
{
    return lanes <= 8 ? block_of_narrow(r, lanes) : block_of_wide(r);
}

enum order { ACROSS, DOWN, DOWN_IN_BLOCKS }; /* of tiles: DOWN of gemm_cpu.comp */
enum { LOW = 8, HIGH = 64 };                 /* blocks of tiles */

/* How high blocks of tiles are: whole teams, about `high` tiles, and few beyond the last of `down`. */
static uint32_t height_of(uint32_t down, uint32_t team, uint32_t high)
{
    uint32_t best = high, fewest = UINT32_MAX;
    for (uint32_t off = 0; off <= high / 2; off += team)
        for (int up = 1; up >= 0; up--) {
            const uint32_t h = up ? high + off : high - off, blocks = tiles(down, h);
            if (blocks * h < fewest)
                fewest = blocks * h, best = h;
        }
    return best;
}

/* The grid. Going down the rows, a panel of B stays in the caches; in blocks, their rows of A do, too. In low blocks the
 * lines of C (and of what an epilogue reads) come soon after their neighbours, likely soon enough for a processor to
 * fetch them ahead: with 8 tiles instead of 32 or more, products of up to 1576x768x768 took 10 to 15 % less time. But a
 * block reads all of B, and one that does not stay in the last cache is better read for 64 tiles, unless rows of A are
 * in panels: those have to stay in the second cache (stays_near). Along the first dimension the groups are teams. */
static enum order order_of(const struct product *r, const struct block *t, uint32_t columns, uint32_t team,
                           int panelled, uint32_t groups[3])
{
    enum { CACHED = 1 << 20 }; /* floats of B */
    const uint32_t across = tiles(r->n, columns), down = tiles(r->m, t->rows),
                   high = (uint64_t)r->n * r->k <= CACHED || panelled ? LOW : HIGH;
    const enum order order = !t->down ? ACROSS : r->batches > 1 || down <= high ? DOWN : DOWN_IN_BLOCKS;
    if (order == DOWN_IN_BLOCKS) {
        const uint32_t height = height_of(down, team, high);
        groups[0] = height, groups[1] = across, groups[2] = tiles(down, height);
    } else {
        groups[0] = order == DOWN ? down : across;
        groups[1] = order == DOWN ? across : down;
        groups[2] = r->batches;
    }
    groups[0] = tiles(groups[0], team);
    return order;
}

/* Whether a low block's rows of A and a tile's columns of B stay in a processor's second cache. In panels, 16 steps of k are
 * a matrix apart, and no processor fetches them ahead. With 2 MiB, 1576 x 768 x 2304 still runs at nine tenths of the
 * others' rate; 1576 x 768 x 3072 took 32 ms instead of 22, which is more than panels save. */
static int stays_near(const struct product *r, const struct block *t, uint32_t lanes)
{
    const uint64_t bytes = (uint64_t)(LOW * t->rows + t->vectors * lanes) * r->k * sizeof(float);
    return bytes <= processor_second_cache() / 8 * 5;
}

/* Whether a row-major B is packed first, although it changes every step: so many rows of A make up for it. */
static int packs_b(const struct product *r, const struct block *t)
{
    return t->down && r->m >= 128;
}

/* Whether A is, too, of A^T B: its columns are as long as the batch has tokens, and walking down a row-major
 * matrix misses the caches once rows are some KiB (measured: 5 instead of 24 GFLOP/s). */
static int packs_both(const struct product *r, const struct block *t)
{
    return t->known && r->a_t && r->m >= PANEL && r->n >= PANEL;
}

static int packs_a(const struct product *r, const struct block *t)
{
    return packs_both(r, t) && PANEL % t->rows == 0 && r->m % t->rows == 0;
}

/* A^T B with so few columns that packing would cost more than it saves: panels of A are read where A is in them anyway. */
static int is_thin(const struct product *r, const struct program *p)
{
    return r->a_t && r->n <= engine_lanes(p->engine);
}

int gemm_cpu_serves(struct program *p, const struct product *r)
{
    struct ladder_choice choice;
    if (!engine_cpu_style(p->engine))
        return 0;
    const int rc = products_choose(p->engine, r, &choice);
    if (rc < 0)
        program_refuse(p, rc);
    return rc == 0 && choice.tile->rung == RUNG_CPU;
}

int gemm_cpu_adds(struct program *p, const struct product *r, const struct product *second)
{
    const struct block t = block_of(r, engine_lanes(p->engine));
    return second->k <= SECOND_MOST && second->m == r->m && second->n == r->n && r->batches == 1 &&
           second->batches == 1 && !r->a_t && !second->a_t && t.known &&
           r->n % (t.vectors * engine_lanes(p->engine)) == 0 && gemm_cpu_serves(p, r) &&
           gemm_cpu_serves(p, second);
}

int gemm_cpu_leaves_panels(const struct program *p, const struct product *r)
{
    const struct block t = block_of(r, engine_lanes(p->engine));
    const uint32_t columns = t.vectors * engine_lanes(p->engine);
    return t.known && columns % PANEL == 0 && r->n % columns == 0 && r->batches == 1;
}

enum panel_use gemm_cpu_reads_panels(const struct program *p, const struct product *r, int operand)
{
    const struct block t = block_of(r, engine_lanes(p->engine));
    if (r->number != NUMBER_FP32 || r->batches != 1) /* else they are rounded first */
        return PANELS_UNREAD;
    if (!r->a_t)
        return operand == 0 && t.known && t.steps % PANEL == 0 && r->k % PANEL == 0 &&
                       stays_near(r, &t, engine_lanes(p->engine))
                   ? PANELS_READ
                   : PANELS_UNREAD;
    const int takes = operand == 0 ? r->m % PANEL == 0 && (packs_a(r, &t) || is_thin(r, p))
                                   : r->n % PANEL == 0 && packs_both(r, &t) && !r->b_t;
    return takes && t.known ? PANELS_WANTED : PANELS_UNREAD;
}

static struct ref optional(struct program *p, value v)
{
    return v ? program_value(p, v) : (struct ref){0};
}

void lower_gemm_cpu(struct program *p, value out, const struct fusion *f, const struct product *r)
{
    const struct node *n = tape_node(p->tape, f->product);
    struct block t = block_of(r, engine_lanes(p->engine));
    const int a_there = p->in_panels[program_root(p, n->in[0])];
    if (a_there && is_thin(r, p))
        t.rows = 8; /* divides the 16 of a panel, and 8 sums keep both multipliers busy */
    int both = packs_both(r, &t), packed = both || packs_b(r, &t) || wants_panels(p, r, n->in[1]);
    int a_packed = packs_a(r, &t) || (r->a_t && a_there);
    const struct product flipped = {
        .batches = r->batches, .n = r->m, .k = r->k, .b_batched = r->a_batched, .number = r->number};
    struct ref a = a_packed ? panels_of(p, n->in[0], &flipped) : rounded(p, n->in[0]);
    struct ref b = packed ? panels_of(p, n->in[1], r) : rounded(p, n->in[1]);
    struct push_gemm push = {
        .m = r->m,
        .n = r->n,
        .k = r->k,
        .a_row = a_packed ? PANEL * r->k
                 : r->a_t ? 1
                          : r->k,
        .a_col = r->a_t ? r->m : 1,
        .b_panel = packed ? PANEL * r->k : PANEL,
        .b_row = packed ? PANEL : r->n,
        .c_row = r->n,
        .a_batch = !r->a_batched ? 0
                   : a_packed    ? tiles(r->m, PANEL) * PANEL * r->k
                                 : r->m * r->k,
        .b_batch = !r->b_batched ? 0
                   : packed      ? tiles(r->n, PANEL) * PANEL * r->k
                                 : r->k * r->n,
        .c_batch = r->m * r->n,
        .alpha = f->alpha,
        .second_alpha = f->second_alpha,
        .batches = r->batches,
        .k_share = r->k,
    };
    const uint32_t panelled = (a_there && !a_packed ? PANELLED_A : 0) | (p->in_panels[out] ? PANELLED_C : 0) |
                              (p->in_panels[f->keep ? f->keep : f->back] ? PANELLED_PRE : 0);
    const struct node *second = f->second ? tape_node(p->tape, f->second) : NULL;
    struct product added = {0};
    struct ref second_a = {0}, second_b = {0};
    if (second) {
        added = product_of(p, second);
        second_a = rounded(p, second->in[0]);
        second_b = panels_of(p, second->in[1], &added);
    }
    const struct ref refs[] = {a,
                               b,
                               program_value(p, out),
                               optional(p, f->bias),
                               optional(p, f->residual),
                               optional(p, f->keep ? f->keep : f->back),
                               second_a,
                               second_b};
    const uint32_t columns = t.vectors * engine_lanes(p->engine);
    const uint64_t subgroups = (uint64_t)tiles(r->n, columns) * tiles(r->m, t.rows) * r->batches;
    const uint32_t team = t.known ? engine_team(p->engine, subgroups) : 1;
    uint32_t groups[3];
    const enum order order = order_of(r, &t, columns, team, a_there && !a_packed, groups);
    struct work *w =
        program_emit(p, SHADER_GEMM_CPU, &push, sizeof push, refs, 8, 4 | (f->keep ? 32 : 0), groups);
    const uint32_t constants[] = {fusion_epilogue(f),
                                  (uint32_t)f->fn,
                                  a_packed ? 3 : (uint32_t)r->a_t,
                                  t.rows,
                                  t.vectors,
                                  t.steps,
                                  !t.known   ? 0
                                  : a_packed ? PANEL
                                  : r->a_t   ? push.a_col
                                             : push.a_row,
                                  t.known ? push.b_row : 0,
                                  t.known ? push.c_row : 0,
                                  t.known ? r->k : 0,
                                  (uint32_t)order,
                                  team,
                                  (uint32_t)engine_in_step(p->engine),
                                  panelled,
                                  added.k};
    memcpy(w->constants, constants, sizeof constants);
    w->constant_count = sizeof constants / sizeof *constants;
    w->flops = 2.0 * r->batches * r->m * r->n * ((double)r->k + added.k);
}
