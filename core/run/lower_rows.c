/* lower_rows.c - ops along rows: softmax, normalisation, cross-entropy, and sums over any axes. */
#include "program.h"

#include "error.h"

#include <string.h>

enum { ROWS_A_GROUP = 4, SUM_CHUNKS = 32, SUM_VECTORS = 4 };

static uint32_t row_length(struct shape s)
{
    return (uint32_t)(s.rank ? s.dim[s.rank - 1] : 1);
}

static uint32_t row_count(struct shape s)
{
    return (uint32_t)shape_count(s) / row_length(s);
}

static uint32_t groups_of(uint32_t count, uint32_t each)
{
    return (count + each - 1) / each;
}

/* A kernel with one subgroup for every few rows. */
static struct work *emit_rows(struct program *p, enum shader shader, const void *push, uint32_t push_bytes,
                              const struct ref *refs, uint32_t count, struct shape s)
{
    const uint32_t groups[3] = {groups_of(row_count(s), ROWS_A_GROUP), 1, 1};
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

/* w and b: 0 for the plain normalisation */
static void emit_norm(struct program *p, value v, const struct node *n, value w, value b)
{
    struct push_layernorm push = {
        .rows = row_count(n->shape), .n = row_length(n->shape), .eps = n->attr.norm.eps};
    const struct ref refs[] = {program_value(p, n->in[0]), w ? program_value(p, w) : (struct ref){0},
                               b ? program_value(p, b) : (struct ref){0}, program_value(p, v)};
    struct work *work = emit_rows(p, SHADER_LAYERNORM, &push, sizeof push, refs, 4, n->shape);
    work->constants[0] = w != 0;
    work->constant_count = 1;
}

/* v = the gradient that node n stands for, plus `add` when there is one */
static void emit_norm_back(struct program *p, value v, const struct node *n, value add)
{
    value w = n->op == OP_LAYERNORM_BACK ? n->in[1] : 0, d_y = n->in[w ? 2 : 1];
    struct push_layernorm_back push = {
        .rows = row_count(n->shape), .n = row_length(n->shape), .eps = n->attr.norm.eps};
    const struct ref refs[] = {program_value(p, n->in[0]), w ? program_value(p, w) : (struct ref){0},
                               program_value(p, d_y), add ? program_value(p, add) : (struct ref){0},
                               program_value(p, v)};
    struct work *work = emit_rows(p, SHADER_LAYERNORM_BACK, &push, sizeof push, refs, 5, n->shape);
    work->constants[0] = w != 0;
    work->constants[1] = add != 0;
    work->constant_count = 2;
}

void lower_norm_back_sum(struct program *p, value sum, value back)
{
    emit_norm_back(p, sum, tape_node(p->tape, back), other_operand(p, sum, back));
}

void lower_normalize(struct program *p, value v, const struct node *n)
{
    emit_norm(p, v, n, 0, 0);
}

void lower_normalize_back(struct program *p, value v, const struct node *n)
{
    emit_norm_back(p, v, n, 0);
}

void lower_layernorm(struct program *p, value v, const struct node *n)
{
    emit_norm(p, v, n, n->in[1], n->in[2]);
}

void lower_layernorm_back(struct program *p, value v, const struct node *n)
{
    emit_norm_back(p, v, n, 0);
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

/* out[outer][inner] = sum over rows of a[outer][rows][inner], inner > 1: in two stages when there are
 * many rows, so that all cores have work. */
static void emit_column_sum(struct program *p, struct ref out, struct ref a, struct ref times, uint32_t outer,
                            uint32_t rows, uint32_t inner)
{
    uint32_t each = SUM_VECTORS * engine_lanes(p->engine);
    uint32_t chunks = rows >= 4 * SUM_CHUNKS && outer * groups_of(inner, each) < SUM_CHUNKS ? SUM_CHUNKS : 1;
    uint32_t per_chunk = groups_of(rows, chunks);
    chunks = groups_of(rows, per_chunk);
    struct push_column_sum push = {.rows = rows,
                                   .n = inner,
                                   .rows_per_chunk = per_chunk,
                                   .x_row = inner,
                                   .x_batch = rows * inner,
                                   .out_batch = chunks * inner};
    struct ref partial = out;
    if (chunks > 1)
        partial = (struct ref){program_slot(p, "partial sums", (uint64_t)outer * chunks * inner * 4), 0};
    if (chunks > 1 && p->rc == 0)
        p->slots[partial.slot].kept = p->slots[partial.slot].constant = p->constant[p->now];
    const uint32_t groups[3] = {groups_of(inner, each), chunks, outer};
    const struct ref refs[] = {a, times, partial};
    struct work *w = program_emit(p, SHADER_COLUMN_SUM, &push, sizeof push, refs, 3, 4, groups);
    w->constants[0] = times.slot != 0;
    w->constant_count = 1;
    w->bytes = (double)outer * rows * inner * 4 * (times.slot ? 2 : 1);
    if (chunks == 1)
        return;
    push = (struct push_column_sum){.rows = chunks,
                                    .n = inner,
                                    .rows_per_chunk = chunks,
                                    .x_row = inner,
                                    .x_batch = chunks * inner,
                                    .out_batch = inner};
    const struct ref last[] = {partial, (struct ref){0}, out};
    w = program_emit(p, SHADER_COLUMN_SUM, &push, sizeof push, last, 3, 4,
                     (const uint32_t[3]){groups[0], 1, outer});
    w->constants[0] = 0;
    w->constant_count = 1;
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
        emit_column_sum(p, out, a, (struct ref){0}, outer, rows, inner);
}

/* Axes in one block are one sum; otherwise block after block, the last ones first. */
void lower_sum(struct program *p, value v, const struct node *n)
{
    struct shape s = tape_shape(p->tape, n->in[0]);
    if (p->summed[v]) {
        const struct node *m = tape_node(p->tape, p->summed[v]);
        emit_column_sum(p, program_value(p, v), program_value(p, m->in[0]), program_value(p, m->in[1]), 1,
                        row_count(s), row_length(s));
        return;
    }
    struct ref from = program_value(p, n->in[0]);
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
