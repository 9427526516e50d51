/* spirv_words.c - see spirv_words.h. */
#include "spirv_words.h"

#include "error.h"
#include "memory.h"

#include <string.h>

enum { OPERANDS_MAX = 65534 };

int spirv_copy(struct spirv_words *to, const uint32_t *words, size_t count)
{
    if (to->room - to->count < count) {
        size_t room = 2 * to->room + count;
        uint32_t *grown = mem_grow(to->list, to->room, room, sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        to->list = grown;
        to->room = room;
    }
    if (count)
        memcpy(to->list + to->count, words, count * sizeof *words);
    to->count += count;
    return 0;
}

int spirv_put(struct spirv_words *to, uint32_t op, const uint32_t *operands, uint32_t count)
{
    const uint32_t first = (count + 1) << 16 | op;
    TRY(spirv_copy(to, &first, 1));
    return spirv_copy(to, operands, count);
}

void spirv_free(struct spirv_words *words)
{
    mem_free(words->list);
    *words = (struct spirv_words){0};
}

int spirv_each(const uint32_t *module, size_t bytes, spirv_see *see, void *pass)
{
    const size_t words = bytes / sizeof *module;
    uint32_t *operands = mem_alloc(OPERANDS_MAX, sizeof *operands);
    int rc = !operands             ? ERR_MEMORY
             : words <= SPIRV_HEAD ? fail(ERR_INPUT, "it is no whole SPIR-V module")
                                   : 0;
    for (size_t i = SPIRV_HEAD, length; rc == 0 && i < words; i += length) {
        length = module[i] >> 16;
        if (length == 0 || length > words - i) {
            rc = fail(ERR_INPUT, "it is no whole SPIR-V module");
            break;
        }
        memcpy(operands, module + i + 1, (length - 1) * sizeof *operands);
        rc = see(pass, module[i] & 0xffff, operands, (uint32_t)length - 1);
    }
    mem_free(operands);
    return rc < 0 ? rc : 0;
}
