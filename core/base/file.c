/* file.c - POSIX files; see file.h. */
#include "file.h"

#include "error.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long fail_countdown = -1;

void file_fail_after(long successes)
{
    atomic_store(&fail_countdown, successes);
}

static int told_to_fail(void)
{
    return atomic_load(&fail_countdown) >= 0 && atomic_fetch_sub(&fail_countdown, 1) == 0;
}

/* Opens a regular file (or a pipe) for reading; returns the descriptor or a negative code. */
static int open_to_read(const char *path, struct stat *about)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(ERR_IO, "%s cannot be read: %s", path, strerror(errno));
    int found = fstat(fd, about);
    if (found == 0 && !S_ISDIR(about->st_mode))
        return fd;
    int code = found == 0 ? fail(ERR_IO, "%s is a folder; a file is needed here", path)
                          : fail(ERR_IO, "%s cannot be read: %s", path, strerror(errno));
    close(fd);
    return code;
}

/* Reads to the end in growing steps; pipes have no size, and a file may grow meanwhile. */
static int read_all(int fd, const char *path, size_t limit, size_t expected, char **bytes, size_t *size)
{
    size_t room = expected < limit ? expected : limit, used = 0;
    char *block = mem_alloc(room + 2, 1); /* one byte to see that more follows, one for the final 0 */
    if (!block)
        return ERR_MEMORY;
    for (;;) {
        ssize_t n = read(fd, block + used, room + 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            block[used] = 0;
            *bytes = block;
            *size = used;
            if (n == 0)
                return 0;
            *bytes = NULL;
            mem_free(block);
            return fail(ERR_IO, "%s cannot be read: %s", path, strerror(errno));
        }
        used += (size_t)n;
        if (used <= room)
            continue;
        size_t more = room < limit / 2 ? 2 * room + 4096 : limit;
        char *grown = used > limit ? NULL : mem_grow(block, room + 2, more + 2, 1);
        if (!grown) {
            mem_free(block);
            return used > limit ? fail(ERR_INPUT, "%s is longer than the %zu bytes that are accepted here",
                                       path, limit)
                                : ERR_MEMORY;
        }
        block = grown;
        room = more;
    }
}

int file_read(const char *path, size_t limit, char **bytes, size_t *size)
{
    *bytes = NULL;
    *size = 0;
    if (limit > SIZE_MAX / 4)
        limit = SIZE_MAX / 4;
    struct stat about;
    int fd = open_to_read(path, &about);
    TRY(fd);
    int rc = read_all(fd, path, limit, about.st_size > 0 ? (size_t)about.st_size : 0, bytes, size);
    close(fd);
    return rc;
}

int file_map(struct file_map *map, const char *path)
{
    *map = (struct file_map){0};
    struct stat about;
    int fd = open_to_read(path, &about);
    TRY(fd);
    if (!S_ISREG(about.st_mode)) {
        close(fd);
        return fail(ERR_IO, "%s is not a regular file and cannot be mapped", path);
    }
    if (about.st_size > 0) {
        void *view = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (view == MAP_FAILED) {
            int code = fail(ERR_IO, "%s cannot be mapped: %s", path, strerror(errno));
            close(fd);
            return code;
        }
        map->bytes = view;
        map->size = (size_t)about.st_size;
    }
    close(fd);
    return 0;
}

void file_unmap(struct file_map *map)
{
    if (map->bytes)
        munmap((void *)(uintptr_t)map->bytes, map->size);
    *map = (struct file_map){0};
}

int file_shut(struct file_map *map, size_t from, size_t to)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    from = (from + page - 1) / page * page;
    to = to >= map->size ? (map->size + page - 1) / page * page : to / page * page;
    if (from >= to)
        return 0;
    if (mprotect((void *)(uintptr_t)(map->bytes + from), to - from, PROT_NONE) < 0)
        return fail(ERR_IO, "a part of a mapped file cannot be shut: %s", strerror(errno));
    return 0;
}

struct file_writer {
    char *path, *temporary;
    int fd, rc;
    char sentence[512]; /* of the first failure: a later fail() elsewhere must not replace it */
};

/* Remembers the first failure, whose sentence fail() has just recorded. */
static int remember(struct file_writer *w, int code)
{
    if (!w->rc) {
        w->rc = code;
        snprintf(w->sentence, sizeof w->sentence, "%s", error_text());
    }
    return w->rc;
}

static void writer_free(struct file_writer *w)
{
    if (w->fd >= 0)
        close(w->fd);
    mem_free(w->path);
    mem_free(w->temporary);
    mem_free(w);
}

int file_begin(struct file_writer **out, const char *path)
{
    *out = NULL;
    size_t length = strlen(path) + 32;
    struct file_writer *w = mem_alloc(1, sizeof *w);
    if (!w)
        return ERR_MEMORY;
    w->fd = -1;
    w->path = mem_string(path);
    w->temporary = mem_alloc(length, 1);
    if (!w->path || !w->temporary) {
        writer_free(w);
        return ERR_MEMORY;
    }
    snprintf(w->temporary, length, "%s.tmp.%ld", path, (long)getpid());
    w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        int code = fail(ERR_IO, "%s cannot be written: %s", path, strerror(errno));
        writer_free(w);
        return code;
    }
    *out = w;
    return 0;
}

int file_put(struct file_writer *w, const void *bytes, size_t size)
{
    const char *next = bytes;
    while (size && !w->rc) {
        size_t step = size < (1u << 30) ? size : 1u << 30;
        ssize_t n = -1;
        if (told_to_fail())
            errno = ENOSPC;
        else
            n = write(w->fd, next, step);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return remember(w, fail(ERR_IO, "%s cannot be written: %s", w->path, strerror(errno)));
        next += n;
        size -= (size_t)n;
    }
    return w->rc;
}

/* The rename itself reaches the disk with its folder. File systems that cannot sync a folder
 * (EINVAL on some network ones) keep the rename in their own order, so that is no failure. */
static int sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0; /* a folder may be writable but not readable */
    int rc = fsync(fd) < 0 && errno != EINVAL
                 ? fail(ERR_IO, "the folder of %s cannot be synchronised: %s", path, strerror(errno))
                 : 0;
    close(fd);
    return rc;
}

static int commit(struct file_writer *w, int wait)
{
    if (wait && !w->rc && fsync(w->fd) < 0 && errno != EINVAL)
        remember(w, fail(ERR_IO, "%s cannot be written: %s", w->path, strerror(errno)));
    if (close(w->fd) < 0 && !w->rc)
        remember(w, fail(ERR_IO, "%s cannot be written: %s", w->path, strerror(errno)));
    w->fd = -1;
    if (!w->rc && rename(w->temporary, w->path) < 0)
        remember(w, fail(ERR_IO, "%s cannot be replaced: %s", w->path, strerror(errno)));
    int rc = w->rc;
    if (rc) {
        unlink(w->temporary);
        fail(rc, "%s", w->sentence);
    } else if (wait) {
        rc = sync_folder(w->path);
    }
    writer_free(w);
    return rc;
}

int file_commit(struct file_writer *w)
{
    return commit(w, 1);
}

int file_commit_soon(struct file_writer *w)
{
    return commit(w, 0);
}

void file_abandon(struct file_writer *w)
{
    if (!w)
        return;
    unlink(w->temporary);
    writer_free(w);
}

int file_write(const char *path, const void *bytes, size_t size)
{
    struct file_writer *w = NULL;
    TRY(file_begin(&w, path));
    file_put(w, bytes, size);
    return file_commit(w);
}

int file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int file_make_folders(const char *path)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (!length || length >= sizeof part)
        return fail(ERR_INPUT, "a folder's name of %zu characters cannot be used", length);
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] && part[i] != '/')
            continue;
        part[i] = 0;
        struct stat about;
        int made = mkdir(part, 0777) == 0, reason = errno;
        if (!made && (stat(part, &about) < 0 || !S_ISDIR(about.st_mode)))
            return fail(ERR_IO, "the folder %s cannot be made: %s", part, strerror(reason));
        part[i] = path[i];
    }
    return 0;
}

int file_cache_folder(char *out, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (cache && cache[0] == '/') /* the XDG specification: a relative path is to be ignored */
        n = snprintf(out, size, "%s/vitro", cache);
    else if (home && home[0])
        n = snprintf(out, size, "%s/.cache/vitro", home);
    else
        return fail(ERR_IO, "no cache folder is known: set XDG_CACHE_HOME or HOME");
    if (n < 0 || (size_t)n >= size)
        return fail(ERR_IO, "the cache folder's name is longer than %zu characters", size - 1);
    return file_make_folders(out);
}
