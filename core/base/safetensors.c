/* safetensors.c - the reader; safetensors_write.c has the writer.
 * Format: https://github.com/huggingface/safetensors. */
#include "safetensors.h"

#include "error.h"
#include "file.h"
#include "half.h"
#include "json.h"
#include "memory.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors files are little-endian and are copied as they are"
#endif

enum {
    PREFIX = 8,                       /* bytes of the header's length */
    HEADER_LIMIT = 100 * 1000 * 1000, /* the format's own */
    COMMA_LIMIT = 1 << 20,            /* bounds what the header can cost in memory: 100,000 tensors */
    NAME_SHOWN = 120,                 /* of a name in a sentence */
};

struct by_name {
    const struct safetensors_entry *entry;
};

struct safetensors {
    char *what;
    struct file_map map;
    struct json *header; /* owns names, dtypes and metadata */
    const struct json *metadata;
    struct arena arena; /* owns what follows */
    struct safetensors_entry *entries;
    struct by_name *by_name; /* the same, sorted */
    size_t count;
};

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
#define X(id, bytes) {#id, bytes},
    SAFETENSORS_TYPES(X)
#undef X
};

/* Sentences begin alike: file, tensor. */
#define REFUSE(f, name, ...) \
    fail_in(fail(ERR_INPUT, __VA_ARGS__), "%s: tensor %.*s", (f)->what, NAME_SHOWN, name)

/* Names from the file go into sentences and on to terminals. */
static int has_control_character(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 127)
            return 1;
    return 0;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keys of a JSON object must differ. */
static int check_keys(struct safetensors *f, const struct json *object)
{
    size_t n = json_count(object), i = 0;
    const char **keys = mem_alloc(n, sizeof *keys);
    if (!keys)
        return ERR_MEMORY;
    int rc = 0;
    for (const struct json *j = json_first(object); j && !rc; j = json_next(j)) {
        keys[i] = json_key(j);
        if (has_control_character(keys[i++]))
            rc = fail(ERR_INPUT, "%s: name %zu in the header holds a control character", f->what, i);
    }
    if (!rc)
        qsort(keys, n, sizeof *keys, compare_strings);
    for (i = 1; i < n && !rc; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            rc = fail(ERR_INPUT, "%s: the header has the name %.*s twice", f->what, NAME_SHOWN, keys[i]);
    mem_free(keys);
    return rc;
}

static int read_metadata(struct safetensors *f, const struct json *map)
{
    if (!json_is_object(map))
        return fail(ERR_INPUT, "%s: __metadata__ is not an object", f->what);
    TRY(check_keys(f, map));
    for (const struct json *j = json_first(map); j; j = json_next(j))
        if (!json_string(j))
            return fail(ERR_INPUT, "%s: __metadata__ has %.*s, which is not a string", f->what, NAME_SHOWN,
                        json_key(j));
    f->metadata = map;
    return 0;
}

/* Axes and their product; an element count that no memory could hold is refused. */
static int read_shape(struct safetensors *f, struct safetensors_entry *e, const struct json *shape)
{
    e->rank = json_count(shape);
    int64_t *dim = arena_alloc(&f->arena, e->rank, sizeof *dim);
    if (!dim)
        return ERR_MEMORY;
    e->dim = dim;
    e->count = 1;
    for (const struct json *j = json_first(shape); j; j = json_next(j), dim++) {
        if (json_integer(j, dim) < 0 || *dim < 0)
            return REFUSE(f, e->name, "axis %zu is not a whole number from 0 on", (size_t)(dim - e->dim));
        if (*dim && e->count > SIZE_MAX / 8 / (size_t)*dim)
            return REFUSE(f, e->name, "its shape has more elements than can be counted");
        e->count *= (size_t)*dim;
    }
    return 0;
}

static int read_offsets(struct safetensors *f, struct safetensors_entry *e, const struct json *offsets,
                        const unsigned char *data, size_t data_size)
{
    const struct json *first = json_first(offsets);
    int64_t begin, end;
    if (json_count(offsets) != 2 || json_integer(first, &begin) < 0 ||
        json_integer(json_next(first), &end) < 0 || begin < 0)
        return REFUSE(f, e->name, "data_offsets are not two whole numbers from 0 on");
    if (begin > end || (uint64_t)end > data_size)
        return REFUSE(f, e->name, "data_offsets %lld to %lld do not lie in the %zu bytes of data",
                      (long long)begin, (long long)end, data_size);
    e->bytes = data + begin;
    e->size = (size_t)(end - begin);
    if (e->type != SAFETENSORS_UNKNOWN && e->size != e->count * types[e->type].bytes)
        return REFUSE(f, e->name, "its %zu elements of %s need %zu bytes, not %zu", e->count, e->dtype,
                      e->count * types[e->type].bytes, e->size);
    return 0;
}

static int read_entry(struct safetensors *f, struct safetensors_entry *e, const struct json *member,
                      const unsigned char *data, size_t data_size)
{
    const struct json *shape = json_get(member, "shape"), *offsets = json_get(member, "data_offsets");
    e->name = json_key(member);
    e->dtype = json_string(json_get(member, "dtype"));
    if (!e->dtype || !json_is_array(shape) || !json_is_array(offsets) || json_count(member) != 3)
        return REFUSE(f, e->name, "the header must give dtype, shape and data_offsets, and nothing else");
    if (has_control_character(e->dtype))
        return REFUSE(f, e->name, "its dtype holds a control character");
    e->type = SAFETENSORS_UNKNOWN;
    for (size_t i = 0; i < SAFETENSORS_UNKNOWN; i++)
        if (strcmp(e->dtype, types[i].name) == 0)
            e->type = (enum safetensors_type)i;
    TRY(read_shape(f, e, shape));
    return read_offsets(f, e, offsets, data, data_size);
}

/* By begin, then by end: empty tensors come before the full one at the same place. */
static int compare_places(const void *a, const void *b)
{
    const struct safetensors_entry *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return strcmp(x->name, y->name);
}
static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct by_name *)a)->entry->name, ((const struct by_name *)b)->entry->name);
}

/* Every byte of the data belongs to exactly one tensor. */
static int check_coverage(struct safetensors *f, const unsigned char *data, size_t data_size)
{
    const unsigned char *covered = data;
    for (size_t i = 0; i < f->count; i++) {
        const struct safetensors_entry *e = &f->entries[i];
        if (e->bytes < covered)
            return REFUSE(f, e->name, "its data begins at byte %zu, inside that of %.*s",
                          (size_t)(e->bytes - data), NAME_SHOWN, f->entries[i - 1].name);
        if (e->bytes > covered)
            return REFUSE(f, e->name,
                          "its data begins at byte %zu, but bytes from %zu on belong to no tensor",
                          (size_t)(e->bytes - data), (size_t)(covered - data));
        covered = e->bytes + e->size;
    }
    if (covered != data + data_size)
        return fail(ERR_INPUT, "%s: the last %zu bytes belong to no tensor", f->what,
                    (size_t)(data + data_size - covered));
    return 0;
}

static int read_entries(struct safetensors *f, const unsigned char *data, size_t data_size)
{
    TRY(check_keys(f, f->header));
    size_t members = json_count(f->header);
    f->entries = arena_alloc(&f->arena, members, sizeof *f->entries);
    f->by_name = arena_alloc(&f->arena, members, sizeof *f->by_name);
    if (!f->entries || !f->by_name)
        return ERR_MEMORY;
    for (const struct json *j = json_first(f->header); j; j = json_next(j)) {
        if (strcmp(json_key(j), "__metadata__") == 0)
            TRY(read_metadata(f, j));
        else
            TRY(read_entry(f, &f->entries[f->count++], j, data, data_size));
    }
    qsort(f->entries, f->count, sizeof *f->entries, compare_places);
    for (size_t i = 0; i < f->count; i++)
        f->by_name[i].entry = &f->entries[i];
    qsort(f->by_name, f->count, sizeof *f->by_name, compare_names);
    return check_coverage(f, data, data_size);
}

static int read_header(struct safetensors *f, const unsigned char *bytes, size_t size)
{
    if (size < PREFIX)
        return fail(ERR_INPUT,
                    "%s is no safetensors file: it has %zu bytes, and the header's length alone takes 8",
                    f->what, size);
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    if (length > HEADER_LIMIT)
        return fail(ERR_INPUT, "%s is no safetensors file: its header would have %llu bytes; %d are allowed",
                    f->what, (unsigned long long)length, HEADER_LIMIT);
    if (length > size - PREFIX)
        return fail(ERR_INPUT, "%s is cut off: its header should have %llu bytes, and %zu are there", f->what,
                    (unsigned long long)length, size - PREFIX);
    const char *text = (const char *)bytes + PREFIX;
    size_t commas = 0;
    for (size_t i = 0; i < length; i++)
        commas += text[i] == ',';
    if (commas > COMMA_LIMIT)
        return fail(ERR_INPUT, "%s: the header has %zu commas; more than %d are not read", f->what, commas,
                    COMMA_LIMIT);
    if (!length || text[0] != '{')
        return fail(ERR_INPUT, "%s is no safetensors file: its header does not begin with {", f->what);
    TRY(json_parse(&f->header, text, (size_t)length, f->what));
    return read_entries(f, bytes + PREFIX + length, size - PREFIX - (size_t)length);
}

static int create(struct safetensors **out, const char *what)
{
    *out = NULL;
    struct safetensors *f = mem_alloc(1, sizeof *f);
    if (!f)
        return ERR_MEMORY;
    f->what = mem_string(what);
    if (!f->what) {
        mem_free(f);
        return ERR_MEMORY;
    }
    *out = f;
    return 0;
}

static int keep_or_close(struct safetensors **out, int rc)
{
    if (rc < 0) {
        safetensors_close(*out);
        *out = NULL;
    }
    return rc;
}

int safetensors_open(struct safetensors **out, const char *path)
{
    TRY(create(out, path));
    int rc = file_map(&(*out)->map, path);
    if (!rc)
        rc = read_header(*out, (*out)->map.bytes, (*out)->map.size);
    return keep_or_close(out, rc);
}

int safetensors_view(struct safetensors **out, const void *bytes, size_t size, const char *what)
{
    TRY(create(out, what));
    return keep_or_close(out, read_header(*out, bytes, size));
}

void safetensors_close(struct safetensors *f)
{
    if (!f)
        return;
    json_destroy(f->header);
    arena_finish(&f->arena);
    file_unmap(&f->map);
    mem_free(f->what);
    mem_free(f);
}

size_t safetensors_count(const struct safetensors *f)
{
    return f->count;
}

const struct safetensors_entry *safetensors_at(const struct safetensors *f, size_t i)
{
    return &f->entries[i];
}

const struct safetensors_entry *safetensors_find(const struct safetensors *f, const char *name)
{
    const struct safetensors_entry wanted = {.name = name};
    const struct by_name key = {&wanted};
    const struct by_name *found = bsearch(&key, f->by_name, f->count, sizeof *f->by_name, compare_names);
    return found ? found->entry : NULL;
}

const char *safetensors_metadata(const struct safetensors *f, const char *key)
{
    return json_string(json_get(f->metadata, key));
}

char *safetensors_shape_text(const struct safetensors_entry *e, char text[SAFETENSORS_TEXT])
{
    size_t shown = e->rank < 8 ? e->rank : 8, n = 1;
    text[0] = '[';
    for (size_t i = 0; i < shown; i++)
        n += (size_t)snprintf(text + n, SAFETENSORS_TEXT - n, i ? " %lld" : "%lld", (long long)e->dim[i]);
    snprintf(text + n, SAFETENSORS_TEXT - n, shown < e->rank ? " ...]" : "]");
    return text;
}

size_t safetensors_type_size(enum safetensors_type type)
{
    return type < SAFETENSORS_UNKNOWN ? types[type].bytes : 0;
}

static int doubles_to_floats(const unsigned char *bytes, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        double number;
        memcpy(&number, bytes + 8 * i, sizeof number);
        if (isfinite(number) && fabs(number) > (double)FLT_MAX)
            return fail(ERR_INPUT, "element %zu is %g, which float32 cannot hold", i, number);
        out[i] = (float)number;
    }
    return 0;
}

int safetensors_floats(enum safetensors_type type, const void *bytes, size_t count, float *out)
{
    if (type == SAFETENSORS_F64)
        return doubles_to_floats(bytes, count, out);
    if (type == SAFETENSORS_F32) {
        if (count)
            memcpy(out, bytes, count * sizeof *out);
        return 0;
    }
    if (type != SAFETENSORS_F16 && type != SAFETENSORS_BF16)
        return fail(ERR_INPUT, "its type cannot be read as F32; F32, F16, BF16 and F64 can");
    for (size_t i = 0; i < count; i++) {
        uint16_t bits;
        memcpy(&bits, (const unsigned char *)bytes + 2 * i, sizeof bits);
        out[i] = type == SAFETENSORS_F16 ? half_to_float(bits) : bfloat_to_float(bits);
    }
    return 0;
}

int safetensors_read(const struct safetensors *f, const struct safetensors_entry *e,
                     enum safetensors_type type, void *out)
{
    if (e->type == type && type != SAFETENSORS_UNKNOWN) {
        if (e->size)
            memcpy(out, e->bytes, e->size);
        return 0;
    }
    if (type != SAFETENSORS_F32 ||
        (e->type != SAFETENSORS_F16 && e->type != SAFETENSORS_BF16 && e->type != SAFETENSORS_F64))
        return REFUSE(f, e->name, "its type %.32s cannot be read as %s%s", e->dtype,
                      type == SAFETENSORS_UNKNOWN ? "anything" : types[type].name,
                      type == SAFETENSORS_F32 ? "; F32, F16, BF16 and F64 can" : "");
    int rc = safetensors_floats(e->type, e->bytes, e->count, out);
    return rc < 0 ? fail_in(rc, "%s: tensor %.*s", f->what, NAME_SHOWN, e->name) : 0;
}

int safetensors_need(const struct safetensors *f, const char *name, enum safetensors_type type, size_t count,
                     void *out)
{
    const struct safetensors_entry *e = safetensors_find(f, name);
    char text[SAFETENSORS_TEXT];
    if (!e)
        return fail(ERR_INPUT, "%s: tensor %.*s is missing", f->what, NAME_SHOWN, name);
    if (e->count != count)
        return REFUSE(f, name, "it is %s; %zu elements are needed", safetensors_shape_text(e, text), count);
    return safetensors_read(f, e, type, out);
}
