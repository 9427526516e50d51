/* resample.h - position embeddings for another grid of patches. */
#ifndef VITRO_VIT_RESAMPLE_H
#define VITRO_VIT_RESAMPLE_H

#include <stdint.h>

/* from [1 + from_grid^2, dim] to [1 + to_grid^2, dim]: the class token's row is kept, the others are
 * resampled as timm does: bicubic with antialias, as torch.nn.functional.interpolate. */
int resample_positions(const float *from, int32_t from_grid, float *to, int32_t to_grid, int32_t dim);

#endif
