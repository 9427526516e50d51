/* walk.c - see walk.h. */
#include "walk.h"

#include "buffer.h"
#include "error.h"
#include "memory.h"
#include "program.h"
#include "stream.h"

#include <string.h>

enum {
    POISON = 0xff, /* NaN as floats, halves of both kinds; no row, as an index */
    VECTOR = 16,   /* bytes that kernels read at a time */
    BEHIND = 4096  /* bytes that are looked at behind a buffer's end, of the slack that buffer.h promises */
};

struct piece { /* a buffer, and where its contents are in an image */
    struct buffer buffer;
    size_t at, bytes;
};

struct walk {
    struct engine *engine;
    struct device *device;
    const struct program *p;
    struct stream *stream;
    struct piece *pieces;
    uint32_t piece_count;
    size_t bytes;                             /* of an image: all of the device's memory */
    unsigned char *before, *after, *expected; /* images around a work */
    unsigned char *result, *scratch;
    unsigned char *touched; /* per slot, by a work so far */
};

static void count_buffer(void *context, const struct buffer *b)
{
    (void)b;
    ++*(uint32_t *)context;
}

static void note_buffer(void *context, const struct buffer *b)
{
    struct walk *w = context;
    struct piece *p = &w->pieces[w->piece_count++];
    *p = (struct piece){*b, w->bytes, b->size + (b->mapped ? BEHIND : 0)};
    w->bytes += p->bytes;
}

static int open_walk(struct walk *w)
{
    uint32_t count = 0;
    buffer_each(w->device, count_buffer, &count);
    w->pieces = mem_alloc(count, sizeof *w->pieces);
    if (!w->pieces)
        return ERR_MEMORY;
    buffer_each(w->device, note_buffer, w);
    w->before = mem_alloc(w->bytes, 1);
    w->after = mem_alloc(w->bytes, 1);
    w->expected = mem_alloc(w->bytes, 1);
    w->result = mem_alloc(w->bytes, 1);
    w->scratch = mem_alloc(w->bytes, 1);
    w->touched = mem_alloc(w->p->slot_count, 1);
    if (!w->before || !w->after || !w->expected || !w->result || !w->scratch || !w->touched)
        return ERR_MEMORY;
    return stream_create(&w->stream, w->device, 0);
}

static void close_walk(struct walk *w)
{
    stream_destroy(w->stream);
    mem_free(w->pieces);
    mem_free(w->before);
    mem_free(w->after);
    mem_free(w->expected);
    mem_free(w->result);
    mem_free(w->scratch);
    mem_free(w->touched);
}

/* --- images */

/* The host's copy of a piece, or the other way. Nothing is running, and mapped memory goes on behind a buffer's end. */
static int copy_piece(struct walk *w, const struct piece *p, unsigned char *image, int put)
{
    unsigned char *mapped = p->buffer.mapped;
    if (!mapped)
        return put ? buffer_write(w->device, &p->buffer, 0, image + p->at, p->bytes)
                   : buffer_read(w->device, &p->buffer, 0, image + p->at, p->bytes);
    memcpy(put ? mapped : image + p->at, put ? image + p->at : mapped, p->bytes);
    return 0;
}

static int take_image(struct walk *w, unsigned char *image)
{
    for (uint32_t i = 0; i < w->piece_count; i++)
        TRY(copy_piece(w, &w->pieces[i], image, 0));
    return 0;
}

static int put_image(struct walk *w, unsigned char *image)
{
    for (uint32_t i = 0; i < w->piece_count; i++)
        TRY(copy_piece(w, &w->pieces[i], image, 1));
    return 0;
}

struct range { /* of an image; `behind` it what is left of its last vector */
    size_t at, bytes, behind;
};

/* Where the slot's contents are; nowhere for none. */
static struct range find_slot(const struct walk *w, uint32_t slot)
{
    const struct slot *s = &w->p->slots[slot];
    for (uint32_t i = 0; i < w->piece_count && slot; i++) {
        const struct piece *p = &w->pieces[i];
        const uint64_t offset = s->address - p->buffer.address, left = p->bytes - offset;
        if (s->address < p->buffer.address || offset >= p->buffer.size)
            continue;
        const size_t bytes = (size_t)(s->bytes < left ? s->bytes : left),
                     rest = (VECTOR - bytes % VECTOR) % VECTOR;
        return (struct range){p->at + (size_t)offset, bytes, rest < left - bytes ? rest : left - bytes};
    }
    return (struct range){0};
}

static int is_written(const struct work *work, uint32_t ref)
{
    return work->writes >> ref & 1;
}

static void copy_written(const struct walk *w, const struct work *work, unsigned char *to,
                         const unsigned char *from)
{
    for (uint32_t k = 0; k < work->ref_count; k++) {
        const struct range r = find_slot(w, work->refs[k].slot);
        if (is_written(work, k))
            memcpy(to + r.at, from + r.at, r.bytes);
    }
}

/* What the work reads or writes, in whole vectors: kernels read these, and only pass on, or leave, what lies behind. */
static void copy_declared(const struct walk *w, const struct work *work, unsigned char *to,
                          const unsigned char *from)
{
    for (uint32_t k = 0; k < work->ref_count; k++) {
        const struct range r = find_slot(w, work->refs[k].slot);
        memcpy(to + r.at, from + r.at, r.bytes + r.behind);
    }
}

/* --- sentences */

static uint64_t address_of(const struct walk *w, size_t at)
{
    uint32_t i = 0;
    while (i + 1 < w->piece_count && w->pieces[i + 1].at <= at)
        i++;
    return w->pieces[i].buffer.address + (at - w->pieces[i].at);
}

/* The slot that has the address, or the last before it. */
static const struct slot *nearest_slot(const struct walk *w, const struct work *work, uint64_t address)
{
    const struct program *p = w->p;
    const struct slot *best = NULL;
    for (uint32_t i = 1; i < p->slot_count; i++) {
        const struct slot *s = &p->slots[i];
        const int lives = s->kept || s->fixed || (s->first <= work->group && work->group <= s->last);
        if (s->address && s->address <= address && lives && (!best || s->address >= best->address))
            best = s;
    }
    return best;
}

static int accuse(const struct walk *w, const struct work *work, const char *kernel, const char *does,
                  size_t at)
{
    const uint64_t address = address_of(w, at);
    const struct slot *s = nearest_slot(w, work, address);
    return fail(ERR_INPUT, "work %u, %s by %s in group %d%s, %s byte %llu of '%s', which has %llu",
                (unsigned)(work - w->p->works), work->label, kernel, (int)work->group,
                work->setup ? " of the set-up" : "", does,
                (unsigned long long)(s ? address - s->address : address), s && s->name ? s->name : "no slot",
                (unsigned long long)(s ? s->bytes : 0));
}

static size_t first_difference(const unsigned char *a, const unsigned char *b, size_t bytes)
{
    size_t at = memcmp(a, b, bytes) ? 0 : bytes;
    while (at < bytes && a[at] == b[at])
        at++;
    return at;
}

static int is_within_written(const struct walk *w, const struct work *work, size_t at)
{
    for (uint32_t k = 0; k < work->ref_count; k++) {
        const struct range r = find_slot(w, work->refs[k].slot);
        if (is_written(work, k) && r.at <= at && at - r.at < r.bytes)
            return 1;
    }
    return 0;
}

/* --- works */

static int do_work(struct walk *w, const struct work *work, const struct kernel **kernel)
{
    *kernel = work->custom;
    if (!*kernel)
        TRY(engine_kernel(w->engine, work->shader, work->constants, work->constant_count, kernel));
    TRY(stream_begin(w->stream));
    stream_dispatch(w->stream,
                    &(struct dispatch){.kernel = *kernel,
                                       .push = work->push,
                                       .label = work->label,
                                       .groups = {work->groups[0], work->groups[1], work->groups[2]}});
    TRY(stream_end(w->stream));
    TRY(stream_submit(w->stream));
    return stream_wait(w->stream, 0);
}

/* What is written before it is read: it keeps nothing from step to step, or the set-up makes it. */
static int begins_empty(const struct work *work, const struct slot *s)
{
    return work->setup ? s->constant : (!s->kept && !s->fixed) || !strcmp(s->name, "gradient");
}

/* Whether what is behind it is nobody's. In the bank's arenas that is zeros, which are to stay so. */
static int has_padding(const struct slot *s)
{
    return !s->fixed || s->constant;
}

static void poison_untouched(struct walk *w, const struct work *work)
{
    for (uint32_t k = 0; k < work->ref_count; k++) {
        const uint32_t slot = work->refs[k].slot;
        const struct slot *s = &w->p->slots[slot];
        const struct range r = find_slot(w, slot);
        if (w->touched[slot])
            continue;
        if (begins_empty(work, s) && (!work->setup || is_written(work, k)))
            memset(w->before + r.at, POISON, r.bytes);
        if (has_padding(s))
            memset(w->before + r.at + r.bytes, POISON, r.behind);
    }
    for (uint32_t k = 0; k < work->ref_count; k++)
        w->touched[work->refs[k].slot] = 1;
}

/* From the image `before`, which becomes what the work makes of it. */
static int step_over(struct walk *w, const struct work *work)
{
    const struct kernel *kernel;
    poison_untouched(w, work);
    TRY(put_image(w, w->before));
    TRY(do_work(w, work, &kernel));
    TRY(take_image(w, w->after));
    memcpy(w->expected, w->before, w->bytes);
    copy_written(w, work, w->expected, w->after);
    size_t at = first_difference(w->expected, w->after, w->bytes);
    if (at < w->bytes)
        return accuse(w, work, kernel_name(kernel), "writes what it does not declare:", at);
    memset(w->expected, POISON, w->bytes);
    copy_declared(w, work, w->expected, w->before);
    TRY(put_image(w, w->expected));
    TRY(do_work(w, work, &kernel));
    TRY(take_image(w, w->scratch));
    copy_written(w, work, w->expected, w->after);
    at = first_difference(w->expected, w->scratch, w->bytes);
    if (at < w->bytes)
        return accuse(w, work, kernel_name(kernel),
                      is_within_written(w, work, at) ? "reads what it does not declare, on which depends"
                                                     : "writes what it does not declare:",
                      at);
    unsigned char *swap = w->before;
    w->before = w->after;
    w->after = swap;
    return 0;
}

static int step_over_all(struct walk *w, int setup, uint32_t *works)
{
    memset(w->touched, 0, w->p->slot_count);
    for (uint32_t i = 0; i < w->p->work_count; i++) {
        const struct work *work = &w->p->works[i];
        if (work->setup != setup || (!setup && w->p->idle && w->p->idle[work->part]))
            continue;
        TRY(step_over(w, work));
        ++*works;
    }
    return 0;
}

/* What lives within a step alone, and padding, ends as it ends. */
static void forget_activations(const struct walk *w, unsigned char *image)
{
    for (uint32_t i = 1; i < w->p->slot_count; i++) {
        const struct slot *s = &w->p->slots[i];
        const struct range r = find_slot(w, i);
        if (!s->kept && !s->fixed)
            memset(image + r.at, 0, r.bytes);
        if (has_padding(s))
            memset(image + r.at + r.bytes, 0, r.behind);
    }
}

static int compare_results(struct walk *w, const char *what)
{
    forget_activations(w, w->before);
    forget_activations(w, w->result);
    const size_t at = first_difference(w->before, w->result, w->bytes);
    if (at == w->bytes)
        return 0;
    const struct work last = {.group = INT32_MAX};
    const struct slot *s = nearest_slot(w, &last, address_of(w, at));
    return fail(ERR_INPUT, "%s, work by work and with poison in what is still to be written, differs in '%s'",
                what, s && s->name ? s->name : "no slot");
}

static int walk(struct walk *w, struct run *r, uint32_t *works)
{
    TRY(open_walk(w));
    TRY(take_image(w, w->before));
    memcpy(w->result, w->before, w->bytes);
    TRY(step_over_all(w, 1, works));
    TRY(compare_results(w, "the set-up"));
    TRY(put_image(w, w->before));
    TRY(run_go(r, 1));
    TRY(run_wait(r, 0));
    TRY(take_image(w, w->result));
    TRY(step_over_all(w, 0, works));
    TRY(compare_results(w, "the step"));
    return 0;
}

struct program *walk_program(struct run *r)
{
    return (struct program *)(void *)r; /* its first member */
}

int walk_run(struct engine *e, struct run *r, uint32_t *works)
{
    struct walk w = {.engine = e, .device = engine_device(e), .p = walk_program(r)};
    *works = 0;
    int rc = walk(&w, r, works);
    close_walk(&w);
    return rc;
}
