/* ledger.c - see ledger.h. Whoever writes holds an exclusive flock(2), has read all that others wrote before, and
 * syncs before it lets go. What follows the last newline is the rest of a write that did not happen. */
#include "ledger.h"

#include "error.h"
#include "ledger_text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SHOWN = 12 }; /* digits of a trial's id in a sentence */
static const char no_line[] = "0000000000000000000000000000000000000000000000000000000000000000";

struct ledger {
    char *path;
    struct arena texts; /* and the lines themselves */
    const struct ledger_line **lines;
    size_t count, room;
    uint64_t number;          /* of the last line in the file, readable or not */
    uint64_t break_at;        /* 0: none */
    char previous[HASH_TEXT]; /* of that line */
    off_t end;                /* behind its newline */
    dev_t device;             /* which file that was read from */
    ino_t file;
};

static int refuse(const struct ledger *l, const char *what)
{
    return fail(ERR_IO, "the ledger %s cannot be %s: %s", l->path, what, strerror(errno));
}

static void forget(struct ledger *l)
{
    arena_finish(&l->texts);
    l->count = 0;
    l->number = l->break_at = 0;
    l->end = 0;
    memcpy(l->previous, no_line, sizeof no_line);
}

static int keep(struct ledger *l, const struct ledger_line *line)
{
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        void *grown = mem_grow(l->lines, l->room, room, sizeof *l->lines);
        if (!grown)
            return ERR_MEMORY;
        l->lines = grown;
        l->room = room;
    }
    l->lines[l->count++] = line;
    return 0;
}

/* One line without its newline; that it does not fit is noted and no failure. */
static int take_line(struct ledger *l, const char *bytes, size_t length)
{
    struct ledger_line *line = arena_alloc(&l->texts, 1, sizeof *line);
    if (!line)
        return ERR_MEMORY;
    int fits = ledger_text_read(line, &l->texts, bytes, length, l->previous, l->number + 1);
    if (fits < 0 && fits != ERR_INPUT)
        return fits;
    TRY(hash_bytes(bytes, length, l->previous));
    if (fits >= 0)
        TRY(keep(l, line));
    l->number++;
    l->end += (off_t)length + 1;
    if (fits <= 0 && !l->break_at)
        l->break_at = l->number;
    return 0;
}

/* Reads what is there behind `from`, up to `size` bytes. */
static int read_rest(const struct ledger *l, int fd, off_t from, char *bytes, size_t size, size_t *got)
{
    for (*got = 0; *got < size;) {
        ssize_t n = pread(fd, bytes + *got, size - *got, from + (off_t)*got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return refuse(l, "read");
        if (n == 0)
            return 0;
        *got += (size_t)n;
    }
    return 0;
}

/* Takes the lines that others have added since, or all if it is not the file it was. The caller holds a lock. */
static int catch_up(struct ledger *l, int fd, off_t *size)
{
    struct stat about;
    size_t got = 0;
    if (fstat(fd, &about) < 0)
        return refuse(l, "read");
    if (about.st_ino != l->file || about.st_dev != l->device || about.st_size < l->end)
        forget(l);
    l->file = about.st_ino;
    l->device = about.st_dev;
    *size = about.st_size;
    if (about.st_size == l->end)
        return 0;
    size_t rest = (size_t)(about.st_size - l->end);
    char *bytes = mem_alloc(rest, 1);
    int rc = bytes ? read_rest(l, fd, l->end, bytes, rest, &got) : ERR_MEMORY;
    for (char *at = bytes, *stop; rc == 0 && (stop = memchr(at, '\n', got)); at = stop + 1) {
        got -= (size_t)(stop - at) + 1;
        rc = take_line(l, at, (size_t)(stop - at));
    }
    mem_free(bytes);
    return rc;
}

static int lock(const struct ledger *l, int fd, int kind)
{
    while (flock(fd, kind) < 0)
        if (errno != EINTR)
            return refuse(l, "locked");
    return 0;
}

int ledger_open(struct ledger **out, const char *path)
{
    off_t size;
    *out = NULL;
    struct ledger *l = mem_alloc(1, sizeof *l);
    if (!l)
        return ERR_MEMORY;
    forget(l);
    int rc = (l->path = mem_string(path)) ? 0 : ERR_MEMORY;
    int fd = rc == 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (rc == 0 && fd < 0 && errno != ENOENT)
        rc = refuse(l, "read");
    if (fd >= 0) {
        rc = lock(l, fd, LOCK_SH);
        if (rc == 0)
            rc = catch_up(l, fd, &size);
        close(fd); /* and with it the lock */
    }
    if (rc < 0)
        ledger_close(l);
    else
        *out = l;
    return rc;
}

void ledger_close(struct ledger *l)
{
    if (!l)
        return;
    arena_finish(&l->texts);
    mem_free(l->lines);
    mem_free(l->path);
    mem_free(l);
}

size_t ledger_count(const struct ledger *l)
{
    return l->count;
}

const struct ledger_line *ledger_at(const struct ledger *l, size_t i)
{
    return i < l->count ? l->lines[i] : NULL;
}

int ledger_intact(const struct ledger *l, uint64_t *break_at)
{
    if (break_at)
        *break_at = l->break_at;
    return !l->break_at;
}

static int same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* The first opening of the same method, test split, weights and seed; *again: one of them is this very trial. */
static const struct ledger_line *find_first(const struct ledger *l, const struct ledger_line *line,
                                            int *again)
{
    const struct ledger_line *first = NULL;
    *again = 0;
    for (size_t i = 0; i < l->count; i++) {
        const struct ledger_line *old = l->lines[i];
        if (old->seed != line->seed || !same(old->method, line->method) || !same(old->test, line->test) ||
            !same(old->model, line->model))
            continue;
        first = first ? first : old;
        *again |= same(old->trial, line->trial);
    }
    return first;
}

/* The new file's name reaches the disk with its folder; where a folder cannot be synced there is nothing to do. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* All of the text and its newline on disk, or the file as it was. */
static int write_line(struct ledger *l, int fd, char *text, size_t length)
{
    size_t done = 0;
    text[length] = '\n';
    while (done <= length) {
        ssize_t n = write(fd, text + done, length + 1 - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (done == length + 1 && (fsync(fd) == 0 || errno == EINVAL)) {
        if (l->end == 0)
            sync_folder(l->path);
        return 0;
    }
    refuse(l, "written");
    (void)!ftruncate(fd, l->end); /* if that fails too, the rest is cut off by the next append */
    return ERR_IO;
}

static int append_locked(struct ledger *l, int fd, const struct ledger_line *given)
{
    struct ledger_line line = *given;
    char when[32], *text = NULL;
    time_t now = time(NULL);
    struct tm utc;
    off_t size = 0;
    int again;
    TRY(catch_up(l, fd, &size));
    const struct ledger_line *first = find_first(l, &line, &again);
    if (again)
        return 0;
    if (first && (!line.reason || !line.reason[strspn(line.reason, " \t\r\n")]))
        return fail(ERR_INPUT,
                    "%s on %s with seed %" PRIu64
                    " was judged on its test split before, first on %s by trial "
                    "%.*s; to open it once more, say why: --again REASON",
                    first->method, first->pack, first->seed, first->when, SHOWN, first->trial);
    if (size > l->end && ftruncate(fd, l->end) < 0)
        return refuse(l, "written");
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    line.when = when;
    line.number = l->number + 1;
    if (!first)
        line.reason = "";
    TRY(ledger_text_write(&text, &line, l->previous));
    size_t length = strlen(text);
    int rc = write_line(l, fd, text, length);
    if (rc == 0)
        rc = take_line(l, text, length);
    mem_free(text);
    return rc;
}

int ledger_append(struct ledger *l, const struct ledger_line *line)
{
    int fd = open(l->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return refuse(l, "written");
    int rc = lock(l, fd, LOCK_EX);
    if (rc == 0)
        rc = append_locked(l, fd, line);
    close(fd);
    return rc;
}
