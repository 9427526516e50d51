/* tensor_file.c - which container a file is, and what all of them share. See tensor_file.h. */
#include "tensor_file.h"

#include "error.h"
#include "file.h"
#include "hash.h"
#include "json.h"
#include "tensor_private.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SHARD_LIMIT = 1024, NAME_SHOWN = 120 };

/* --- what containers fill */

int tensor_list_add(struct tensor_list *l, const struct tensor_entry *e, const struct tensor_place *at)
{
    if (l->count == TENSOR_LIMIT)
        return fail(ERR_INPUT, "%s has more than %d tensors", l->what, TENSOR_LIMIT);
    if (l->count == l->room) {
        const size_t room = l->room ? 2 * l->room : 256;
        struct tensor_entry *entries = mem_grow(l->entries, l->room, room, sizeof *entries);
        if (!entries)
            return ERR_MEMORY;
        l->entries = entries;
        struct tensor_place *places = mem_grow(l->places, l->room, room, sizeof *places);
        if (!places)
            return ERR_MEMORY;
        l->places = places;
        l->room = room;
    }
    int64_t *dim = arena_alloc(&l->arena, e->rank ? e->rank : 1, sizeof *dim);
    struct tensor_entry *kept = &l->entries[l->count];
    *kept = *e;
    kept->name = arena_string(&l->arena, e->name);
    kept->dtype = arena_string(&l->arena, e->dtype);
    kept->dim = dim;
    if (!dim || !kept->name || !kept->dtype)
        return ERR_MEMORY;
    if (e->rank)
        memcpy(dim, e->dim, e->rank * sizeof *dim);
    l->places[l->count++] = *at;
    return 0;
}

int tensor_gather(const struct tensor_list *l, size_t i, const void *bytes, size_t held, float *out)
{
    const struct tensor_entry *e = &l->entries[i];
    const struct tensor_place *at = &l->places[i];
    const size_t size = safetensors_type_size(e->type);
    int64_t index[TENSOR_RANK] = {0};
    uint64_t place = at->offset;
    if (e->count > held)
        return fail(ERR_INPUT, "%s: tensor %.*s is larger than its storage", l->what, NAME_SHOWN, e->name);
    for (size_t k = 0; k < e->count; k++) {
        int rc = safetensors_floats(e->type, (const char *)bytes + place * size, 1, out + k);
        if (rc < 0)
            return fail_in(rc, "%s: tensor %.*s", l->what, NAME_SHOWN, e->name);
        for (size_t axis = e->rank; axis-- > 0;) {
            place += (uint64_t)at->stride[axis];
            if (++index[axis] < e->dim[axis])
                break;
            place -= (uint64_t)at->stride[axis] * (uint64_t)e->dim[axis];
            index[axis] = 0;
        }
    }
    return 0;
}

/* --- safetensors, one file or several */

struct shards {
    struct safetensors **file;
    size_t count;
};

static int shards_add(struct tensor_list *l, struct shards *s, size_t shard)
{
    const struct safetensors *f = s->file[shard];
    for (size_t i = 0; i < safetensors_count(f); i++) {
        const struct safetensors_entry *e = safetensors_at(f, i);
        struct tensor_place at = {.source = shard};
        TRY(tensor_list_add(l,
                            &(struct tensor_entry){.name = e->name,
                                                   .dtype = e->dtype,
                                                   .type = e->type,
                                                   .rank = e->rank,
                                                   .count = e->count,
                                                   .dim = e->dim},
                            &at));
    }
    return 0;
}

static int safetensors_container_open(void **self, struct tensor_list *l, const void *bytes, size_t size)
{
    struct shards *s = mem_alloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    *self = s;
    s->file = mem_alloc(1, sizeof(struct safetensors *));
    if (!s->file)
        return ERR_MEMORY;
    TRY(safetensors_view(&s->file[0], bytes, size, l->what));
    s->count = 1;
    return shards_add(l, s, 0);
}

static int safetensors_container_read(void *self, const struct tensor_list *l, size_t i, float *out)
{
    const struct safetensors *f = ((struct shards *)self)->file[l->places[i].source];
    return safetensors_read(f, safetensors_find(f, l->entries[i].name), SAFETENSORS_F32, out);
}

static void safetensors_container_close(void *self)
{
    struct shards *s = self;
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        safetensors_close(s->file[i]);
    mem_free(s->file);
    mem_free(s);
}

static const struct tensor_container tensor_safetensors = {
    "safetensors", safetensors_container_open, safetensors_container_read, safetensors_container_close};

/* --- the file */

struct tensor_file {
    const struct tensor_container *container;
    void *self;
    char *what;
    struct file_map map;
    char hash[65]; /* of shards; else "" */
    const void *bytes;
    size_t size;
    struct tensor_list list;
};

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct tensor_entry *)a)->name, ((const struct tensor_entry *)b)->name);
}

/* Entries and places go together. */
static int sort_entries(struct tensor_file *f)
{
    struct tensor_list *l = &f->list;
    struct pair {
        struct tensor_entry entry; /* first: compare_entries reads it */
        struct tensor_place place;
    } *pairs = mem_alloc(l->count + 1, sizeof *pairs);
    if (!pairs)
        return ERR_MEMORY;
    for (size_t i = 0; i < l->count; i++)
        pairs[i] = (struct pair){l->entries[i], l->places[i]};
    qsort(pairs, l->count, sizeof *pairs, compare_entries);
    int rc = 0;
    for (size_t i = 0; i < l->count; i++) {
        l->entries[i] = pairs[i].entry;
        l->places[i] = pairs[i].place;
        if (i && strcmp(l->entries[i - 1].name, l->entries[i].name) == 0 && !rc)
            rc = fail(ERR_INPUT, "%s has the tensor %.*s twice", f->what, NAME_SHOWN, l->entries[i].name);
    }
    mem_free(pairs);
    return rc;
}

static int create(struct tensor_file **out, const char *what)
{
    struct tensor_file *f = mem_alloc(1, sizeof *f);
    *out = NULL;
    if (!f)
        return ERR_MEMORY;
    f->what = mem_string(what);
    f->list.what = f->what;
    if (!f->what) {
        mem_free(f);
        return ERR_MEMORY;
    }
    *out = f;
    return 0;
}

static int keep_or_close(struct tensor_file **out, int rc)
{
    if (rc < 0) {
        tensor_file_close(*out);
        *out = NULL;
    }
    return rc;
}

static int read_container(struct tensor_file *f, const void *bytes, size_t size)
{
    const int is_zip = size >= 4 && memcmp(bytes, "PK\003\004", 4) == 0;
    TRY(torch_refuse_legacy(bytes, size, f->what));
    f->bytes = bytes;
    f->size = size;
    f->container = &tensor_safetensors;
    if (is_zip) {
        const int is_torch = torch_is_archive(bytes, size, f->what);
        f->container = is_torch > 0 ? &tensor_torch : &tensor_npz;
        TRY(is_torch);
    }
    TRY(f->container->open(&f->self, &f->list, bytes, size));
    return sort_entries(f);
}

int tensor_file_view(struct tensor_file **out, const void *bytes, size_t size, const char *what)
{
    TRY(create(out, what));
    return keep_or_close(out, read_container(*out, bytes, size));
}

static int join_path(char path[PATH_MAX], const char *folder, const char *name)
{
    int n = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return n < PATH_MAX ? 0 : fail(ERR_INPUT, "the path %.*s is too long", NAME_SHOWN, folder);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different file names of a weight map, sorted; each beside the index, none leading elsewhere. */
static int list_shards(const struct json *map, const char *path, const char **names, size_t *count)
{
    *count = 0;
    for (const struct json *j = json_first(map); j; j = json_next(j)) {
        const char *name = json_string(j);
        size_t i = 0;
        if (!name || !*name || strchr(name, '/') || strcmp(name, "..") == 0)
            return fail(ERR_INPUT, "%s: its weight_map names no file of the same folder for %.*s", path,
                        NAME_SHOWN, json_key(j));
        while (i < *count && strcmp(names[i], name) != 0)
            i++;
        if (i == SHARD_LIMIT)
            return fail(ERR_INPUT, "%s names more than %d files", path, SHARD_LIMIT);
        if (i == *count)
            names[(*count)++] = name;
    }
    qsort(names, *count, sizeof *names, compare_texts);
    return *count ? 0 : fail(ERR_INPUT, "%s has no weight_map", path);
}

static int open_shards(struct tensor_file *f, const char *folder, const char *const *names, size_t count)
{
    struct shards *s = mem_alloc(1, sizeof *s);
    char path[PATH_MAX], hashes[SHARD_LIMIT][HASH_TEXT];
    if (!s)
        return ERR_MEMORY;
    f->self = s;
    f->container = &tensor_safetensors;
    s->file = mem_alloc(count, sizeof(struct safetensors *));
    if (!s->file)
        return ERR_MEMORY;
    memset(hashes, 0, sizeof hashes);
    for (size_t i = 0; i < count; i++) {
        TRY(join_path(path, folder, names[i]));
        TRY(safetensors_open(&s->file[i], path));
        s->count++; /* from here on it is closed with the others */
        TRY(hash_file(path, hashes[i]));
    }
    for (size_t i = 0; i < count; i++)
        TRY(shards_add(&f->list, s, i));
    return hash_bytes(hashes, count * sizeof hashes[0], f->hash);
}

/* Each tensor is where the index says, and the shards hold nothing else. */
static int check_shards(const struct tensor_file *f, const struct json *map, const char *const *names)
{
    if (json_count(map) != f->list.count)
        return fail(ERR_INPUT, "%s: its weight_map names %zu tensors, its files hold %zu", f->what,
                    json_count(map), f->list.count);
    for (size_t i = 0; i < f->list.count; i++) {
        const char *name = f->list.entries[i].name, *file = json_string(json_get(map, name));
        if (!file || strcmp(file, names[f->list.places[i].source]) != 0)
            return fail(ERR_INPUT, "%s: its weight_map does not have %.*s in the file that holds it", f->what,
                        NAME_SHOWN, name);
    }
    return 0;
}

/* model.safetensors.index.json: {"weight_map": {tensor: file}} */
static int open_index(struct tensor_file *f, const char *folder, const char *path)
{
    struct json *index = NULL;
    const char *names[SHARD_LIMIT];
    size_t count = 0;
    TRY(json_read_file(&index, path));
    const struct json *map = json_get(index, "weight_map");
    int rc = list_shards(map, path, names, &count);
    if (rc == 0)
        rc = open_shards(f, folder, names, count);
    if (rc == 0)
        rc = sort_entries(f);
    if (rc == 0)
        rc = check_shards(f, map, names);
    json_destroy(index);
    return rc;
}

/* What a model's folder holds, the best first */
static const char *const folder_files[] = {"model.safetensors", "open_clip_model.safetensors",
                                           "pytorch_model.bin", "open_clip_pytorch_model.bin",
                                           "adapter_model.safetensors"};
static const char index_name[] = "model.safetensors.index.json";

static int open_folder(struct tensor_file **out, const char *folder)
{
    char path[PATH_MAX];
    TRY(join_path(path, folder, index_name));
    if (file_exists(path)) {
        TRY(create(out, folder));
        return keep_or_close(out, open_index(*out, folder, path));
    }
    for (size_t i = 0; i < sizeof folder_files / sizeof *folder_files; i++) {
        TRY(join_path(path, folder, folder_files[i]));
        if (file_exists(path))
            return tensor_file_open(out, path);
    }
    return fail(ERR_INPUT,
                "the folder %s holds no model: neither model.safetensors nor its index nor "
                "pytorch_model.bin is there; name the file",
                folder);
}

int tensor_file_open(struct tensor_file **out, const char *path)
{
    struct stat about;
    *out = NULL;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return open_folder(out, path);
    const size_t length = strlen(path), tail = strlen(index_name);
    if (length >= tail && strcmp(path + length - tail, index_name) == 0) {
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%.*s", (int)(length - tail), path);
        TRY(create(out, path));
        return keep_or_close(out, open_index(*out, *folder ? folder : ".", path));
    }
    TRY(create(out, path));
    int rc = file_map(&(*out)->map, path);
    if (rc == 0)
        rc = read_container(*out, (*out)->map.bytes, (*out)->map.size);
    return keep_or_close(out, rc);
}

void tensor_file_close(struct tensor_file *f)
{
    if (!f)
        return;
    if (f->container)
        f->container->close(f->self);
    arena_finish(&f->list.arena);
    mem_free(f->list.entries);
    mem_free(f->list.places);
    file_unmap(&f->map);
    mem_free(f->what);
    mem_free(f);
}

const char *tensor_file_container(const struct tensor_file *f)
{
    return f->container->name;
}

size_t tensor_file_count(const struct tensor_file *f)
{
    return f->list.count;
}

const struct tensor_entry *tensor_file_at(const struct tensor_file *f, size_t i)
{
    return &f->list.entries[i];
}

const struct tensor_entry *tensor_file_find(const struct tensor_file *f, const char *name)
{
    const struct tensor_entry key = {.name = name};
    return f->list.count ? bsearch(&key, f->list.entries, f->list.count, sizeof key, compare_entries) : NULL;
}

const char *tensor_file_metadata(const struct tensor_file *f, const char *key)
{
    const struct shards *s = f->self;
    return f->container == &tensor_safetensors ? safetensors_metadata(s->file[0], key) : NULL;
}

int tensor_file_read(struct tensor_file *f, const struct tensor_entry *e, float *out)
{
    if (e->type != SAFETENSORS_F32 && e->type != SAFETENSORS_F16 && e->type != SAFETENSORS_BF16 &&
        e->type != SAFETENSORS_F64)
        return fail(ERR_INPUT, "%s: tensor %.*s is of type %.32s, which is not read as numbers", f->what,
                    NAME_SHOWN, e->name, e->dtype);
    return f->container->read(f->self, &f->list, (size_t)(e - f->list.entries), out);
}

int tensor_file_hash(const struct tensor_file *f, char out[65])
{
    if (f->hash[0]) {
        memcpy(out, f->hash, 65);
        return 0;
    }
    return hash_bytes(f->bytes, f->size, out);
}

char *tensor_entry_text(const struct tensor_entry *e, char text[SAFETENSORS_TEXT])
{
    const struct safetensors_entry like = {.rank = e->rank, .dim = e->dim};
    return safetensors_shape_text(&like, text);
}
