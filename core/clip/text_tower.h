/* text_tower.h - CLIP's text tower in host memory: a causal transformer that maps the tokens of a prompt to a
 * vector of the space that it shares with the image tower (Radford et al. 2021, arXiv:2103.00020). */
#ifndef VITRO_CLIP_TEXT_TOWER_H
#define VITRO_CLIP_TEXT_TOWER_H

#include <stddef.h>
#include <stdint.h>

#include "tape.h"

struct text_shape {
    int32_t vocabulary, context; /* tokens there are; tokens of a prompt at most, start and end included */
    int32_t dim, depth, heads, hidden;
    int32_t projection; /* width of the shared space */
    float eps;          /* of every LayerNorm */
    int quick_gelu;     /* x sigmoid(1.702 x), as OpenAI's; else the exact GELU, as most of open_clip's */
};

/* what the tape calls it, shape in terms of the text_shape `s`; weights of maps are [out, in] */
#define TEXT_TENSORS(GLOBAL, BLOCK)              \
    GLOBAL(TOKENS, SHAPE(s->vocabulary, s->dim)) \
    GLOBAL(POSITIONS, SHAPE(s->context, s->dim)) \
    BLOCK(NORM1_WEIGHT, SHAPE(s->dim))           \
    BLOCK(NORM1_BIAS, SHAPE(s->dim))             \
    BLOCK(QKV_WEIGHT, SHAPE(3 * s->dim, s->dim)) \
    BLOCK(QKV_BIAS, SHAPE(3 * s->dim))           \
    BLOCK(PROJ_WEIGHT, SHAPE(s->dim, s->dim))    \
    BLOCK(PROJ_BIAS, SHAPE(s->dim))              \
    BLOCK(NORM2_WEIGHT, SHAPE(s->dim))           \
    BLOCK(NORM2_BIAS, SHAPE(s->dim))             \
    BLOCK(FC1_WEIGHT, SHAPE(s->hidden, s->dim))  \
    BLOCK(FC1_BIAS, SHAPE(s->hidden))            \
    BLOCK(FC2_WEIGHT, SHAPE(s->dim, s->hidden))  \
    BLOCK(FC2_BIAS, SHAPE(s->dim))               \
    GLOBAL(NORM_WEIGHT, SHAPE(s->dim))           \
    GLOBAL(NORM_BIAS, SHAPE(s->dim))             \
    GLOBAL(PROJECTION, SHAPE(s->projection, s->dim))
enum text_part {
#define ROW(id, shape) TEXT_##id,
    TEXT_TENSORS(ROW, ROW)
#undef ROW
        TEXT_PARTS
};

struct text_tensor {
    enum text_part part;
    int32_t block; /* -1 outside the blocks */
    struct shape shape;
    float *data; /* row-major; owned by the tower */
};

struct text_tower {
    struct text_shape shape;
    struct text_tensor *tensors; /* in the list's order, the blocks one after the other */
    size_t count;
    float logit_scale; /* what cosines are multiplied by to become logits: exp of the file's number */
};

/* Reads the text tower of a CLIP of OpenAI, open_clip or Hugging Face, whose image tower may be in the file
 * too. `quick_gelu`: negative is what the file's family has (OpenAI's and Hugging Face's names: yes; open_clip's
 * own checkpoints use the same names as OpenAI's and are known by nothing else, so say 0 for those that were
 * trained with the exact GELU). Every tensor that is missing or misshapen is refused by name. */
int text_tower_load(struct text_tower **out, const char *path, int quick_gelu);
void text_tower_destroy(struct text_tower *t); /* NULL is fine */
const struct text_tensor *text_tower_find(const struct text_tower *t, enum text_part part, int32_t block);

struct text_trace { /* everything is lent for the call */
    struct tape *tape;
    const struct text_tower *tower;
    const value *tensors;    /* the value that stands for each of tower->tensors */
    int32_t prompts, length; /* rows of a batch; tokens of each, at most the context */
    value tokens;            /* [prompts * length]: numbers of tokens, as float */
    value ends;              /* [prompts]: prompt * length + where its last token stands */
    value mask;              /* [length, length]: 0 where a token may look, TEXT_MASKED where it may not */
};
#define TEXT_MASKED (-1e30f)
/* Features [prompts, projection], not normalised. What stands behind a prompt's end does not matter, as no token
 * looks ahead: a batch may be as short as its longest prompt. 0: the tape knows why. */
value text_trace(const struct text_trace *v);

#endif
