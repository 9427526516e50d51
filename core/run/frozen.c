/* frozen.c - see frozen.h. */
#include "frozen.h"

#include "error.h"
#include "half.h"
#include "memory.h"

enum { ALIGNMENT = 256 }; /* bytes */

struct shelf { /* what one frozen_add brought */
    struct shelf *next;
    struct buffer buffer;
};

struct frozen_place {
    struct frozen_place *next;
    struct frozen_tensor tensor;
    const struct buffer *buffer;
    size_t offset; /* bytes */
    int filled;
};

enum state { STATE_NEW, STATE_ASKED, STATE_FILLED };
struct layout {
    struct layout *next;
    const struct frozen_place *of;
    int layout;
    enum state state;
    struct buffer buffer;
};

struct frozen {
    struct engine *engine;
    struct shelf *shelves;
    struct frozen_place **places; /* by id, each a list of numbers */
    size_t room;
    struct layout *layouts;
};

static struct device *device_of(const struct frozen *f)
{
    return engine_device(f->engine);
}

int frozen_create(struct frozen **out, struct engine *engine)
{
    *out = mem_alloc(1, sizeof **out);
    if (!*out)
        return ERR_MEMORY;
    (*out)->engine = engine;
    return 0;
}

void frozen_clear(struct frozen *f)
{
    for (struct layout *l = f->layouts, *next; l; l = next) {
        next = l->next;
        buffer_destroy(device_of(f), &l->buffer);
        mem_free(l);
    }
    for (size_t i = 0; i < f->room; i++)
        for (struct frozen_place *p = f->places[i], *next; p; p = next) {
            next = p->next;
            mem_free(p);
        }
    for (struct shelf *s = f->shelves, *next; s; s = next) {
        next = s->next;
        buffer_destroy(device_of(f), &s->buffer);
        mem_free(s);
    }
    mem_free(f->places);
    *f = (struct frozen){.engine = f->engine};
}

void frozen_destroy(struct frozen *f)
{
    if (f)
        frozen_clear(f);
    mem_free(f);
}

struct frozen_place *frozen_find(const struct frozen *f, size_t id, enum number number)
{
    struct frozen_place *p = id < f->room ? f->places[id] : NULL;
    while (p && p->tensor.number != number)
        p = p->next;
    return p;
}

static int add_place(struct frozen *f, const struct frozen_tensor *t, size_t offset,
                     const struct buffer *buffer)
{
    if (t->id >= f->room) {
        const size_t room = 2 * t->id + 64;
        struct frozen_place **grown = mem_grow(f->places, f->room, room, sizeof(struct frozen_place *));
        if (!grown)
            return ERR_MEMORY;
        f->places = grown;
        f->room = room;
    }
    struct frozen_place *p = mem_alloc(1, sizeof *p);
    if (!p)
        return ERR_MEMORY;
    *p = (struct frozen_place){.next = f->places[t->id], .tensor = *t, .buffer = buffer, .offset = offset};
    f->places[t->id] = p;
    return 0;
}

int frozen_add(struct frozen *f, const struct frozen_tensor *tensors, size_t count)
{
    struct shelf *s = mem_alloc(1, sizeof *s);
    size_t bytes = 0;
    if (!s)
        return ERR_MEMORY;
    s->next = f->shelves;
    f->shelves = s;
    for (size_t i = 0; i < count; i++) {
        const struct frozen_tensor *t = &tensors[i];
        if (frozen_find(f, t->id, t->number))
            continue;
        TRY(add_place(f, t, bytes, &s->buffer));
        bytes += (t->count * number_bytes(t->number) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
    return bytes ? buffer_create(&s->buffer, device_of(f), BUFFER_DEVICE, bytes, "frozen weights") : 0;
}

uint64_t frozen_address(const struct frozen_place *at)
{
    return at->buffer->address + at->offset;
}

int frozen_is_filled(const struct frozen_place *at)
{
    return at->filled;
}

/* --- contents */

static void to_bits(enum number number, const float *data, uint16_t *bits, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bits[i] = number == NUMBER_FP16 ? half_from_float(data[i]) : bfloat_from_float(data[i]);
}

static void from_bits(enum number number, const uint16_t *bits, float *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] = number == NUMBER_FP16 ? half_to_float(bits[i]) : bfloat_to_float(bits[i]);
}

int frozen_write(struct frozen *f, struct frozen_place *at, const float *data)
{
    const struct frozen_tensor *t = &at->tensor;
    int rc;
    if (t->number == NUMBER_FP32) {
        rc = buffer_write(device_of(f), at->buffer, at->offset, data, t->count * sizeof *data);
    } else {
        uint16_t *bits = mem_alloc(t->count, sizeof *bits);
        if (!bits)
            return ERR_MEMORY;
        to_bits(t->number, data, bits, t->count);
        rc = buffer_write(device_of(f), at->buffer, at->offset, bits, t->count * sizeof *bits);
        mem_free(bits);
    }
    at->filled |= rc == 0;
    return rc;
}

int frozen_read(struct frozen *f, const struct frozen_place *at, float *data)
{
    const struct frozen_tensor *t = &at->tensor;
    if (t->number == NUMBER_FP32)
        return buffer_read(device_of(f), at->buffer, at->offset, data, t->count * sizeof *data);
    uint16_t *bits = mem_alloc(t->count, sizeof *bits);
    if (!bits)
        return ERR_MEMORY;
    int rc = buffer_read(device_of(f), at->buffer, at->offset, bits, t->count * sizeof *bits);
    if (rc == 0)
        from_bits(t->number, bits, data, t->count);
    mem_free(bits);
    return rc;
}

/* --- layouts */

void frozen_layouts_begin(struct frozen *f)
{
    for (struct layout *l = f->layouts; l; l = l->next)
        l->state = l->state == STATE_FILLED ? STATE_FILLED : STATE_NEW;
}

void frozen_layouts_filled(struct frozen *f)
{
    for (struct layout *l = f->layouts; l; l = l->next)
        l->state = l->state == STATE_NEW ? STATE_NEW : STATE_FILLED;
}

static int add_layout(struct frozen *f, const struct frozen_place *at, int layout, size_t bytes)
{
    struct layout *l = mem_alloc(1, sizeof *l);
    if (!l)
        return ERR_MEMORY;
    int rc = buffer_create(&l->buffer, device_of(f), BUFFER_DEVICE, bytes, at->tensor.name);
    if (rc < 0) {
        mem_free(l);
        return rc;
    }
    l->of = at;
    l->layout = layout;
    l->next = f->layouts;
    f->layouts = l;
    return 0;
}

static struct layout *find_layout(const struct frozen *f, const struct frozen_place *at, int layout)
{
    struct layout *l = f->layouts;
    while (l && (l->of != at || l->layout != layout))
        l = l->next;
    return l;
}

int frozen_layout(struct frozen *f, const struct frozen_place *at, int layout, size_t bytes,
                  uint64_t *address, int *fresh)
{
    if (!find_layout(f, at, layout))
        TRY(add_layout(f, at, layout, bytes));
    struct layout *l = find_layout(f, at, layout);
    *address = l->buffer.address;
    *fresh = l->state == STATE_NEW;
    l->state = *fresh ? STATE_ASKED : l->state;
    return 0;
}

struct frozen_memory frozen_memory(const struct frozen *f)
{
    struct frozen_memory m = {0};
    for (const struct shelf *s = f->shelves; s; s = s->next)
        m.tensors += s->buffer.size;
    for (const struct layout *l = f->layouts; l; l = l->next)
        m.layouts += l->buffer.size;
    return m;
}
