/* resample.h - position embeddings for another grid of patches, as each family's own code does it. */
#ifndef VITRO_VIT_RESAMPLE_H
#define VITRO_VIT_RESAMPLE_H

#include <stdint.h>

enum resampling {
    RESAMPLE_ANTIALIAS, /* timm, open_clip, DINOv2 with registers: torch's bicubic with antialias */
    RESAMPLE_CUBIC,     /* Hugging Face, MAE: torch's bicubic to a size */
    RESAMPLE_TENTH,     /* DINOv2: the same by the factor (grid + 0.1) / old grid */
};

/* from [prefix + from_grid^2, dim] to [prefix + to_grid^2, dim]: the prefix's rows are kept. */
int resample_positions(enum resampling how, const float *from, int32_t from_grid, float *to, int32_t to_grid,
                       int32_t prefix, int32_t dim);

#endif
