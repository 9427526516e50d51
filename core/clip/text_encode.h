/* text_encode.h - prompts to features, on a device. */
#ifndef VITRO_CLIP_TEXT_ENCODE_H
#define VITRO_CLIP_TEXT_ENCODE_H

#include "engine.h"
#include "text_tower.h"

struct text_batch { /* everything is lent for the call */
    const struct text_tower *tower;
    struct engine *engine;
    const uint32_t *tokens; /* [count, context]: tokenizer_encode's rows, each with its end */
    size_t count;
    int32_t prompts; /* a step's; 0: a good number */
    /* NULL or called as work goes on; other than 0 stops it */
    int (*report)(void *context, size_t done, size_t count);
    void *context;
};
/* Features [count, projection], not normalised. A prompt's are the same whatever other prompts it is with, up to
 * the rounding of a shorter or longer batch. */
int text_encode(const struct text_batch *b, float *features);

#endif
