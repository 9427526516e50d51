// attention.comp - out = softmax(scale q k^T) v for GPUs, and the rows' log-sum-exp.
//
// An invocation owns a query and keeps it and its sum in registers; keys and values pass through shared
// memory, TILE at a time, with an online softmax in powers of two. lib/attention.glsl has the layouts.
// Any subgroup size. Grid: (ceil(queries / 64), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_gpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, to, lse;
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width;
    const uint t = gl_WorkGroupID.x * GROUP + gl_LocalInvocationIndex, mine = q_from + min(t, queries - 1u);
    RF head = qkv + (z * T * row + h * D);

    float q[D], sum[D];
    FOR_D {
        q[i] = head[mine * row + i].v * (scale * LOG2_E);
        sum[i] = 0.0;
    }
    float top = LOWEST, total = 0.0;
    for (uint j = k_from; j < T; j += TILE) {
        LOAD_TILE(tile_x, head + width, row, j, T)
        LOAD_TILE(tile_y, head + 2u * width, row, j, T)
        barrier();
        const uint count = min(TILE, T - j);
        for (uint n = 0u; n < count; n++) {
            float s = 0.0;
            FOR_D s = fma(q[i], tile_x[n][i], s);
            float higher = max(top, s), shrink = exp2(top - higher), p = exp2(s - higher);
            top = higher;
            total = fma(total, shrink, p);
            FOR_D sum[i] = fma(sum[i], shrink, p * tile_y[n][i]);
        }
        barrier();
    }
    if (t < queries) {
        FOR_D to[(z * queries + t) * width + h * D + i].v = sum[i] / total;
        lse[(z * heads + h) * queries + t].v = (top + log2(total)) * LN_2;
    }
}
