/* attention_tile.h - which workgroup and tiles the GPU attention kernels take on a device. */
#ifndef VITRO_RUN_ATTENTION_TILE_H
#define VITRO_RUN_ATTENTION_TILE_H

#include <stdint.h>

enum attention_pass { ATTENTION_FORWARD, ATTENTION_BACK_Q, ATTENTION_BACK_KV };

struct attention_tile {    /* see shaders/lib/attention_gpu.glsl */
    uint32_t step;         /* rows of the passing side in a turn */
    uint32_t group;        /* invocations */
    uint32_t rows;         /* owned rows of an invocation */
    uint32_t owned;        /* owned rows of the workgroup */
    uint32_t unroll;       /* vectors of a row in a turn of the loop for scores */
    uint32_t shared_bytes; /* shared memory of the workgroup */
};

struct attention_limits {
    uint32_t lanes;           /* of a subgroup, a power of two */
    uint32_t max_invocations; /* of a workgroup */
    uint32_t shared_bytes;    /* of a workgroup */
    int brief;                /* rather short than fast: CPU devices, where these kernels are only tested,
                                 compile each access to shared memory lane by lane */
};

/* The tile that should be fastest for heads of `width` where `count` rows are to be owned. Returns 0 where
 * none fits: kernels of the CPU-device style, which use no shared memory, do it then. */
int attention_tile_choose(struct attention_tile *out, enum attention_pass pass, uint32_t width,
                          uint32_t count, const struct attention_limits *limits);

#endif
