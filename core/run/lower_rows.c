/* lower_rows.c - ops along rows: softmax, normalisation, cross-entropy, and sums over any axes. */
#include "gemm_cpu.h"

#include "error.h"

#include <string.h>

enum { ROWS_A_GROUP = 4 };

/* of sums over rows; in the GPU style: SUM_GROUPS workgroups of SUM_GROUP invocations keep a GPU busy, and a
 * subgroup should have SUM_TURN rows */
enum {
    SUM_CHUNKS = 32,
    SUM_VECTORS = 4,
    SUM_GROUP = 128,
    SUM_GROUPS = 1024,
    SUM_TURN = 8,
    SUM_CHUNKS_GPU = 128
};

static uint32_t row_length(struct shape s)
{
    return (uint32_t)(s.rank ? s.dim[s.rank - 1] : 1);
}

static uint32_t row_count(struct shape s)
{
    return (uint32_t)shape_count(s) / row_length(s);
}

/* A kernel with one subgroup for every few rows. */
static struct work *emit_rows(struct program *p, enum shader shader, const void *push, uint32_t push_bytes,
                              const struct ref *refs, uint32_t count, struct shape s)
{
    const uint32_t groups[3] = {tiles(row_count(s), ROWS_A_GROUP), 1, 1};
    return program_emit(p, shader, push, push_bytes, refs, count, 1u << (count - 1), groups);
}

void lower_softmax(struct program *p, value v, const struct node *n)
{
    struct push_softmax push = {.rows = row_count(n->shape), .n = row_length(n->shape)};
    const struct ref refs[] = {program_value(p, n->in[0]), program_value(p, v)};
    emit_rows(p, SHADER_SOFTMAX, &push, sizeof push, refs, 2, n->shape);
}

void lower_softmax_back(struct program *p, value v, const struct node *n)
{
    struct push_softmax_back push = {.rows = row_count(n->shape), .n = row_length(n->shape)};
    const struct ref refs[] = {program_value(p, n->in[0]), program_value(p, n->in[1]), program_value(p, v)};
    emit_rows(p, SHADER_SOFTMAX_BACK, &push, sizeof push, refs, 3, n->shape);
}

struct sum_of { /* out[outer][inner] = sum over rows of x[outer][rows][inner], times y where there is one */
    struct ref x, y;
    uint32_t outer, rows, inner;
    uint32_t row; /* floats from row to row, `inner` where 0 */
};

/* One stage: chunks of per_chunk rows each. */
static void emit_chunks(struct program *p, struct ref out, const struct sum_of *s, uint32_t chunks,
                        uint32_t per_chunk)
{
    const int cpu = engine_cpu_style(p->engine);
    const uint32_t row = s->row ? s->row : s->inner, lanes = engine_lanes(p->engine);
    const uint32_t vectors = s->inner < SUM_VECTORS * lanes ? tiles(s->inner, lanes) : SUM_VECTORS;
    struct push_column_sum push = {.rows = s->rows,
                                   .n = s->inner,
                                   .rows_per_chunk = per_chunk,
                                   .x_row = row,
                                   .x_batch = s->rows * row,
                                   .out_batch = chunks * s->inner};
    const struct ref refs[] = {s->x, s->y, out};
    const uint32_t groups[3] = {tiles(s->inner, SUM_VECTORS * lanes), chunks, s->outer};
    struct work *w = program_emit(p, cpu ? SHADER_COLUMN_SUM_CPU : SHADER_COLUMN_SUM, &push, sizeof push,
                                  refs, 3, 4, groups);
    /* gpu: vectors where every row begins at one */
    const uint32_t of_gpu[] = {s->y.slot != 0, SUM_GROUP, s->inner % 4 == 0 && row % 4 == 0};
    const uint32_t of_cpu[] = {s->y.slot != 0, (uint32_t)engine_in_step(p->engine), vectors};
    memcpy(w->constants, cpu ? of_cpu : of_gpu, sizeof of_cpu);
    w->constant_count = 3;
    w->bytes = 4.0 * s->outer * s->inner * ((double)s->rows * (s->y.slot ? 2 : 1) + chunks);
}

/* How many pieces a sum is cut into, so that all cores have work. */
static uint32_t chunks_of(const struct program *p, const struct sum_of *s)
{
    const uint32_t across = s->outer * tiles(s->inner, SUM_VECTORS * engine_lanes(p->engine));
    if (engine_cpu_style(p->engine))
        return s->rows >= 4 * SUM_CHUNKS && across < SUM_CHUNKS ? SUM_CHUNKS : 1;
    /* each subgroup takes some rows at least, and the second stage has no more to add than the first */
    const uint32_t most = s->rows / (SUM_TURN * (SUM_GROUP / engine_lanes(p->engine)));
    const uint32_t wanted = tiles(SUM_GROUPS, across);
    const uint32_t chunks = wanted < most ? wanted : most;
    return chunks > SUM_CHUNKS_GPU ? SUM_CHUNKS_GPU : chunks ? chunks : 1;
}

/* In two stages when there are many rows, each in a fixed order. */
static void emit_column_sum(struct program *p, struct ref out, const struct sum_of *s)
{
    uint32_t chunks = chunks_of(p, s);
    const uint32_t per_chunk = tiles(s->rows, chunks);
    chunks = tiles(s->rows, per_chunk);
    if (chunks == 1) {
        emit_chunks(p, out, s, 1, s->rows);
        return;
    }
    struct ref partial = {program_slot(p, "partial sums", (uint64_t)s->outer * chunks * s->inner * 4), 0};
    if (p->rc == 0)
        p->slots[partial.slot].kept = p->slots[partial.slot].constant = p->constant[p->now];
    emit_chunks(p, partial, s, chunks, per_chunk);
    const struct sum_of last = {.x = partial, .outer = s->outer, .rows = chunks, .inner = s->inner};
    emit_chunks(p, out, &last, 1, chunks);
}

enum { NORM_GROUP = 128, NORM_VECTORS = 16, NORM_PARAMS_VECTORS = 8, NORM_GROUPS = 256, NORM_TURNS = 16 };

static int in_registers(const struct program *p, int64_t width, int64_t vectors)
{
    return !engine_cpu_style(p->engine) && width <= vectors * 4 * engine_lanes(p->engine) && width > 1;
}

int norm_in_registers(const struct program *p, int64_t width)
{
    return in_registers(p, width, NORM_VECTORS);
}

int norm_gives_params(const struct program *p, int64_t width)
{
    return in_registers(p, width, NORM_PARAMS_VECTORS) || engine_in_step(p->engine);
}

/* Subgroups of a workgroup. None is without a row of its own: it would repeat one that another may have overwritten. */
static uint32_t team_of_rows(const struct engine *e, uint32_t rows)
{
    const uint32_t subgroups = tiles(rows, ROWS_A_GROUP);
    uint32_t team = engine_team(e, subgroups);
    while (subgroups % team)
        team /= 2;
    return team;
}

/* The width as a constant of the kernel, which makes its loops turns (lib/turns.glsl), where there are rows enough to make
 * up for compiling it; else 0. */
static uint32_t known_width(const struct engine *e, uint32_t rows, uint32_t width)
{
    return engine_in_step(e) && rows >= 256 ? width : 0;
}

/* w and b: 0 for the plain normalisation */
static void emit_norm(struct program *p, value v, const struct node *n, value w, value b)
{
    const uint32_t rows = row_count(n->shape), width = row_length(n->shape);
    const value sum = p->norm_add[v];
    const struct node *add = tape_node(p->tape, sum);
    const int gpu = norm_in_registers(p, width);
    int halves;
    struct push_layernorm push = {.rows = rows, .n = width, .eps = n->attr.norm.eps};
    const struct ref y = program_result(p, v, gpu && width % 4 == 0, &halves);
    const struct ref none = {0}, refs[] = {program_value(p, sum ? add->in[0] : n->in[0]),
                                           w ? program_value(p, w) : none,
                                           b ? program_value(p, b) : none,
                                           y,
                                           sum ? program_value(p, add->in[1]) : none,
                                           sum ? program_value(p, sum) : none};
    const uint32_t team = gpu ? 1 : team_of_rows(p->engine, rows);
    const uint32_t groups[3] = {tiles(rows, gpu ? NORM_GROUP / engine_lanes(p->engine) : ROWS_A_GROUP * team),
                                1, 1};
    struct work *work = program_emit(p, gpu ? SHADER_LAYERNORM : SHADER_LAYERNORM_CPU, &push, sizeof push,
                                     refs, 6, 8 | (sum ? 32 : 0), groups);
    const uint32_t of_gpu[] = {NORM_GROUP, width, w != 0, sum != 0,
                               (uint32_t)(halves ? p->number : NUMBER_FP32)},
                   of_cpu[] = {w != 0, team, known_width(p->engine, rows, width),
                               (uint32_t)engine_in_step(p->engine)};
    memcpy(work->constants, gpu ? of_gpu : of_cpu, gpu ? sizeof of_gpu : sizeof of_cpu);
    work->constant_count = gpu ? 5 : 4;
    work->bytes = (double)shape_count(n->shape) * (4 * (sum ? 3 : 1) + (halves ? 2 : 4));
}

/* out[n] = the sum over `groups` rows of 2 N floats, from `from` on */
static void emit_params(struct program *p, value out, struct ref partial, uint32_t groups, uint32_t width,
                        uint32_t from)
{
    if (!out)
        return;
    const struct sum_of sum = {
        .x = ref_at(partial, from), .outer = 1, .rows = groups, .row = 2 * width, .inner = width};
    emit_column_sum(p, program_value(p, out), &sum);
}

/* v = the gradient of node n, plus `add` when there is one, with the gradients of its parameters */
static void emit_norm_back(struct program *p, value v, value back, value add)
{
    const struct node *n = tape_node(p->tape, back);
    const struct norm_params params = p->norm_params[back];
    const value w = n->op == OP_LAYERNORM_BACK ? n->in[1] : 0, d_y = n->in[w ? 2 : 1];
    const uint32_t rows = row_count(n->shape), width = row_length(n->shape);
    const int with_params = params.gain || params.bias,
              gpu = in_registers(p, width, with_params ? NORM_PARAMS_VECTORS : NORM_VECTORS);
    const uint32_t subgroups = NORM_GROUP / engine_lanes(p->engine),
                   team = gpu ? 1 : team_of_rows(p->engine, rows);
    uint32_t each = gpu ? subgroups : ROWS_A_GROUP * team;
    if (with_params && gpu) { /* enough workgroups, and otherwise few, whose sums must be added up */
        uint32_t turns = tiles(rows, each * NORM_GROUPS);
        each *= turns < NORM_TURNS ? turns : NORM_TURNS;
    }
    const uint32_t groups[3] = {tiles(rows, each), 1, 1};
    const uint32_t sums = gpu ? groups[0] : tiles(rows, ROWS_A_GROUP);
    struct ref none = {0}, partial = none;
    if (with_params)
        partial.slot = program_slot(p, "partial sums", (uint64_t)sums * 2 * width * 4);
    struct push_layernorm_back push = {
        .rows = rows, .n = width, .eps = n->attr.norm.eps, .rows_per_group = each};
    const struct ref refs[] = {program_value(p, n->in[0]), w ? program_value(p, w) : none,
                               program_value(p, d_y),      add ? program_value(p, add) : none,
                               program_value(p, v),        partial};
    struct work *work = program_emit(p, gpu ? SHADER_LAYERNORM_BACK : SHADER_LAYERNORM_BACK_CPU, &push,
                                     sizeof push, refs, 6, 16 | (with_params ? 32 : 0), groups);
    const uint32_t of_gpu[] = {NORM_GROUP, width, w != 0, add != 0, (uint32_t)with_params, 0},
                   of_cpu[] = {w != 0,
                               add != 0,
                               team,
                               known_width(p->engine, rows, width),
                               (uint32_t)engine_in_step(p->engine),
                               (uint32_t)with_params};
    memcpy(work->constants, gpu ? of_gpu : of_cpu, sizeof of_cpu);
    work->constant_count = gpu ? 5 : 6;
    work->bytes =
        4 * ((double)shape_count(n->shape) * (add ? 4 : 3) + (with_params ? 2.0 * sums * width : 0));
    emit_params(p, params.gain, partial, sums, width, 0);
    emit_params(p, params.bias, partial, sums, width, width);
}

void lower_norm_back_sum(struct program *p, value sum, value back)
{
    emit_norm_back(p, sum, back, other_operand(p, sum, back));
}

void lower_normalize(struct program *p, value v, const struct node *n)
{
    emit_norm(p, v, n, 0, 0);
}

void lower_normalize_back(struct program *p, value v, const struct node *n)
{
    (void)n;
    emit_norm_back(p, v, v, 0);
}

void lower_layernorm(struct program *p, value v, const struct node *n)
{
    emit_norm(p, v, n, n->in[1], n->in[2]);
}

void lower_layernorm_back(struct program *p, value v, const struct node *n)
{
    (void)n;
    emit_norm_back(p, v, v, 0);
}

static void emit_cross_entropy(struct program *p, value v, const struct node *n, value d_loss)
{
    struct shape s = tape_shape(p->tape, n->in[0]);
    struct push_cross_entropy push = {.classes = row_length(s)};
    const struct ref refs[] = {program_value(p, v), program_value(p, n->in[0]), program_value(p, n->in[1]),
                               d_loss ? program_value(p, d_loss) : (struct ref){0}};
    const uint32_t groups[3] = {1, row_count(s), 1};
    struct work *w = program_emit(p, SHADER_CROSS_ENTROPY, &push, sizeof push, refs, 4, 1, groups);
    w->constants[0] = d_loss != 0;
    w->constant_count = 1;
}

void lower_cross_entropy(struct program *p, value v, const struct node *n)
{
    emit_cross_entropy(p, v, n, 0);
}

void lower_cross_entropy_back(struct program *p, value v, const struct node *n)
{
    emit_cross_entropy(p, v, n, n->in[2]);
}

static void emit_row_sum(struct program *p, struct ref out, struct ref a, uint32_t rows, uint32_t length)
{
    struct push_row_sum push = {.n = length};
    const struct ref refs[] = {out, a};
    program_emit(p, SHADER_ROW_SUM, &push, sizeof push, refs, 2, 1, (const uint32_t[3]){1, rows, 1});
}

/* Sums over the block of neighbouring axes first .. last - 1 of a tensor of shape s. */
static void emit_sum(struct program *p, struct ref out, struct ref a, struct shape s, int first, int last)
{
    uint32_t outer = 1, rows = 1, inner = 1;
    for (int i = 0; i < s.rank; i++)
        *(i < first ? &outer : i < last ? &rows : &inner) *= (uint32_t)s.dim[i];
    if (inner == 1)
        emit_row_sum(p, out, a, outer, rows);
    else
        emit_column_sum(p, out, &(struct sum_of){.x = a, .outer = outer, .rows = rows, .inner = inner});
}

/* Axes in one block are one sum; otherwise block after block, the last ones first. */
void lower_sum(struct program *p, value v, const struct node *n)
{
    struct shape s = tape_shape(p->tape, n->in[0]);
    if (p->summed[v]) {
        const struct node *m = tape_node(p->tape, p->summed[v]);
        const struct sum_of products = {.x = program_value(p, m->in[0]),
                                        .y = program_value(p, m->in[1]),
                                        .outer = 1,
                                        .rows = row_count(s),
                                        .inner = row_length(s)};
        emit_column_sum(p, program_value(p, v), &products);
        return;
    }
    struct ref from = program_value(p, n->in[0]);
    if (p->in_panels[program_root(p, n->in[0])]) { /* each panel is a matrix of its own */
        const struct sum_of panels = {
            .x = from, .outer = row_length(s) / PANEL, .rows = row_count(s), .inner = PANEL};
        emit_column_sum(p, program_value(p, v), &panels);
        return;
    }
    uint32_t axes = 0;
    for (int i = 0; i < s.rank; i++)
        if ((n->attr.sum.axes >> i & 1) && s.dim[i] > 1)
            axes |= 1u << i;
    while (axes) {
        int last = s.rank, first;
        while (!(axes >> (last - 1) & 1))
            last--;
        for (first = last; first > 0 && (axes >> (first - 1) & 1 || s.dim[first - 1] == 1); first--)
            axes &= ~(1u << (first - 1));
        struct shape after = s;
        for (int i = first; i < last; i++)
            after.dim[i] = 1;
        struct ref to = program_value(p, v);
        if (axes) {
            to = (struct ref){program_slot(p, "partial sums", (uint64_t)shape_count(after) * 4), 0};
            if (p->rc == 0)
                p->slots[to.slot].kept = p->slots[to.slot].constant = p->constant[v];
        }
        emit_sum(p, to, from, s, first, last);
        from = to;
        s = after;
    }
}
