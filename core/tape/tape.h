/* tape.h - the recorded graph of a training step: values, the operations that make them, and the
 * derivative, which is more of the same operations.
 *
 * All values are float32 except the images leaf (uint8). An op with a bad operand returns poison (0)
 * and the tape keeps the first reason; ops on poison give poison, so arithmetic needs no checks.
 * Equal operations on equal operands give the same value, within one repetition. One thread at a time. */
#ifndef VITRO_TAPE_TAPE_H
#define VITRO_TAPE_TAPE_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t value; /* a tensor on a tape; 0 is poison */

enum { SHAPE_RANK = 4 };
struct shape { /* rank 0 is a scalar; axes beyond the rank hold 0 */
    int32_t rank, dim[SHAPE_RANK];
};
struct shape shape_of(int rank, const int32_t *dim);
#define SHAPE(...)                                                         \
    shape_of((int)(sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t)), (int32_t[]){__VA_ARGS__})
int64_t shape_count(struct shape s); /* elements */
int shape_equal(struct shape a, struct shape b);
/* "[8 197 192]" into text; returns text */
enum { SHAPE_TEXT = 56 };
char *shape_text(struct shape s, char text[SHAPE_TEXT]);

enum op {
#define OP(NAME, name, arity) OP_##NAME,
#include "ops.def"
#undef OP
    OP_COUNT
};
extern const char *const op_names[OP_COUNT]; /* "matmul" */
extern const int op_arity[OP_COUNT];
/* Whether the result is the operand by another name, in shape or to the derivative. */
static inline int op_renames(enum op op)
{
    return op == OP_RESHAPE || op == OP_HOOKED || op == OP_DETACH;
}


/* name, formula; the order is the plugin contract's (VITRO_RELU ...), new ones go at the end */
#define UNARY_FUNCTIONS(X)                                     \
    X(RELU, relu)             /* max(x, 0)                  */ \
    X(GELU, gelu)             /* x Phi(x), exact            */ \
    X(SIGMOID, sigmoid)       /* 1 / (1 + exp(-x))          */ \
    X(TANH, tanh)                                              \
    X(EXP, exp)                                                \
    X(SQRT, sqrt)                                              \
    X(RECIP, recip)           /* 1 / x                      */ \
    X(QUICK_GELU, quick_gelu) /* x sigmoid(1.702 x)         */ \
    X(LOG, log)                                                \
    X(ABS, abs)
enum unary_fn {
#define X(NAME, name) UNARY_##NAME,
    UNARY_FUNCTIONS(X)
#undef X
    UNARY_COUNT
};

enum leaf_kind {
    LEAF_INPUT,     /* differs from step to step: index, labels, weights of the rows of a batch */
    LEAF_IMAGES,    /* uint8, the whole pack; constant */
    LEAF_FROZEN,    /* constant: the backbone, fixed random tensors */
    LEAF_TRAINABLE, /* updated by the optimizer */
};

enum { OP_INPUTS = 8, CUSTOM_INPUTS = OP_INPUTS - 1, CUSTOM_PUSH = 64, CUSTOM_CONSTANTS = 8 };

struct tape;
/* A derivative written by hand for y = hooked(x): given d_y, adds to the gradients of what y was
 * made from through tape_add_gradient. Returns 0 or a negative error code. Being linear in d_y, it may
 * be called once for each of several parts of it, see slice.c. */
typedef int (*hooked_rule)(void *context, struct tape *t, value y, value d_y);

struct attention { /* queries: tokens q_from <= i < q_to; keys and values: those from k_from on */
    int32_t heads, q_from, q_to, k_from;
};

/* axes: bit i, axis i has its own draws. total > 0: x is what is left, from `from` on, of a value with
 * `total` rows along `axis`, and keeps the draws that it had there. */
struct dropout {
    float p;
    uint32_t stream, axes;
    int32_t axis, from, total;
};

union attr { /* one member per op that has attributes */
    struct { int32_t kind; uint32_t id; } leaf; /* id: the caller's number for the tensor */
    struct { float value; } fill;
    struct { float scale, shift; } affine;
    struct { int32_t fn; } unary; /* also unary_back */
    struct dropout dropout;
    struct { int32_t a_t, b_t; } matmul;
    struct { float eps; } norm; /* normalize, layernorm and their backs */
    struct attention attention; /* and lse, back */
    struct { int32_t axes[SHAPE_RANK]; } permute;
    struct { int32_t axis; } concat;
    struct { int32_t axis, from, to; } slice;
    struct { int32_t axis, before; } pad;
    struct { uint32_t axes; } sum;
    struct { int32_t k; } unfold; /* also fold */
    struct { int32_t patch; float mean[3], std[3]; } patches;
    struct { uint32_t rule; } hooked;
    struct { uint32_t call, rule; } custom; /* see tape_call; rule 0: none, else one more than hooked's */
};

struct custom { /* a kernel from outside and how it is dispatched */
    const char *name;      /* this and the module: lent for good, like a plugin's library */
    const uint32_t *spirv;
    size_t spirv_bytes;
    uint32_t inputs, push_bytes, constant_count;
    unsigned char push[CUSTOM_PUSH];      /* behind the addresses of the inputs and the output */
    uint32_t constants[CUSTOM_CONSTANTS]; /* specialisation constants 1, 2, ... */
    uint32_t groups[3];
};

struct node { /* read only */
    enum op op;
    struct shape shape;
    value in[OP_INPUTS];
    union attr attr;
    const char *name; /* of a leaf, else NULL or the place that recorded it; lives with the tape */
    uint32_t again;   /* 0, or which repetition of what was computed before: see again.h */
    int derivative;   /* recorded by tape_backward */
};

struct tape *tape_create(void); /* NULL: out of memory */
void tape_destroy(struct tape *t); /* NULL is fine */

uint32_t tape_size(const struct tape *t); /* values are 1 .. tape_size - 1, operands before users */
const struct node *tape_node(const struct tape *t, value v);
struct shape tape_shape(const struct tape *t, value v); /* rank 0 of poison */

/* Why the first poison came about, or NULL. Refusing by hand: returns 0. */
const char *tape_why(const struct tape *t);
value tape_fail(struct tape *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Goes before the reason of failures, and names the values recorded while it is set: "lora at
 * qkv of block 3". Copied. NULL: none. */
void tape_place(struct tape *t, const char *place);

/* Test feature: the op recorded after `successes` more returns poison; negative: off. */
void tape_fail_after(struct tape *t, long successes);

/* ops: see ops.def */
value tape_leaf(struct tape *t, enum leaf_kind kind, struct shape shape, uint32_t id, const char *name);
value tape_fill(struct tape *t, struct shape shape, float number);
value tape_add(struct tape *t, value a, value b);
value tape_mul(struct tape *t, value a, value b);
value tape_affine(struct tape *t, value x, float scale, float shift);
value tape_unary(struct tape *t, value x, enum unary_fn fn);
value tape_unary_back(struct tape *t, value x, value d_y, enum unary_fn fn);
/* p in [0, 1); `stream` tells this dropout from the others; p = 0 gives x. */
value tape_dropout(struct tape *t, value x, float p, uint32_t stream, uint32_t axes);
value tape_dropout_part(struct tape *t, value x, struct dropout d);
value tape_matmul(struct tape *t, value a, value b, int a_t, int b_t);
value tape_softmax(struct tape *t, value x);
value tape_softmax_back(struct tape *t, value y, value d_y);
value tape_normalize(struct tape *t, value x, float eps);
value tape_normalize_back(struct tape *t, value x, value d_y, float eps);
value tape_layernorm(struct tape *t, value x, value w, value b, float eps);
value tape_layernorm_back(struct tape *t, value x, value w, value d_y, float eps);
value tape_attention(struct tape *t, value qkv, int32_t heads); /* all tokens ask all */
value tape_attention_part(struct tape *t, value qkv, struct attention part);
/* Queries, keys and values of a fused qkv, as slices that stay slices. */
void tape_attention_split(struct tape *t, value qkv, value three[3]);
/* Queries q [b n D] of keys k and values v [b m D], aligned at their last tokens. qkv [b t 3D] is what
 * they were once slices of: where they still are, they need not be joined again. */
value tape_attention_joined(struct tape *t, value qkv, value q, value k, value v, int32_t heads);
value tape_attention_lse(struct tape *t, value qkv, struct attention part);
value tape_attention_back(struct tape *t, value qkv, value out, value lse, value d_out,
                          struct attention part);
value tape_reshape(struct tape *t, value x, struct shape to);
value tape_permute(struct tape *t, value x, const int32_t axes[SHAPE_RANK]);
value tape_expand(struct tape *t, value x, struct shape to);
value tape_concat(struct tape *t, value a, value b, int32_t axis);
/* Recorded as far down as it saves work, see slice.c; not so during tape_backward. */
value tape_slice(struct tape *t, value x, int32_t axis, int32_t from, int32_t to);
value tape_pad(struct tape *t, value x, int32_t axis, int32_t before, int32_t total);
value tape_sum(struct tape *t, value x, uint32_t axes);
value tape_gather(struct tape *t, value table, value index);
value tape_unfold(struct tape *t, value x, int32_t k); /* k odd */
value tape_fold(struct tape *t, value x, int32_t k);
value tape_patches(struct tape *t, value images, value index, int32_t patch, const float mean[3],
                   const float std[3]);
value tape_cross_entropy(struct tape *t, value logits, value labels);
value tape_cross_entropy_back(struct tape *t, value logits, value labels, value d_loss);
/* x, with `rule` as its derivative; `context` is lent until tape_backward is done. */
value tape_detach(struct tape *t, value x);
value tape_hooked(struct tape *t, value x, hooked_rule rule, void *context);
/* `call` is copied. rule NULL: the derivative is that of `equivalent`. */
value tape_custom(struct tape *t, value equivalent, const value *in, const struct custom *call,
                  hooked_rule rule, void *context);
/* Of a custom value; lives with the tape. */
const struct custom *tape_call(const struct tape *t, const struct node *custom);

/* Gradients of the scalar (one-element) `loss` with respect to each wrt[i], recorded behind what is
 * there; grads[i] has wrt[i]'s shape, zeros where the loss does not depend on it. Values on which no
 * wrt bears are not differentiated. Negative when the tape is or becomes poisoned. */
int tape_backward(struct tape *t, value loss, const value *wrt, size_t count, value *grads);
/* Inside tape_backward, from a hooked rule: adds d (of v's shape) to the gradient of v. v must be
 * older than the hooked value. */
void tape_add_gradient(struct tape *t, value v, value d);

/* live[v] = 1 for every value that some root needs; the array holds tape_size bytes. */
void tape_live(const struct tape *t, const value *roots, size_t count, unsigned char *live);
/* The same where custom values v with kernels[v] need their kernel's operands and not their equivalent. */
void tape_live_with(const struct tape *t, const value *roots, size_t count, const unsigned char *kernels,
                    unsigned char *live);

/* Which kinds of ops read each value, by itself or through what renames it: adds to readers[v], tape_size bytes, where a
 * caller may have noted readers of its own. live NULL: all values count; kernels as for tape_live_with, NULL: a custom
 * value may read both its equivalent and its kernel's operands. */
enum {
    READER_PRODUCT = 1,   /* as an operand of a matrix product */
    READER_ATTENTION = 2, /* as an operand of attention's products: queries, keys and values, the result's gradient */
    READER_OTHER = 4
};
void tape_readers(const struct tape *t, const unsigned char *live, const unsigned char *kernels,
                  unsigned char *readers);

#endif
