/* source.h - a folder of files, or a tar archive of such a folder, read alike.
 *
 * Archives may be compressed (gzip, bzip2, xz, zstd, lz4) and may hold the files below leading
 * folders, as in eurosat/train800.txt. A name never leads out of the folder. A single file of arrays (.npz, IDX)
 * reads as a folder that holds it alone. */
#ifndef VITRO_DATA_SOURCE_H
#define VITRO_DATA_SOURCE_H

#include <stddef.h>

struct source;

/* `landmark` is a file that lies at the top of what is wanted: it tells an archive's leading folders. */
int source_open(struct source **out, const char *path, const char *landmark);
/* The same of an archive or a single file in memory, which is lent until close. */
int source_view(struct source **out, const void *bytes, size_t size, const char *name, const char *landmark);
/* Files in memory, lent until close; the names are copied. */
struct source_file {
    const char *name;
    const void *bytes;
    size_t size;
};
int source_files(struct source **out, const struct source_file *files, size_t count);
void source_close(struct source *s); /* NULL is fine */

/* 0 when `name` is a plain file inside; a sentence otherwise. Safe from several threads, as is get. */
int source_check(const struct source *s, const char *name);
int source_has(const struct source *s, const char *name);

/* Calls visit for every plain file inside, in the order of the names' bytes; what it returns other than 0 ends the walk
 * and is returned. Links are not followed. */
int source_walk(const struct source *s, int (*visit)(void *context, const char *name), void *context);

/* A file's bytes, until source_release; they may be lent by the archive. */
struct source_bytes {
    const char *bytes;
    size_t size;
    char *owned;
};
int source_get(const struct source *s, const char *name, struct source_bytes *out);
void source_release(struct source_bytes *b);

/* Opens an archive that lies in a folder's source. */
int source_open_part(struct source **out, const struct source *s, const char *name);
/* The bytes of a gzip file of at most `limit` bytes unpacked; `b` becomes them. `name` is for sentences. */
int source_gunzip(struct source_bytes *b, size_t limit, const char *name);

#endif
