/* shift.h - what a trained method answers where the images are not those it was trained on: corrupted, or of another
 * data set; and on its way back to the backbone (WiSE). Kept in the store as labels given, image by image, so that
 * every accuracy is computed and none believed (docs/robustness.md). */
#ifndef VITRO_STUDY_SHIFT_H
#define VITRO_STUDY_SHIFT_H

#include "hash.h"
#include "json.h"
#include "memory.h"

#include <stdint.h>

enum shift_kind { SHIFT_ROBUST, SHIFT_WISE };
extern const char *const shift_kinds[]; /* robust, wise */

/* what a set of images is: clean: those of the method's own data; val: its validation images, to choose alpha by */
enum shift_set_kind { SET_CLEAN, SET_VAL, SET_CORRUPTION, SET_DATA };
extern const char *const shift_set_kinds[]; /* clean, val, corruption, data */

struct shift_set {
    const char *name;        /* "clean", "val", "fog:3", a data set's */
    const char *fingerprint; /* of its images; NULL while it is written: the spec says it */
    enum shift_set_kind kind;
    uint32_t images;
    const int32_t *labels;  /* [images] */
    const int32_t *answers; /* [alphas][images]: the labels given */
    const int32_t *control; /* the same by mixing probabilities; NULL: none */
};

struct shift_run { /* one trained method, judged; texts and arrays lent */
    enum shift_kind kind;
    const char *id;               /* SHA-256 of the spec's canonical text */
    const char *method, *split;   /* split: val or test, of all sets but data's and val */
    const char *how, *why, *head; /* WISE: parameters, merged or none; why none; alpha 0's head */
    const double *alphas;         /* rising; robust: 1 alone */
    uint32_t alpha_count, set_count;
    const struct shift_set *sets;
    int val_is_trained_on; /* then alpha cannot be chosen by it */
    double anchor_off,
        tuned_off; /* WISE, clean images: how far a logit by the weights of alpha 0 is, at most, from the
                                     backbone's, and of alpha 1 from the trained method's; NaN: not measured */
    uint32_t pack, method_index, seed; /* where it belongs in a panel */
};

/* Writes result.json and answers.safetensors into the folder, which is made. `spec` says what was judged. */
int shift_write(const struct shift_run *run, const struct json *spec, const char *folder);
/* Reads them back into the arena; refuses what does not fit its hashes. */
int shift_read(struct shift_run *out, struct arena *arena, const char *folder);

/* Whether two runs were judged on the same images at the same alphas, so that they may share a table. */
int shift_alike(const struct shift_run *a, const struct shift_run *b);

/* --- statistics. Runs of one kind of a method on a pack, one a seed, with the same sets. Intervals draw seeds and
 * images with replacement; the same images everywhere where sets show the same ones. */
struct shift_part {
    uint32_t set;
    double over, under; /* weights in the numerator and the denominator */
};
struct shift_estimate {
    double mean, low, high;
};
struct shift_options {
    size_t replicates;
    double level;
    uint64_t seed;
    int control;
};
/* (sum of over x accuracy) / (sum of under x accuracy), or the numerator alone where all `under` are 0, at one alpha. */
int shift_estimate(const struct shift_run *const *runs, uint32_t run_count, uint32_t alpha,
                   const struct shift_part *parts, uint32_t part_count, const struct shift_options *o,
                   struct shift_estimate *out);

/* Accuracy lines: logit(y) = a + b logit(x), least squares (Taori et al. 2020, arXiv 2007.00644); the residual, in
 * accuracy, of point `index` from the line through all others; NaN with fewer than three of them. */
double shift_effective(const double *x, const double *y, uint32_t count, uint32_t index);

/* Hangs what a set of runs says into a document: docs/analysis.md, `robustness` and `wise`. `methods` rows; runs in any
 * order. */
int shift_describe(struct json *document, const struct shift_run *runs, uint32_t count, uint32_t methods,
                   const struct shift_options *o);

#endif
