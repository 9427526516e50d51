/* feature_cache.h - what every epoch would compute alike from an image (core/tape/prefix.h), computed once for all
 * images and kept on the device. Which values these are follows from the tape; no method is named. The
 * training that takes them from there ends in the bits of one that does not: they are computed by the same
 * kernels, in batches of the same shape. */
#ifndef VITRO_TRAIN_FEATURE_CACHE_H
#define VITRO_TRAIN_FEATURE_CACHE_H

#include "prefix.h"
#include "run.h"

/* Called after each batch; other than 0 stops with ERR_STOPPED. */
typedef int features_report(void *context, uint32_t done, uint32_t images);

struct features {   /* the first four by the caller, the rest zeroed; nothing is kept while count is 0 */
    uint64_t limit; /* bytes of device memory at most */
    features_report *report; /* NULL: none */
    void *context;
    /* NULL, or of a packed trial that outlives this: what is the same is lent by it or by those before it */
    const struct features *before;

    const struct tape *source; /* the step as it was traced, while the run is made; and its bank */
    struct bank *bank;
    struct product_list *asked;    /* the products that computing them took */
    const struct features *lender; /* whose rows these are; NULL: its own */
    struct device *device;
    struct prefix prefix;
    struct buffer *rows; /* [prefix.count], one row an image; NULL where they are lent */
    uint64_t bytes;      /* of all rows of its own */
    double seconds;      /* that computing them took, compilation included */
    int uses_images;     /* whether a step still looks at the images themselves */
    struct tape *tape;   /* of a step that reads them, with what run_spec points to */
    value *values;
    struct run_table *tables;
    struct run_gradient *gradients;
};

/* Bytes that train_spec.feature_cache allows. */
uint64_t feature_bytes(const struct device *d, int32_t mebibytes);

/* Looks for values of spec's tape that are worth keeping; if there are any, computes them for all images of
 * spec->feed and turns *spec into the program that reads them, by what `f` owns. Leaf ids from first_id on
 * must be free. */
int features_keep(struct features *f, struct run_spec *spec, uint32_t first_id);
void features_finish(struct features *f); /* zeroed is fine; the programs that read them must be gone */

#endif
