/* draw_texture.h - the value of a texture at a place; for draw.c alone. */
#ifndef VITRO_DATA_DRAW_TEXTURE_H
#define VITRO_DATA_DRAW_TEXTURE_H

#include "draw.h"

/* 0 to 1 at (u, v); `pixel` is the width of a pixel, over which edges are softened. */
float texture_value(const struct texture *t, float u, float v, float pixel);

#endif
