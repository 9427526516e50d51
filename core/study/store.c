/* store.c - see store.h: folders, the lock, and how results come into their place. */
#include "store.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct store {
    char *folder;
    int lock; /* file descriptor; -1: read only */
};

static int take_lock(struct store *s)
{
    char path[STORE_PATH];
    if (snprintf(path, sizeof path, "%s/lock", s->folder) >= (int)sizeof path)
        return fail(ERR_INPUT, "the store's path is too long");
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0)
        return fail(ERR_IO, "%s cannot be written: %s", path, strerror(errno));
    if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
        return fail(ERR_IO,
                    "another study runs in the store %s; wait for it, or give this one another --store",
                    s->folder);
    return 0;
}

int store_open(struct store **out, const char *folder, int write)
{
    struct stat about;
    *out = NULL;
    struct store *s = mem_alloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    s->lock = -1;
    s->folder = mem_string(folder);
    int rc = s->folder ? 0 : ERR_MEMORY;
    if (rc == 0 && write)
        rc = file_make_folders(folder);
    if (rc == 0 && (stat(folder, &about) < 0 || !S_ISDIR(about.st_mode)))
        rc = fail(ERR_IO, "there is no store %s; `vitro study run RECIPE --store %s` makes one", folder,
                  folder);
    if (rc == 0 && write)
        rc = take_lock(s);
    if (rc < 0) {
        store_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->lock >= 0)
        close(s->lock);
    mem_free(s->folder);
    mem_free(s);
}

int store_is_busy(const struct store *s)
{
    char path[STORE_PATH];
    if (s->lock >= 0 || snprintf(path, sizeof path, "%s/lock", s->folder) >= (int)sizeof path)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int busy = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
    if (fd >= 0)
        close(fd);
    return busy;
}

const char *store_folder(const struct store *s)
{
    return s->folder;
}

int store_path(const struct store *s, enum store_place place, const char *name, const char *file,
               char out[STORE_PATH])
{
    static const char *const formats[] = {
        [STORE_RESULT] = "%s/results/%.2s/%s%s%s",    [STORE_WORK] = "%s/work/%.0s%s%s%s",
        [STORE_STUDY] = "%s/studies/%.0s%s%s%s",      [STORE_PACK] = "%s/packs/%.0s%s.pack%s%s",
        [STORE_LEDGER] = "%s/%.0s%sledger.jsonl%s%s", [STORE_INDEX] = "%s/%.0s%sindex.sqlite%s%s",
        [STORE_SHIFT] = "%s/shifts/%.2s/%s%s%s",
    };
    const char *text = name ? name : "";
    int n = -1;
    switch (place) { /* the formats are of this table, never a caller's */
#define PATH(which)                                                                           \
    case which:                                                                               \
        n = snprintf(out, STORE_PATH, formats[which], s->folder, text, text, file ? "/" : "", \
                     file ? file : "");                                                       \
        break;
        PATH(STORE_RESULT)
        PATH(STORE_WORK)
        PATH(STORE_STUDY) PATH(STORE_PACK) PATH(STORE_LEDGER) PATH(STORE_INDEX) PATH(STORE_SHIFT)
#undef PATH
    }
    return n < 0 || n >= STORE_PATH ? fail(ERR_INPUT, "a path below the store %.200s is too long", s->folder)
                                    : 0;
}

int trial_id(const struct json *spec, char id[HASH_TEXT])
{
    char *text = json_canonical(spec);
    int rc = text ? hash_bytes(text, strlen(text), id) : ERR_MEMORY;
    mem_free(text);
    return rc;
}

int store_has(const struct store *s, const char *id)
{
    char path[STORE_PATH];
    return store_path(s, STORE_RESULT, id, "result.json", path) == 0 && file_exists(path);
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd); /* a file system that cannot keeps its own order, see file.c */
        close(fd);
    }
}

static int remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT ? 0 : fail(ERR_IO, "%s cannot be read: %s", path, strerror(errno));
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(folder));) {
        char inner[STORE_PATH];
        struct stat about;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) >= (int)sizeof inner)
            rc = fail(ERR_IO, "a path below %.200s is too long", path);
        else if (lstat(inner, &about) == 0 && S_ISDIR(about.st_mode))
            rc = remove_folder(inner);
        else if (unlink(inner) < 0)
            rc = fail(ERR_IO, "%s cannot be removed: %s", inner, strerror(errno));
    }
    closedir(folder);
    if (rc == 0 && rmdir(path) < 0 && errno != ENOENT)
        rc = fail(ERR_IO, "%s cannot be removed: %s", path, strerror(errno));
    return rc;
}

int store_remove(struct store *s, enum store_place place, const char *name)
{
    char path[STORE_PATH];
    TRY(store_path(s, place, name, NULL, path));
    return remove_folder(path);
}

/* rename(2) puts a whole folder in place or none of it. What is there without a result.json is no result. */
static int put_in_place(const char *from, const char *to)
{
    char inner[STORE_PATH + 16];
    if (rename(from, to) == 0)
        return 0;
    const int reason = errno;
    snprintf(inner, sizeof inner, "%s/result.json", to);
    if (file_exists(inner) && (reason == EEXIST || reason == ENOTEMPTY || reason == ENOENT))
        return 0;
    if (reason == EEXIST || reason == ENOTEMPTY) {
        TRY(remove_folder(to));
        if (rename(from, to) == 0)
            return 0;
    }
    return fail(ERR_IO, "the result %s cannot be put in its place: %s", to, strerror(reason));
}

int store_keep(struct store *s, const char *id)
{
    char from[STORE_PATH], to[STORE_PATH], above[STORE_PATH];
    TRY(store_path(s, STORE_WORK, id, "out", from));
    TRY(store_path(s, STORE_RESULT, id, NULL, to));
    snprintf(above, sizeof above, "%s", to);
    *strrchr(above, '/') = 0;
    TRY(file_make_folders(above));
    if (!store_has(s, id))
        TRY(remove_folder(to)); /* what is there without a result.json is none, and would be in the way */
    sync_folder(from);
    TRY(put_in_place(from, to));
    sync_folder(above);
    *strrchr(above, '/') = 0;
    sync_folder(above); /* the folder of the first digits may be new */
    return store_remove(s, STORE_WORK, id);
}

static int put_failure(struct json *result, struct json *run, const struct json *spec, const char *id,
                       const char *reason, double seconds, uint64_t host_bytes)
{
    TRY(json_set_string(result, "schema", "vitro.result/1"));
    TRY(json_set_string(result, "id", id));
    TRY(json_take(result, "spec", json_copy(spec)));
    TRY(json_set_string(result, "outcome", "failed"));
    TRY(json_set_string(result, "reason", reason));
    TRY(json_take(result, "files", json_object()));
    TRY(json_set_string(run, "schema", "vitro.run/1"));
    TRY(json_set_string(run, "id", id));
    TRY(json_set_number(run, "seconds", seconds));
    return json_set_integer(run, "host_bytes", (int64_t)host_bytes);
}

int store_keep_failure(struct store *s, const struct json *spec, const char *id, const char *reason,
                       double seconds, uint64_t host_bytes)
{
    char folder[STORE_PATH], path[STORE_PATH];
    struct json *result = json_object(), *run = json_object();
    int rc;
    TRY_OUT(put_failure(result, run, spec, id, reason, seconds, host_bytes));
    TRY_OUT(store_path(s, STORE_WORK, id, "out", folder));
    TRY_OUT(remove_folder(folder));
    TRY_OUT(file_make_folders(folder));
    TRY_OUT(store_path(s, STORE_WORK, id, "out/run.json", path));
    TRY_OUT(json_write_file(run, path));
    TRY_OUT(store_path(s, STORE_WORK, id, "out/result.json", path));
    TRY_OUT(json_write_file(result, path));
    rc = store_keep(s, id);
out:
    json_destroy(result);
    json_destroy(run);
    return rc;
}
