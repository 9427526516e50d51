/* pair_memory.c - see pair_memory.h.
 *
 * Types first: wherever a type is made of an address, it is made of the vector instead, which therefore comes before
 * all of them. Values stay what they were; only what goes into memory or an aggregate, or comes out of it, is
 * cast. */
#include "pair_memory.h"

#include "error.h"
#include "memory.h"
#include "spirv_words.h"

enum { /* opcodes, from the SPIR-V specification */
       OP_TYPE_FIRST = 19,
       OP_TYPE_INT = 21,
       OP_TYPE_VECTOR = 23,
       OP_TYPE_ARRAY = 28,
       OP_TYPE_RUNTIME_ARRAY = 29,
       OP_TYPE_STRUCT = 30,
       OP_TYPE_POINTER = 32,
       OP_TYPE_FORWARD_POINTER = 39,
       OP_CONSTANT_COMPOSITE = 44,
       OP_VARIABLE = 59,
       OP_LOAD = 61,
       OP_STORE = 62,
       OP_DECORATE = 71,
       OP_MEMBER_DECORATE = 72,
       OP_COMPOSITE_CONSTRUCT = 80,
       OP_COMPOSITE_EXTRACT = 81,
       OP_COMPOSITE_INSERT = 82,
       OP_BITCAST = 124
};
enum { STORAGE_PHYSICAL = 5349, RESTRICT_POINTER = 5355, ALIASED_POINTER = 5356 };

struct pass {
    struct spirv_words made; /* the new module */
    uint32_t old_bound, bound;
    uint32_t word, pair;     /* ids of their types */
    int declared;            /* both of them, in the new module */
    unsigned char *address;  /* of every id: a type of addresses */
    unsigned char *held;     /* of every id: a value of such a type */
    unsigned char *variable; /* of every id */
    int rc;
};

static void put(struct pass *p, uint32_t op, const uint32_t *operands, uint32_t count)
{
    if (spirv_put(&p->made, op, operands, count) < 0)
        p->rc = ERR_MEMORY;
}

#define PUT(p, op, ...)                         \
    put(p, op, (const uint32_t[]){__VA_ARGS__}, \
        (uint32_t)(sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)))

static int is_address_type(const struct pass *p, uint32_t id)
{
    return id < p->old_bound && p->address[id];
}

static int is_address(const struct pass *p, uint32_t id)
{
    return id < p->old_bound && p->held[id];
}

/* Whether operand 0 may be the type of a result: annotations name types, too. */
static int has_type(uint32_t op)
{
    return op >= OP_CONSTANT_COMPOSITE && op != OP_DECORATE && op != OP_MEMBER_DECORATE;
}

/* Types and variables, then the values of those types. */
static int look(void *pass, uint32_t op, uint32_t *a, uint32_t count)
{
    struct pass *p = pass;
    if (op == OP_TYPE_INT && count == 3 && a[1] == 32 && a[2] == 0)
        p->word = a[0];
    if (op == OP_TYPE_VECTOR && count == 3 && a[1] == p->word && a[2] == 2)
        p->pair = a[0];
    if (op == OP_TYPE_POINTER && count == 3 && a[1] == STORAGE_PHYSICAL && a[0] < p->old_bound)
        p->address[a[0]] = 1;
    if (op == OP_VARIABLE && count > 2 && a[1] < p->old_bound)
        p->variable[a[1]] = 1;
    if (has_type(op) && count > 1 && is_address_type(p, a[0]) && a[1] < p->old_bound)
        p->held[a[1]] = 1;
    return 0;
}

static void declare(struct pass *p)
{
    p->declared = 1;
    if (!p->word)
        p->word = p->bound++;
    if (!p->pair)
        p->pair = p->bound++;
    PUT(p, OP_TYPE_INT, p->word, 32, 0);
    PUT(p, OP_TYPE_VECTOR, p->pair, p->word, 2);
}

/* A type; those that are made of addresses are made of pairs. */
static void rewrite_type(struct pass *p, uint32_t op, uint32_t *a, uint32_t count)
{
    uint32_t first = count;
    if (!p->declared)
        declare(p);
    if ((op == OP_TYPE_INT && a[0] == p->word) || (op == OP_TYPE_VECTOR && a[0] == p->pair))
        return;
    if (op == OP_TYPE_STRUCT || op == OP_TYPE_ARRAY || op == OP_TYPE_RUNTIME_ARRAY)
        first = 1;
    else if (op == OP_TYPE_POINTER)
        first = 2;
    for (uint32_t i = first; i < count; i++)
        if (is_address_type(p, a[i]))
            a[i] = p->pair;
    put(p, op, a, count);
}

/* Operands from `first` on that are addresses: as pairs. */
static void cast(struct pass *p, uint32_t *a, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < count; i++)
        if (is_address(p, a[i])) {
            uint32_t id = p->bound++;
            PUT(p, OP_BITCAST, p->pair, id, a[i]);
            a[i] = id;
        }
}

static void rewrite(struct pass *p, uint32_t op, uint32_t *a, uint32_t count)
{
    uint32_t type = count ? a[0] : 0, id = count > 1 ? a[1] : 0;
    switch (op) {
    case OP_DECORATE: /* of variables that hold addresses: these hold none any more */
        if (count < 2 || (id != RESTRICT_POINTER && id != ALIASED_POINTER) || type >= p->old_bound ||
            !p->variable[type])
            put(p, op, a, count);
        return;
    case OP_STORE: cast(p, a, 1, count < 2 ? count : 2); break;
    case OP_COMPOSITE_CONSTRUCT: cast(p, a, 2, count); break;
    case OP_COMPOSITE_INSERT: cast(p, a, 2, count < 3 ? count : 3); break;
    case OP_LOAD:
    case OP_COMPOSITE_EXTRACT:
        if (!is_address_type(p, type))
            break;
        a[0] = p->pair;
        a[1] = p->bound++;
        put(p, op, a, count);
        PUT(p, OP_BITCAST, type, id, a[1]);
        return;
    case OP_CONSTANT_COMPOSITE:
        for (uint32_t i = 2; i < count; i++)
            if (is_address(p, a[i]) && p->rc == 0)
                p->rc = fail(ERR_DEVICE, "it has constant addresses, which a device without 64-bit integers "
                                         "cannot have");
        break;
    default:
        if ((op >= OP_TYPE_FIRST && op <= OP_TYPE_POINTER + 1) || op == OP_TYPE_FORWARD_POINTER) {
            rewrite_type(p, op, a, count);
            return;
        }
    }
    put(p, op, a, count);
}

static int see(void *pass, uint32_t op, uint32_t *operands, uint32_t count)
{
    struct pass *p = pass;
    rewrite(p, op, operands, count);
    return p->rc;
}

int pair_memory(const uint32_t *words, size_t bytes, uint32_t **out, size_t *out_bytes)
{
    struct pass p = {0};
    int rc = ERR_MEMORY;
    *out = NULL;
    p.old_bound = p.bound = bytes / 4 > SPIRV_HEAD ? words[SPIRV_BOUND] : 1;
    p.address = mem_alloc(p.old_bound, 1);
    p.held = mem_alloc(p.old_bound, 1);
    p.variable = mem_alloc(p.old_bound, 1);
    if (!p.address || !p.held || !p.variable)
        goto out;
    TRY_OUT(spirv_each(words, bytes, look, &p));
    TRY_OUT(spirv_copy(&p.made, words, SPIRV_HEAD));
    TRY_OUT(spirv_each(words, bytes, see, &p));
    p.made.list[SPIRV_BOUND] = p.bound;
    *out = p.made.list;
    *out_bytes = p.made.count * 4;
    p.made.list = NULL;
out:
    spirv_free(&p.made);
    mem_free(p.address);
    mem_free(p.held);
    mem_free(p.variable);
    return rc;
}
