// pack_cpu.comp - a matrix B [K][N] into panels of 16 columns, [ceil(N / 16)][K][16], zeros beyond N.
//
// The matrix is of floats, which are rounded to NUMBER, or (HALVES) kept as such halves. B[k][n] is
// from[k k_stride + n n_stride], so a weight stored as [N][K] is packed as its transpose.
// Grid: (ceil(N / 16), ceil(K / 64), batch); any subgroup size.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "number.glsl"

layout(constant_id = 1) const uint NUMBER = 0;
layout(constant_id = 2) const uint HALVES = 0;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RU { uint v; };
const uint VECTORS = LANES < 16u ? 16u / LANES : 1u; // of a panel's row

layout(push_constant) uniform Push {
    RF from, panels;
    uint N, K;
    uint k_stride, n_stride;
    uint from_batch, panels_batch;
};

void main()
{
    RF panel = panels + gl_WorkGroupID.z * panels_batch + gl_WorkGroupID.x * (16u * K);
    const uint first = gl_WorkGroupID.y * 64u, end = min(first + 64u, K);
    if (HALVES == 0u && n_stride == 1u && 16u % LANES == 0u) { // rows to rows: vector loads, no gathers
        const uint columns = gl_WorkGroupID.x * 16u;
        RF rows = from + gl_WorkGroupID.z * from_batch + columns;
        for (uint k = first; k < end; k++) {
            float x[VECTORS];
            [[unroll]] for (uint j = 0u; j < VECTORS; j++) {
                const uint n = j * LANES;
                x[j] = 0.0;
                if (columns + n < N) // the same in all lanes
                    x[j] = mix(0.0, rounded(NUMBER, lane_load(rows + k * k_stride + n)), columns + n + lane < N);
            }
            if (LANES == 8u)
                lane_store2(panel + k * 16u, x[0], x[VECTORS - 1u]);
            else
                [[unroll]] for (uint j = 0u; j < VECTORS; j++)
                    lane_store(panel + k * 16u + j * LANES, x[j]);
        }
        return;
    }
    for (uint i = first * 16u + lane; i < end * 16u; i += LANES) {
        uint k = i / 16u, n = gl_WorkGroupID.x * 16u + i % 16u;
        uint at = gl_WorkGroupID.z * from_batch + k * k_stride + min(n, N - 1u) * n_stride;
        float x;
        if (HALVES != 0u)
            x = widen2(NUMBER, RU(from)[at / 2u].v >> 16u * (at % 2u)).x;
        else
            x = rounded(NUMBER, from[at].v);
        panel[i].v = n < N ? x : 0.0;
    }
}
