/* model.h - a Vision Transformer in host memory: its shape and its named tensors.
 *
 * Names are timm's. The list below is the one place that knows which tensors a ViT has; import,
 * tracing, unfreezing and saving all read it. Sites are the plugin contract's (vitro/method.h). */
#ifndef VITRO_VIT_MODEL_H
#define VITRO_VIT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "tape.h"

struct vit_shape {
    int32_t image, patch;      /* sides in pixels; image is a multiple of patch */
    int32_t dim, depth, heads, hidden, classes;
    float eps;                 /* of every LayerNorm */
};
static inline int32_t vit_grid(const struct vit_shape *s) { return s->image / s->patch; }
static inline int32_t vit_tokens(const struct vit_shape *s) { return vit_grid(s) * vit_grid(s) + 1; }

/* suffix of the name, site, part (1 weight, 2 bias), shape in terms of the vit_shape `s`.
 * BLOCK rows stand once per block as blocks.<i>.<suffix>. TOKENS has the position embedding as its
 * weight and the class token as its bias: x = concat(class token, patches) + positions. */
#define VIT_TENSORS(GLOBAL, BLOCK)                                                            \
    GLOBAL("cls_token", TOKENS, 2, SHAPE(1, 1, s->dim))                                       \
    GLOBAL("pos_embed", TOKENS, 1, SHAPE(1, vit_tokens(s), s->dim))                           \
    GLOBAL("patch_embed.proj.weight", EMBED, 1, SHAPE(s->dim, 3, s->patch, s->patch))         \
    GLOBAL("patch_embed.proj.bias", EMBED, 2, SHAPE(s->dim))                                  \
    BLOCK("norm1.weight", NORM1, 1, SHAPE(s->dim))                                            \
    BLOCK("norm1.bias", NORM1, 2, SHAPE(s->dim))                                              \
    BLOCK("attn.qkv.weight", QKV, 1, SHAPE(3 * s->dim, s->dim))                               \
    BLOCK("attn.qkv.bias", QKV, 2, SHAPE(3 * s->dim))                                         \
    BLOCK("attn.proj.weight", PROJ, 1, SHAPE(s->dim, s->dim))                                 \
    BLOCK("attn.proj.bias", PROJ, 2, SHAPE(s->dim))                                           \
    BLOCK("norm2.weight", NORM2, 1, SHAPE(s->dim))                                            \
    BLOCK("norm2.bias", NORM2, 2, SHAPE(s->dim))                                              \
    BLOCK("mlp.fc1.weight", FC1, 1, SHAPE(s->hidden, s->dim))                                 \
    BLOCK("mlp.fc1.bias", FC1, 2, SHAPE(s->hidden))                                           \
    BLOCK("mlp.fc2.weight", FC2, 1, SHAPE(s->dim, s->hidden))                                 \
    BLOCK("mlp.fc2.bias", FC2, 2, SHAPE(s->dim))                                              \
    GLOBAL("norm.weight", NORM, 1, SHAPE(s->dim))                                             \
    GLOBAL("norm.bias", NORM, 2, SHAPE(s->dim))                                               \
    GLOBAL("head.weight", HEAD, 1, SHAPE(s->classes, s->dim))                                 \
    GLOBAL("head.bias", HEAD, 2, SHAPE(s->classes))

enum { VIT_NAME = 48 };
struct vit_tensor {
    char name[VIT_NAME];      /* "blocks.3.attn.qkv.weight" */
    int32_t site, part, block; /* VITRO_AT_QKV, 1 weight or 2 bias, -1 outside blocks */
    struct shape shape;
    float *data;              /* row-major; owned by the model */
};

struct vit {
    struct vit_shape shape;
    struct vit_tensor *tensors; /* in the list's order: embedding, blocks 0.., norm, head */
    size_t count;
    char source_hash[65];       /* SHA-256 of the file it came from, or "" */
};

/* Every tensor of that shape, zeroed. Refuses impossible shapes (heads that do not divide dim ...). */
int vit_create(struct vit **out, const struct vit_shape *shape);
void vit_destroy(struct vit *m); /* NULL is fine */
/* The tensor at a site (block -1 for those outside blocks), or NULL. */
const struct vit_tensor *vit_find(const struct vit *m, int32_t site, int32_t part, int32_t block);

/* timm's default initialisation: linear weights, the head's too, and positions normal of deviation
 * 0.02 (timm cuts them at +-2, a hundred deviations, which is no cut), class token normal of 1e-6,
 * norms 1 and 0, biases 0; the patch projection is left at PyTorch's U(-1/sqrt(fan_in),
 * 1/sqrt(fan_in)), bias too. A tensor's numbers depend on the seed and its name only. */
void vit_random(struct vit *m, uint64_t seed);

/* Reads a timm-style safetensors file (F32, F16, BF16, F64). Shape is inferred from the tensors; heads
 * = dim / 64 unless the file's metadata says "heads". Every missing, extra or misshapen tensor is
 * refused by name. `image` 0 keeps the file's image size; else position embeddings are resampled
 * as timm does (bicubic, antialias). `classes` 0 keeps the head; else the head is a new one of that
 * many classes, zeroed (vit_reset_head initialises it). */
struct vit_import {
    int32_t image, classes, heads; /* 0: what the file says */
};
int vit_load(struct vit **out, const char *path, const struct vit_import *want);
/* The same of a file's bytes in memory; `what` names them in sentences. */
int vit_load_bytes(struct vit **out, const void *bytes, size_t size, const char *what,
                   const struct vit_import *want);
/* Head weight and bias ~ U(-1/sqrt(dim), 1/sqrt(dim)), PyTorch's nn.Linear, by seed. */
void vit_reset_head(struct vit *m, uint64_t seed);
/* Writes all tensors under timm's names; half != 0 as F16. Metadata: heads, patch, image, eps, ... */
int vit_save(const struct vit *m, const char *path, int half);

#endif
