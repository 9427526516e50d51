/* image.h - pictures in memory: PNG, JPEG and binary PPM/PGM become 8-bit RGB.
 *
 * Pixels are those of Pillow's Image.open(f).convert("RGB"): transparency is dropped, not composited;
 * gamma, colour profiles and EXIF orientation are ignored. One exception: Pillow clips 16-bit grey at
 * 255, which turns the picture white; here it is scaled like 16-bit colour. */
#ifndef VITRO_DATA_IMAGE_H
#define VITRO_DATA_IMAGE_H

#include <stddef.h>

enum { IMAGE_SIDE_LIMIT = 32768, IMAGE_PIXEL_LIMIT = 64 << 20 };

/* A zeroed image is empty. */
struct image {
    int width, height;
    unsigned char *rgb; /* [height][width][3], owned */
};

/* The format is found from the first bytes. `name` is put before a refusal. */
int image_decode(struct image *out, const void *bytes, size_t size, const char *name);
int image_read_file(struct image *out, const char *path);
void image_finish(struct image *image);

/* Writes an 8-bit RGB PNG; the same pixels give the same bytes. */
int image_write_png(const char *path, const unsigned char *rgb, int width, int height);

#endif
