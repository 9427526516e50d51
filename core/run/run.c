/* run.c - see run.h. */
#include "run.h"

#include "describe.h"
#include "error.h"
#include "part.h"
#include "products.h"
#include "program.h"
#include "record.h"

#include <string.h>

struct run {
    struct program program; /* of all parts */
    struct part *parts;
    uint32_t part_count;
    unsigned char *idle; /* per part: its work is left out */
    struct device *device;
    struct stream *stream;
    struct pace pace;
    struct memory memory;
};

/* What never changes is computed once, now. */
static int run_set_up(struct run *r)
{
    struct stream *stream = NULL;
    int rc = stream_create(&stream, r->device, 0);
    if (rc < 0)
        return rc;
    TRY_OUT(record_work(&r->program, stream, 1, &r->pace));
    TRY_OUT(stream_submit(stream));
    TRY_OUT(stream_wait(stream, 0));
out:
    stream_destroy(stream);
    return rc;
}

static int join(struct run *r, const struct run_spec *specs, enum run_together together)
{
    struct program **programs = mem_alloc(r->part_count, sizeof(struct program *));
    if (!programs)
        return ERR_MEMORY;
    int rc = 0;
    for (uint32_t i = 0; i < r->part_count && rc == 0; i++) {
        programs[i] = &r->parts[i].program;
        rc = part_schedule(&r->parts[i], &specs[i]);
    }
    if (rc == 0)
        rc = program_join(&r->program, programs, r->part_count, together);
    r->program.idle = r->idle;
    mem_free(programs);
    return rc;
}

/* More than 0: a kernel that it was lowered to is wrong on this device; it is to be built again, by another. */
static int run_build(struct run *r, const struct run_spec *specs, enum run_together together)
{
    struct program *p = &r->program;
    for (uint32_t i = 0; i < r->part_count; i++)
        bank_layouts_begin(specs[i].bank);
    for (uint32_t i = 0; i < r->part_count; i++)
        TRY(part_lower(&r->parts[i], &specs[i]));
    int wrong = products_verify(bank_engine(specs->bank)); /* before there is memory for this one */
    if (wrong)
        return wrong;
    TRY(join(r, specs, together));
    TRY(memory_plan(&r->memory, p));
    if (specs->explain)
        TRY(describe_peak(p));
    if (device_rehearses(r->device))
        return 0;
    r->pace.whole = specs->profile; /* a note for each dispatch */
    TRY(pace_begin(&r->pace, p));
    TRY(run_set_up(r));
    for (uint32_t i = 0; i < r->part_count; i++)
        bank_layouts_filled(specs[i].bank);
    TRY(stream_create(&r->stream, r->device, specs->profile));
    return record_work(p, r->stream, 0, &r->pace);
}

int run_create_packed(struct run **out, const struct run_spec *specs, uint32_t count,
                      enum run_together together)
{
    for (;;) {
        struct run *r = mem_alloc(1, sizeof *r);
        if (!r)
            return ERR_MEMORY;
        r->device = engine_device(bank_engine(specs->bank));
        r->parts = mem_alloc(count, sizeof *r->parts);
        r->idle = mem_alloc(count, 1);
        r->part_count = r->parts ? count : 0;
        int rc = r->parts && r->idle ? run_build(r, specs, together) : ERR_MEMORY;
        if (rc == 0) {
            *out = r;
            return 0;
        }
        run_destroy(r);
        TRY(rc);
    }
}

int run_create(struct run **out, const struct run_spec *spec)
{
    return run_create_packed(out, spec, 1, RUN_SIDE_BY_SIDE);
}

void run_destroy(struct run *r)
{
    if (!r)
        return;
    stream_destroy(r->stream);
    for (uint32_t i = 0; i < r->part_count; i++)
        part_finish(&r->parts[i]);
    memory_finish(&r->memory, r->device);
    pace_finish(&r->pace);
    program_finish(&r->program);
    mem_free(r->parts);
    mem_free(r->idle);
    mem_free(r);
}

int run_rest(struct run *r, const unsigned char *idle)
{
    if (!memcmp(r->idle, idle, r->part_count))
        return 0;
    memcpy(r->idle, idle, r->part_count);
    pace_restart(&r->pace);
    return record_work(&r->program, r->stream, 0, &r->pace);
}

void run_set_scaling(struct run *r, uint32_t part, const struct run_scaling *s)
{
    part_set_scaling(&r->parts[part], s);
}

int run_scaling(struct run *r, uint32_t part, struct run_scaling *out)
{
    TRY(stream_wait(r->stream, 0));
    return part_scaling(&r->parts[part], out);
}

int run_begin(struct run *r, const struct run_series *s)
{
    TRY(stream_wait(r->stream, 0));
    return part_begin(&r->parts[s->part], s);
}

int run_go(struct run *r, uint32_t steps)
{
    return pace_go(&r->pace, &r->program, r->stream, steps);
}

uint32_t run_stride(const struct run *r)
{
    return r->pace.at_once;
}

struct run_counts run_counts(const struct run *r)
{
    struct run_counts c = {.dispatches = stream_dispatch_count(r->stream),
                           .submits = stream_segment_count(r->stream)};
    for (uint32_t i = 0; i < r->program.work_count; i++)
        if (!r->program.works[i].setup && (uint32_t)r->program.works[i].group > c.barriers)
            c.barriers = (uint32_t)r->program.works[i].group;
    return c;
}

int run_wait(struct run *r, uint32_t pending)
{
    return stream_wait(r->stream, pending);
}

/* Logs are numbered through the parts. */
static struct log *find_log(struct run *r, size_t which)
{
    struct part *p = r->parts;
    for (; which >= p->log_count; p++)
        which -= p->log_count;
    return &p->logs[which];
}

int run_log(struct run *r, size_t which, uint32_t from, uint32_t count, float *out)
{
    struct log *l = find_log(r, which);
    size_t row = (size_t)l->floats * sizeof(float);
    return buffer_read(r->device, &l->buffer, from * row, out, count * row);
}

int run_write(struct run *r, value leaf, const float *data)
{
    const struct program *p = &r->parts->program; /* its slots are the first of all */
    uint32_t slot = p->slot_of[program_root(p, leaf)];
    size_t bytes = (size_t)shape_count(tape_shape(p->tape, leaf)) * sizeof(float);
    return slot ? memory_write(&r->memory, r->device, r->program.slots[slot].address, data, bytes) : 0;
}

struct run_memory run_memory(const struct run *r)
{
    struct run_memory m = {.activations = r->memory.activations.bytes, .constants = r->memory.kept.bytes};
    for (uint32_t i = 0; i < r->part_count; i++) {
        const struct part *p = &r->parts[i];
        m.control += p->control.size + p->order.size + p->rates.size;
        for (size_t k = 0; k < p->log_count && !p->logs_lent; k++)
            m.logs += p->logs[k].buffer.size;
    }
    return m;
}

uint32_t run_alive_count(const struct run *r)
{
    return r->program.alive_count;
}

struct run_alive run_alive(const struct run *r, uint32_t i)
{
    return r->program.alive[i];
}

uint32_t run_profile_count(const struct run *r)
{
    return stream_dispatch_count(r->stream);
}

int run_profile(struct run *r, uint32_t i, struct run_time *out)
{
    const struct kernel *kernel = NULL;
    const char *label;
    TRY(stream_time(r->stream, i, &label, &kernel, &out->ns, &out->flops, &out->bytes));
    TRY(stream_start(r->stream, i, &out->start_ns));
    const struct note *note = &r->parts->program.notes[i];
    out->label = note->op;
    out->kernel = kernel_name(kernel);
    out->place = note->place;
    out->phase = note->phase;
    out->gradient = note->gradient;
    out->shape = note->shape;
    return 0;
}
