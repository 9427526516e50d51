/* config.h - what a model's folder says beside its weights: Hugging Face's and timm's config.json, open_clip's
 * open_clip_config.json, preprocessor_config.json. */
#ifndef VITRO_VIT_CONFIG_H
#define VITRO_VIT_CONFIG_H

#include <stdint.h>

#include "formats.h"

struct model_config { /* zero: not said */
    int32_t heads;
    float eps;
    enum activation activation;
    char normalise[16]; /* a name of mean and deviation, or "" */
};

/* Reads what is there of them when `path` is a folder; files that are no JSON or say what cannot be are refused. */
int model_config_read(struct model_config *out, const char *path);

#endif
