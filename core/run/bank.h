/* bank.h - the tensors of a model in device memory: what outlives a program and is shared by the
 * programs (training, evaluation) that work on it.
 *
 * Trainable tensors lie one behind the other in one arena, padded to blocks of 64 floats, with their
 * gradients and AdamW's two moments in arenas of the same layout: one dispatch updates them all and
 * a checkpoint is three reads. */
#ifndef VITRO_RUN_BANK_H
#define VITRO_RUN_BANK_H

#include "buffer.h"
#include "engine.h"
#include "frozen.h"
#include "number.h"
#include "tape.h"

struct bank;

enum { BANK_BLOCK = 64 }; /* floats; trainable tensors start at multiples of it */

struct bank_tensor {  /* its index is the id of its tape leaf */
    const char *name; /* lent for the bank's life */
    struct shape shape;
    enum leaf_kind kind; /* LEAF_FROZEN or LEAF_TRAINABLE */
    float lr_mul;        /* on the learning rate; 1 is usual */
    int no_decay;        /* keep weight decay off */
    enum number number; /* of a frozen tensor: what it is kept as, in half the memory where that is no fp32 */
    int shared; /* of a frozen tensor: it is the same, id and contents, in all banks beside this one */
};

enum bank_arena { BANK_WEIGHTS, BANK_GRADIENTS, BANK_FIRST, BANK_SECOND, BANK_ARENAS };

/* `engine` is lent for the bank's life. Everything starts as zeros. */
int bank_create(struct bank **out, struct engine *engine, const struct bank_tensor *tensors, size_t count);
/* The same for one of several trials: tensors marked as shared lie in `shared`, lent, where other banks find them. */
int bank_create_beside(struct bank **out, struct engine *engine, const struct bank_tensor *tensors,
                       size_t count, struct frozen *shared);
void bank_destroy(struct bank *b); /* NULL is fine; its programs must be gone */
struct engine *bank_engine(const struct bank *b);

/* Blocking, row-major. Frozen tensors are written before the first program is made: programs may
 * keep copies of them in other layouts. */
int bank_write(struct bank *b, size_t id, const float *data);
int bank_read(struct bank *b, size_t id, float *data);
int bank_read_gradient(struct bank *b, size_t id, float *data); /* of a trainable tensor */

/* Whether the tensor is shared and another bank has written it; then it is not to be written again. */
int bank_has_contents(const struct bank *b, size_t id);

/* Whole arenas, bank_arena_floats long, padding included: checkpoints. */
size_t bank_arena_floats(const struct bank *b);
int bank_arena_read(struct bank *b, enum bank_arena arena, float *data);
int bank_arena_write(struct bank *b, enum bank_arena arena, const float *data);

struct bank_memory { /* bytes, without what is shared */
    uint64_t frozen, layouts, weights, gradients, moments, factors;
};
struct bank_memory bank_memory(const struct bank *b);

/* What a tensor is kept as. */
enum number bank_number(const struct bank *b, size_t id);
/* For programs: device addresses. Gradient: of a trainable tensor, else 0. */
uint64_t bank_address(const struct bank *b, size_t id);
uint64_t bank_gradient_address(const struct bank *b, size_t id);
uint64_t bank_arena_address(const struct bank *b, enum bank_arena arena);
uint64_t bank_factors_address(const struct bank *b); /* per block: lr_mul, decay or not */

/* Room for another layout of a frozen tensor, kept with the bank or what it shares: frozen_layout. */
int bank_layout(struct bank *b, size_t id, int layout, size_t bytes, uint64_t *address, int *fresh);
void bank_layouts_begin(struct bank *b); /* before a program asks */
/* Its set-up has run: what was new is not any more. */
void bank_layouts_filled(struct bank *b);

#endif
