/* host.h - PEFT methods as the rest of the program sees them: a stack of plugin instances, the list
 * of tensors that the stack and the backbone make up, and a training step's forward on a tape.
 *
 *     plugins_create -> method_create("lora[r=8]+bitfit") -> method_declare(vit) -> method_tensors
 *                    -> method_trace -> tape_backward -> method_trace_destroy
 *
 * Nothing above this layer knows a plugin. One thread at a time for each struct plugins. */
#ifndef VITRO_HOST_HOST_H
#define VITRO_HOST_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "model.h"
#include "plugin.h"
#include "tape.h"

struct method; /* a stack of configured plugin instances */

/* Parses "lora[r=8,alpha=16]+./mine/vitro_x.so[k=1]" and loads what it names; refusals say what is
 * wrong and where. `plugins` must outlive the method. */
int method_create(struct method **out, struct plugins *plugins, const char *text);
/* The same with the plugins' memory where a judge wants it, so that what is written outside of it shows. */
struct method_memory { /* lent by the caller until method_destroy */
    void *context;
    void *(*self)(void *context, size_t size); /* zeroed bytes for an instance, or NULL; the judge's to free */
    /* What a callback is lent instead of `bytes`: a copy of the same bytes that lives as long as the call. */
    const void *(*lend)(void *context, const void *bytes, size_t size);
};
int method_create_in(struct method **out, struct plugins *plugins, const char *text,
                     const struct method_memory *memory);
void method_destroy(struct method *m); /* NULL is fine */

/* The stack with every option spelt out: "lora[r=8,alpha=0,dropout=0.1]+bitfit". Reading it gives
 * the same method again, whatever the defaults are by then. */
const char *method_text(const struct method *m);

/* Lets each instance declare against the model's shape. Once per method; `vit` must outlive it. */
int method_declare(struct method *m, const struct vit *vit);

struct tensor {       /* of the backbone or declared by a plugin; its index is the id of its tape leaf */
    const char *name; /* "blocks.3.attn.qkv.bias", "lora/3/a", "ssf/scale.NORM"; lives with the method */
    struct shape shape;
    enum leaf_kind kind; /* LEAF_TRAINABLE: to be optimized and saved. LEAF_FROZEN: constant */
    int32_t block;       /* -1: not of a block */
    int32_t owner;       /* the instance that declared it; -1: the backbone's */
    int32_t source;      /* index into vit->tensors; -1: not the backbone's */
    int is_head;         /* always trainable, and left out of parameter counts */
    int kept;            /* frozen, but its plugin may write it around training: never folded, saved */
    int no_decay;        /* weight decay must not touch it */
    float lr_mul;        /* factor on the learning rate */
    uint32_t init, wise; /* VITRO_ZEROS .., VITRO_KEEP ..; a backbone tensor starts as it is */
    float init_arg, init_mean;
};

/* After method_declare: the backbone's tensors in vit's order, then each instance's parameters. */
const struct tensor *method_tensors(const struct method *m, size_t *count);

/* Initial contents of tensor `id`, shape_count floats: a copy of the backbone's, or the declared
 * initialisation, which depends on (seed, name) alone. */
int method_initial(const struct method *m, size_t id, uint64_t seed, float *out);

/* Trainable numbers without the head, as papers count. */
int64_t method_trainable(const struct method *m);
int64_t method_head(const struct method *m);

enum interpolation { /* the way back to the backbone, see method_interpolate */
    INTERPOLATES_NOT,
    INTERPOLATES_PARAMETERS, /* each tensor on its own: some parameters have a neutral value */
    INTERPOLATES_MERGED,     /* none has, but it can be folded in: the merged weights */
};

struct method_part {  /* one instance of the stack; lent by the method */
    const char *name; /* "lora", the second of its kind "lora-2" */
    const char *text; /* its piece of method_text */
    const struct plugin *plugin;
    int64_t declared; /* trainable numbers that it declares and unfreezes, without the head */
    int64_t claimed;  /* what its param_count says, or -1 when it says nothing */
    int mergeable;    /* method_merge can fold it into the backbone */
    enum interpolation interpolates;
    const char *interpolates_why; /* half a sentence: "some of its parameters have a neutral value" */
    uint32_t hooks, unfreezes;    /* sets of sites (VITRO_BIT), over all blocks */
};
const char *site_name(int32_t site); /* "QKV" */
/* Whose tensor `id` is: the name of the first instance that declared or unfroze it, "head", or "backbone". */
const char *method_owner(const struct method *m, size_t id);
size_t method_parts(const struct method *m);
int method_part(const struct method *m, size_t i, struct method_part *out);

struct method_step { /* how to trace; everything is lent until method_trace returns */
    struct tape *tape;
    value images, index; /* as for vit_trace */
    float mean[3], std[3];
    float drop_path; /* 0: none */
    int training;    /* 0: dropout and drop-path vanish, penalties are left out */
    int derive;      /* ignore derivatives written by hand; for tests */
    const unsigned char *unfrozen; /* NULL, or one per tensor: its leaf is trainable whatever its kind */
};

struct method_trace {    /* one recorded forward pass */
    value logits;        /* [batch, classes] */
    value penalty;       /* a scalar to add to the loss; 0 when no plugin has one */
    const value *leaves; /* the leaf of each tensor, in method_tensors' order */
    size_t count;
    const value *blocks; /* what enters each block, before its hooks */
    size_t block_count;
};

/* Leaf i has tensor i's kind and the id i. The trace holds what hand-written derivatives need and
 * must live until tape_backward is done; it refers to the method. */
int method_trace(struct method_trace **out, struct method *m, const struct method_step *step);
void method_trace_destroy(struct method_trace *trace); /* NULL is fine */

/* Folds the methods' effect into the backbone: merged[i] is the value of vit tensor i afterwards (its
 * leaf where nothing changed; trainable ones are leaves like the others). `merged` holds vit->count
 * values. Refused, with the reason, when a plugin of the stack cannot be folded in. Plugins fold in
 * stack order, which is exact when each hooks the site whose tensors it replaces; a stack that mixes
 * sites of one unit (FC2 and MLP_OUT) may need another order, so compare logits before trusting it. */
int method_merge(struct method *m, struct tape *tape, value *merged);

/* Weight-space interpolation between the backbone and the tuned model, WiSE-FT (Wortsman et al. 2022,
 * arXiv 2109.01903): theta(alpha) = n + alpha (theta - n), tensor by tensor. n is, for a tensor of the
 * backbone and for the head, what method_initial gives; for a declared parameter 0 (VITRO_TO_ZERO),
 * 1 (VITRO_TO_ONE) or theta itself (VITRO_KEEP, and frozen ones).
 *
 * What there is to interpolate is the stack's: by parameters if every instance can be; else by merged
 * weights if all can be folded in; else it is refused with the reason. By parameters, `tuned` is
 * the content of any tensor and the network keeps its hooks. By merged weights, `tuned` is the computed
 * value of method_merge's merged[id], id < vit->count, and the network runs without hooks. */
int method_interpolation(const struct method *m, enum interpolation *by);
/* Tensor `id` at alpha in 0 .. 1, shape_count floats; `out` may be `tuned`. alpha 0 gives n and alpha 1
 * gives theta to the bit. */
int method_interpolate(const struct method *m, size_t id, float alpha, const float *tuned, float *out);

#endif
