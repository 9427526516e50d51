/* bank.c - see bank.h. */
#include "bank.h"

#include "error.h"
#include "memory.h"

struct bank {
    struct engine *engine;
    struct bank_tensor *tensors;
    size_t count, arena_floats;
    size_t *offset;               /* of each trainable tensor, in floats, in the arenas */
    struct frozen *own, *shared;  /* shared: lent, or NULL */
    struct frozen_place **places; /* of each frozen tensor, in one of the two */
    struct buffer arenas[BANK_ARENAS], factors;
};

static struct device *device_of(const struct bank *b)
{
    return engine_device(b->engine);
}

enum number bank_number(const struct bank *b, size_t id)
{
    return b->tensors[id].kind == LEAF_TRAINABLE ? NUMBER_FP32 : b->tensors[id].number;
}

/* Where the frozen tensors that this bank has for itself, or else shares, lie: those must be there. */
static int place_frozen(struct bank *b, struct frozen *in, int shared)
{
    size_t count = 0;
    struct frozen_tensor *list = mem_alloc(b->count, sizeof *list);
    if (!list)
        return ERR_MEMORY;
    for (size_t i = 0; i < b->count; i++) {
        const struct bank_tensor *t = &b->tensors[i];
        if (t->kind == LEAF_FROZEN && (b->shared && t->shared) == shared)
            list[count++] = (struct frozen_tensor){t->name, i, (size_t)shape_count(t->shape), t->number};
    }
    int rc = frozen_add(in, list, count);
    for (size_t i = 0; i < count && rc == 0; i++)
        b->places[list[i].id] = frozen_find(in, list[i].id, list[i].number);
    mem_free(list);
    return rc;
}

static void place_trainable(struct bank *b)
{
    for (size_t i = 0; i < b->count; i++)
        if (b->tensors[i].kind == LEAF_TRAINABLE) {
            const size_t floats = (size_t)shape_count(b->tensors[i].shape);
            b->offset[i] = b->arena_floats;
            b->arena_floats += (floats + BANK_BLOCK - 1) / BANK_BLOCK * BANK_BLOCK;
        }
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

static int bank_allocate(struct bank *b)
{
    static const char *const names[BANK_ARENAS] = {"weights", "gradients", "first moments", "second moments"};
    struct device *d = device_of(b);
    TRY(place_frozen(b, b->own, 0));
    if (b->shared)
        TRY(place_frozen(b, b->shared, 1));
    place_trainable(b);
    if (!b->arena_floats)
        return 0;
    for (int a = 0; a < BANK_ARENAS; a++)
        TRY(buffer_create(&b->arenas[a], d, BUFFER_DEVICE, b->arena_floats * sizeof(float), names[a]));
    TRY(buffer_create(&b->factors, d, BUFFER_DEVICE, b->arena_floats / BANK_BLOCK * 2 * sizeof(float),
                      "optimizer factors"));
    return bank_write_factors(b);
}

int bank_create_beside(struct bank **out, struct engine *engine, const struct bank_tensor *tensors,
                       size_t count, struct frozen *shared)
{
    int rc = ERR_MEMORY;
    struct bank *b = mem_alloc(1, sizeof *b);
    if (!b)
        return ERR_MEMORY;
    b->engine = engine;
    b->count = count;
    b->shared = shared;
    b->tensors = mem_alloc(count, sizeof *b->tensors);
    b->offset = mem_alloc(count, sizeof *b->offset);
    b->places = mem_alloc(count, sizeof(struct frozen_place *));
    if (!b->tensors || !b->offset || !b->places)
        goto out;
    for (size_t i = 0; i < count; i++)
        b->tensors[i] = tensors[i];
    TRY_OUT(frozen_create(&b->own, engine));
    TRY_OUT(bank_allocate(b));
    *out = b;
    return 0;
out:
    bank_destroy(b);
    return rc;
}

int bank_create(struct bank **out, struct engine *engine, const struct bank_tensor *tensors, size_t count)
{
    return bank_create_beside(out, engine, tensors, count, NULL);
}

void bank_destroy(struct bank *b)
{
    if (!b)
        return;
    struct device *d = device_of(b);
    for (int a = 0; a < BANK_ARENAS; a++)
        buffer_destroy(d, &b->arenas[a]);
    frozen_destroy(b->own);
    buffer_destroy(d, &b->factors);
    mem_free(b->places);
    mem_free(b->offset);
    mem_free(b->tensors);
    mem_free(b);
}

struct engine *bank_engine(const struct bank *b)
{
    return b->engine;
}

static size_t bytes_of(const struct bank *b, size_t id)
{
    return (size_t)shape_count(b->tensors[id].shape) * sizeof(float);
}

/* The bank that the place of a frozen tensor belongs to. */
static struct frozen *home(const struct bank *b, size_t id)
{
    return b->shared && b->tensors[id].shared ? b->shared : b->own;
}

int bank_has_contents(const struct bank *b, size_t id)
{
    return b->places[id] && home(b, id) == b->shared && frozen_is_filled(b->places[id]);
}

int bank_write(struct bank *b, size_t id, const float *data)
{
    if (bank_has_contents(b, id))
        return fail(ERR_INPUT,
                    "%s is frozen and shared by packed trials; it cannot be written for one of them",
                    b->tensors[id].name);
    if (b->places[id])
        return frozen_write(home(b, id), b->places[id], data);
    return buffer_write(device_of(b), &b->arenas[BANK_WEIGHTS], b->offset[id] * sizeof(float), data,
                        bytes_of(b, id));
}

int bank_read(struct bank *b, size_t id, float *data)
{
    if (b->places[id])
        return frozen_read(home(b, id), b->places[id], data);
    return buffer_read(device_of(b), &b->arenas[BANK_WEIGHTS], b->offset[id] * sizeof(float), data,
                       bytes_of(b, id));
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
    const struct frozen_memory own = frozen_memory(b->own);
    struct bank_memory m = {.frozen = own.tensors,
                            .layouts = own.layouts,
                            .weights = b->arenas[BANK_WEIGHTS].size,
                            .gradients = b->arenas[BANK_GRADIENTS].size,
                            .moments = b->arenas[BANK_FIRST].size + b->arenas[BANK_SECOND].size,
                            .factors = b->factors.size};
    return m;
}

uint64_t bank_address(const struct bank *b, size_t id)
{
    return b->places[id] ? frozen_address(b->places[id])
                         : b->arenas[BANK_WEIGHTS].address + b->offset[id] * sizeof(float);
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

void bank_layouts_begin(struct bank *b)
{
    frozen_layouts_begin(b->own);
    if (b->shared)
        frozen_layouts_begin(b->shared);
}

void bank_layouts_filled(struct bank *b)
{
    frozen_layouts_filled(b->own);
    if (b->shared)
        frozen_layouts_filled(b->shared);
}

int bank_layout(struct bank *b, size_t id, int layout, size_t bytes, uint64_t *address, int *fresh)
{
    return frozen_layout(home(b, id), b->places[id], layout, bytes, address, fresh);
}
