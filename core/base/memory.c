/* memory.c - see memory.h. */
#include "memory.h"

#include "error.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(16) unsigned char bytes[];
};

static atomic_long fail_countdown = -1;

static int told_to_fail(void)
{
    if (atomic_load(&fail_countdown) < 0)
        return 0;
    return atomic_fetch_sub(&fail_countdown, 1) == 0;
}

void mem_fail_after(long successes)
{
    atomic_store(&fail_countdown, successes);
}

void *mem_alloc(size_t count, size_t size)
{
    int refused = told_to_fail() || (size && count > SIZE_MAX / size);
    void *block = refused ? NULL : calloc(count ? count : 1, size ? size : 1);
    if (!block)
        fail(ERR_MEMORY, "out of memory: %zu x %zu bytes could not be had", count, size);
    return block;
}

void *mem_grow(void *old, size_t old_count, size_t new_count, size_t size)
{
    unsigned char *block = NULL;
    if (size && new_count <= SIZE_MAX / size && !told_to_fail())
        block = realloc(old, new_count * size);
    if (!block) {
        fail(ERR_MEMORY, "out of memory: %zu x %zu bytes could not be had", new_count, size);
        return NULL;
    }
    if (new_count > old_count)
        memset(block + old_count * size, 0, (new_count - old_count) * size);
    return block;
}

char *mem_string(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = mem_alloc(n, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

void mem_free(void *block)
{
    free(block);
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    if (size && count > (SIZE_MAX / 2) / size) {
        fail(ERR_MEMORY, "out of memory: %zu x %zu bytes could not be had", count, size);
        return NULL;
    }
    size_t bytes = (count * size + 15) & ~(size_t)15;
    struct arena_block *b = a->blocks;
    if (!b || b->size - b->used < bytes) {
        size_t room = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        b = mem_alloc(1, sizeof *b + room);
        if (!b)
            return NULL;
        b->size = room;
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->bytes + b->used;
    b->used += bytes;
    return p;
}

char *arena_string(struct arena *a, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = arena_alloc(a, n, 1);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

void arena_finish(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        mem_free(b);
    }
    a->blocks = NULL;
}
