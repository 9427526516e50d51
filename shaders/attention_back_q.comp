// attention_back_q.comp - the gradient of attention's queries, for GPUs; first half of the backward.
//
// With p = exp(scale q k - lse) computed again and delta = sum d_out out (kept for the second half):
//     ds = p (d_out v - delta),  dq = scale ds k.
// A workgroup owns queries; values and keys take turns in one place in shared memory. Writes the query
// columns of d_qkv. Grid: (ceil(T / BQ), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_gpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // from: attention's result
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared vec4 own_q[BQ * PITCH], own_g[BQ * PITCH], other[STEP * PITCH], weights[BQ * W_PITCH];

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width, first = gl_WorkGroupID.x * BQ;
    const uint end = first < queries ? T : k_from;
    RF head = qkv + (z * T * row + h * D), keys = head + width, values = keys + width;
    RF results = from + (z * queries * width + h * D), gradients = d_out + (z * queries * width + h * D);
    const uint at_row = (z * heads + h) * queries;

    vec4 next[FETCH], sum[ROWS][COLUMNS];
    float top[ROWS], rest[ROWS], s[ROWS][4], ds[ROWS][4];
    FOR_ROWS FOR_COLUMNS sum[i][c] = vec4(0.0);
    if (first < queries) {
        LOAD_OWN(own_q, head + q_from * row, row, first, queries, scale * LOG2_E)
        LOAD_OWN(own_g, gradients, width, first, queries, 1.0)
        FETCH_TILE(next, values, row, k_from, T)
        barrier();
        FOR_ROWS {
            const uint t = min(first + ty + i * TY, queries - 1u);
            float part = 0.0;
            FOR_COLUMNS {
                const uint at = min(tx + c * TX, DV - 1u);
                const vec4 x = row_load(results + t * width, at) * (tx + c * TX < DV ? 1.0 : 0.0);
                part = dot_add(x, own_g[(ty + i * TY) * PITCH + at], part);
            }
            rest[i] = row_add(part);
            top[i] = lse[at_row + t].v * LOG2_E;
        }
    }
    for (uint k = k_from; k < end; k += STEP) {
        PUT_TILE(other, next)
        barrier();
        FETCH_TILE(next, keys, row, k, T)
        SCORES(ds, own_g, other)
        barrier();
        PUT_TILE(other, next)
        barrier();
        FETCH_TILE(next, values, row, k + STEP, T)
        SCORES(s, own_q, other)
        FOR_ROWS FOR_4
            ds[i][j] = k + tx + j * TX < T ? exp2(s[i][j] - top[i]) * (ds[i][j] - rest[i]) : 0.0;
        KEEP_WEIGHTS(ds)
        subgroupBarrier();
        WEIGH_UP(sum, other, T - k)
        barrier();
    }
    FOR_ROWS {
        const uint t = first + ty + i * TY;
        if (t < T)
            STORE_SUM(d_qkv + ((z * T + wrapped(q_from + t, T)) * row + h * D), sum, t < queries ? scale : 0.0)
        if (t < queries && tx == 0u)
            delta[at_row + t].v = rest[i];
    }
}
