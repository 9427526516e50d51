/* test_resize.c - the resized pixels are Pillow's, bit for bit. */
#include "error.h"
#include "file.h"
#include "memory.h"
#include "resize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t next_u32(const unsigned char **p)
{
    uint32_t v = (*p)[0] | (uint32_t)(*p)[1] << 8 | (uint32_t)(*p)[2] << 16 | (uint32_t)(*p)[3] << 24;
    *p += 4;
    return v;
}

static void pixels_equal_pillows_for_up_and_down_scaling(void **state)
{
    (void)state;
    char *golden = NULL;
    size_t size = 0;
    assert_int_equal(file_read(GOLDEN "/resize.bin", 1 << 20, &golden, &size), 0);
    const unsigned char *p = (const unsigned char *)golden, *end = p + size;
    int cases = 0;
    for (; p < end; cases++) {
        struct image image;
        image.width = (int)next_u32(&p);
        image.height = (int)next_u32(&p);
        image.rgb = (unsigned char *)(uintptr_t)p;
        p += (size_t)image.width * (size_t)image.height * 3;
        int width = (int)next_u32(&p), height = (int)next_u32(&p);
        size_t bytes = (size_t)width * (size_t)height * 3;
        unsigned char *out = mem_alloc(bytes, 1);
        assert_int_equal(resize_bicubic(&image, out, width, height), 0);
        for (size_t i = 0; i < bytes; i++)
            if (out[i] != p[i])
                fail_msg("%d x %d to %d x %d: byte %zu is %d, Pillow has %d", image.width, image.height,
                         width, height, i, out[i], p[i]);
        mem_free(out);
        p += bytes;
    }
    assert_int_equal(cases, 12);
    mem_free(golden);
}

/* Decoded and resized, the whole way into a pack. Both steps repeat Pillow's arithmetic, so that nothing may differ; the
 * program is held to 1/255, as another libjpeg's transform may round otherwise. */
static void photographs_are_prepared_as_pillow_prepares_them(void **state)
{
    (void)state;
    enum { MOST = 1 };
    char *golden = NULL;
    size_t size = 0;
    int cases = 0;
    assert_int_equal(file_read(GOLDEN "/photos.bin", 1 << 20, &golden, &size), 0);
    const unsigned char *p = (const unsigned char *)golden, *end = p + size;
    for (; p < end; cases++) {
        struct image image;
        const uint32_t file_bytes = next_u32(&p);
        assert_int_equal(image_decode(&image, p, file_bytes, "photograph"), 0);
        p += file_bytes;
        const int side = (int)next_u32(&p);
        const size_t bytes = (size_t)side * (size_t)side * 3;
        unsigned char *out = mem_alloc(bytes, 1);
        assert_int_equal(resize_bicubic(&image, out, side, side), 0);
        for (size_t i = 0; i < bytes; i++)
            if (abs(out[i] - p[i]) > MOST)
                fail_msg("case %d: byte %zu is %d, Pillow has %d", cases, i, out[i], p[i]);
        mem_free(out);
        image_finish(&image);
        p += bytes;
    }
    assert_int_equal(cases, 3);
    mem_free(golden);
}

static void a_flat_picture_stays_flat(void **state)
{
    (void)state;
    unsigned char pixels[7 * 5 * 3], out[64 * 3 * 3];
    memset(pixels, 255, sizeof pixels);
    struct image image = {7, 5, pixels};
    assert_int_equal(resize_bicubic(&image, out, 64, 3), 0);
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 255);
}

static void impossible_sizes_and_lack_of_memory_are_refused(void **state)
{
    (void)state;
    unsigned char pixels[3] = {1, 2, 3}, out[8 * 8 * 3];
    struct image image = {1, 1, pixels};
    assert_int_equal(resize_bicubic(&image, out, 0, 8), ERR_INPUT);
    assert_int_equal(resize_bicubic(&image, out, 8, -1), ERR_INPUT);
    for (long after = 0; after < 10; after++) {
        mem_fail_after(after);
        assert_int_equal(resize_bicubic(&image, out, 8, 8), ERR_MEMORY);
    }
    mem_fail_after(-1);
    assert_int_equal(resize_bicubic(&image, out, 8, 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_equal_pillows_for_up_and_down_scaling),
        cmocka_unit_test(photographs_are_prepared_as_pillow_prepares_them),
        cmocka_unit_test(a_flat_picture_stays_flat),
        cmocka_unit_test(impossible_sizes_and_lack_of_memory_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
