/* bank.c - see bank.h. */
#include "bank.h"

#include "error.h"
#include "half.h"
#include "memory.h"

struct layout {
    struct layout *next;
    size_t id;
    int layout, filled;
    struct buffer buffer;
};

struct bank {
    struct engine *engine;
    struct bank_tensor *tensors;
    size_t count, arena_floats;
    size_t *offset; /* of each tensor, in floats, in the frozen buffer or the arenas */
    struct buffer frozen, arenas[BANK_ARENAS], factors;
    struct layout *layouts;
};

static struct device *device_of(const struct bank *b)
{
    return engine_device(b->engine);
}

enum number bank_number(const struct bank *b, size_t id)
{
    return b->tensors[id].kind == LEAF_TRAINABLE ? NUMBER_FP32 : b->tensors[id].number;
}

/* Offsets of all tensors; returns the floats of the frozen ones. */
static size_t bank_place(struct bank *b)
{
    size_t frozen = 0;
    for (size_t i = 0; i < b->count; i++) {
        size_t *total = b->tensors[i].kind == LEAF_TRAINABLE ? &b->arena_floats : &frozen;
        size_t bytes = (size_t)shape_count(b->tensors[i].shape) * number_bytes(bank_number(b, i)),
               block = BANK_BLOCK * sizeof(float);
        b->offset[i] = *total;
        *total += (bytes + block - 1) / block * BANK_BLOCK;
    }
    return frozen;
}

static int bank_write_factors(struct bank *b)
{
    size_t blocks = b->arena_floats / BANK_BLOCK, n = 0;
    float *factors = mem_alloc(blocks, 2 * sizeof *factors);
    if (!factors)
        return ERR_MEMORY;
    for (size_t i = 0; i < b->count; i++) {
        const struct bank_tensor *t = &b->tensors[i];
        size_t of_tensor = ((size_t)shape_count(t->shape) + BANK_BLOCK - 1) / BANK_BLOCK;
        for (size_t k = 0; t->kind == LEAF_TRAINABLE && k < of_tensor; k++, n++) {
            factors[2 * n] = t->lr_mul;
            factors[2 * n + 1] = t->no_decay ? 0 : 1;
        }
    }
    int rc = buffer_write(device_of(b), &b->factors, 0, factors, blocks * 2 * sizeof *factors);
    mem_free(factors);
    return rc;
}

static int bank_allocate(struct bank *b, size_t frozen)
{
    static const char *const names[BANK_ARENAS] = {"weights", "gradients", "first moments", "second moments"};
    struct device *d = device_of(b);
    if (frozen)
        TRY(buffer_create(&b->frozen, d, BUFFER_DEVICE, frozen * sizeof(float), "frozen weights"));
    if (!b->arena_floats)
        return 0;
    for (int a = 0; a < BANK_ARENAS; a++)
        TRY(buffer_create(&b->arenas[a], d, BUFFER_DEVICE, b->arena_floats * sizeof(float), names[a]));
    TRY(buffer_create(&b->factors, d, BUFFER_DEVICE, b->arena_floats / BANK_BLOCK * 2 * sizeof(float),
                      "optimizer factors"));
    return bank_write_factors(b);
}

int bank_create(struct bank **out, struct engine *engine, const struct bank_tensor *tensors, size_t count)
{
    int rc = ERR_MEMORY;
    struct bank *b = mem_alloc(1, sizeof *b);
    if (!b)
        return ERR_MEMORY;
    b->engine = engine;
    b->count = count;
    b->tensors = mem_alloc(count, sizeof *b->tensors);
    b->offset = mem_alloc(count, sizeof *b->offset);
    if (!b->tensors || !b->offset)
        goto out;
    for (size_t i = 0; i < count; i++)
        b->tensors[i] = tensors[i];
    TRY_OUT(bank_allocate(b, bank_place(b)));
    *out = b;
    return 0;
out:
    bank_destroy(b);
    return rc;
}

void bank_destroy(struct bank *b)
{
    if (!b)
        return;
    struct device *d = device_of(b);
    for (struct layout *l = b->layouts, *next; l; l = next) {
        next = l->next;
        buffer_destroy(d, &l->buffer);
        mem_free(l);
    }
    for (int a = 0; a < BANK_ARENAS; a++)
        buffer_destroy(d, &b->arenas[a]);
    buffer_destroy(d, &b->frozen);
    buffer_destroy(d, &b->factors);
    mem_free(b->offset);
    mem_free(b->tensors);
    mem_free(b);
}

struct engine *bank_engine(const struct bank *b)
{
    return b->engine;
}

static const struct buffer *home(const struct bank *b, size_t id)
{
    return b->tensors[id].kind == LEAF_TRAINABLE ? &b->arenas[BANK_WEIGHTS] : &b->frozen;
}

static size_t bytes_of(const struct bank *b, size_t id)
{
    return (size_t)shape_count(b->tensors[id].shape) * sizeof(float);
}

/* Between floats and what a tensor is kept as. */
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

static int transfer_bits(struct bank *b, size_t id, const float *from, float *to)
{
    size_t count = (size_t)shape_count(b->tensors[id].shape), bytes = count * sizeof(uint16_t),
           offset = b->offset[id] * sizeof(float);
    uint16_t *bits = mem_alloc(count, sizeof *bits);
    if (!bits)
        return ERR_MEMORY;
    if (from)
        to_bits(bank_number(b, id), from, bits, count);
    int rc = from ? buffer_write(device_of(b), &b->frozen, offset, bits, bytes)
                  : buffer_read(device_of(b), &b->frozen, offset, bits, bytes);
    if (rc == 0 && to)
        from_bits(bank_number(b, id), bits, to, count);
    mem_free(bits);
    return rc;
}

int bank_write(struct bank *b, size_t id, const float *data)
{
    if (bank_number(b, id) != NUMBER_FP32)
        return transfer_bits(b, id, data, NULL);
    return buffer_write(device_of(b), home(b, id), b->offset[id] * sizeof(float), data, bytes_of(b, id));
}

int bank_read(struct bank *b, size_t id, float *data)
{
    if (bank_number(b, id) != NUMBER_FP32)
        return transfer_bits(b, id, NULL, data);
    return buffer_read(device_of(b), home(b, id), b->offset[id] * sizeof(float), data, bytes_of(b, id));
}

int bank_read_gradient(struct bank *b, size_t id, float *data)
{
    return buffer_read(device_of(b), &b->arenas[BANK_GRADIENTS], b->offset[id] * sizeof(float), data,
                       bytes_of(b, id));
}

size_t bank_arena_floats(const struct bank *b)
{
    return b->arena_floats;
}

int bank_arena_read(struct bank *b, enum bank_arena arena, float *data)
{
    return buffer_read(device_of(b), &b->arenas[arena], 0, data, b->arena_floats * sizeof(float));
}

int bank_arena_write(struct bank *b, enum bank_arena arena, const float *data)
{
    return buffer_write(device_of(b), &b->arenas[arena], 0, data, b->arena_floats * sizeof(float));
}

struct bank_memory bank_memory(const struct bank *b)
{
    struct bank_memory m = {.frozen = b->frozen.size,
                            .weights = b->arenas[BANK_WEIGHTS].size,
                            .gradients = b->arenas[BANK_GRADIENTS].size,
                            .moments = b->arenas[BANK_FIRST].size + b->arenas[BANK_SECOND].size,
                            .factors = b->factors.size};
    for (const struct layout *l = b->layouts; l; l = l->next)
        m.layouts += l->buffer.size;
    return m;
}

uint64_t bank_address(const struct bank *b, size_t id)
{
    return home(b, id)->address + b->offset[id] * sizeof(float);
}

uint64_t bank_gradient_address(const struct bank *b, size_t id)
{
    return b->tensors[id].kind == LEAF_TRAINABLE
               ? b->arenas[BANK_GRADIENTS].address + b->offset[id] * sizeof(float)
               : 0;
}

uint64_t bank_arena_address(const struct bank *b, enum bank_arena arena)
{
    return b->arenas[arena].address;
}

uint64_t bank_factors_address(const struct bank *b)
{
    return b->factors.address;
}

void bank_layouts_filled(struct bank *b)
{
    for (struct layout *l = b->layouts; l; l = l->next)
        l->filled = 1;
}

int bank_layout(struct bank *b, size_t id, int layout, size_t bytes, uint64_t *address, int *fresh)
{
    for (struct layout *l = b->layouts; l; l = l->next)
        if (l->id == id && l->layout == layout) {
            *address = l->buffer.address;
            *fresh = !l->filled;
            return 0;
        }
    struct layout *l = mem_alloc(1, sizeof *l);
    if (!l)
        return ERR_MEMORY;
    int rc = buffer_create(&l->buffer, device_of(b), BUFFER_DEVICE, bytes, b->tensors[id].name);
    if (rc < 0) {
        mem_free(l);
        return rc;
    }
    l->id = id;
    l->layout = layout;
    l->next = b->layouts;
    b->layouts = l;
    *address = l->buffer.address;
    *fresh = 1;
    return 0;
}
