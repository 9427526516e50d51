/* image_png.c - PNG through libpng. libpng leaves a failed call by longjmp: everything that lives
 * across such a call is in a struct outside the function that calls setjmp. */
#include "error.h"
#include "file.h"
#include "image_codec.h"
#include "memory.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES_LIMIT = 8 << 20, CHUNK_COUNT_LIMIT = 1000 };

struct job {
    png_structp png;
    png_infop info;
    jmp_buf leave;
    char reason[128];
    int rc; /* a refusal of ours, made inside a callback */
    /* reading */
    const unsigned char *next, *end;
    struct image *image;
    /* writing */
    struct file_writer *writer;
    const unsigned char *rgb;
    int width, height;
};

static _Noreturn void on_error(png_structp png, png_const_charp message)
{
    struct job *job = png_get_error_ptr(png);
    snprintf(job->reason, sizeof job->reason, "%s", message);
    longjmp(job->leave, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png; /* damage of ancillary chunks; pixels are not concerned */
    (void)message;
}

static void on_read(png_structp png, png_bytep out, size_t size)
{
    struct job *job = png_get_io_ptr(png);
    if ((size_t)(job->end - job->next) < size)
        png_error(png, "the file ends too early");
    memcpy(out, job->next, size);
    job->next += size;
}

static void on_write(png_structp png, png_bytep bytes, size_t size)
{
    struct job *job = png_get_io_ptr(png);
    job->rc = file_put(job->writer, bytes, size);
    if (job->rc < 0)
        png_error(png, "write error");
}

static void on_flush(png_structp png)
{
    (void)png;
}

/* Pillow's convert("RGB"): palette and grey expanded, the high byte of 16 bits, alpha dropped. */
static void read_pixels(struct job *job)
{
    png_structp png = job->png;
    png_infop info = job->info;
    png_set_user_limits(png, IMAGE_SIDE_LIMIT, IMAGE_SIDE_LIMIT);
    png_set_chunk_malloc_max(png, CHUNK_BYTES_LIMIT);
    png_set_chunk_cache_max(png, CHUNK_COUNT_LIMIT);
    png_read_info(png, info);
    job->rc = image_allocate(job->image, png_get_image_width(png, info), png_get_image_height(png, info));
    if (job->rc < 0)
        png_error(png, "size");
    int colour = png_get_color_type(png, info);
    if (colour == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    if (!(colour & PNG_COLOR_MASK_COLOR)) {
        png_set_expand_gray_1_2_4_to_8(png);
        png_set_gray_to_rgb(png);
    }
    png_set_strip_16(png);
    png_set_strip_alpha(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    size_t row = (size_t)job->image->width * 3;
    if (png_get_rowbytes(png, info) != row)
        png_error(png, "its rows do not have three channels of 8 bits");
    for (int pass = 0; pass < passes; pass++)
        for (int y = 0; y < job->image->height; y++)
            png_read_row(png, job->image->rgb + (size_t)y * row, NULL);
    png_read_end(png, NULL); /* checks the last checksum */
}

static int decode(struct job *job)
{
    if (setjmp(job->leave))
        return job->rc < 0 ? job->rc : fail(ERR_INPUT, "the PNG is damaged: %s", job->reason);
    job->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, job, on_error, on_warning);
    job->info = job->png ? png_create_info_struct(job->png) : NULL;
    if (!job->info)
        return fail(ERR_MEMORY, "out of memory for libpng");
    png_set_read_fn(job->png, job, on_read);
    read_pixels(job);
    return 0;
}

int image_decode_png(struct image *out, const unsigned char *bytes, size_t size)
{
    struct job job = {.next = bytes, .end = bytes + size, .image = out};
    int rc = decode(&job);
    png_destroy_read_struct(&job.png, &job.info, NULL);
    return rc;
}

static int encode(struct job *job)
{
    if (setjmp(job->leave))
        return job->rc < 0 ? job->rc : fail(ERR_IO, "the PNG could not be made: %s", job->reason);
    job->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, job, on_error, on_warning);
    job->info = job->png ? png_create_info_struct(job->png) : NULL;
    if (!job->info)
        return fail(ERR_MEMORY, "out of memory for libpng");
    png_set_write_fn(job->png, job, on_write, on_flush);
    png_set_IHDR(job->png, job->info, (png_uint_32)job->width, (png_uint_32)job->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    for (int y = 0; y < job->height; y++)
        png_write_row(job->png, job->rgb + (size_t)y * (size_t)job->width * 3);
    png_write_end(job->png, NULL);
    return 0;
}

int image_write_png(const char *path, const unsigned char *rgb, int width, int height)
{
    struct job job = {.rgb = rgb, .width = width, .height = height};
    TRY(file_begin(&job.writer, path));
    int rc = encode(&job);
    png_destroy_write_struct(&job.png, &job.info);
    if (rc < 0) {
        file_abandon(job.writer);
        return rc;
    }
    return file_commit(job.writer);
}
