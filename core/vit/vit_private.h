/* vit_private.h - what model.c and load.c share. */
#ifndef VITRO_VIT_PRIVATE_H
#define VITRO_VIT_PRIVATE_H

#include "model.h"

/* The list of a shape's tensors without their data: an import is checked before it costs memory. */
int vit_outline(struct vit **out, const struct vit_shape *shape);
/* Zeroed data for every tensor of an outline. */
int vit_allocate(struct vit *m);

#endif
