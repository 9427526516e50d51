/* lower_attention.h - what the two ways of lowering attention share. */
#ifndef VITRO_RUN_LOWER_ATTENTION_H
#define VITRO_RUN_LOWER_ATTENTION_H

#include "program.h"

struct attention_sizes {
    uint32_t batch, tokens, heads, width;
    uint32_t q_from, queries, k_from;
    float scale;
};

/* Multiplications and additions of `products` passes over all pairs of a query and a key. */
double attention_flops(const struct attention_sizes *z, int products);
/* What must be read and written once, by the bytes of a number: of queries, keys and values, of all tensors like the
 * result, and of all thirds of the fused tensor's gradient. */
double attention_bytes(const struct attention_sizes *z, int qkv, int outs, int parts);
struct ref attention_scratch(struct program *p, const char *name, uint64_t floats);

/* The kernels of engine_attention_in_tiles. */
void attention_tiles_forward(struct program *p, const struct node *n, const struct attention_sizes *z,
                             struct ref out, struct ref lse);
/* The gradient may be in panels: attention_leaves_panels of program.h. */
void attention_tiles_back(struct program *p, value v, const struct node *n, const struct attention_sizes *z);

#endif
