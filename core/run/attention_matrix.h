/* attention_matrix.h - whether attention takes the kernels on the matrix units of subgroups, and with which workgroups:
 * the rung `subgroup` of the ladder (ladder.h). All other rungs leave it to the fp32 kernels. */
#ifndef VITRO_RUN_ATTENTION_MATRIX_H
#define VITRO_RUN_ATTENTION_MATRIX_H

#include "attention_tile.h"
#include "device.h"
#include "shaders.h"

struct attention_matrix {  /* see shaders/lib/attention_matrix.glsl */
    uint32_t step;         /* rows of the passing side in a turn */
    uint32_t group;        /* invocations */
    uint32_t unroll;       /* matrices in a turn of the loop for scores */
    uint32_t skips;        /* subgroups that own no row do nothing */
    uint32_t owned;        /* owned rows of the workgroup */
    uint32_t shared_bytes; /* shared memory of the workgroup */
};

struct engine;
/* What the products of heads of `width` are put together of where all three passes are to be computed on matrix
 * units; NULL: they are not, as device, width, style, rung or a failed check (products.h) have it. */
const struct device_matrix *attention_matrix_unit(const struct engine *e, enum number number, uint32_t width);

/* The workgroup that should be fastest where `count` rows are to be owned; 0 where none fits. */
int attention_matrix_choose(struct attention_matrix *out, enum attention_pass pass, uint32_t width,
                            uint32_t count, const struct attention_limits *limits,
                            const struct device_matrix *unit);

enum shader attention_matrix_shader(enum attention_pass pass, enum number number);

#endif
