/* zero_shot.h - a classifier's head from the names of its classes (Radford et al. 2021, arXiv:2103.00020,
 * section 3.1): each name in each template is a prompt; a class's weight is the normalised mean of its prompts'
 * normalised features, times the scale of CLIP's logits. Biases are 0. */
#ifndef VITRO_CLIP_ZERO_SHOT_H
#define VITRO_CLIP_ZERO_SHOT_H

#include "text_encode.h"
#include "tokenizer.h"

struct zero_shot { /* everything is lent for the call */
    const struct text_tower *tower;
    const struct tokenizer *tokenizer;
    struct engine *engine;
    const char *const *classes, *const *templates; /* a template has the class where it says {} */
    size_t class_count, template_count;
    int (*report)(void *context, size_t done, size_t count); /* of prompts, as text_batch's; may be NULL */
    void *context;
};
/* `weights` [class_count, projection], for image features of length 1. Refuses, by class and template, prompts
 * that are longer than the tower's context, and templates without {}. */
int zero_shot_head(const struct zero_shot *z, float *weights);
/* Its last step: features [classes, templates, width] to weights [classes, width]. */
int zero_shot_average(const float *features, size_t classes, size_t templates, size_t width, float scale,
                      float *weights);

#endif
