// attention_gpu.glsl - the GPU attention kernels' workgroup: 64 invocations, and two tiles of 16 rows of D
// floats in shared memory (16 KiB at D = 128).
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require
layout(local_size_x = 64, local_size_y = 1, local_size_z = 1) in;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
#include "attention.glsl"

const uint GROUP = 64, TILE = 16;
shared float tile_x[TILE][D], tile_y[TILE][D];

// rows first .. first + TILE - 1 of a matrix of `rows` rows, `stride` apart; those beyond repeat the last
#define LOAD_TILE(tile, p, stride, first, rows)                                 \
    for (uint e = gl_LocalInvocationIndex; e < TILE * D; e += GROUP)            \
        tile[e / D][e % D] = (p)[min((first) + e / D, (rows) - 1u) * (stride) + e % D].v;
