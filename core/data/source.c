/* source.c - folders through the file system, archives through libarchive into an index in memory:
 * a plain tar is mapped and its files lent from there, a compressed one is unpacked into memory. */
#include "source.h"

#include "error.h"
#include "file.h"
#include "layout.h"
#include "memory.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_LIMIT = 256 << 20 };
static const size_t unpacked_limit = (size_t)8 << 30;

struct entry {
    const char *name;
    const unsigned char *bytes; /* NULL: not a plain file */
    size_t size;
};

struct source {
    char path[PATH_MAX];     /* resolved: no links, no dots */
    int is_archive, is_lent; /* is_lent: the map's bytes are the caller's */
    struct file_map map;
    struct arena arena;
    struct entry *entries; /* by name */
    size_t count, room, unpacked;
    char *prefix; /* leading folders with a final slash, or "" */
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

/* No absolute name and no step upwards. */
static int check_name(const char *name)
{
    int leaves = name[0] == '/' || !name[0];
    for (const char *part = name; part && !leaves; part = strchr(part, '/')) {
        part += *part == '/';
        leaves = strncmp(part, "..", 2) == 0 && (part[2] == '/' || !part[2]);
    }
    return leaves ? fail(ERR_INPUT, "the path \"%s\" leaves the data set's folder", name) : 0;
}

/* ---- archives ---- */

static int archive_trouble(struct archive *a, const struct source *s)
{
    const char *reason = archive_error_string(a);
    return fail(ERR_INPUT, "%s cannot be read as a tar archive: %s", s->path,
                reason ? reason : "it is damaged");
}

/* Appends the data of the current entry: lent when it is one block of the map, copied otherwise. */
static int read_entry(struct source *s, struct archive *a, struct entry *e, size_t size)
{
    const void *block = NULL;
    size_t length = 0, used = 0;
    la_int64_t offset = 0;
    unsigned char *copy = NULL;
    e->bytes = (const unsigned char *)"";
    e->size = size;
    while (used < size) {
        int rc = archive_read_data_block(a, &block, &length, &offset);
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return rc == ARCHIVE_EOF ? fail(ERR_INPUT, "%s: %s is cut short", s->path, e->name)
                                     : archive_trouble(a, s);
        if (offset < 0 || (size_t)offset != used || length > size - used)
            return fail(ERR_INPUT, "%s: %s is stored with holes, which are not read", s->path, e->name);
        uintptr_t at = (uintptr_t)block, map = (uintptr_t)s->map.bytes;
        if (length == size && size <= s->map.size && at >= map && at - map <= s->map.size - size) {
            e->bytes = block;
            return 0;
        }
        if (!copy) {
            s->unpacked += size;
            if (size > FILE_LIMIT || s->unpacked > unpacked_limit)
                return fail(ERR_INPUT, "%s unpacks to more than %zu GiB; unpack it and give the folder",
                            s->path, unpacked_limit >> 30);
            copy = arena_alloc(&s->arena, size, 1);
            if (!copy)
                return ERR_MEMORY;
            e->bytes = copy;
        }
        memcpy(copy + used, block, length);
        used += length;
    }
    return 0;
}

static int name_entry(struct source *s, const char *name, struct entry **out)
{
    if (s->count == s->room) {
        struct entry *grown = mem_grow(s->entries, s->room, 2 * s->room + 256, sizeof *grown);
        if (!grown)
            return ERR_MEMORY;
        s->entries = grown;
        s->room = 2 * s->room + 256;
    }
    *out = &s->entries[s->count];
    (*out)->name = arena_string(&s->arena, name);
    if (!(*out)->name)
        return ERR_MEMORY;
    s->count++;
    return 0;
}

static int add_entry(struct source *s, struct archive *a, struct archive_entry *header)
{
    const char *name = archive_entry_pathname(header);
    if (!name) /* not in this locale's characters */
        name = archive_entry_pathname_utf8(header);
    if (!name || archive_entry_filetype(header) == AE_IFDIR)
        return 0;
    while (strncmp(name, "./", 2) == 0)
        name += 2;
    struct entry *e;
    TRY(name_entry(s, name, &e));
    int plain = archive_entry_filetype(header) == AE_IFREG && !archive_entry_hardlink(header);
    la_int64_t size = archive_entry_size(header);
    return plain && size >= 0 ? read_entry(s, a, e, (size_t)size) : 0;
}

static int sort_entries(struct source *s)
{
    if (s->count)
        qsort(s->entries, s->count, sizeof *s->entries, by_name);
    for (size_t i = 1; i < s->count; i++)
        if (by_name(&s->entries[i - 1], &s->entries[i]) == 0)
            return fail(ERR_INPUT, "%s holds %s twice", s->path, s->entries[i].name);
    return 0;
}

static int read_archive(struct source *s, struct archive *a)
{
    archive_read_support_format_tar(a);
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_lz4(a);
    if (archive_read_open_memory(a, s->map.bytes, s->map.size) != ARCHIVE_OK)
        return archive_trouble(a, s);
    for (;;) {
        struct archive_entry *header = NULL;
        int rc = archive_read_next_header(a, &header);
        if (rc == ARCHIVE_EOF)
            break;
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return archive_trouble(a, s);
        TRY(add_entry(s, a, header));
    }
    return sort_entries(s);
}

/* The leading folders of the shallowest `landmark`; "" without one. */
static int find_prefix(struct source *s, const char *landmark)
{
    size_t tail = strlen(landmark), best = SIZE_MAX;
    const char *found = landmark;
    for (size_t i = 0; i < s->count; i++) {
        const char *name = s->entries[i].name;
        size_t length = strlen(name);
        if (length >= tail && length < best && strcmp(name + length - tail, landmark) == 0 &&
            (length == tail || name[length - tail - 1] == '/')) {
            best = length;
            found = name;
        }
    }
    s->prefix = arena_string(&s->arena, found);
    if (!s->prefix)
        return ERR_MEMORY;
    s->prefix[strlen(found) - tail] = 0;
    return 0;
}

/* Files that are no archives to libarchive's tar reader, but known to readers of data sets. */
static int is_single(const struct file_map *map)
{
    static const struct {
        const char *start;
        size_t length;
    } known[] = {{"PK\3\4", 4}, {"PAR1", 4}, {"\0\0\x08\3", 4}, {"\0\0\x08\1", 4}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (map->size >= known[i].length && memcmp(map->bytes, known[i].start, known[i].length) == 0)
            return 1;
    return 0;
}

static int take_single(struct source *s)
{
    s->entries = mem_alloc(1, sizeof *s->entries);
    s->prefix = arena_string(&s->arena, "");
    if (!s->entries || !s->prefix)
        return ERR_MEMORY;
    s->entries[0] = (struct entry){name_base(s->path), s->map.bytes, s->map.size};
    s->count = s->room = 1;
    return 0;
}

static int open_archive(struct source *s, const char *landmark)
{
    if (!s->is_lent)
        TRY(file_map(&s->map, s->path));
    if (is_single(&s->map))
        return take_single(s);
    struct archive *a = archive_read_new();
    if (!a)
        return fail(ERR_MEMORY, "out of memory for libarchive");
    int rc = read_archive(s, a);
    archive_read_free(a);
    TRY(rc);
    return find_prefix(s, landmark);
}

static const struct entry *find_entry(const struct source *s, const char *name)
{
    char whole[PATH_MAX];
    int n = snprintf(whole, sizeof whole, "%s%s", s->prefix, name);
    struct entry key = {.name = whole};
    if (n < 0 || (size_t)n >= sizeof whole || !s->count)
        return NULL;
    return bsearch(&key, s->entries, s->count, sizeof key, by_name);
}

/* ---- folders ---- */

/* The file's resolved path, which must lie in the folder. */
static int find_file(const struct source *s, const char *name, char found[PATH_MAX])
{
    char whole[PATH_MAX];
    int n = snprintf(whole, sizeof whole, "%s/%s", s->path, name);
    if (n < 0 || (size_t)n >= sizeof whole)
        return fail(ERR_INPUT, "the path \"%.100s...\" is too long", name);
    if (!realpath(whole, found))
        return fail(ERR_INPUT, "%s cannot be read: %s", whole, strerror(errno));
    size_t length = strlen(s->path);
    length -= length && s->path[length - 1] == '/'; /* the root folder */
    if (strncmp(found, s->path, length) != 0 || found[length] != '/')
        return fail(ERR_INPUT, "the path \"%s\" leaves the data set's folder through a link", name);
    struct stat about;
    if (stat(found, &about) < 0 || !S_ISREG(about.st_mode))
        return fail(ERR_INPUT, "%s is not a plain file", whole);
    return 0;
}

static int by_text(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

enum { DEPTH_LIMIT = 16 };

/* `name` is the folder's path inside, with a final slash, or "". */
static int walk_folder(const struct source *s, const char *name, int depth,
                       int (*visit)(void *context, const char *name), void *context)
{
    char whole[PATH_MAX], inner[PATH_MAX];
    struct dirent **entries = NULL;
    int rc = 0;
    if (depth > DEPTH_LIMIT || snprintf(whole, sizeof whole, "%s/%s", s->path, name) >= PATH_MAX)
        return fail(ERR_INPUT, "%s/%s lies too deep", s->path, name);
    const int count = scandir(whole, &entries, NULL, by_text);
    if (count < 0)
        return fail(ERR_IO, "%s cannot be read: %s", whole, strerror(errno));
    for (int i = 0; i < count; i++) {
        const char *entry = entries[i]->d_name;
        struct stat about;
        if (rc == 0 && strcmp(entry, ".") != 0 && strcmp(entry, "..") != 0) {
            if (snprintf(inner, sizeof inner, "%s%s", name, entry) >= PATH_MAX - 1 ||
                snprintf(whole, sizeof whole, "%s/%s", s->path, inner) >= PATH_MAX)
                rc = fail(ERR_INPUT, "a path below %s is too long", s->path);
            else if (lstat(whole, &about) == 0 && S_ISDIR(about.st_mode)) {
                strcat(inner, "/");
                rc = walk_folder(s, inner, depth + 1, visit, context);
            } else if (S_ISREG(about.st_mode))
                rc = visit(context, inner);
        }
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* ---- both ---- */

int source_walk(const struct source *s, int (*visit)(void *context, const char *name), void *context)
{
    if (!s->is_archive)
        return walk_folder(s, "", 0, visit, context);
    const size_t skip = strlen(s->prefix);
    for (size_t i = 0; i < s->count; i++)
        if (s->entries[i].bytes && strncmp(s->entries[i].name, s->prefix, skip) == 0) {
            const int rc = visit(context, s->entries[i].name + skip);
            if (rc != 0)
                return rc;
        }
    return 0;
}

int source_open(struct source **out, const char *path, const char *landmark)
{
    *out = NULL;
    struct stat about;
    struct source *s = mem_alloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    int rc = 0;
    if (!realpath(path, s->path) || stat(s->path, &about) < 0)
        rc = fail(ERR_IO, "%s cannot be read: %s", path, strerror(errno));
    else if (S_ISREG(about.st_mode))
        s->is_archive = 1;
    else if (!S_ISDIR(about.st_mode))
        rc = fail(ERR_INPUT, "%s is neither a folder nor a tar archive", path);
    if (rc == 0 && s->is_archive)
        rc = open_archive(s, landmark);
    if (rc < 0) {
        source_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

static struct source *lent_source(const char *name)
{
    struct source *s = mem_alloc(1, sizeof *s);
    if (s) {
        snprintf(s->path, sizeof s->path, "%s", name);
        s->is_archive = s->is_lent = 1;
    }
    return s;
}

int source_view(struct source **out, const void *bytes, size_t size, const char *name, const char *landmark)
{
    struct source *s = *out = lent_source(name);
    if (!s)
        return ERR_MEMORY;
    s->map = (struct file_map){bytes, size};
    int rc = open_archive(s, landmark);
    if (rc < 0) {
        source_close(s);
        *out = NULL;
    }
    return rc;
}

static int take_files(struct source *s, const struct source_file *files, size_t count)
{
    s->prefix = arena_string(&s->arena, "");
    for (size_t i = 0; i < count; i++) {
        struct entry *e;
        TRY(name_entry(s, files[i].name, &e));
        e->bytes = files[i].size ? files[i].bytes : (const unsigned char *)"";
        e->size = files[i].size;
    }
    return s->prefix ? sort_entries(s) : ERR_MEMORY;
}

int source_files(struct source **out, const struct source_file *files, size_t count)
{
    struct source *s = *out = lent_source("memory");
    if (!s)
        return ERR_MEMORY;
    int rc = take_files(s, files, count);
    if (rc < 0) {
        source_close(s);
        *out = NULL;
    }
    return rc;
}

void source_close(struct source *s)
{
    if (!s)
        return;
    if (!s->is_lent)
        file_unmap(&s->map);
    arena_finish(&s->arena);
    mem_free(s->entries);
    mem_free(s);
}

int source_check(const struct source *s, const char *name)
{
    char found[PATH_MAX];
    TRY(check_name(name));
    if (!s->is_archive)
        return find_file(s, name, found);
    const struct entry *e = find_entry(s, name);
    if (!e)
        return fail(ERR_INPUT, "%s does not hold %s%s", s->path, s->prefix, name);
    return e->bytes ? 0 : fail(ERR_INPUT, "%s: %s is a link, not a plain file", s->path, e->name);
}

int source_has(const struct source *s, const char *name)
{
    return source_check(s, name) == 0;
}

int source_get(const struct source *s, const char *name, struct source_bytes *out)
{
    char found[PATH_MAX];
    *out = (struct source_bytes){0};
    TRY(source_check(s, name));
    if (!s->is_archive) {
        TRY(find_file(s, name, found));
        TRY(file_read(found, FILE_LIMIT, &out->owned, &out->size));
        out->bytes = out->owned;
        return 0;
    }
    const struct entry *e = find_entry(s, name);
    out->bytes = (const char *)e->bytes;
    out->size = e->size;
    return 0;
}

void source_release(struct source_bytes *b)
{
    mem_free(b->owned);
    *b = (struct source_bytes){0};
}

int source_open_part(struct source **out, const struct source *s, const char *name)
{
    char found[PATH_MAX];
    *out = NULL;
    if (s->is_archive)
        return fail(ERR_INPUT, "%s holds the archive %s; unpack the outer one and give the folder", s->path,
                    name);
    TRY(check_name(name));
    TRY(find_file(s, name, found));
    return source_open(out, found, "");
}

static int unpack(struct archive *a, const struct source_bytes *packed, size_t limit,
                  struct source_bytes *out)
{
    struct archive_entry *header = NULL;
    size_t room = 0;
    archive_read_support_filter_gzip(a);
    archive_read_support_format_raw(a);
    if (archive_read_open_memory(a, packed->bytes, packed->size) != ARCHIVE_OK ||
        archive_read_next_header(a, &header) != ARCHIVE_OK)
        return fail(ERR_INPUT, "it cannot be unpacked: %s", archive_error_string(a));
    for (;;) {
        if (out->size == room) {
            const size_t more = room ? 2 * room : (size_t)1 << 20;
            char *grown = mem_grow(out->owned, room, more, 1);
            if (!grown)
                return ERR_MEMORY;
            out->bytes = out->owned = grown;
            room = more;
        }
        const la_ssize_t got = archive_read_data(a, out->owned + out->size, room - out->size);
        if (got < 0)
            return fail(ERR_INPUT, "it cannot be unpacked: %s", archive_error_string(a));
        if (got == 0)
            return 0;
        out->size += (size_t)got;
        if (out->size > limit)
            return fail(ERR_INPUT, "it unpacks to more than %zu MiB", limit >> 20);
    }
}

int source_gunzip(struct source_bytes *b, size_t limit, const char *name)
{
    struct source_bytes out = {0};
    struct archive *a = archive_read_new();
    if (!a)
        return fail(ERR_MEMORY, "out of memory for libarchive");
    int rc = unpack(a, b, limit, &out);
    archive_read_free(a);
    if (rc < 0) {
        source_release(&out);
        return fail_in(rc, "%s", name);
    }
    source_release(b);
    *b = out;
    return 0;
}
