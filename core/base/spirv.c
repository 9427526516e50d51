/* spirv.c - see spirv.h; numbers and layouts are those of the SPIR-V specification 1.5, sections 2.3 and 3. */
#include "spirv.h"

#include "error.h"
#include "memory.h"

#include <string.h>

enum {
    MAGIC = 0x07230203,
    HEADER_WORDS = 5,
    ID_LIMIT = 1 << 22,
    NEWEST = 1 << 16 | 5 << 8, /* what Vulkan 1.2 takes */
};
enum { /* opcodes */
       OP_MEMORY_MODEL = 14,
       OP_ENTRY_POINT = 15,
       OP_EXECUTION_MODE = 16,
       OP_CAPABILITY = 17,
       OP_TYPE_INT = 21,
       OP_TYPE_FLOAT = 22,
       OP_TYPE_STRUCT = 30,
       OP_TYPE_POINTER = 32,
       OP_FUNCTION = 54,
       OP_FUNCTION_END = 56,
       OP_VARIABLE = 59,
       OP_DECORATE = 71,
       OP_MEMBER_DECORATE = 72,
};
enum { /* their operands */
       MODEL_COMPUTE = 5,
       MODE_LOCAL_SIZE = 17,
       ADDRESSES_64 = 5348, /* PhysicalStorageBuffer64 */
       CLASS_PUSH = 9,
       DECORATION_BUILTIN = 11,
       BUILTIN_NUM_WORKGROUPS = 24,
       DECORATION_BINDING = 33,
       DECORATION_SET = 34,
       DECORATION_OFFSET = 35,
};

struct module {
    const uint32_t *words;
    size_t count;
    uint32_t bound;
    uint32_t *type_at; /* of each id: the word where its OpType.. begins; 0: none that is looked at */
    uint32_t push_struct, entry;
    int has_model, has_main, in_function;
};

static uint32_t length_at(const struct module *m, size_t at)
{
    return m->words[at] >> 16;
}

static int is_literal(const struct module *m, size_t at, size_t end, const char *text)
{
    size_t n = strlen(text) + 1;
    return (end - at) * 4 >= n && !memcmp(&m->words[at], text, n);
}

static int note_entry(struct module *m, size_t at, size_t end)
{
    if (end - at < 4 || m->words[at + 1] != MODEL_COMPUTE)
        return fail(ERR_INPUT, "it has an entry point that is not for compute");
    if (is_literal(m, at + 3, end, "main"))
        m->entry = m->words[at + 2];
    return 0;
}

static int note_type(struct module *m, size_t at, size_t end)
{
    if (end - at < 3 || m->words[at + 1] >= m->bound)
        return fail(ERR_INPUT, "the type at word %zu is cut off or out of bounds", at);
    m->type_at[m->words[at + 1]] = (uint32_t)at;
    return 0;
}

/* Bytes of a scalar or an address; of another type the 4 that it takes at least. */
static uint32_t size_of(const struct module *m, uint32_t type)
{
    size_t at = type < m->bound ? m->type_at[type] : 0;
    uint32_t op = at ? m->words[at] & 0xffff : 0;
    if (op == OP_TYPE_INT || op == OP_TYPE_FLOAT)
        return m->words[at + 2] <= 64 ? m->words[at + 2] / 8 : 4;
    return op == OP_TYPE_POINTER ? 8 : 4;
}

static int note_capability(struct spirv *out, const struct module *m, size_t at, size_t end)
{
    if (end - at < 2 || out->capability_count == SPIRV_CAPABILITIES)
        return fail(ERR_INPUT, "it lists more than %d capabilities", SPIRV_CAPABILITIES);
    out->capabilities[out->capability_count++] = m->words[at + 1];
    return 0;
}

static int note_decoration(struct spirv *out, const struct module *m, size_t at, size_t end)
{
    if (end - at < 3)
        return fail(ERR_INPUT, "the decoration at word %zu is cut off", at);
    if (m->words[at + 2] == DECORATION_SET || m->words[at + 2] == DECORATION_BINDING)
        return fail(ERR_INPUT, "it asks for a descriptor; memory comes as addresses in the push constants");
    out->counts_workgroups |= end - at > 3 && m->words[at + 2] == DECORATION_BUILTIN &&
                              m->words[at + 3] == BUILTIN_NUM_WORKGROUPS;
    return 0;
}

/* The block of push constants is a variable of that class; its type points to the struct. */
static int note_variable(struct module *m, size_t at, size_t end)
{
    if (end - at < 4)
        return fail(ERR_INPUT, "the variable at word %zu is cut off", at);
    uint32_t type = m->words[at + 1];
    if (m->words[at + 3] != CLASS_PUSH)
        return 0;
    if (type >= m->bound || !m->type_at[type] || (m->words[m->type_at[type]] & 0xffff) != OP_TYPE_POINTER)
        return fail(ERR_INPUT, "its push constants at word %zu have no type", at);
    m->push_struct = m->words[m->type_at[type] + 3];
    return 0;
}

/* Functions stand one behind the other. */
static int note_function(struct module *m, size_t at, size_t end)
{
    int begins = (m->words[at] & 0xffff) == OP_FUNCTION;
    if (begins == m->in_function || (begins && end - at < 5))
        return fail(ERR_INPUT, "the function at word %zu begins or ends where none can", at);
    m->in_function = begins;
    m->has_main |= begins && m->entry && m->words[at + 2] == m->entry;
    return 0;
}

/* One instruction of the words at .. end - 1. */
static int note(struct spirv *out, struct module *m, size_t at, size_t end)
{
    const uint32_t *w = &m->words[at];
    switch (w[0] & 0xffff) {
    case OP_CAPABILITY: return note_capability(out, m, at, end);
    case OP_ENTRY_POINT: return note_entry(m, at, end);
    case OP_MEMORY_MODEL:
        if (end - at < 3 || w[1] != ADDRESSES_64)
            return fail(ERR_INPUT, "it is not made for 64-bit buffer addresses (buffer_reference in GLSL)");
        m->has_model = 1;
        return 0;
    case OP_EXECUTION_MODE:
        if (end - at >= 6 && w[2] == MODE_LOCAL_SIZE)
            memcpy(out->local_size, &w[3], sizeof out->local_size);
        return 0;
    case OP_TYPE_INT:
    case OP_TYPE_FLOAT: return note_type(m, at, end);
    case OP_TYPE_POINTER:
        if (end - at < 4)
            return fail(ERR_INPUT, "the pointer type at word %zu is cut off", at);
        return note_type(m, at, end);
    case OP_FUNCTION:
    case OP_FUNCTION_END: return note_function(m, at, end);
    case OP_VARIABLE: return note_variable(m, at, end);
    case OP_DECORATE: return note_decoration(out, m, at, end);
    default: return 0;
    }
}

/* The struct's members: OpTypeStruct lists their types, OpMemberDecorate their offsets. */
static void measure_push(struct spirv *out, const struct module *m)
{
    size_t members = 0, count = 0;
    for (size_t at = HEADER_WORDS; at < m->count; at += length_at(m, at))
        if ((m->words[at] & 0xffff) == OP_TYPE_STRUCT && length_at(m, at) > 2 &&
            m->words[at + 1] == m->push_struct) {
            members = at + 2;
            count = length_at(m, at) - 2;
        }
    for (size_t at = HEADER_WORDS; at < m->count; at += length_at(m, at)) {
        const uint32_t *w = &m->words[at];
        if ((w[0] & 0xffff) != OP_MEMBER_DECORATE || length_at(m, at) < 5 || w[1] != m->push_struct ||
            w[3] != DECORATION_OFFSET || w[2] >= count || w[4] > UINT32_MAX / 2)
            continue;
        uint32_t end = w[4] + size_of(m, m->words[members + w[2]]);
        out->push_bytes = end > out->push_bytes ? end : out->push_bytes;
    }
}

static int read_all(struct spirv *out, struct module *m)
{
    for (size_t at = HEADER_WORDS; at < m->count;) {
        size_t length = length_at(m, at);
        if (!length || length > m->count - at)
            return fail(ERR_INPUT, "the instruction at word %zu of %zu does not end", at, m->count);
        TRY(note(out, m, at, at + length));
        at += length;
    }
    if (!m->has_model)
        return fail(ERR_INPUT, "it states no memory model");
    if (!m->has_main || m->in_function)
        return fail(ERR_INPUT,
                    m->entry ? "its function main is not all there" : "it has no entry point main");
    if (m->push_struct)
        measure_push(out, m);
    return 0;
}

int spirv_read(struct spirv *out, const uint32_t *words, size_t bytes)
{
    *out = (struct spirv){0};
    if (!words || bytes % 4 || bytes < 4 * HEADER_WORDS || words[0] != MAGIC)
        return fail(ERR_INPUT, "its %zu bytes are no SPIR-V module", bytes);
    struct module m = {.words = words, .count = bytes / 4, .bound = words[3]};
    out->version = words[1];
    if (out->version > NEWEST || out->version < 1 << 16)
        return fail(ERR_INPUT, "it is of SPIR-V version %u.%u; at most 1.5 is taken (--target-env vulkan1.2)",
                    out->version >> 16, out->version >> 8 & 0xff);
    if (m.bound > ID_LIMIT)
        return fail(ERR_INPUT, "it claims %u names; at most %d are taken", m.bound, ID_LIMIT);
    if (!(m.type_at = mem_alloc((size_t)m.bound + 1, sizeof *m.type_at)))
        return ERR_MEMORY;
    int rc = read_all(out, &m);
    mem_free(m.type_at);
    return rc;
}
