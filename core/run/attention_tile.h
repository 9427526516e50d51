/* attention_tile.h - which workgroup and tiles the GPU attention kernels take on a device. */
#ifndef VITRO_RUN_ATTENTION_TILE_H
#define VITRO_RUN_ATTENTION_TILE_H

#include <stdint.h>

enum attention_pass { ATTENTION_FORWARD, ATTENTION_BACK_Q, ATTENTION_BACK_KV, ATTENTION_PASSES };

struct attention_tile {    /* see shaders/lib/attention_gpu.glsl and attention_matrix.glsl */
    uint32_t owned;        /* rows of the workgroup: queries, or keys where their gradient is computed */
    uint32_t step;         /* rows of the passing side in a turn */
    uint32_t group;        /* invocations */
    uint32_t unroll;       /* vectors of a row, or matrices, in a turn of the loop for scores */
    uint32_t shared_bytes; /* shared memory of the workgroup */
    uint32_t rows;         /* fp32: owned rows of an invocation */
    uint32_t skips;        /* on matrix units: subgroups that own no row do nothing */
    double cost;           /* an estimate, of which only the order means something */
};

struct attention_limits {
    uint32_t lanes;           /* of a subgroup, a power of two */
    uint32_t max_invocations; /* of a workgroup */
    uint32_t shared_bytes;    /* of a workgroup */
    int brief;                /* rather short than fast: CPU devices, where these kernels are only tested,
                                 compile each access to shared memory lane by lane */
};

/* A pass's tiles in fp32 for heads of `width` where `count` rows are to be owned, at most `room`, the likeliest fastest
 * first. Returns how many; 0 where none fits: kernels of the CPU-device style, which use no shared memory, do it then. */
uint32_t attention_tile_list(struct attention_tile *out, uint32_t room, enum attention_pass pass,
                             uint32_t width, uint32_t count, const struct attention_limits *limits);

/* Among `count` that are there, where its cost belongs; of equal ones the first stays first. Returns how many there are
 * then: the dearest of more than `room` is left out. */
uint32_t attention_tile_insert(struct attention_tile *list, uint32_t count, uint32_t room,
                               const struct attention_tile *t);

#endif
