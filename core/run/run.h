/* run.h - a tape made executable: kernels chosen, memory planned, one command buffer recorded; then
 * replayed any number of times without a word from the host.
 *
 * One replay is one step: take the step's batch, compute, update the trainable tensors if asked,
 * append the logged values to their logs, count. A series is a run of steps whose batches and
 * learning rates are handed over at its start; its logs are read when the host likes. */
#ifndef VITRO_RUN_RUN_H
#define VITRO_RUN_RUN_H

#include "bank.h"
#include "feed.h"
#include "tape.h"

struct run;
struct product_list;

struct run_table { /* a leaf whose contents lie in a buffer of the caller's */
    value leaf;
    const struct buffer *rows; /* lent for the run's life */
};
struct run_gradient {
    size_t id;      /* of the trainable tensor in the bank */
    value gradient; /* of the tensor's shape */
};

struct run_spec { /* everything is lent for the call, bank and feed for the run's life */
    const struct tape *tape;
    struct bank *bank;
    const struct feed *feed; /* NULL when the tape has no images */
    /* leaves, 0 when absent: images as LEAF_IMAGES; index, labels, weights [batch] as LEAF_INPUT, filled
     * from the batch: row numbers, labels, and 1 / (rows that count) or 0 for padding rows */
    value images, index, labels, weights;
    value scale; /* a LEAF_INPUT leaf of one number by which the caller multiplied the loss before it took the
                    gradients: the loss's scale, which the device moves (advance.comp); 0: there is none */
    const struct run_table *tables; /* of other LEAF_INPUT leaves */
    size_t table_count;
    const struct run_gradient *gradients;
    size_t gradient_count;
    enum number number; /* what the operands of products are rounded to; sums are fp32 */
    int update;         /* apply AdamW after each step; else gradients are only computed */
    float beta1, beta2, eps, decay;
    const value *logs; /* values kept at every step */
    size_t log_count;
    const struct buffer
        *log_rows;   /* NULL: the logs are the run's own, read by run_log; else log_count buffers
                                      of the caller's, of `series` rows each */
    uint32_t series; /* the longest series, in steps */
    int profile;
    struct product_list *asked; /* NULL, or where the products that it is made of are noted (products.h) */
    int explain;                /* remember what run_alive tells */
};
int run_create(struct run **out, const struct run_spec *spec);

/* Several steps in one command buffer, each a part of the run with its own tape, bank, batches and learning rates, that
 * computes the bits it computes alone. Side by side, work of different parts stands between the same barriers; in
 * turn, one part comes after the other and they use the same memory for what lives within a step. `explain`, and
 * `profile`, which takes a run of one part, are the first's. */
enum run_together {
    RUN_SIDE_BY_SIDE,
    RUN_IN_TURN,
    RUN_AS_PAYS /* the caller's to decide, not run_create_packed's */
};
int run_create_packed(struct run **out, const struct run_spec *specs, uint32_t count,
                      enum run_together together);
/* From now on steps leave out the work of the parts whose byte is not 0; nothing of the run is running. */
int run_rest(struct run *r, const unsigned char *idle);

void run_destroy(struct run *r); /* waits; NULL is fine */

struct run_scaling {        /* of the loss, where run_spec.scale is set */
    float scale;            /* a power of two */
    uint32_t good, skipped; /* steps in a row with finite gradients; updates left out for others */
};
enum { RUN_SCALE_FIRST = 1 << 16 }; /* the field's usual start */
/* Before the next series; a run that was told nothing starts at RUN_SCALE_FIRST. */
void run_set_scaling(struct run *r, uint32_t part, const struct run_scaling *s);
/* As it is once everything submitted is done. */
int run_scaling(struct run *r, uint32_t part, struct run_scaling *out);

enum { RUN_PADDING = -1 }; /* an order entry that stands for no image */
struct run_series {
    uint32_t part;         /* of a packed run, each part is told of its own */
    uint32_t first, steps; /* number of the first step: it decides dropout masks and AdamW's t */
    uint64_t seed;         /* of dropout */
    const int32_t *order;  /* [steps][batch] rows of the feed, or RUN_PADDING; NULL without a feed */
    const float *rates;    /* [steps] learning rates; NULL when there is no update */
};
int run_begin(struct run *r, const struct run_series *s);
int run_go(struct run *r, uint32_t steps);     /* submits; returns before they are done */
uint32_t run_stride(const struct run *r);      /* steps that one submit of bounded length holds, at least 1 */
int run_wait(struct run *r, uint32_t pending); /* at most `pending` steps are unfinished */

/* Log `which`, counted through the parts, of steps from .. from + count - 1 of the series, after they are done. */
int run_log(struct run *r, size_t which, uint32_t from, uint32_t count, float *out);

/* Writes a LEAF_INPUT leaf of the first part other than the four above; for tests and tools. */
int run_write(struct run *r, value leaf, const float *data);

struct run_counts {                /* of one step */
    uint32_t dispatches, barriers; /* barriers between its dispatches */
    uint32_t submits;              /* that it is cut into */
};
struct run_counts run_counts(const struct run *r);

enum run_phase {
    RUN_FORWARD,
    RUN_BACKWARD, /* what tape_backward recorded */
    RUN_AGAIN,    /* forward once more: see again.h */
    RUN_STEP,     /* of the step itself: batch, logs, optimizer */
    RUN_PHASES
};
extern const char *const run_phases[RUN_PHASES]; /* "forward" */

struct run_memory {
    uint64_t activations, constants, logs, control; /* bytes of device memory, beside the bank's and feed's */
};
struct run_memory run_memory(const struct run *r);

/* What lives when the activations are at their peak, the largest first; texts are lent for the run's life. */
struct run_alive {
    const char *name, *place; /* "gelu", "panels"; place NULL: none */
    struct shape shape;       /* of the value it is, or serves */
    enum run_phase made;
    uint64_t bytes;
};
uint32_t run_alive_count(const struct run *r);
struct run_alive run_alive(const struct run *r, uint32_t i);

/* Profile of the last finished step: row i of run_profile_count. Texts are lent for the run's life. */
struct run_time {
    const char *label, *kernel; /* the op, or what the work is: "pack", "adamw"; its shader */
    const char *place;          /* that recorded it, see tape_place; NULL: none */
    enum run_phase phase;
    int64_t gradient; /* the id of the tensor whose gradient alone it makes, where that tensor is read; -1 */
    struct shape shape; /* of the op's result; rank 0 where there is none */
    double start_ns;    /* since the first dispatch of the step began */
    double ns, flops, bytes;
};
uint32_t run_profile_count(const struct run *r);
int run_profile(struct run *r, uint32_t i, struct run_time *out);

#endif
