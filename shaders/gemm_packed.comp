// gemm_packed.comp - the product of fp16 operands, in half the shared memory: NUMBER is fp16, sums are floats.
// Needs fp16 in arithmetic (shaderFloat16).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "gemm_gpu.glsl"
#define TILE_4 f16vec4
#include "gemm_tiled.glsl"
