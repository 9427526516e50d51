/* bfloat_module.c - see bfloat_module.h, and SPV_KHR_bfloat16. */
#include "bfloat_module.h"

#include "error.h"
#include "memory.h"

#include <string.h>

enum { /* the SPIR-V specification */
       HEADER_WORDS = 5,
       OP_EXTENSION = 10,
       OP_EXT_INST_IMPORT = 11,
       OP_MEMORY_MODEL = 14,
       OP_CAPABILITY = 17,
       OP_TYPE_FLOAT = 22,
       OP_CONSTANT = 43,
       OP_SPEC_CONSTANT = 50,
       CAPABILITY_BFLOAT_TYPE = 5116,
       CAPABILITY_BFLOAT_MATRIX = 5118,
       ENCODING_BFLOAT = 0
};

struct writer {
    uint32_t *words;
    size_t count;
};

static void put(struct writer *w, const uint32_t *words, size_t count)
{
    memcpy(w->words + w->count, words, count * sizeof *words);
    w->count += count;
}

static void put_extension(struct writer *w)
{
    static const char name[] = "SPV_KHR_bfloat16";
    uint32_t words[1 + (sizeof name + 3) / 4] = {0};
    words[0] = (uint32_t)(sizeof words / 4) << 16 | OP_EXTENSION;
    memcpy(words + 1, name, sizeof name);
    put(w, words, sizeof words / 4);
}

/* One instruction; `half` is the id of the 16-bit float type once it was seen. */
static int translate(struct writer *w, const uint32_t *at, uint32_t *half, int *extended)
{
    uint32_t op = at[0] & 0xffff, count = at[0] >> 16;
    if ((op == OP_EXTENSION || op == OP_EXT_INST_IMPORT || op == OP_MEMORY_MODEL) && !*extended) {
        put_extension(w);
        *extended = 1;
    }
    if (op == OP_TYPE_FLOAT && count == 3 && at[2] == 16) {
        put(w, (const uint32_t[4]){4u << 16 | OP_TYPE_FLOAT, at[1], 16, ENCODING_BFLOAT}, 4);
        *half = at[1];
        return 0;
    }
    if ((op == OP_CONSTANT || op == OP_SPEC_CONSTANT) && *half && at[1] == *half && at[3] != 0)
        return fail(ERR_INPUT, "a module for bf16 has a constant of 16 bits; change its shader");
    put(w, at, count);
    return 0;
}

int bfloat_module(const uint32_t *spirv, size_t bytes, uint32_t **out, size_t *out_bytes)
{
    enum { MORE_WORDS = 16 };
    static const uint32_t capabilities[] = {2u << 16 | OP_CAPABILITY, CAPABILITY_BFLOAT_TYPE,
                                            2u << 16 | OP_CAPABILITY, CAPABILITY_BFLOAT_MATRIX};
    size_t count = bytes / 4;
    uint32_t half = 0;
    int extended = 0;
    struct writer w = {mem_alloc(count + MORE_WORDS, sizeof *w.words), 0};
    if (!w.words)
        return ERR_MEMORY;
    put(&w, spirv, HEADER_WORDS);
    put(&w, capabilities, sizeof capabilities / 4);
    for (size_t i = HEADER_WORDS; i < count; i += spirv[i] >> 16) {
        int rc = spirv[i] >> 16 && (spirv[i] >> 16) <= count - i
                     ? translate(&w, spirv + i, &half, &extended)
                     : fail(ERR_INPUT, "a module for bf16 is cut off");
        if (rc < 0) {
            mem_free(w.words);
            return rc;
        }
    }
    *out = w.words;
    *out_bytes = w.count * sizeof *w.words;
    return 0;
}
