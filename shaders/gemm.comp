// gemm.comp - the product on any GPU: fp32 tiles in shared memory, whose numbers are rounded to NUMBER.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "gemm_gpu.glsl"
#define TILE_4 vec4
#include "gemm_tiled.glsl"
