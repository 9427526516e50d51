/* trace.h - the Vision Transformer's forward pass, recorded on a tape, with a stop at every site. */
#ifndef VITRO_VIT_TRACE_H
#define VITRO_VIT_TRACE_H

#include "model.h"

struct vit_trace { /* everything is lent for the call */
    struct tape *tape;
    const struct vit *vit;
    value images;          /* LEAF_IMAGES [n, image, image, 3] */
    value index;           /* [batch]: which images are the batch */
    float mean[3], std[3]; /* of the pixels' scale 0..1 */
    const value *tensors;  /* the value that stands for each of vit->tensors, usually its leaf */
    float drop_path;       /* stochastic depth of the last block, see below; 0 outside training */
    /* Called at each site in order of execution; what it gives back replaces the value. `block` is
     * -1 outside the blocks. Tokens may be added in front at BLOCK_IN and must be gone before NORM;
     * at K and V they may be added or taken off in front, as many at both.
     * NULL: no hooks. */
    value (*hook)(void *context, int32_t site, int32_t block, value x);
    void *context;
};

/* Logits [batch, classes], or 0; the tape knows why. Without a head (classes 0) the features that it would read,
 * [batch, vit_features]. A plain ViT is
 *     X0 = concat(cls, patches W + b) + pos;  per block  X += DP(attn(LN1 X)),  X += DP(mlp(LN2 X));
 *     logits = LN(X)[class token] Wh + bh;
 * vit_shape's features, registers and projection say what differs.
 * DP, drop-path (Huang et al. 2016, arXiv:1603.09382), drops a branch of a whole sample with
 * probability drop_path * block / (depth - 1), each branch with its own draws. */
value vit_trace(const struct vit_trace *v);

/* The number of a dropout's random stream: `owner` 0 is the backbone, methods count from 1; nth of
 * the dropouts at that site. Adding one thus leaves the masks of the others as they are.
 * Below their STREAM_ bounds (block counts from -1). */
enum { STREAM_OWNERS = 64, STREAM_BLOCKS = 4095, STREAM_SITES = 64, STREAM_NTH = 256 };
static inline uint32_t vit_stream(int32_t owner, int32_t block, int32_t site, int32_t nth)
{
    return (uint32_t)owner << 26 | (uint32_t)(block + 1) << 14 | (uint32_t)site << 8 | (uint32_t)nth;
}

#endif
