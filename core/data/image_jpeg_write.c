/* image_jpeg_write.c - RGB as JPEG in memory, with the settings that Pillow saves with: baseline, 4:2:0, the accurate
 * integer transform. */
#include "corrupt_private.h"

#include "error.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <setjmp.h>

struct writing {
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    jmp_buf leave;
    char reason[JMSG_LENGTH_MAX];
    unsigned char *bytes; /* the library's, by malloc */
    unsigned long size;
};

static void on_error(j_common_ptr common)
{
    struct writing *w = common->client_data;
    common->err->format_message(common, w->reason);
    longjmp(w->leave, 1);
}

static int encode(struct writing *w, const unsigned char *rgb, int width, int height, int quality)
{
    if (setjmp(w->leave))
        return fail(ERR_INPUT, "a picture of %d x %d pixels cannot be compressed as JPEG: %s", width, height,
                    w->reason);
    jpeg_create_compress(&w->jpeg);
    jpeg_mem_dest(&w->jpeg, &w->bytes, &w->size);
    w->jpeg.image_width = (JDIMENSION)width;
    w->jpeg.image_height = (JDIMENSION)height;
    w->jpeg.input_components = 3;
    w->jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&w->jpeg);
    w->jpeg.dct_method = JDCT_ISLOW;
    jpeg_set_quality(&w->jpeg, quality, TRUE);
    jpeg_start_compress(&w->jpeg, TRUE);
    while (w->jpeg.next_scanline < w->jpeg.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(rgb + (size_t)w->jpeg.next_scanline * (size_t)width * 3);
        jpeg_write_scanlines(&w->jpeg, &row, 1);
    }
    jpeg_finish_compress(&w->jpeg);
    return 0;
}

int image_encode_jpeg(const unsigned char *rgb, int width, int height, int quality, unsigned char **out,
                      size_t *size)
{
    struct writing *w = mem_alloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        return ERR_MEMORY;
    w->jpeg.err = jpeg_std_error(&w->errors);
    w->jpeg.client_data = w;
    w->errors.error_exit = on_error;
    int rc = encode(w, rgb, width, height, quality);
    jpeg_destroy_compress(&w->jpeg);
    if (rc == 0) {
        *out = mem_alloc(w->size, 1);
        *size = w->size;
        rc = *out ? 0 : ERR_MEMORY;
    }
    if (rc == 0)
        memcpy(*out, w->bytes, w->size);
    free(w->bytes);
    mem_free(w);
    return rc;
}
