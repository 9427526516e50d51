/* tensor_private.h - what the containers behind tensor_file.h are to it. */
#ifndef VITRO_BASE_TENSOR_PRIVATE_H
#define VITRO_BASE_TENSOR_PRIVATE_H

#include "memory.h"
#include "tensor_file.h"

enum { TENSOR_LIMIT = 1 << 17, TENSOR_RANK = 8 };

struct tensor_place {            /* where a container finds an entry's elements again */
    size_t source;               /* shard or zip member */
    uint64_t offset;             /* elements from its start */
    int64_t stride[TENSOR_RANK]; /* elements; used by those that have strides */
};

struct tensor_list { /* what opening a container fills */
    struct arena arena;
    struct tensor_entry *entries;
    struct tensor_place *places;
    size_t count, room;
    const char *what;
};
/* Name and shape are copied. */
int tensor_list_add(struct tensor_list *l, const struct tensor_entry *e, const struct tensor_place *at);

struct tensor_container {
    const char *name;
    int (*open)(void **self, struct tensor_list *l, const void *bytes, size_t size);
    int (*read)(void *self, const struct tensor_list *l, size_t i, float *out);
    void (*close)(void *self); /* NULL is fine */
};
extern const struct tensor_container tensor_npz, tensor_torch;

/* Whether a zip archive is PyTorch's: one member is <something>/data.pkl. Negative: it is none at all. */
int torch_is_archive(const void *bytes, size_t size, const char *what);
/* The sentence for what PyTorch wrote before its zip form, or 0. */
int torch_refuse_legacy(const void *bytes, size_t size, const char *what);

/* Elements with strides, `bytes` being all `held` of them, as contiguous floats. */
int tensor_gather(const struct tensor_list *l, size_t i, const void *bytes, size_t held, float *out);

#endif
