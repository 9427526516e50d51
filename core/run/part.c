/* part.c - see part.h. */
#include "part.h"

#include "describe.h"
#include "error.h"
#include "products.h"

#include <math.h>
#include <stddef.h>

struct control { /* shaders/lib/philox.glsl */
    uint32_t step, first, seed_low, seed_high;
    float scale;
    uint32_t good, overflow, skipped;
};

/* What the step must produce: logs and gradients, and the batch's leaves. */
static size_t gather_roots(const struct run_spec *s, value *roots)
{
    size_t n = 0;
    for (size_t i = 0; i < s->log_count; i++)
        roots[n++] = s->logs[i];
    for (size_t i = 0; i < s->gradient_count; i++)
        roots[n++] = s->gradients[i].gradient;
    return n;
}

/* A value is constant when nothing it is made of changes from step to step. */
static void mark_constants(struct program *p)
{
    for (value v = 1; v < tape_size(p->tape); v++) {
        const struct node *n = tape_node(p->tape, v);
        int constant = n->op == OP_LEAF ? n->attr.leaf.kind == LEAF_FROZEN : n->op != OP_DROPOUT;
        for (int i = 0; i < op_arity[n->op]; i++)
            constant &= p->constant[n->in[i]];
        p->constant[v] = (unsigned char)constant;
    }
}

static int program_begin(struct program *p, const struct run_spec *s)
{
    uint32_t n = tape_size(s->tape);
    p->tape = s->tape;
    p->bank = s->bank;
    p->engine = bank_engine(s->bank);
    p->number = s->number;
    p->live = arena_alloc(&p->arena, n, 1);
    p->constant = arena_alloc(&p->arena, n, 1);
    p->absorbed = arena_alloc(&p->arena, n, 1);
    p->kernels = arena_alloc(&p->arena, n, 1);
    p->slot_of = arena_alloc(&p->arena, n, sizeof *p->slot_of);
    p->fusions = arena_alloc(&p->arena, n, sizeof *p->fusions);
    p->norm_back = arena_alloc(&p->arena, n, sizeof *p->norm_back);
    p->summed = arena_alloc(&p->arena, n, sizeof *p->summed);
    p->in_panels = arena_alloc(&p->arena, n, 1);
    p->multiplied = arena_alloc(&p->arena, n, 1);
    p->halves = arena_alloc(&p->arena, n, 1);
    value *roots = arena_alloc(&p->arena, s->log_count + s->gradient_count + 1, sizeof *roots);
    if (!p->live || !p->constant || !p->absorbed || !p->kernels || !p->slot_of || !p->fusions ||
        !p->norm_back || !p->summed || !p->in_panels || !p->multiplied || !p->halves || !roots)
        return ERR_MEMORY;
    size_t count = gather_roots(s, roots);
    for (size_t i = 0; i < count; i++)
        if (!roots[i])
            return fail(ERR_INPUT, "%s", tape_why(s->tape) ? tape_why(s->tape) : "a value to run is poison");
    TRY(choose_customs(p, roots, count));
    mark_constants(p);
    find_multiplied(p, roots, count);
    fuse_epilogues(p, roots, count);
    return p->rc;
}

/* A gradient is computed straight into the bank's arena, where AdamW expects it. */
static void place_gradients(struct program *p, const struct run_spec *s)
{
    for (size_t i = 0; i < s->gradient_count && p->rc == 0; i++) {
        value root = program_root(p, s->gradients[i].gradient);
        const struct node *n = tape_node(p->tape, root);
        if (p->slot_of[root] || n->op == OP_LEAF || p->constant[root])
            continue;
        p->slot_of[root] = program_slot_at(p, "gradient", (uint64_t)shape_count(n->shape) * 4,
                                           bank_gradient_address(p->bank, s->gradients[i].id));
    }
}

/* The rest: gradients that another tensor's gradient, a constant or a leaf already is. */
static void copy_gradients(struct program *p, const struct run_spec *s)
{
    for (size_t i = 0; i < s->gradient_count && p->rc == 0; i++) {
        struct ref from = program_value(p, s->gradients[i].gradient);
        uint64_t home = bank_gradient_address(p->bank, s->gradients[i].id);
        int64_t count = shape_count(tape_shape(p->tape, s->gradients[i].gradient));
        if (p->rc < 0 || p->slots[from.slot].address == home)
            continue;
        struct map_work m = {
            .map = MAP_COPY,
            .a = from,
            .out = {program_slot_at(p, "gradient", (uint64_t)count * 4, home), 0},
            .view = {.size = {1, 1, 1, count}, .out = {0, 0, 0, 1}, .a = {0, 0, 0, 1}, .b = {0, 0, 0, 1}}};
        map_emit(p, &m);
    }
}

/* A batch leaf's place, or a scratch one for a leaf that the tape does without. */
static struct ref batch_leaf(struct part *r, value leaf)
{
    struct program *p = &r->program;
    return leaf ? program_value(p, leaf) : (struct ref){program_slot(p, "unused", r->batch * 4u), 0};
}

static void emit_feed(struct part *r, const struct run_spec *s)
{
    struct program *p = &r->program;
    if (!s->index || !s->feed)
        return;
    struct push_feed push = {.batch = r->batch};
    const struct ref refs[] = {
        batch_leaf(r, s->index),
        batch_leaf(r, s->labels),
        batch_leaf(r, s->weights),
        {program_slot_at(p, "order", r->order.size, r->order.address), 0},
        {program_slot_at(p, "labels", s->feed->labels.size, s->feed->labels.address), 0},
        {p->control, 0},
    };
    struct work *w =
        program_emit(p, SHADER_FEED, &push, sizeof push, refs, 6, 1 | 2 | 4, (const uint32_t[3]){1, 1, 1});
    w->label = "feed";
    w->bytes = 24.0 * r->batch; /* row numbers, labels and weights, read and written */
}

static void emit_logs(struct part *r, const struct run_spec *s)
{
    enum { CHUNK = 1024 };
    struct program *p = &r->program;
    for (size_t i = 0; i < s->log_count; i++) {
        struct push_record push = {.count = r->logs[i].floats};
        const struct ref refs[] = {
            {program_slot_at(p, "log", r->logs[i].buffer.size, r->logs[i].buffer.address), 0},
            program_value(p, s->logs[i]),
            {p->control, 0},
        };
        struct work *w = program_emit(p, SHADER_RECORD, &push, sizeof push, refs, 3, 1,
                                      (const uint32_t[3]){(push.count + CHUNK - 1) / CHUNK, 1, 1});
        w->label = "record";
        w->bytes = 8.0 * push.count;
    }
}

/* Whether the gradients overflowed: then there is no update. */
/* Blocks of the arenas that a workgroup takes: `least`, or more where the device has no room for so many workgroups (65,535 of
 * 16 blocks are 67 million floats, and ViT-B has 86). */
static uint32_t blocks_a_group(const struct program *p, uint32_t blocks, uint32_t least)
{
    const uint32_t most = device_info(engine_device(p->engine))->max_groups[0], groups = tiles(blocks, least);
    return least * (groups / most + 1); /* `most` may be all that 32 bits hold */
}

static void emit_finite(struct program *p, struct ref gradients, uint32_t blocks)
{
    enum { BLOCKS_A_GROUP = 64 };
    struct push_finite push = {.blocks = blocks, .each = blocks_a_group(p, blocks, BLOCKS_A_GROUP)};
    const struct ref refs[] = {gradients, {p->control, 0}};
    struct work *w = program_emit(p, SHADER_FINITE, &push, sizeof push, refs, 2, 2,
                                  (const uint32_t[3]){tiles(blocks, push.each), 1, 1});
    w->label = "finite";
    w->bytes = (double)blocks * BANK_BLOCK * 4;
}

static void emit_update(struct part *r, const struct run_spec *s)
{
    enum { BLOCKS_A_GROUP = 16 };
    struct program *p = &r->program;
    if (!s->update)
        return;
    uint32_t blocks = (uint32_t)(bank_arena_floats(s->bank) / BANK_BLOCK);
    struct push_adamw push = {.blocks = blocks,
                              .each = blocks_a_group(p, blocks, BLOCKS_A_GROUP),
                              .beta1 = s->beta1,
                              .beta2 = s->beta2,
                              .eps = s->eps,
                              .decay = s->decay,
                              .log_beta1 = (float)log((double)s->beta1),
                              .log_beta2 = (float)log((double)s->beta2)};
    struct ref refs[7];
    for (int a = 0; a < BANK_ARENAS; a++)
        refs[a] = (struct ref){program_slot_at(p, "optimizer", (uint64_t)blocks * BANK_BLOCK * 4,
                                               bank_arena_address(s->bank, (enum bank_arena)a)),
                               0};
    refs[4] = (struct ref){program_slot_at(p, "rates", r->rates.size, r->rates.address), 0};
    refs[5] = (struct ref){
        program_slot_at(p, "factors", 2ull * blocks * sizeof(float), bank_factors_address(s->bank)), 0};
    refs[6] = (struct ref){p->control, 0};
    if (s->scale)
        emit_finite(p, refs[BANK_GRADIENTS], blocks);
    struct work *w = program_emit(p, SHADER_ADAMW, &push, sizeof push, refs, 7, 1 | 4 | 8,
                                  (const uint32_t[3]){tiles(blocks, push.each), 1, 1});
    w->label = "adamw";
    w->bytes = (double)blocks * BANK_BLOCK * 4 * 7;
}

typedef void lower_function(struct program *p, value v, const struct node *n);
static lower_function *const lowerings[OP_COUNT] = {
#define OP(NAME, name, arity) lower_##name,
#include "ops.def"
#undef OP
};

static void lower_values(struct program *p)
{
    for (value v = 1; v < tape_size(p->tape) && p->rc == 0; v++) {
        if (!p->live[v] || p->absorbed[v])
            continue;
        p->now = v;
        if (p->fusions[v].product)
            lower_gemm(p, v, &p->fusions[v]);
        else if (p->norm_back[v])
            lower_norm_back_sum(p, v, p->norm_back[v]);
        else if (p->chained[v])
            lowerings[tape_node(p->tape, p->chained[v])->op](p, p->chained[v],
                                                             tape_node(p->tape, p->chained[v]));
        else
            lowerings[tape_node(p->tape, v)->op](p, v, tape_node(p->tape, v));
    }
    p->now = 0;
}

static void place_leaf(struct program *p, value leaf, const char *name, const struct buffer *buffer)
{
    p->slot_of[program_root(p, leaf)] = program_slot_at(p, name, buffer->size, buffer->address);
}

/* Buffers whose size is known before lowering. */
static int part_allocate(struct part *r, const struct run_spec *s)
{
    struct device *d = r->device;
    r->series = s->series ? s->series : 1;
    r->log_count = s->log_count;
    r->logs_lent = s->log_rows != NULL;
    r->logs = mem_alloc(s->log_count, sizeof *r->logs);
    if (!r->logs)
        return ERR_MEMORY;
    TRY(buffer_create(&r->control, d, BUFFER_HOST, sizeof(struct control), "control"));
    TRY(buffer_create(&r->order, d, BUFFER_HOST, (size_t)r->series * (r->batch ? r->batch : 1) * 4, "order"));
    TRY(buffer_create(&r->rates, d, BUFFER_HOST, (size_t)r->series * 16, "learning rates"));
    for (size_t i = 0; i < s->log_count; i++) {
        r->logs[i].floats = (uint32_t)shape_count(tape_shape(s->tape, s->logs[i]));
        if (s->log_rows)
            r->logs[i].buffer = s->log_rows[i];
        else
            TRY(buffer_create(&r->logs[i].buffer, d, BUFFER_HOST, (size_t)r->series * r->logs[i].floats * 4,
                              "log"));
    }
    r->program.control = program_slot_at(&r->program, "control", sizeof(struct control), r->control.address);
    if (s->scale)
        r->program.slot_of[program_root(&r->program, s->scale)] = program_slot_at(
            &r->program, "loss scale", sizeof(float), r->control.address + offsetof(struct control, scale));
    if (s->images && s->feed)
        place_leaf(&r->program, s->images, "images", &s->feed->images);
    for (size_t i = 0; i < s->table_count; i++)
        place_leaf(&r->program, s->tables[i].leaf, "table", s->tables[i].rows);
    return r->program.rc;
}

int part_lower(struct part *r, const struct run_spec *s)
{
    struct program *p = &r->program;
    r->device = engine_device(bank_engine(s->bank));
    r->batch = s->index ? (uint32_t)tape_shape(s->tape, s->index).dim[0] : 0;
    r->beta1 = s->beta1;
    r->beta2 = s->beta2;
    r->scaled = s->scale != 0;
    r->scaling.scale = r->scaled ? RUN_SCALE_FIRST : 0;
    TRY(program_begin(p, s));
    TRY(part_allocate(r, s));
    place_gradients(p, s);
    emit_feed(r, s);
    products_note_in(p->engine, s->asked);
    lower_values(p);
    products_note_in(p->engine, NULL);
    copy_gradients(p, s);
    emit_logs(r, s);
    emit_update(r, s);
    const struct ref control = {p->control, 0};
    struct push_advance push = {0};
    struct work *advance =
        program_emit(p, SHADER_ADVANCE, &push, sizeof push, &control, 1, 1, (const uint32_t[3]){1, 1, 1});
    advance->label = "advance";
    advance->bytes = 2 * sizeof(uint32_t);
    return p->rc;
}

int part_schedule(struct part *r, const struct run_spec *s)
{
    TRY(schedule_works(&r->program));
    return s->profile ? describe_works(&r->program, s) : 0;
}

void part_finish(struct part *r)
{
    struct device *d = r->device;
    if (!d)
        return;
    for (size_t i = 0; r->logs && !r->logs_lent && i < r->log_count; i++)
        buffer_destroy(d, &r->logs[i].buffer);
    buffer_destroy(d, &r->control);
    buffer_destroy(d, &r->order);
    buffer_destroy(d, &r->rates);
    program_finish(&r->program);
    mem_free(r->logs);
}

/* Learning rates with AdamW's corrections of the bias of its moments, in double before they are
 * rounded: [lr, 1 / (1 - b1^t), 1 / sqrt(1 - b2^t), 0], t counting from 1. */
static int write_rates(struct part *r, const struct run_series *s)
{
    float(*rows)[4] = mem_alloc(s->steps, sizeof *rows);
    if (!rows)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < s->steps; i++) {
        double t = (double)s->first + i + 1;
        rows[i][0] = s->rates[i];
        rows[i][1] = (float)(1 / (1 - pow((double)r->beta1, t)));
        rows[i][2] = (float)(1 / sqrt(1 - pow((double)r->beta2, t)));
    }
    int rc = buffer_write(r->device, &r->rates, 0, rows, s->steps * sizeof *rows);
    mem_free(rows);
    return rc;
}

void part_set_scaling(struct part *r, const struct run_scaling *s)
{
    r->scaling = *s;
    r->begun = 0;
}

int part_scaling(struct part *r, struct run_scaling *out)
{
    struct control c;
    if (r->scaled && r->begun) {
        TRY(buffer_read(r->device, &r->control, 0, &c, sizeof c));
        r->scaling = (struct run_scaling){c.scale, c.good, c.skipped};
    }
    *out = r->scaling;
    return 0;
}

int part_begin(struct part *r, const struct run_series *s)
{
    if (s->steps > r->series)
        return fail(ERR_INPUT, "a series of %u steps is longer than the %u that were planned", s->steps,
                    r->series);
    TRY(part_scaling(r, &r->scaling));
    struct control c = {.step = s->first,
                        .first = s->first,
                        .seed_low = (uint32_t)s->seed,
                        .seed_high = (uint32_t)(s->seed >> 32),
                        .scale = r->scaled ? r->scaling.scale : 0,
                        .good = r->scaling.good,
                        .skipped = r->scaling.skipped};
    r->begun = 1;
    TRY(buffer_write(r->device, &r->control, 0, &c, sizeof c));
    if (s->order)
        TRY(buffer_write(r->device, &r->order, 0, s->order, (size_t)s->steps * r->batch * sizeof *s->order));
    return s->rates ? write_rates(r, s) : 0;
}
