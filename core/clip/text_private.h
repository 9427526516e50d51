/* text_private.h - what the files of the text tower share. */
#ifndef VITRO_CLIP_TEXT_PRIVATE_H
#define VITRO_CLIP_TEXT_PRIVATE_H

#include "text_tower.h"

/* The list of a shape's tensors without their data; *out is to be destroyed even after an error. */
int text_outline(struct text_tower **out, const struct text_shape *shape);
int text_allocate(struct text_tower *t);

#endif
