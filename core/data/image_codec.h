/* image_codec.h - what image.c and the decoders share; not for other layers. */
#ifndef VITRO_DATA_IMAGE_CODEC_H
#define VITRO_DATA_IMAGE_CODEC_H

#include "image.h"

/* Each fills a zeroed image or leaves it with a block that image_finish frees; sentences do not name
 * the file. */
int image_decode_png(struct image *out, const unsigned char *bytes, size_t size);
int image_decode_jpeg(struct image *out, const unsigned char *bytes, size_t size);
int image_decode_ppm(struct image *out, const unsigned char *bytes, size_t size);

/* Checks the size against the limits and allocates the pixels. */
int image_allocate(struct image *out, unsigned long width, unsigned long height);

#endif
