/* formats.h - what other programs call a ViT's tensors: a table of rows for each format, read by load.c and export.c.
 *
 * Sources: timm; google-research/vision_transformer and big_vision; Hugging Face transformers; OpenAI's CLIP and
 * open_clip; facebookresearch's DINOv2 and MAE. */
#ifndef VITRO_VIT_FORMATS_H
#define VITRO_VIT_FORMATS_H

#include <stddef.h>

#include "resample.h"

/* Layouts of a tensor against ours: D the width, H heads, d = D / H, P the patch's side, O and I a linear layer's
 * outputs and inputs, which we keep as [O, I]. */
enum form {
    FORM_SAME,
    FORM_LOOSE,   /* the same but for axes of 1 */
    FORM_LINEAR,  /* [I, O] */
    FORM_QUERY,   /* [D, H, d], ours [D, D] */
    FORM_OUT,     /* [H, d, D], ours [D, D] */
    FORM_VECTORS, /* [H, d], ours [D] */
    FORM_IMAGE,   /* [P, P, 3, D], ours [D, 3, P, P] */
};

/* '#' stands for the block. theirs: alternatives are split by '|'; "{a,b,c}" are joined along our first axis; a
 * leading '/' takes the name as it stands, without the format's prefix. */
struct weight_row {
    const char *ours, *theirs;
    enum form form;
};

enum activation { ACTIVATION_UNKNOWN, ACTIVATION_GELU, ACTIVATION_QUICK_GELU };

struct weight_format {
    const char *name;
    const char *signature[3];    /* names that all must be there, below the prefix; up to a NULL */
    const char *const *prefixes; /* tried in order; ended by NULL */
    const struct weight_row *rows;
    size_t row_count;
    int same_names;             /* what no row names is called as we do */
    const char *const *ignored; /* passed over: a name, or "begin*", or "*end"; ended by NULL */
    float eps;                  /* of the norms, where nothing says it */
    enum activation activation; /* UNKNOWN: it has to be said */
    enum resampling resampling; /* as the format's own code changes the grid of positions */
    const char *normalise;      /* what its images were normalised with; NULL: files differ */
};
extern const struct weight_format weight_formats[]; /* the most particular first; ended by a NULL name */

/* The row of one of our names ("blocks.3.norm1.weight" as "blocks.#.norm1.weight"), or NULL. */
const struct weight_row *weight_row(const struct weight_format *f, const char *ours);

#endif
