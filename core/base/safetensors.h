/* safetensors.h - named tensors in one file: 8 bytes of header length, a JSON header, the data.
 *
 * The reader trusts nothing: a file whose header, shapes and offsets do not cover its data exactly
 * once is refused by name and number. The writer's bytes depend on its arguments only. */
#ifndef VITRO_BASE_SAFETENSORS_H
#define VITRO_BASE_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

/* as the header spells it, bytes of one element */
#define SAFETENSORS_TYPES(X) \
    X(F32, 4)                \
    X(F16, 2)                \
    X(BF16, 2)               \
    X(F64, 8)                \
    X(U8, 1)                 \
    X(I32, 4)                \
    X(I64, 8)                \
    X(BOOL, 1)               \
    X(I8, 1)                 \
    X(I16, 2)                \
    X(U16, 2)                \
    X(U32, 4)                \
    X(U64, 8)                \
    X(F8_E4M3, 1)            \
    X(F8_E5M2, 1)            \
    X(F8_E8M0, 1)            \
    X(C64, 8)
enum safetensors_type {
#define X(id, bytes) SAFETENSORS_##id,
    SAFETENSORS_TYPES(X)
#undef X
        SAFETENSORS_UNKNOWN /* a type of this name is not known: listed, but not read */
};

struct safetensors_entry {    /* lent by the open file */
    const char *name, *dtype; /* dtype as the header spells it */
    enum safetensors_type type;
    size_t rank;
    const int64_t *dim;
    size_t count;               /* elements */
    const unsigned char *bytes; /* row-major, little-endian, aligned to nothing */
    size_t size;
};

struct safetensors; /* an open file */
int safetensors_open(struct safetensors **out, const char *path);
/* The same of bytes in memory, which are lent until close; `what` names them in sentences. */
int safetensors_view(struct safetensors **out, const void *bytes, size_t size, const char *what);
void safetensors_close(struct safetensors *f); /* NULL is fine */

size_t safetensors_count(const struct safetensors *f);
/* i < count; in the order of the data */
const struct safetensors_entry *safetensors_at(const struct safetensors *f, size_t i);
const struct safetensors_entry *safetensors_find(const struct safetensors *f, const char *name); /* or NULL */
const char *safetensors_metadata(const struct safetensors *f, const char *key); /* or NULL; lent */
/* "[3 192]" (shortened beyond 8 axes) into text; returns text */
enum { SAFETENSORS_TEXT = 192 };
char *safetensors_shape_text(const struct safetensors_entry *e, char text[SAFETENSORS_TEXT]);

size_t safetensors_type_size(enum safetensors_type type); /* bytes of an element; 0: unknown */
/* Elements of F32, F16, BF16 or F64 as float; the sentence of a refusal lacks its subject. */
int safetensors_floats(enum safetensors_type type, const void *bytes, size_t count, float *out);
/* Copies the elements to `out` as `type`: the entry's own, or F32 from F16, BF16 and F64. */
int safetensors_read(const struct safetensors *f, const struct safetensors_entry *e,
                     enum safetensors_type type, void *out);
/* Finds and reads a tensor of exactly `count` elements; refuses a missing one by name. */
int safetensors_need(const struct safetensors *f, const char *name, enum safetensors_type type, size_t count,
                     void *out);

struct safetensors_item { /* a tensor to be written */
    const char *name;
    enum safetensors_type type; /* F32, F16, U8, I32 or I64 */
    int32_t rank;               /* at most 4 */
    int64_t dim[4];
    const void *data; /* of that type; for F16 float, rounded to nearest and refused beyond 65504 */
};
struct safetensors_note { /* one line of __metadata__ */
    const char *key, *value;
};
/* Writes the tensors in the order given, the whole file or none of it (file_begin). */
int safetensors_write(const char *path, const struct safetensors_item *items, size_t count,
                      const struct safetensors_note *notes, size_t note_count);

#endif
