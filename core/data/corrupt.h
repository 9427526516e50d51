/* corrupt.h - the 15 common corruptions of ImageNet-C at five severities (Hendrycks and Dietterich 2019,
 * arXiv 1903.12261), of pictures as packs hold them: square, 8 bits.
 *
 * The constants are the paper's, for 224 x 224 pixels. What they measure in pixels (radii of blurs, flakes, distances)
 * is scaled by side / 224, so that a picture at another size gets the same corruption; noise, contrast, the grid of
 * `pixelate` and the quality of JPEG are not lengths and stay. docs/robustness.md says where this differs from the
 * published files. What is drawn depends on (seed, number of the picture, corruption, severity) alone. */
#ifndef VITRO_DATA_CORRUPT_H
#define VITRO_DATA_CORRUPT_H

#include "pack.h"

/* name, family */
#define CORRUPTIONS(X)              \
    X(gaussian_noise, "noise")      \
    X(shot_noise, "noise")          \
    X(impulse_noise, "noise")       \
    X(defocus_blur, "blur")         \
    X(glass_blur, "blur")           \
    X(motion_blur, "blur")          \
    X(zoom_blur, "blur")            \
    X(snow, "weather")              \
    X(frost, "weather")             \
    X(fog, "weather")               \
    X(brightness, "weather")        \
    X(contrast, "digital")          \
    X(elastic_transform, "digital") \
    X(pixelate, "digital")          \
    X(jpeg_compression, "digital")

enum corruption_kind {
#define X(name, family) CORRUPTION_##name,
    CORRUPTIONS(X)
#undef X
        CORRUPTION_COUNT
};
enum { CORRUPTION_SEVERITIES = 5, CORRUPTION_TEXT = 40 };

struct corruption {
    enum corruption_kind kind;
    int severity; /* 1 .. 5 */
};

const char *corruption_name(enum corruption_kind kind);
const char *corruption_family(enum corruption_kind kind); /* noise, blur, weather, digital */
/* "gaussian_noise:3"; refuses a name with the nearest one. */
int corruption_parse(struct corruption *out, const char *text);
const char *corruption_text(struct corruption c, char text[CORRUPTION_TEXT]); /* returns text */

/* Corrupts pictures [count][side][side][3] into `out`, which may be `in`. `first` is the number of the first. */
struct corrupt_job {
    struct corruption what;
    uint64_t seed, first;
    int side;
    uint32_t count;
    const unsigned char *in;
    unsigned char *out;
};
int corrupt_pictures(const struct corrupt_job *job, pack_progress *progress, void *context);

/* The number of picture `index` of a split, for corrupt_job.first: as packs and `--corrupt` count. */
static inline uint64_t corrupt_number(enum pack_split split, uint32_t index)
{
    return (uint64_t)split << 32 | index;
}

/* A pack in memory with every split corrupted (a sealed test split stays out); its fingerprint is that of its bytes,
 * its origin says what was done. */
int pack_corrupt(struct pack **out, const struct pack *pack, struct corruption what, uint64_t seed,
                 pack_progress *progress, void *context);

#endif
