/* cache_file.h - files that a program keeps for itself and can make again: a line of text with the fingerprint of the rest,
 * then the rest. What does not match its fingerprint counts as absent, so nobody waits for the disk when one is written. */
#ifndef VITRO_BASE_CACHE_FILE_H
#define VITRO_BASE_CACHE_FILE_H

#include <stddef.h>

#include "hash.h"

struct cache_file { /* a zeroed one holds nothing */
    const char *data;
    size_t size;
    char hash[HASH_TEXT]; /* of the data; empty where there is none */
    char *bytes;          /* all of the file */
};

/* The file's data, if it begins with `magic` and is whole; nothing otherwise, whatever the reason. */
void cache_file_read(struct cache_file *out, const char *path, const char *magic, size_t limit);
void cache_file_free(struct cache_file *f);
/* Replaces the file, whole or not at all. */
int cache_file_write(const char *path, const char *magic, const void *data, size_t size);

#endif
