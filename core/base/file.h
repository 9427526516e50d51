/* file.h - files: whole reads, read-only maps, and writes that are whole or not there at all. */
#ifndef VITRO_BASE_FILE_H
#define VITRO_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Reads a file of at most `limit` bytes and adds a final 0; the caller frees *bytes (mem_free). */
int file_read(const char *path, size_t limit, char **bytes, size_t *size);

/* A read-only view of a whole file. A zeroed struct is unmapped; file_unmap accepts it. */
struct file_map {
    const unsigned char *bytes;
    size_t size;
};
int file_map(struct file_map *map, const char *path);
void file_unmap(struct file_map *map);
/* From here on the whole pages between two offsets cannot be read: who tries is ended by a signal. The file's last
 * page counts as whole. */
int file_shut(struct file_map *map, size_t from, size_t to);

/* Writes to `path.tmp.<pid>`, fsyncs, renames over `path`, fsyncs the folder: after a crash or a
 * full disk the old file is still there, whole. */
struct file_writer; /* one file being written */
int file_begin(struct file_writer **out, const char *path);
int file_put(struct file_writer *w, const void *bytes, size_t size); /* errors are remembered */
int file_commit(struct file_writer *w);  /* ends the writer either way */
/* As file_commit, but leaves it to the system when the file reaches the disk: for what can be made again. */
int file_commit_soon(struct file_writer *w);
void file_abandon(struct file_writer *w); /* NULL is fine; removes the temporary */
int file_write(const char *path, const void *bytes, size_t size);

int file_exists(const char *path);
int file_make_folders(const char *path); /* like mkdir -p */
/* The user's cache folder for this program, made if missing: $XDG_CACHE_HOME/vitro or
 * ~/.cache/vitro. `out` holds `size` bytes. */
int file_cache_folder(char *out, size_t size);

/* Test feature: the write after `successes` more fails as on a full disk; negative: off. */
void file_fail_after(long successes);

#endif
