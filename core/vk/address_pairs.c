/* address_pairs.c - see address_pairs.h.
 *
 * One pass over the instructions. Everything before the first function goes to `head`, the rest to `body`, so
 * that constants and types can still be added while functions are rewritten. The id of the 64-bit type becomes
 * that of the vector type; where the module has such a vector type of its own, one stands for both. */
#include "address_pairs.h"

#include "error.h"
#include "memory.h"
#include "spirv_words.h"

enum { /* opcodes, from the SPIR-V specification */
       OP_CAPABILITY = 17,
       OP_TYPE_INT = 21,
       OP_TYPE_VECTOR = 23,
       OP_TYPE_ARRAY = 28,
       OP_TYPE_RUNTIME_ARRAY = 29,
       OP_TYPE_STRUCT = 30,
       OP_TYPE_POINTER = 32,
       OP_TYPE_FUNCTION = 33,
       OP_CONSTANT = 43,
       OP_CONSTANT_COMPOSITE = 44,
       OP_SPEC_CONSTANT_COMPOSITE = 51,
       OP_SPEC_CONSTANT_OP = 52,
       OP_FUNCTION = 54,
       OP_FUNCTION_PARAMETER = 55,
       OP_FUNCTION_CALL = 57,
       OP_LOAD = 61,
       OP_COMPOSITE_CONSTRUCT = 80,
       OP_COMPOSITE_EXTRACT = 81,
       OP_COPY_OBJECT = 83,
       OP_CONVERT_F_TO_U = 109,
       OP_U_CONVERT = 113,
       OP_CONVERT_PTR_TO_U = 117,
       OP_CONVERT_U_TO_PTR = 120,
       OP_BITCAST = 124,
       OP_I_ADD = 128,
       OP_I_MUL = 132,
       OP_I_ADD_CARRY = 149,
       OP_U_MUL_EXTENDED = 151,
       OP_SELECT = 169,
       OP_COMPARE_FIRST = 170,
       OP_COMPARE_LAST = 191,
       OP_SHIFT_RIGHT = 194,
       OP_SHIFT_LEFT = 196,
       OP_OR = 197,
       OP_XOR = 198,
       OP_AND = 199,
       OP_PHI = 245,
};
enum { CAPABILITY_INT64 = 11, STORAGE_PHYSICAL = 5349 };

enum sign { UNSIGNED, SIGNED };
enum { KIND_NONE, KIND_UNSIGNED, KIND_SIGNED }; /* of a value: what its 64-bit type was, + 1 */

struct pass {
    struct spirv_words head, body, *now;
    uint32_t old_bound, bound;
    uint32_t word[2], pair[2], wide[2]; /* ids of types by sign: 32 bits, vectors of two, what was 64 bits */
    uint32_t own_pair[2];               /* vectors that the module has itself, 0: none */
    int word_there[2], pair_there[2];   /* already declared */
    uint32_t zero[2], two_words;        /* constants 0; the struct of two words */
    unsigned char *kind;                /* of every id of the module */
    unsigned char *address;             /* of every id: a type of addresses */
    uint32_t *low;                      /* of constants: the id of the low word */
    uint32_t *number;                   /* of constants: their lowest 32 bits */
    int rc;
};

static void put_to(struct pass *p, struct spirv_words *w, uint32_t op, const uint32_t *operands,
                   uint32_t count)
{
    if (spirv_put(w, op, operands, count) < 0)
        p->rc = ERR_MEMORY;
}

#define PUT_TO(p, words, op, ...)                         \
    put_to(p, words, op, (const uint32_t[]){__VA_ARGS__}, \
           (uint32_t)(sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t)))
#define PUT(p, op, ...) PUT_TO(p, (p)->now, op, __VA_ARGS__)

static void declare_word(struct pass *p, enum sign s)
{
    if (p->word_there[s])
        return;
    p->word_there[s] = 1;
    if (!p->word[s])
        p->word[s] = p->bound++;
    PUT_TO(p, &p->head, OP_TYPE_INT, p->word[s], 32, s == SIGNED);
    p->zero[s] = p->bound++;
    PUT_TO(p, &p->head, OP_CONSTANT, p->word[s], p->zero[s], 0);
}

static void declare_pair(struct pass *p, enum sign s)
{
    if (p->pair_there[s])
        return;
    declare_word(p, s);
    p->pair_there[s] = 1;
    p->pair[s] = p->wide[s] ? p->wide[s] : p->own_pair[s] ? p->own_pair[s] : p->bound++;
    PUT_TO(p, &p->head, OP_TYPE_VECTOR, p->pair[s], p->word[s], 2);
}

static uint32_t constant(struct pass *p, enum sign s, uint32_t value)
{
    if (value == 0)
        return p->zero[s];
    uint32_t id = p->bound++;
    PUT_TO(p, &p->head, OP_CONSTANT, p->word[s], id, value);
    return id;
}

static uint32_t two_words(struct pass *p)
{
    if (!p->two_words) {
        p->two_words = p->bound++;
        PUT_TO(p, &p->head, OP_TYPE_STRUCT, p->two_words, p->word[UNSIGNED], p->word[UNSIGNED]);
    }
    return p->two_words;
}

static void refuse(struct pass *p, uint32_t op)
{
    if (p->rc == 0)
        p->rc = fail(
            ERR_DEVICE,
            "it computes with 64-bit integers (operation %u of SPIR-V) in a way that a device without them "
            "cannot",
            (unsigned)op);
}

/* New values in the function's code. */
static uint32_t binary(struct pass *p, uint32_t op, uint32_t type, uint32_t a, uint32_t b)
{
    uint32_t id = p->bound++;
    PUT(p, op, type, id, a, b);
    return id;
}

static uint32_t word_op(struct pass *p, uint32_t op, uint32_t a, uint32_t b)
{
    return binary(p, op, p->word[UNSIGNED], a, b);
}

static uint32_t part(struct pass *p, uint32_t whole, uint32_t which)
{
    uint32_t id = p->bound++;
    PUT(p, OP_COMPOSITE_EXTRACT, p->word[UNSIGNED], id, whole, which);
    return id;
}

static uint32_t unsigned_pair(struct pass *p, uint32_t value)
{
    if (value >= p->old_bound || p->kind[value] != KIND_SIGNED)
        return value;
    uint32_t id = p->bound++;
    PUT(p, OP_BITCAST, p->pair[UNSIGNED], id, value);
    return id;
}

static void split(struct pass *p, uint32_t value, uint32_t parts[2])
{
    uint32_t whole = unsigned_pair(p, value);
    parts[0] = part(p, whole, 0);
    parts[1] = part(p, whole, 1);
}

/* The result `id`, of a kind, from its two words. */
static void join(struct pass *p, int kind, uint32_t id, uint32_t low, uint32_t high)
{
    if (kind == KIND_UNSIGNED) {
        PUT(p, OP_COMPOSITE_CONSTRUCT, p->pair[UNSIGNED], id, low, high);
        return;
    }
    uint32_t whole = p->bound++;
    PUT(p, OP_COMPOSITE_CONSTRUCT, p->pair[UNSIGNED], whole, low, high);
    PUT(p, OP_BITCAST, p->pair[SIGNED], id, whole);
}

static void add_pairs(struct pass *p, int kind, const uint32_t *a)
{
    uint32_t x[2], y[2];
    split(p, a[2], x);
    split(p, a[3], y);
    uint32_t sum = binary(p, OP_I_ADD_CARRY, two_words(p), x[0], y[0]);
    uint32_t high = word_op(p, OP_I_ADD, word_op(p, OP_I_ADD, x[1], y[1]), part(p, sum, 1));
    join(p, kind, a[1], part(p, sum, 0), high);
}

static void multiply_pairs(struct pass *p, int kind, const uint32_t *a)
{
    uint32_t x[2], y[2];
    split(p, a[2], x);
    split(p, a[3], y);
    uint32_t product = binary(p, OP_U_MUL_EXTENDED, two_words(p), x[0], y[0]);
    uint32_t cross = word_op(p, OP_I_ADD, word_op(p, OP_I_MUL, x[0], y[1]), word_op(p, OP_I_MUL, x[1], y[0]));
    join(p, kind, a[1], part(p, product, 0), word_op(p, OP_I_ADD, part(p, product, 1), cross));
}

/* By a constant number of bits, with zeros moved in. */
static void shift_pair(struct pass *p, uint32_t op, int kind, const uint32_t *a)
{
    uint32_t x[2], by = a[3] < p->old_bound ? p->number[a[3]] : 0;
    if (by == 0 || by > 63) {
        refuse(p, op);
        return;
    }
    split(p, a[2], x);
    /* `from` loses bits to `to`, which is what remains when all of it has moved */
    uint32_t from = op == OP_SHIFT_RIGHT ? x[1] : x[0], to = op == OP_SHIFT_RIGHT ? x[0] : x[1];
    uint32_t back = op == OP_SHIFT_RIGHT ? OP_SHIFT_LEFT : OP_SHIFT_RIGHT;
    if (by >= 32) {
        to = by == 32 ? from : word_op(p, op, from, constant(p, UNSIGNED, by - 32));
        from = p->zero[UNSIGNED];
    } else {
        uint32_t amount = constant(p, UNSIGNED, by), rest = constant(p, UNSIGNED, 32 - by);
        to = word_op(p, OP_OR, word_op(p, op, to, amount), word_op(p, back, from, rest));
        from = word_op(p, op, from, amount);
    }
    join(p, kind, a[1], op == OP_SHIFT_RIGHT ? to : from, op == OP_SHIFT_RIGHT ? from : to);
}

/* 64-bit constants: composites of words. */
static void constant_pair(struct pass *p, int kind, const uint32_t *a)
{
    enum sign s = kind == KIND_SIGNED ? SIGNED : UNSIGNED;
    p->low[a[1]] = constant(p, s, a[2]);
    PUT(p, OP_CONSTANT_COMPOSITE, p->pair[s], a[1], p->low[a[1]], constant(p, s, a[3]));
}

static void spec_pair(struct pass *p, int kind, const uint32_t *a)
{
    enum sign s = kind == KIND_SIGNED ? SIGNED : UNSIGNED;
    uint32_t low = p->bound++;
    if (a[2] == OP_U_CONVERT) {
        p->bound--;
        low = a[3];
    } else if ((a[2] == OP_I_ADD || a[2] == OP_I_MUL) && p->low[a[3]] && p->low[a[4]]) {
        PUT(p, OP_SPEC_CONSTANT_OP, p->word[s], low, a[2], p->low[a[3]], p->low[a[4]]);
    } else {
        refuse(p, a[2]);
    }
    p->low[a[1]] = low;
    PUT(p, OP_SPEC_CONSTANT_COMPOSITE, p->pair[s], a[1], low, p->zero[s]);
}

/* An instruction whose result was 64 bits wide. */
static void rewrite_wide(struct pass *p, uint32_t op, const uint32_t *a, uint32_t count, int kind)
{
    uint32_t type = p->pair[kind - 1], word;
    int from = count > 2 && a[2] < p->old_bound ? p->kind[a[2]] : KIND_NONE;
    switch (op) {
    case OP_CONSTANT: constant_pair(p, kind, a); break;
    case OP_SPEC_CONSTANT_OP: spec_pair(p, kind, a); break;
    case OP_CONVERT_PTR_TO_U: PUT(p, OP_BITCAST, type, a[1], a[2]); break;
    case OP_BITCAST: PUT(p, from == kind ? OP_COPY_OBJECT : OP_BITCAST, type, a[1], a[2]); break;
    case OP_I_ADD: add_pairs(p, kind, a); break;
    case OP_I_MUL: multiply_pairs(p, kind, a); break;
    case OP_SHIFT_RIGHT:
    case OP_SHIFT_LEFT: shift_pair(p, op, kind, a); break;
    case OP_U_CONVERT:
        if (from)
            refuse(p, op);
        join(p, kind, a[1], a[2], p->zero[UNSIGNED]);
        break;
    case OP_CONVERT_F_TO_U:
        word = p->bound++;
        PUT(p, op, p->word[UNSIGNED], word, a[2]);
        join(p, kind, a[1], word, p->zero[UNSIGNED]);
        break;
    case OP_FUNCTION_PARAMETER:
    case OP_FUNCTION_CALL:
    case OP_LOAD:
    case OP_COPY_OBJECT:
    case OP_COMPOSITE_EXTRACT:
    case OP_OR:
    case OP_XOR:
    case OP_AND:
    case OP_SELECT: /* of SPIR-V 1.4 on, one condition may choose a vector */
    case OP_PHI: put_to(p, p->now, op, a, count); break;
    default: refuse(p, op);
    }
}

/* An instruction with another result, or none. */
static void rewrite_other(struct pass *p, uint32_t op, const uint32_t *a, uint32_t count)
{
    int from = count > 2 && a[2] < p->old_bound ? p->kind[a[2]] : KIND_NONE;
    if (from && op == OP_CONVERT_U_TO_PTR) {
        PUT(p, OP_BITCAST, a[0], a[1], unsigned_pair(p, a[2]));
    } else if (!from && op == OP_BITCAST && p->address[a[0]] && p->pair_there[UNSIGNED]) {
        /* from one type of address to another: SwiftShader knows only the way through words */
        uint32_t words = p->bound++;
        PUT(p, OP_BITCAST, p->pair[UNSIGNED], words, a[2]);
        PUT(p, OP_BITCAST, a[0], a[1], words);
    } else if (from && op == OP_U_CONVERT && a[0] == p->word[UNSIGNED]) {
        PUT(p, OP_COMPOSITE_EXTRACT, a[0], a[1], unsigned_pair(p, a[2]), 0);
    } else if (from && (op == OP_U_CONVERT || (op >= OP_COMPARE_FIRST && op <= OP_COMPARE_LAST))) {
        refuse(p, op);
    } else {
        put_to(p, p->now, op, a, count);
    }
}

/* Types: those of 64 bits and what stands for them are declared where the first of them was. 1: done. */
static int rewrite_type(struct pass *p, uint32_t op, const uint32_t *a)
{
    for (int s = 0; s < 2; s++) {
        if (op == OP_TYPE_INT && a[0] == p->word[s]) {
            declare_word(p, (enum sign)s);
            return 1;
        }
        if ((op == OP_TYPE_INT && a[0] == p->wide[s]) || (op == OP_TYPE_VECTOR && a[0] == p->own_pair[s])) {
            declare_pair(p, (enum sign)s);
            if (s == SIGNED)
                declare_pair(p, UNSIGNED);
            return 1;
        }
    }
    return 0;
}

/* Ids of types in an instruction: the module's own vector becomes the one that stands for both. */
static void rename_types(const struct pass *p, uint32_t op, uint32_t *a, uint32_t count)
{
    uint32_t first = 0, last = 1;
    if (op == OP_TYPE_POINTER)
        first = 2, last = 3;
    else if (op == OP_TYPE_ARRAY || op == OP_TYPE_RUNTIME_ARRAY)
        first = 1, last = 2;
    else if (op == OP_TYPE_STRUCT || op == OP_TYPE_FUNCTION)
        first = 1, last = count;
    for (uint32_t i = first; i < last && i < count; i++)
        for (int s = 0; s < 2; s++)
            if (p->wide[s] && p->own_pair[s] && a[i] == p->own_pair[s])
                a[i] = p->wide[s];
}

static void rewrite(struct pass *p, uint32_t op, uint32_t *a, uint32_t count)
{
    if (op == OP_CAPABILITY && a[0] == CAPABILITY_INT64)
        return;
    if (op == OP_FUNCTION)
        p->now = &p->body;
    if (op > OP_CAPABILITY && op != OP_TYPE_VECTOR && op != OP_TYPE_INT)
        rename_types(p, op, a, count);
    if (rewrite_type(p, op, a))
        return;
    if (op == OP_CONSTANT && a[1] < p->old_bound)
        p->number[a[1]] = a[2];
    for (int s = 0; s < 2; s++)
        if (op >= OP_CONSTANT && count > 1 && p->wide[s] && a[0] == p->wide[s] && a[1] < p->old_bound &&
            p->kind[a[1]] == s + 1) {
            rewrite_wide(p, op, a, count, s + 1);
            return;
        }
    rewrite_other(p, op, a, count);
}

/* Finds the types, and which values are 64 bits wide: operands may come before what they are (loops). */
static int look(void *pass, uint32_t op, uint32_t *a, uint32_t count)
{
    struct pass *p = pass;
    if (op == OP_TYPE_INT && count == 3 && a[2] < 2)
        *(a[1] == 64 ? &p->wide[a[2]] : a[1] == 32 ? &p->word[a[2]] : &(uint32_t){0}) = a[0];
    if (op == OP_TYPE_POINTER && count == 3 && a[1] == STORAGE_PHYSICAL && a[0] < p->old_bound)
        p->address[a[0]] = 1;
    for (uint32_t s = 0; s < 2; s++) {
        if (op == OP_TYPE_VECTOR && count == 3 && a[1] == p->word[s] && a[2] == 2)
            p->own_pair[s] = a[0];
        if (op >= OP_CONSTANT && count > 1 && p->wide[s] && a[0] == p->wide[s] && a[1] < p->old_bound)
            p->kind[a[1]] = (unsigned char)(s + 1);
    }
    return 0;
}

static int see(void *pass, uint32_t op, uint32_t *operands, uint32_t count)
{
    struct pass *p = pass;
    rewrite(p, op, operands, count);
    return p->rc;
}

int address_pairs(const uint32_t *words, size_t bytes, uint32_t **out, size_t *out_bytes)
{
    struct pass p = {0};
    int rc = ERR_MEMORY;
    *out = NULL;
    p.old_bound = p.bound = bytes / 4 > SPIRV_HEAD ? words[SPIRV_BOUND] : 1;
    p.kind = mem_alloc(p.old_bound, 1);
    p.address = mem_alloc(p.old_bound, 1);
    p.low = mem_alloc(p.old_bound, sizeof *p.low);
    p.number = mem_alloc(p.old_bound, sizeof *p.number);
    p.now = &p.head;
    if (!p.kind || !p.address || !p.low || !p.number)
        goto out;
    TRY_OUT(spirv_each(words, bytes, look, &p));
    TRY_OUT(spirv_copy(&p.head, words, SPIRV_HEAD));
    TRY_OUT(spirv_each(words, bytes, see, &p));
    TRY_OUT(spirv_copy(&p.head, p.body.list, p.body.count));
    p.head.list[SPIRV_BOUND] = p.bound;
    *out = p.head.list;
    *out_bytes = p.head.count * 4;
    p.head.list = NULL;
out:
    spirv_free(&p.head);
    spirv_free(&p.body);
    mem_free(p.kind);
    mem_free(p.address);
    mem_free(p.low);
    mem_free(p.number);
    return rc;
}
