/* image.c - finds a picture's format and hands it to that format's decoder. */
#include "image.h"

#include "error.h"
#include "file.h"
#include "image_codec.h"
#include "memory.h"

#include <string.h>

/* how the file begins, its decoder */
static const struct {
    const char *start;
    size_t length;
    int (*decode)(struct image *, const unsigned char *, size_t);
} formats[] = {
    {"\x89PNG\r\n\x1a\n", 8, image_decode_png},
    {"\xff\xd8\xff", 3, image_decode_jpeg},
    {"P6", 2, image_decode_ppm},
    {"P5", 2, image_decode_ppm},
};

int image_allocate(struct image *out, unsigned long width, unsigned long height)
{
    if (!width || !height)
        return fail(ERR_INPUT, "the picture is %lu x %lu pixels, that is, empty", width, height);
    if (width > IMAGE_SIDE_LIMIT || height > IMAGE_SIDE_LIMIT || width * height > IMAGE_PIXEL_LIMIT)
        return fail(ERR_INPUT,
                    "the picture is %lu x %lu pixels; at most %d on a side and %d in all are accepted", width,
                    height, IMAGE_SIDE_LIMIT, IMAGE_PIXEL_LIMIT);
    out->rgb = mem_alloc(width * height, 3);
    if (!out->rgb)
        return ERR_MEMORY;
    out->width = (int)width;
    out->height = (int)height;
    return 0;
}

int image_decode(struct image *out, const void *bytes, size_t size, const char *name)
{
    *out = (struct image){0};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (size < formats[i].length || memcmp(bytes, formats[i].start, formats[i].length) != 0)
            continue;
        int rc = formats[i].decode(out, bytes, size);
        if (rc < 0) {
            image_finish(out);
            return fail_in(rc, "%s", name);
        }
        return 0;
    }
    return fail(ERR_INPUT, "%s is not a picture that can be read: PNG, JPEG, binary PPM and PGM are", name);
}

int image_read_file(struct image *out, const char *path)
{
    struct file_map map = {0};
    *out = (struct image){0};
    TRY(file_map(&map, path));
    int rc = image_decode(out, map.bytes, map.size, path);
    file_unmap(&map);
    return rc;
}

void image_finish(struct image *image)
{
    mem_free(image->rgb);
    *image = (struct image){0};
}
