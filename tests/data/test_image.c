/* test_image.c - pictures decode to Pillow's pixels, and damaged ones are refused without harm. */
#include "error.h"
#include "file.h"
#include "image.h"
#include "memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CASES = 64 };

/* A case of golden/images.bin (tests/reference/make_image_golden.py); pointers into `golden`. */
struct picture {
    char name[64];
    const unsigned char *file, *rgb;
    uint32_t file_bytes, width, height;
};
static struct picture pictures[CASES];
static size_t picture_count;
static char *golden;

static uint32_t next_u32(const unsigned char **p)
{
    uint32_t v = (*p)[0] | (uint32_t)(*p)[1] << 8 | (uint32_t)(*p)[2] << 16 | (uint32_t)(*p)[3] << 24;
    *p += 4;
    return v;
}

static int load(void **state)
{
    (void)state;
    size_t size = 0;
    if (file_read(GOLDEN "/images.bin", 1 << 20, &golden, &size) < 0)
        return -1;
    const unsigned char *p = (const unsigned char *)golden, *end = p + size;
    for (; p < end && picture_count < CASES; picture_count++) {
        struct picture *c = &pictures[picture_count];
        uint32_t length = next_u32(&p);
        snprintf(c->name, sizeof c->name, "%.*s", (int)length, (const char *)p);
        p += length;
        c->file_bytes = next_u32(&p);
        c->file = p;
        p += c->file_bytes;
        c->width = next_u32(&p);
        c->height = next_u32(&p);
        c->rgb = p;
        p += (size_t)c->width * c->height * 3;
    }
    return p == end && picture_count > 20 ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    mem_free(golden);
    return 0;
}

static void every_kind_of_picture_decodes_to_pillows_pixels(void **state)
{
    (void)state;
    for (size_t i = 0; i < picture_count; i++) {
        struct picture *c = &pictures[i];
        struct image image;
        if (image_decode(&image, c->file, c->file_bytes, c->name) < 0)
            fail_msg("%s", error_text());
        assert_int_equal(image.width, c->width);
        assert_int_equal(image.height, c->height);
        for (size_t k = 0; k < (size_t)c->width * c->height * 3; k++)
            if (image.rgb[k] != c->rgb[k])
                fail_msg("%s: byte %zu is %d, Pillow has %d", c->name, k, image.rgb[k], c->rgb[k]);
        image_finish(&image);
    }
}

/* A JPEG without its last two bytes, the end marker, still has all its pixels. */
static void every_cut_of_a_picture_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < picture_count; i++) {
        struct picture *c = &pictures[i];
        int jpeg = c->file[0] == 0xff;
        for (size_t n = 0; n + (jpeg ? 3 : 1) <= c->file_bytes; n += 1 + n / 64) {
            unsigned char *copy = mem_alloc(n + !n, 1); /* exact: ASan sees a read beyond it */
            memcpy(copy, c->file, n);
            struct image image;
            int rc = image_decode(&image, copy, n, c->name);
            if (rc != ERR_INPUT)
                fail_msg("%s cut to %zu of %u bytes gave %d", c->name, n, c->file_bytes, rc);
            assert_non_null(strstr(error_text(), c->name));
            assert_null(image.rgb);
            mem_free(copy);
        }
    }
}

/* PNG carries checksums: with one bit flipped anywhere in the critical chunks it must be refused,
 * so whatever is accepted has the right pixels. The others may decode to something else. */
static void flipped_bits_never_crash_and_never_pass_unseen_in_png(void **state)
{
    (void)state;
    int refused = 0;
    for (size_t i = 0; i < picture_count; i++) {
        struct picture *c = &pictures[i];
        unsigned char *copy = mem_alloc(c->file_bytes, 1);
        for (size_t bit = 0; bit<(size_t)c->file_bytes * 8; bit += c->file_bytes> 700 ? 13 : 1) {
            memcpy(copy, c->file, c->file_bytes);
            copy[bit / 8] ^= (unsigned char)(1 << bit % 8);
            struct image image;
            int rc = image_decode(&image, copy, c->file_bytes, c->name);
            assert_true(rc == 0 || rc == ERR_INPUT);
            refused += rc < 0;
            if (rc == 0 && copy[0] == 0x89 && c->file[1] == 'P') {
                assert_int_equal(image.width, c->width);
                assert_memory_equal(image.rgb, c->rgb, (size_t)c->width * c->height * 3);
            }
            image_finish(&image);
        }
        mem_free(copy);
    }
    assert_true(refused > 1000);
}

static void bombs_and_empty_pictures_are_refused_by_their_size(void **state)
{
    (void)state;
    static const char *const headers[] = {"P6 100000 100000 255 ",
                                          "P6 0 5 255 ",
                                          "P6 5 0 255 ",
                                          "P5 30000 30000 255 ",
                                          "P6 4294967297 1 255 ",
                                          "P6 2 2 0 ",
                                          "P6 2 2 65536 ",
                                          "P6 -2 2 255 ",
                                          "P62 2 255 ",
                                          "P6",
                                          "P6 2 2 255",
                                          "P6 #",
                                          "P5 2 2 255\n123"};
    struct image image;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_int_equal(image_decode(&image, headers[i], strlen(headers[i]), "bomb.ppm"), ERR_INPUT);
        assert_null(image.rgb);
    }
    assert_int_equal(image_decode(&image, "GIF89a and more", 15, "moving.gif"), ERR_INPUT);
    assert_string_equal(error_text(),
                        "moving.gif is not a picture that can be read: PNG, JPEG, binary PPM and PGM are");
    assert_int_equal(image_decode(&image, "", 0, "empty.png"), ERR_INPUT);
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < picture_count; i++)
        for (long after = 0; after < 3; after++) {
            struct image image;
            mem_fail_after(after);
            int rc = image_decode(&image, pictures[i].file, pictures[i].file_bytes, "a picture");
            mem_fail_after(-1);
            assert_true(rc == 0 || rc == ERR_MEMORY);
            image_finish(&image);
        }
}

static void a_written_png_reads_back(void **state)
{
    (void)state;
    struct picture *c = &pictures[picture_count / 2];
    struct image image;
    char path[] = "vitro_image_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(image_write_png(path, c->rgb, (int)c->width, (int)c->height), 0);
    assert_int_equal(image_read_file(&image, path), 0);
    assert_int_equal(image.width, c->width);
    assert_memory_equal(image.rgb, c->rgb, (size_t)c->width * c->height * 3);
    image_finish(&image);
    file_fail_after(2);
    assert_int_equal(image_write_png(path, c->rgb, (int)c->width, (int)c->height), ERR_IO);
    file_fail_after(-1);
    assert_non_null(strstr(error_text(), "No space left"));
    unlink(path);
    assert_int_equal(image_read_file(&image, path), ERR_IO);
    assert_int_equal(image_write_png("/nowhere/x.png", c->rgb, 1, 1), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_picture_decodes_to_pillows_pixels),
        cmocka_unit_test(every_cut_of_a_picture_is_refused_by_name),
        cmocka_unit_test(flipped_bits_never_crash_and_never_pass_unseen_in_png),
        cmocka_unit_test(bombs_and_empty_pictures_are_refused_by_their_size),
        cmocka_unit_test(running_out_of_memory_is_an_error_like_any_other),
        cmocka_unit_test(a_written_png_reads_back),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
