/* attention_matrix.h - whether attention takes the kernels on the matrix units of subgroups, and with which workgroups:
 * the rung `subgroup` of the ladder (ladder.h). All other rungs leave it to the fp32 kernels. */
#ifndef VITRO_RUN_ATTENTION_MATRIX_H
#define VITRO_RUN_ATTENTION_MATRIX_H

#include "attention_tile.h"
#include "device.h"
#include "shaders.h"

struct engine;
/* What the products of heads of `width` are put together of where all three passes are to be computed on matrix
 * units; NULL: they are not, as device, width, style, rung or a failed check (products.h) have it. */
const struct device_matrix *attention_matrix_unit(const struct engine *e, enum number number, uint32_t width);

/* As attention_tile_list, of workgroups on matrix units. */
uint32_t attention_matrix_list(struct attention_tile *out, uint32_t room, enum attention_pass pass,
                               uint32_t width, uint32_t count, const struct attention_limits *limits,
                               const struct device_matrix *unit);

enum shader attention_matrix_shader(enum attention_pass pass, enum number number);

#endif
