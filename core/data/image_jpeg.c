/* image_jpeg.c - JPEG through libjpeg-turbo, with the settings Pillow uses: the accurate integer
 * transform and smooth ("fancy") chroma upsampling, which are the library's defaults. */
#include "error.h"
#include "image_codec.h"
#include "memory.h"

#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>

/* A few kilobytes of progressive scans can cost hours; real encoders use about ten. */
enum { SCAN_LIMIT = 200 };

struct job {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf leave;
    char reason[JMSG_LENGTH_MAX];
    int rc; /* a refusal of ours */
    struct image *image;
    unsigned char *row; /* four components of one line */
};

static void on_error(j_common_ptr common)
{
    struct job *job = common->client_data;
    common->err->format_message(common, job->reason);
    longjmp(job->leave, 1);
}

/* The library would go on and invent pixels; damage of the coded data ends the decoding here.
 * What is only untidy (bytes between markers, an odd version number) passes, as in Pillow. */
static void on_message(j_common_ptr common, int level)
{
    static const int harmless[] = {JWRN_EXTRANEOUS_DATA, JWRN_JFIF_MAJOR, JWRN_ADOBE_XFORM,
                                   JWRN_TOO_MUCH_DATA};
    if (level >= 0)
        return; /* a trace */
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        if (common->err->msg_code == harmless[i])
            return;
    on_error(common);
}

static void on_output(j_common_ptr common)
{
    (void)common;
}

static void on_progress(j_common_ptr common)
{
    struct job *job = common->client_data;
    if (((j_decompress_ptr)common)->input_scan_number <= SCAN_LIMIT)
        return;
    job->rc = fail(ERR_INPUT, "the JPEG has more than %d scans", SCAN_LIMIT);
    longjmp(job->leave, 1);
}

/* a * b / 255, rounded, as Pillow's MULDIV255 */
static int scale_255(int a, int b)
{
    int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* Four-component files hold inverted ink (Adobe's habit, assumed by Pillow too). With ink
 * c' = 255 - c and key k' = 255 - k stored, RGB is k' - (255 - c') k' / 255. */
static void ink_to_rgb(const unsigned char *ink, unsigned char *rgb, int width)
{
    for (int x = 0; x < width; x++)
        for (int c = 0; c < 3; c++) {
            int key = ink[4 * x + 3], value = key - scale_255(255 - ink[4 * x + c], key);
            rgb[3 * x + c] = (unsigned char)(value < 0 ? 0 : value);
        }
}

static int decode(struct job *job, const unsigned char *bytes, size_t size)
{
    struct jpeg_decompress_struct *jpeg = &job->jpeg;
    if (setjmp(job->leave))
        return job->rc < 0 ? job->rc : fail(ERR_INPUT, "the JPEG is damaged: %s", job->reason);
    jpeg_create_decompress(jpeg);
    jpeg_mem_src(jpeg, bytes, size);
    jpeg_read_header(jpeg, TRUE);
    if (jpeg->num_components == 2)
        return fail(ERR_INPUT, "the JPEG has 2 colour components; 1, 3 and 4 can be read");
    job->rc = image_allocate(job->image, jpeg->image_width, jpeg->image_height);
    if (job->rc < 0)
        return job->rc;
    int four = jpeg->num_components == 4;
    jpeg->out_color_space = four ? JCS_CMYK : JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->do_fancy_upsampling = TRUE;
    jpeg->progress = &job->progress;
    jpeg_start_decompress(jpeg);
    while (jpeg->output_scanline < jpeg->output_height) {
        unsigned char *line = job->image->rgb + (size_t)jpeg->output_scanline * jpeg->image_width * 3;
        jpeg_read_scanlines(jpeg, four ? &job->row : &line, 1);
        if (four)
            ink_to_rgb(job->row, line, job->image->width);
    }
    return 0;
}

int image_decode_jpeg(struct image *out, const unsigned char *bytes, size_t size)
{
    struct job *job = mem_alloc(1, sizeof *job);
    if (!job)
        return ERR_MEMORY;
    job->image = out;
    job->jpeg.err = jpeg_std_error(&job->errors);
    job->jpeg.client_data = job;
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    job->errors.output_message = on_output;
    job->progress.progress_monitor = on_progress;
    job->row = mem_alloc(IMAGE_SIDE_LIMIT, 4);
    int rc = job->row ? decode(job, bytes, size) : ERR_MEMORY;
    jpeg_destroy_decompress(&job->jpeg);
    mem_free(job->row);
    mem_free(job);
    return rc;
}
