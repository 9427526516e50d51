/* image_ppm.c - binary PPM (P6) and PGM (P5) with 8 or 16 bits a sample. */
#include "error.h"
#include "image_codec.h"

#include <math.h>

struct reader {
    const unsigned char *next, *end;
};

/* The next number of the header: white space and #-comments, digits, one white space. */
static int read_number(struct reader *r, unsigned long *out)
{
    int comment = 0;
    while (r->next < r->end &&
           (comment || *r->next == '#' || *r->next == ' ' || (*r->next >= 9 && *r->next <= 13))) {
        comment = comment ? *r->next != '\n' && *r->next != '\r' : *r->next == '#';
        r->next++;
    }
    const unsigned char *start = r->next;
    unsigned long value = 0;
    for (; r->next < r->end && *r->next >= '0' && *r->next <= '9' && r->next - start < 9; r->next++)
        value = value * 10 + (unsigned long)(*r->next - '0');
    if (r->next == start || r->next == r->end || !(*r->next == ' ' || (*r->next >= 9 && *r->next <= 13)))
        return fail(ERR_INPUT, "the PPM is damaged: its header lacks width, height or largest value");
    r->next++;
    *out = value;
    return 0;
}

int image_decode_ppm(struct image *out, const unsigned char *bytes, size_t size)
{
    struct reader r = {bytes + 2, bytes + size};
    unsigned long width, height, most;
    if (size > 2 && bytes[2] >= '0' && bytes[2] <= '9')
        return fail(ERR_INPUT, "the PPM is damaged: white space must follow P%c", bytes[1]);
    TRY(read_number(&r, &width));
    TRY(read_number(&r, &height));
    TRY(read_number(&r, &most));
    if (most < 1 || most > 65535)
        return fail(ERR_INPUT, "the PPM's largest value is %lu; it must be 1 to 65535", most);
    TRY(image_allocate(out, width, height));
    size_t channels = bytes[1] == '6' ? 3 : 1, wide = most > 255 ? 2 : 1;
    size_t samples = width * height * channels, have = (size_t)(r.end - r.next) / wide;
    if (have < samples)
        return fail(ERR_INPUT, "the PPM is cut short: it holds %zu of %zu samples", have, samples);
    for (size_t i = 0; i < samples; i++) {
        unsigned long sample = wide == 2 ? 256ul * r.next[2 * i] + r.next[2 * i + 1] : r.next[i];
        /* half to even, in double as Pillow does it */
        double scaled = sample >= most ? 255 : rint((double)sample / (double)most * 255);
        if (channels == 3)
            out->rgb[i] = (unsigned char)scaled;
        else
            out->rgb[3 * i] = out->rgb[3 * i + 1] = out->rgb[3 * i + 2] = (unsigned char)scaled;
    }
    return 0;
}
