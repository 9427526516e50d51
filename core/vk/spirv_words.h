/* spirv_words.h - reading and writing SPIR-V modules instruction by instruction, for passes that rewrite them. */
#ifndef VITRO_VK_SPIRV_WORDS_H
#define VITRO_VK_SPIRV_WORDS_H

#include <stddef.h>
#include <stdint.h>

enum {
    SPIRV_HEAD = 5,
    SPIRV_BOUND = 3
}; /* words before the first instruction; the one that is above every id */

struct spirv_words { /* a module or part of one; zeros: empty */
    uint32_t *list;
    size_t count, room;
};

/* Both append; ERR_MEMORY. */
int spirv_copy(struct spirv_words *to, const uint32_t *words, size_t count);
int spirv_put(struct spirv_words *to, uint32_t op, const uint32_t *operands, uint32_t count);
void spirv_free(struct spirv_words *words);

/* Calls `see` for each instruction, with a copy of its operands that it may change, until it returns something
 * negative. Refuses what is no whole module. */
typedef int spirv_see(void *pass, uint32_t op, uint32_t *operands, uint32_t count);
int spirv_each(const uint32_t *module, size_t bytes, spirv_see *see, void *pass);

#endif
