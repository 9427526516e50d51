/* pack.h - a prepared data set in one file: labels and decoded, resized pixels, ready for the device.
 *
 *   head      64 bytes: "VITROPAK", u32 version, zeros
 *   trainval  int32 labels of train, then of val; from the next multiple of 64 their pixels
 *   test      from the next multiple of 4096: int32 labels; from the next multiple of 64 their pixels
 *   about     from the next multiple of 64: a JSON text with everything else
 *   tail      80 bytes: SHA-256 of the JSON text in hex, u64 length of the text, "VITROEND"
 *
 * Numbers are little endian; gaps are zero. Train and val lie side by side so that both are one
 * upload; test lies on pages of its own so that it can be kept shut. A split's fingerprint is the
 * SHA-256 of its labels followed by its pixels; the whole's covers the splits', size, number of
 * classes, mean and deviation. The same source gives the same bytes. */
#ifndef VITRO_DATA_PACK_H
#define VITRO_DATA_PACK_H

#include <stddef.h>
#include <stdint.h>

struct pack; /* immutable; may be read from several threads */

enum pack_split { PACK_TRAIN, PACK_VAL, PACK_TEST, PACK_SPLITS, PACK_TRAINVAL = PACK_SPLITS };
enum { PACK_SIZE_LIMIT = 1024 };

/* What a pack says about itself; lent by it. */
struct pack_info {
    const char *task, *kind;      /* kind: natural, specialised, structured, pretrain or given */
    const char *origin;           /* "images", or how the pixels were generated */
    const char *normalise;        /* the name of mean and deviation */
    double mean[3], deviation[3]; /* of red, green, blue in [0, 1] */
    int size;                     /* pictures are size x size */
    int class_count;
    const char *const *class_names;
    uint32_t count[PACK_SPLITS];
    const char *split_fingerprint[PACK_SPLITS]; /* 64 hex digits */
    const char *fingerprint;
};
const struct pack_info *pack_info(const struct pack *pack);

/* Lent by the pack. PACK_TRAINVAL is train followed by val. */
struct pack_images {
    uint32_t count;
    const int32_t *labels;    /* [count], 0 .. class_count - 1 */
    const unsigned char *rgb; /* [count][size][size][3] */
};
struct pack_images pack_images(const struct pack *pack, enum pack_split split);

/* Maps a pack; refuses one that is damaged in form, without reading the pixels. */
int pack_open(struct pack **out, const char *path);
/* The same with the test split kept shut: pack_images gives none of it, pack_check refuses it, and its pages cannot
 * be read by anything in this process. */
int pack_open_sealed(struct pack **out, const char *path);
/* Shuts the test split of an opened or generated pack in the same way. */
int pack_seal(struct pack *pack);
void pack_close(struct pack *pack); /* NULL is fine */

/* Reads a split's labels and pixels (PACK_TRAINVAL: both) and compares their fingerprints. */
int pack_check(const struct pack *pack, enum pack_split split);

/* Called now and then; a result other than 0 stops the work with ERR_STOPPED. May be NULL. */
typedef int pack_progress(void *context, size_t done, size_t total);

/* Mean and deviation by name: none, half, imagenet, clip. */
int pack_normalise(const char *name, double mean[3], double deviation[3]);
extern const char pack_normalise_names[]; /* "none, half, imagenet, clip" */

/* What to prepare: a data set in any layout of dataset.c. Pictures are resized straight to size x size, bicubic with
 * antialias. */
struct folders_spec;
struct pack_spec {
    const char *source;
    const char *task; /* NULL: the last part of `source` */
    const char *normalise;
    int size;
    const struct folders_spec *folders; /* NULL: the defaults */
    char *found;                        /* NULL, or FOUND_TEXT bytes for a sentence that says what was found */
};
int pack_build(const struct pack_spec *spec, const char *out_path, pack_progress *progress, void *context);

/* Writes an opened or generated pack to a file. */
int pack_save(const struct pack *pack, const char *path);

#endif
