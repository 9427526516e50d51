/* import.h - a file of weights on its way into a ViT: what infer.c finds out and load.c reads. Private to them. */
#ifndef VITRO_VIT_IMPORT_H
#define VITRO_VIT_IMPORT_H

#include "config.h"
#include "model.h"
#include "weights.h"

enum { NAME_SHOWN = 120 };

struct import {
    struct weights weights;
    struct model_config config;
    const char *path;
    int headless; /* no head in the file */
    int fold;     /* the class token's position goes into the token: with registers */
};

/* The shape of the file's ViT, and whether it is headless or folded; a sentence where something is missing or odd. */
int import_shape(struct import *in, const struct vit_import *want, struct vit_shape *s);
int import_missing(const struct import *in, const struct weight_parts *p, const char *ours);

#endif
