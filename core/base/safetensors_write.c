/* safetensors_write.c - the writer. The header is padded with spaces so that the data begins at a
 * multiple of 8 bytes; tensors follow each other without gaps, in the caller's order. */
#include "safetensors.h"

#include "error.h"
#include "file.h"
#include "half.h"
#include "json.h"
#include "memory.h"

#include <math.h>
#include <string.h>

enum { ALIGNMENT = 8, STEP = 4096 };

static const size_t type_bytes[] = {
#define X(id, bytes) bytes,
    SAFETENSORS_TYPES(X)
#undef X
};

static int writable(enum safetensors_type type)
{
    return type == SAFETENSORS_F32 || type == SAFETENSORS_F16 || type == SAFETENSORS_U8 ||
           type == SAFETENSORS_I32 || type == SAFETENSORS_I64;
}

static const char *type_name(enum safetensors_type type)
{
    static const char *const names[] = {
#define X(id, bytes) #id,
        SAFETENSORS_TYPES(X)
#undef X
    };
    return names[type];
}

static int64_t elements(const struct safetensors_item *item)
{
    int64_t n = 1;
    for (int i = 0; i < item->rank; i++)
        n *= item->dim[i];
    return n;
}

/* {"dtype": ..., "shape": [...], "data_offsets": [...]}; moves *offset behind the tensor */
static int describe(struct json *header, const struct safetensors_item *item, int64_t *offset)
{
    if (!writable(item->type) || item->rank < 0 || item->rank > 4)
        return fail(ERR_INPUT, "tensor %s cannot be written: its type or its %d axes are not supported",
                    item->name, (int)item->rank);
    struct json *entry = json_object(), *shape = json_array(), *offsets = json_array();
    int64_t end = *offset + elements(item) * (int64_t)type_bytes[item->type];
    int rc = entry && shape && offsets ? 0 : ERR_MEMORY;
    for (int i = 0; i < item->rank && !rc; i++)
        rc = json_append_number(shape, (double)item->dim[i]);
    if (!rc)
        rc = json_append_number(offsets, (double)*offset);
    if (!rc)
        rc = json_append_number(offsets, (double)end);
    if (!rc)
        rc = json_set_string(entry, "dtype", type_name(item->type));
    if (rc) {
        json_destroy(shape);
        json_destroy(offsets);
        json_destroy(entry);
        return rc;
    }
    rc = json_take(entry, "shape", shape);
    int rc_offsets = json_take(entry, "data_offsets", offsets),
        rc_entry = json_take(header, item->name, entry);
    *offset = end;
    return rc ? rc : rc_offsets ? rc_offsets : rc_entry;
}

static int describe_all(struct json *header, const struct safetensors_item *items, size_t count,
                        const struct safetensors_note *notes, size_t note_count)
{
    if (note_count) {
        struct json *metadata = json_object();
        int rc = metadata ? 0 : ERR_MEMORY;
        for (size_t i = 0; i < note_count && !rc; i++)
            rc = json_set_string(metadata, notes[i].key, notes[i].value);
        if (rc) {
            json_destroy(metadata);
            return rc;
        }
        TRY(json_take(header, "__metadata__", metadata));
    }
    int64_t offset = 0;
    for (size_t i = 0; i < count; i++)
        TRY(describe(header, &items[i], &offset));
    if (json_count(header) != count + (note_count > 0))
        return fail(ERR_INPUT, "two tensors of the same name cannot be written to one file");
    return 0;
}

/* 8 bytes of length, then the text and its padding */
static int put_header(struct file_writer *w, const struct json *header)
{
    char *text = json_text(header, 0);
    if (!text)
        return ERR_MEMORY;
    static const char spaces[ALIGNMENT + 1] = "        ";
    size_t length = strlen(text), padding = (ALIGNMENT - length % ALIGNMENT) % ALIGNMENT;
    uint64_t total = length + padding;
    file_put(w, &total, sizeof total);
    file_put(w, text, length);
    int rc = file_put(w, spaces, padding);
    mem_free(text);
    return rc;
}

static int put_halves(struct file_writer *w, const struct safetensors_item *item)
{
    const float *numbers = item->data;
    uint16_t halves[STEP];
    int64_t count = elements(item);
    for (int64_t done = 0; done < count;) {
        size_t n = 0;
        for (; n < STEP && done < count; n++, done++) {
            halves[n] = half_from_float(numbers[done]);
            if (isfinite(numbers[done]) && (halves[n] & 0x7FFFu) == 0x7C00u)
                return fail(ERR_INPUT, "tensor %s: element %lld is %g, which F16 cannot hold; write F32",
                            item->name, (long long)done, (double)numbers[done]);
        }
        TRY(file_put(w, halves, 2 * n));
    }
    return 0;
}

static int put_tensor(struct file_writer *w, const struct safetensors_item *item)
{
    return item->type == SAFETENSORS_F16
               ? put_halves(w, item)
               : file_put(w, item->data, (size_t)elements(item) * type_bytes[item->type]);
}

int safetensors_write(const char *path, const struct safetensors_item *items, size_t count,
                      const struct safetensors_note *notes, size_t note_count)
{
    struct file_writer *w = NULL;
    struct json *header = json_object();
    int rc = 0;
    if (!header)
        return ERR_MEMORY;
    TRY_OUT(describe_all(header, items, count, notes, note_count));
    TRY_OUT(file_begin(&w, path));
    TRY_OUT(put_header(w, header));
    for (size_t i = 0; i < count; i++)
        TRY_OUT(put_tensor(w, &items[i]));
    rc = file_commit(w);
    w = NULL;
out:
    file_abandon(w);
    json_destroy(header);
    return rc;
}
