/* fuzz_image.c - PNG, JPEG, PPM and PGM. */
#include "fuzz.h"

#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct image image;
    static volatile unsigned sink;
    if (image_decode(&image, bytes, size, "fuzz") < 0)
        return 0;
    sink = image.rgb[0] + image.rgb[(size_t)image.width * (size_t)image.height * 3 - 1];
    (void)sink;
    image_finish(&image);
    return 0;
}
