/* resize.h - bicubic resampling with antialias, bit for bit that of Pillow's
 * Image.resize((width, height), Image.BICUBIC) on 8-bit RGB: across first,
 * then down, as Pillow up to 12 always does (13 turns the order round where the height shrinks more
 * than the width; a few pixels then differ by rounding). */
#ifndef VITRO_DATA_RESIZE_H
#define VITRO_DATA_RESIZE_H

#include "image.h"

/* `out` must hold [height][width][3] bytes and not overlap the image. */
int resize_bicubic(const struct image *image, unsigned char *out, int width, int height);

#endif
