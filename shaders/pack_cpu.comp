// pack_cpu.comp - a matrix B [K][N] into panels of 16 columns, [ceil(N / 16)][K][16], zeros beyond N.
//
// B[k][n] is from[k k_stride + n n_stride], so a weight stored as [N][K] is packed as its transpose.
// Grid: (ceil(N / 16), ceil(K / 64), batch); any subgroup size.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "number.glsl"

layout(constant_id = 1) const uint NUMBER = 0; // what the numbers are rounded to

layout(push_constant) uniform Push {
    RF from, panels;
    uint N, K;
    uint k_stride, n_stride;
    uint from_batch, panels_batch;
};

void main()
{
    RF source = from + gl_WorkGroupID.z * from_batch;
    RF panel = panels + gl_WorkGroupID.z * panels_batch + gl_WorkGroupID.x * (16u * K);
    const uint first = gl_WorkGroupID.y * 64u, end = min(first + 64u, K);
    for (uint i = first * 16u + lane; i < end * 16u; i += LANES) {
        uint k = i / 16u, n = gl_WorkGroupID.x * 16u + i % 16u;
        float x = source[k * k_stride + min(n, N - 1u) * n_stride].v;
        panel[i].v = n < N ? rounded(NUMBER, x) : 0.0;
    }
}
