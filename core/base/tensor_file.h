/* tensor_file.h - named tensors, whatever holds them: safetensors (one file, or the shards that an index names),
 * NumPy's .npz, PyTorch's .pt, .pth and .bin (its zip form). A folder is searched for a model file as Hugging Face
 * names them. Recognised by content, not by ending; nothing of a file is ever executed. */
#ifndef VITRO_BASE_TENSOR_FILE_H
#define VITRO_BASE_TENSOR_FILE_H

#include "safetensors.h"

struct tensor_entry { /* lent by the open file */
    const char *name, *dtype;
    enum safetensors_type type;
    size_t rank, count;
    const int64_t *dim;
};

struct tensor_file;
int tensor_file_open(struct tensor_file **out, const char *path);
/* The same of bytes in memory, which are lent until close; `what` names them in sentences. */
int tensor_file_view(struct tensor_file **out, const void *bytes, size_t size, const char *what);
void tensor_file_close(struct tensor_file *f); /* NULL is fine */

const char *tensor_file_container(const struct tensor_file *f); /* "safetensors", "NumPy .npz", ... */
size_t tensor_file_count(const struct tensor_file *f);
const struct tensor_entry *tensor_file_at(const struct tensor_file *f, size_t i); /* sorted by name */
const struct tensor_entry *tensor_file_find(const struct tensor_file *f, const char *name); /* or NULL */
const char *tensor_file_metadata(const struct tensor_file *f,
                                 const char *key); /* safetensors' own, or NULL */
/* Copies the elements row by row as float; of the types F32, F16, BF16 and F64. */
int tensor_file_read(struct tensor_file *f, const struct tensor_entry *e, float *out);
/* SHA-256 in hexadecimal of the file's bytes; of several shards, of their hashes in the order of their names. */
int tensor_file_hash(const struct tensor_file *f, char out[65]);
/* "[3 192]" into text; returns text */
char *tensor_entry_text(const struct tensor_entry *e, char text[SAFETENSORS_TEXT]);

#endif
