/* memory.h - host memory: allocation that can be told to fail, and arenas freed as a whole. */
#ifndef VITRO_BASE_MEMORY_H
#define VITRO_BASE_MEMORY_H

#include <stddef.h>

/* Zeroed array of count elements, or NULL with the error sentence set. Free with mem_free. */
void *mem_alloc(size_t count, size_t size);

/* Grows an array, keeping its contents and zeroing what is new; on failure `old` stays valid. */
void *mem_grow(void *old, size_t old_count, size_t new_count, size_t size);

char *mem_string(const char *text);
void mem_free(void *block); /* NULL is fine */

/* Test feature: let the allocation after `successes` more fail, once; negative switches it off. */
void mem_fail_after(long successes);

/* Blocks that live and die together. Nothing inside is freed singly. A zeroed arena is empty. */
struct arena {
    struct arena_block *blocks;
};
void *arena_alloc(struct arena *a, size_t count, size_t size); /* zeroed, 16-byte aligned */
char *arena_string(struct arena *a, const char *text);
void arena_finish(struct arena *a);

#endif
