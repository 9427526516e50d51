/* cache_file.c - a file that vouches for itself. */
#include "cache_file.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <string.h>

void cache_file_read(struct cache_file *out, const char *path, const char *magic, size_t limit)
{
    size_t length = strlen(magic), head = length + HASH_TEXT, size = 0; /* a line feed ends the head */
    *out = (struct cache_file){0};
    if (!file_exists(path) || file_read(path, limit, &out->bytes, &size) < 0)
        return;
    const char *data = out->bytes + head;
    if (size > head && memcmp(out->bytes, magic, length) == 0 && data[-1] == '\n' &&
        hash_bytes(data, size - head, out->hash) == 0 &&
        memcmp(out->hash, out->bytes + length, HASH_TEXT - 1) == 0) {
        out->data = data;
        out->size = size - head;
        return;
    }
    cache_file_free(out);
}

void cache_file_free(struct cache_file *f)
{
    mem_free(f->bytes);
    *f = (struct cache_file){0};
}

int cache_file_write(const char *path, const char *magic, const void *data, size_t size)
{
    char hash[HASH_TEXT];
    struct file_writer *file;
    TRY(hash_bytes(data, size, hash));
    TRY(file_begin(&file, path));
    file_put(file, magic, strlen(magic));
    file_put(file, hash, HASH_TEXT - 1);
    file_put(file, "\n", 1);
    file_put(file, data, size);
    return file_commit_soon(file);
}
