/* training.h - what a method does around training, outside its trace: extension "vitro.training/1".
 *
 * Training replays a recording and calls no plugin.  A method that must see weights or gradients
 * before it starts, or change its parameters now and then, gives a vitro_training from its
 * `extension(self, VITRO_TRAINING)`.  The host calls, in this order,
 *
 *     plan    once: what to scan                         scan    after each batch of the scan
 *     begin   once: every parameter has its start        step    after those steps that `next` names
 *
 * and nothing at all for a method without.  A training that is resumed goes on from the parameters
 * that were saved: its plan, scan and begin lie behind it.  So what must outlive a callback belongs
 * in parameters; of a method with this extension those declared VITRO_FROZEN are saved as well.
 * Same seed, same numbers: let nothing else decide what is written. */
#ifndef VITRO_TRAINING_H
#define VITRO_TRAINING_H
#include <vitro/method.h>

#define VITRO_TRAINING "vitro.training/1"

typedef struct vitro_scan { /* filled by plan; append-only */
    uint32_t size;
    uint32_t batches;      /* arrives as those of one pass over the images; leave as many as wanted */
    uint32_t sites, parts; /* the backbone's tensors whose gradients are wanted, as for unfreeze */
    vitro_blocks blocks;
    const vitro_host *host;
    const vitro_model *model;
} vitro_scan;

/* Handed to scan, begin and step.  What it lends is the host's and valid until the callback returns.
 * A call that cannot be answered gives NULL or -1, and the host knows why: return -1 then, too.
 * `block` is not looked at where there is one for all blocks. */
typedef struct vitro_trainer vitro_trainer;
struct vitro_trainer { /* append-only */
    uint32_t abi, size;
    const vitro_host *host;
    const vitro_model *model;
    uint32_t step, steps; /* done, of how many: batches in a scan, else steps of the optimiser */

    /* The backbone's tensors as they are now; in a scan their gradients of the batch's mean
     * cross-entropy, without dropout, drop-path and penalties. */
    const float *(*weight)(vitro_trainer *, int32_t site, uint32_t part, int32_t block);
    const float *(*weight_gradient)(vitro_trainer *, int32_t site, uint32_t part, int32_t block);
    /* Own parameters as they are now; in a step their gradients of that step. */
    const float *(*param)(vitro_trainer *, vitro_param, int32_t block);
    const float *(*param_gradient)(vitro_trainer *, vitro_param, int32_t block);
    /* In begin and step, to be changed, FROZEN ones too: the parameter becomes what this holds when
     * the callback returns 0. */
    float *(*edit)(vitro_trainer *, vitro_param, int32_t block);
    /* Zeroed memory to compute in. From scan to scan and to begin the same slot is the same memory. */
    float *(*room)(vitro_trainer *, uint32_t slot, size_t floats);
    /* The `rank` largest singular values: a = u diag(s) vt, a [rows, columns], u [rows, rank],
     * s [rank] falling, vt [rank, columns], all row-major. */
    int (*svd)(vitro_trainer *, const float *a, int32_t rows, int32_t columns, int32_t rank, float *u,
               float *s, float *vt);
};

/* int: 0, or -1 after `fail`. */
typedef struct vitro_training { /* unmarked slots may be NULL; append-only */
    uint32_t size;                                /* required */
    int (*plan)(const void *self, vitro_scan *);  /* NULL: no scan */
    int (*scan)(void *self, vitro_trainer *);     /* required with plan */
    int (*begin)(void *self, vitro_trainer *);
    /* The step, step + 1 .. steps, after which `step` is called next; 0: no more. It depends on its
     * arguments alone. NULL: after each. */
    uint32_t (*next)(const void *self, uint32_t step, uint32_t steps);
    int (*step)(void *self, vitro_trainer *);
} vitro_training;
#endif
