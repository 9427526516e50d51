/* frozen.h - frozen tensors in device memory, with their copies in other layouts: those of one bank, or those that the
 * banks of packed trials have in common and that lie there once. */
#ifndef VITRO_RUN_FROZEN_H
#define VITRO_RUN_FROZEN_H

#include "buffer.h"
#include "engine.h"
#include "number.h"

struct frozen;

struct frozen_tensor {
    const char *name;   /* lent for the life of what it is added to */
    size_t id;          /* equal ids are equal contents */
    size_t count;       /* numbers */
    enum number number; /* what it is kept as */
};

int frozen_create(struct frozen **out, struct engine *engine); /* `engine` is lent */
void frozen_destroy(struct frozen *f); /* NULL is fine; the banks that use it must be gone */
/* Forgets all tensors and frees their memory: before the device is opened anew. */
void frozen_clear(struct frozen *f);

/* Makes room, in one buffer and zeroed, for those of the tensors that are not there as that number. */
int frozen_add(struct frozen *f, const struct frozen_tensor *tensors, size_t count);

struct frozen_place;
struct frozen_place *frozen_find(const struct frozen *f, size_t id, enum number number); /* NULL: not there */
uint64_t frozen_address(const struct frozen_place *at);
/* Whether it has been written. */
int frozen_is_filled(const struct frozen_place *at);
/* Blocking; floats, rounded to what the tensor is kept as. */
int frozen_write(struct frozen *f, struct frozen_place *at, const float *data);
int frozen_read(struct frozen *f, const struct frozen_place *at, float *data);

/* Room for another layout of a tensor. *fresh: it is new, and the asking program's set-up must fill it; the other
 * parts of the same run ask after it and rely on that. */
int frozen_layout(struct frozen *f, const struct frozen_place *at, int layout, size_t bytes,
                  uint64_t *address, int *fresh);
/* A run is begun: what an earlier one asked for and never filled is to be filled by this one. */
void frozen_layouts_begin(struct frozen *f);
/* Its set-up has run: what was new is not any more. */
void frozen_layouts_filled(struct frozen *f);

struct frozen_memory { /* bytes */
    uint64_t tensors, layouts;
};
struct frozen_memory frozen_memory(const struct frozen *f);

#endif
