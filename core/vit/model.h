/* model.h - a Vision Transformer in host memory: its shape and its named tensors.
 *
 * Names are timm's. The list below is the one place that knows which tensors a ViT has; import,
 * tracing, unfreezing and saving all read it. Sites are the plugin contract's (vitro/method.h). */
#ifndef VITRO_VIT_MODEL_H
#define VITRO_VIT_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "activation.h"
#include "tape.h"

struct vit_shape {
    int32_t image, patch; /* sides in pixels; image is a multiple of patch */
    int32_t dim, depth, heads, hidden, classes;
    float eps;          /* of every LayerNorm */
    uint32_t features;  /* VIT_ bits: what it has beyond or unlike a plain ViT; 0 is a plain one */
    int32_t registers;  /* learned tokens between the class token and the patches (DINOv2); 0: none */
    int32_t projection; /* width of a map without bias between norm and head (CLIP); 0: none */
};
/* classes 0: there is no head, and the network gives what a head would read. */

/* bit, name in sentences and files, what it means */
#define VIT_FEATURES(X)                                                                              \
    X(NORM_PRE, "norm_pre", "a norm before the first block (CLIP)")                                  \
    X(NO_PATCH_BIAS, "no_patch_bias", "the patch projection has no bias (CLIP)")                     \
    X(QUICK_GELU, "quick_gelu", "x sigmoid(1.702 x) in place of the exact GELU (OpenAI's CLIP)")     \
    X(LAYER_SCALE, "layer_scale", "each branch has a gain per channel (DINOv2, DeiT III)")           \
    X(GRID_POSITIONS, "grid_positions", "positions are added to patches only (DeiT III, registers)") \
    X(UNIT_FEATURES, "unit_features", "the head reads vectors of length 1 (CLIP's zero-shot heads)")
enum vit_feature_order {
#define X(id, name, what) VIT_ORDER_##id,
    VIT_FEATURES(X)
#undef X
        VIT_FEATURE_COUNT
};
enum vit_feature {
#define X(id, name, what) VIT_##id = 1 << VIT_ORDER_##id,
    VIT_FEATURES(X)
#undef X
};

static inline int32_t vit_grid(const struct vit_shape *s)
{
    return s->image / s->patch;
}
static inline int32_t vit_prefix(const struct vit_shape *s)
{
    return 1 + s->registers;
} /* before the grid */
static inline int32_t vit_tokens(const struct vit_shape *s)
{
    return vit_grid(s) * vit_grid(s) + vit_prefix(s);
}
static inline int vit_has(const struct vit_shape *s, uint32_t feature)
{
    return (s->features & feature) != 0;
}
/* Rows of the position embedding: one for the class token, unless positions are the grid's alone. */
static inline int32_t vit_positions(const struct vit_shape *s)
{
    return vit_grid(s) * vit_grid(s) + !vit_has(s, VIT_GRID_POSITIONS);
}
/* Numbers that the head reads of an image. */
static inline int32_t vit_features(const struct vit_shape *s)
{
    return s->projection ? s->projection : s->dim;
}

/* A site's second tensor. Unfrozen with the site's weights (bit 1) or biases (bit 2), but found by this part. */
enum { VIT_REGISTERS = 4 | 2, VIT_PROJECTION = 4 | 1 };

/* suffix of the name, site, part (1 weight, 2 bias), shape and whether it is there in terms of the
 * vit_shape `s`. BLOCK rows stand once per block as blocks.<i>.<suffix>. TOKENS has the position embedding
 * as its weight and the class token as its bias: x = concat(class token, patches) + positions. */
#define VIT_TENSORS(GLOBAL, BLOCK)                                                               \
    GLOBAL("cls_token", TOKENS, 2, SHAPE(1, 1, s->dim), 1)                                       \
    GLOBAL("pos_embed", TOKENS, 1, SHAPE(1, vit_positions(s), s->dim), 1)                        \
    GLOBAL("reg_token", TOKENS, VIT_REGISTERS, SHAPE(1, s->registers, s->dim), s->registers > 0) \
    GLOBAL("patch_embed.proj.weight", EMBED, 1, SHAPE(s->dim, 3, s->patch, s->patch), 1)         \
    GLOBAL("patch_embed.proj.bias", EMBED, 2, SHAPE(s->dim), !vit_has(s, VIT_NO_PATCH_BIAS))     \
    GLOBAL("norm_pre.weight", NORM_PRE, 1, SHAPE(s->dim), vit_has(s, VIT_NORM_PRE))              \
    GLOBAL("norm_pre.bias", NORM_PRE, 2, SHAPE(s->dim), vit_has(s, VIT_NORM_PRE))                \
    BLOCK("norm1.weight", NORM1, 1, SHAPE(s->dim), 1)                                            \
    BLOCK("norm1.bias", NORM1, 2, SHAPE(s->dim), 1)                                              \
    BLOCK("attn.qkv.weight", QKV, 1, SHAPE(3 * s->dim, s->dim), 1)                               \
    BLOCK("attn.qkv.bias", QKV, 2, SHAPE(3 * s->dim), 1)                                         \
    BLOCK("attn.proj.weight", PROJ, 1, SHAPE(s->dim, s->dim), 1)                                 \
    BLOCK("attn.proj.bias", PROJ, 2, SHAPE(s->dim), 1)                                           \
    BLOCK("ls1.gamma", LS1, 1, SHAPE(s->dim), vit_has(s, VIT_LAYER_SCALE))                       \
    BLOCK("norm2.weight", NORM2, 1, SHAPE(s->dim), 1)                                            \
    BLOCK("norm2.bias", NORM2, 2, SHAPE(s->dim), 1)                                              \
    BLOCK("mlp.fc1.weight", FC1, 1, SHAPE(s->hidden, s->dim), 1)                                 \
    BLOCK("mlp.fc1.bias", FC1, 2, SHAPE(s->hidden), 1)                                           \
    BLOCK("mlp.fc2.weight", FC2, 1, SHAPE(s->dim, s->hidden), 1)                                 \
    BLOCK("mlp.fc2.bias", FC2, 2, SHAPE(s->dim), 1)                                              \
    BLOCK("ls2.gamma", LS2, 1, SHAPE(s->dim), vit_has(s, VIT_LAYER_SCALE))                       \
    GLOBAL("norm.weight", NORM, 1, SHAPE(s->dim), 1)                                             \
    GLOBAL("norm.bias", NORM, 2, SHAPE(s->dim), 1)                                               \
    GLOBAL("proj.weight", HEAD, VIT_PROJECTION, SHAPE(s->projection, s->dim), s->projection > 0) \
    GLOBAL("head.weight", HEAD, 1, SHAPE(s->classes, vit_features(s)), s->classes > 0)           \
    GLOBAL("head.bias", HEAD, 2, SHAPE(s->classes), s->classes > 0)

enum { VIT_NAME = 48 };
struct vit_tensor {
    char name[VIT_NAME];       /* "blocks.3.attn.qkv.weight" */
    int32_t site, part, block; /* VITRO_AT_QKV; 1 weight, 2 bias or a VIT_ part; -1 outside blocks */
    struct shape shape;
    float *data; /* row-major; owned by the model */
};

struct vit {
    struct vit_shape shape;
    struct vit_tensor *tensors; /* in the list's order: embedding, blocks 0.., norm, head */
    size_t count;
    char source_hash[65]; /* SHA-256 of the file it came from, or "" */
    const char *format;   /* whose names its file has, "timm"; NULL: it came from no file */
    char normalise
        [16]; /* what its images were normalised with, as far as is known: "half", "imagenet", "clip" or "" */
    const struct vit *lender; /* whose data all tensors but the head's are; NULL: all are its own */
};

/* Every tensor of that shape, zeroed. Refuses impossible shapes (heads that do not divide dim ...). */
int vit_create(struct vit **out, const struct vit_shape *shape);
void vit_destroy(struct vit *m); /* NULL is fine */
/* The same model with a head of its own, which starts as a copy; the rest is lent by `of`, which must outlive it. */
int vit_beside(struct vit **out, const struct vit *of);
static inline const struct vit *vit_backbone(const struct vit *m) /* equal ones are one backbone */
{
    return m->lender ? m->lender : m;
}
/* The tensor at a site (block -1 for those outside blocks), or NULL. */
const struct vit_tensor *vit_find(const struct vit *m, int32_t site, int32_t part, int32_t block);

/* timm's default initialisation: linear weights, the head's too, and positions normal of deviation
 * 0.02 (timm cuts them at +-2, a hundred deviations, which is no cut), class token normal of 1e-6,
 * norms 1 and 0, biases 0; the patch projection is left at PyTorch's U(-1/sqrt(fan_in),
 * 1/sqrt(fan_in)), bias too. Registers are normal of 1e-6, LayerScale's gains 1e-5 as in DINOv2, and a
 * projection normal of 1/sqrt(dim) as in CLIP. A tensor's numbers depend on the seed and its name only. */
void vit_random(struct vit *m, uint64_t seed);

/* Reads a ViT from a file or folder in any format of formats.h: timm, Google, Hugging Face, OpenAI's CLIP and
 * open_clip, DINOv2, MAE; safetensors, .npz or PyTorch's archives. The shape is inferred from the tensors; the
 * heads are what the file's metadata or its folder's config.json says, else dim / 64 (but for the widths of ViT-H, -g
 * and -G). Every missing, extra or misshapen tensor is refused by name, but for those that the format is known to
 * carry beside (a text tower, a decoder). `image` 0 keeps the file's image size; else position embeddings are
 * resampled as the format's own code does. `classes` 0 keeps the head; else the head is a new one of that
 * many classes, zeroed (vit_reset_head initialises it). */
const char *vit_activation(const struct vit_shape *s); /* its name in vit_activations */
struct vit_import {
    int32_t image, classes, heads; /* 0: what the file says */
    int32_t activation;            /* VIT_ACTIVATION_; 0: what the file says */
    int32_t headless;              /* a file without a head is taken as it is, with classes 0 */
};
int vit_load(struct vit **out, const char *path, const struct vit_import *want);
/* The same of a file's bytes in memory; `what` names them in sentences. */
int vit_load_bytes(struct vit **out, const void *bytes, size_t size, const char *what,
                   const struct vit_import *want);
/* Head weight and bias ~ U(-1/sqrt(n), 1/sqrt(n)) of the n numbers it reads, PyTorch's nn.Linear, by seed. */
void vit_reset_head(struct vit *m, uint64_t seed);
/* Writes all tensors under timm's names; half != 0 as F16. Metadata: heads, patch, image, eps, ... */
int vit_save(const struct vit *m, const char *path, int half);
/* Writes a folder that Hugging Face's ViTForImageClassification.from_pretrained reads: model.safetensors, config.json,
 * preprocessor_config.json. Refuses what that class has not: anything beyond a plain ViT but QuickGELU. */
struct vit_save_hf {
    const char *const *classes; /* names of the head's rows, or NULL */
    double mean[3], std[3];     /* of the pixels' scale 0..1 */
};
int vit_save_hf(const struct vit *m, const struct vit_save_hf *about, const char *folder);

#endif
