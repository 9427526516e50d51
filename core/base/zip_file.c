/* zip_file.c - see zip_file.h. */
#include "zip_file.h"

#include "error.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>
#include <zip.h>

enum {
    MEMBER_LIMIT = 1 << 17,
    NAME_LIMIT = 1024,
    DEFLATE_RATIO = 1032, /* the most that a byte of deflate stands for */
    NAME_SHOWN = 120,
};

struct zip_file {
    zip_t *zip;
    char *what;
    struct arena arena;
    struct zip_member *members; /* by name */
    size_t count, archive_size;
};

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct zip_member *)a)->name, ((const struct zip_member *)b)->name);
}

/* Names go into sentences and on to terminals. */
static int has_control_character(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            return 1;
    return 0;
}

static int read_member(struct zip_file *z, uint64_t index, struct zip_member *m)
{
    enum { NEEDED = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD };
    zip_stat_t about;
    zip_stat_init(&about);
    if (zip_stat_index(z->zip, index, ZIP_FL_ENC_RAW, &about) < 0 || (about.valid & NEEDED) != NEEDED)
        return fail(ERR_INPUT, "%s: member %llu of the zip archive cannot be read: %s", z->what,
                    (unsigned long long)index, zip_error_strerror(zip_get_error(z->zip)));
    if (strlen(about.name) > NAME_LIMIT || has_control_character(about.name))
        return fail(ERR_INPUT,
                    "%s: member %llu of the zip archive has a name that is too long or holds a "
                    "control character",
                    z->what, (unsigned long long)index);
    const int packed = about.comp_method == ZIP_CM_DEFLATE;
    if ((about.valid & ZIP_STAT_ENCRYPTION_METHOD && about.encryption_method != ZIP_EM_NONE) ||
        (!packed && about.comp_method != ZIP_CM_STORE))
        return fail(ERR_INPUT, "%s: %.*s is encrypted or packed by another method than deflate", z->what,
                    NAME_SHOWN, about.name);
    if (about.comp_size > z->archive_size ||
        (packed ? about.size / DEFLATE_RATIO > about.comp_size : about.size != about.comp_size))
        return fail(ERR_INPUT, "%s: %.*s claims to hold %llu bytes in %llu, which cannot be", z->what,
                    NAME_SHOWN, about.name, (unsigned long long)about.size,
                    (unsigned long long)about.comp_size);
    *m = (struct zip_member){.name = arena_string(&z->arena, about.name),
                             .size = (size_t)about.size,
                             .is_stored = !packed,
                             .index = index};
    return m->name ? 0 : ERR_MEMORY;
}

static int read_members(struct zip_file *z)
{
    zip_int64_t count = zip_get_num_entries(z->zip, 0);
    if (count < 0 || count > MEMBER_LIMIT)
        return fail(ERR_INPUT, "%s: a zip archive of %lld members; at most %d are read", z->what,
                    (long long)count, MEMBER_LIMIT);
    z->members = arena_alloc(&z->arena, (size_t)count + 1, sizeof *z->members);
    if (!z->members)
        return ERR_MEMORY;
    for (; z->count < (size_t)count; z->count++)
        TRY(read_member(z, z->count, &z->members[z->count]));
    qsort(z->members, z->count, sizeof *z->members, compare_names);
    for (size_t i = 1; i < z->count; i++)
        if (strcmp(z->members[i - 1].name, z->members[i].name) == 0)
            return fail(ERR_INPUT, "%s: the zip archive has %.*s twice", z->what, NAME_SHOWN,
                        z->members[i].name);
    return 0;
}

static int open_archive(struct zip_file *z, const void *bytes, size_t size)
{
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(bytes, size, 0, &error);
    z->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;
    int rc = 0;
    if (!z->zip) {
        rc = fail(ERR_INPUT, "%s cannot be read as a zip archive: %s", z->what, zip_error_strerror(&error));
        zip_source_free(source);
    }
    zip_error_fini(&error);
    return rc;
}

int zip_file_view(struct zip_file **out, const void *bytes, size_t size, const char *what)
{
    *out = NULL;
    struct zip_file *z = mem_alloc(1, sizeof *z);
    if (!z)
        return ERR_MEMORY;
    z->what = mem_string(what);
    z->archive_size = size;
    int rc = z->what ? open_archive(z, bytes, size) : ERR_MEMORY;
    if (rc == 0)
        rc = read_members(z);
    if (rc < 0)
        zip_file_close(z);
    else
        *out = z;
    return rc;
}

void zip_file_close(struct zip_file *z)
{
    if (!z)
        return;
    if (z->zip)
        zip_discard(z->zip);
    arena_finish(&z->arena);
    mem_free(z->what);
    mem_free(z);
}

size_t zip_file_count(const struct zip_file *z)
{
    return z->count;
}

const struct zip_member *zip_file_at(const struct zip_file *z, size_t i)
{
    return &z->members[i];
}

const struct zip_member *zip_file_find(const struct zip_file *z, const char *name)
{
    const struct zip_member key = {.name = name};
    return bsearch(&key, z->members, z->count, sizeof *z->members, compare_names);
}

int zip_file_read(const struct zip_file *z, const struct zip_member *m, void *out, size_t size)
{
    zip_file_t *from = zip_fopen_index(z->zip, m->index, 0);
    const char *why = from ? NULL : zip_error_strerror(zip_get_error(z->zip));
    size_t got = 0;
    while (!why && got < size) {
        zip_int64_t n = zip_fread(from, (char *)out + got, size - got);
        if (n <= 0)
            why = n < 0 ? zip_file_strerror(from) : "it ends early";
        else
            got += (size_t)n;
    }
    char more; /* the CRC is looked at by the read that finds the end */
    if (!why && size == m->size && zip_fread(from, &more, 1) != 0)
        why = "its checksum is wrong or it is longer than the archive says";
    int rc = why ? fail(ERR_INPUT, "%s: %.*s cannot be read: %s", z->what, NAME_SHOWN, m->name, why) : 0;
    if (from)
        zip_fclose(from);
    return rc;
}
