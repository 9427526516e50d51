// attention_back_q.comp - the gradient of attention's queries, for GPUs; first half of the backward.
//
// With p = exp(scale q k - lse) computed again and delta = sum d_out out (kept for the second half):
//     ds = p (d_out v - delta) scale,  dq = ds k.
// An invocation owns a query. Writes the query columns of d_qkv. Grid: (ceil(T / 64), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_gpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // from: attention's result
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width;
    const uint first = gl_WorkGroupID.x * GROUP, end = first < queries ? T : k_from;
    const uint t = first + gl_LocalInvocationIndex, query = min(t, queries - 1u), mine = q_from + query;
    RF head = qkv + (z * T * row + h * D);
    const uint at_out = (z * queries + query) * width + h * D, at_row = (z * heads + h) * queries + query;

    float q[D], g[D], dq[D];
    float rest = 0.0;
    FOR_D {
        q[i] = head[mine * row + i].v * (scale * LOG2_E);
        g[i] = d_out[at_out + i].v;
        rest = fma(g[i], from[at_out + i].v, rest);
        dq[i] = 0.0;
    }
    const float top = lse[at_row].v * LOG2_E;
    for (uint j = k_from; j < end; j += TILE) {
        LOAD_TILE(tile_x, head + width, row, j, T)
        LOAD_TILE(tile_y, head + 2u * width, row, j, T)
        barrier();
        const uint count = min(TILE, T - j);
        for (uint n = 0u; n < count; n++) {
            float s = 0.0, dp = 0.0;
            FOR_D {
                s = fma(q[i], tile_x[n][i], s);
                dp = fma(g[i], tile_y[n][i], dp);
            }
            float ds = exp2(s - top) * (dp - rest) * scale;
            FOR_D dq[i] = fma(ds, tile_x[n][i], dq[i]);
        }
        barrier();
    }
    if (t < queries)
        delta[at_row].v = rest;
    const uint token = z * T + wrapped(q_from + t, T);
    if (t < T)
        FOR_D d_qkv[token * row + h * D + i].v = t < queries ? dq[i] : 0.0;
}
