// attention_back_kv.comp - the gradients of attention's keys and values, for GPUs; second half of the
// backward, after attention_back_q.comp, whose delta it reads.
//
//     dv = p^T d_out,  dk = scale ds^T q,  with p and ds as there.
// A workgroup owns keys and their values; queries and gradients pass by. Writes the key and value columns
// of d_qkv. Grid: (ceil(T / BQ), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_gpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // as in attention_back_q.comp; `from` is not read
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared vec4 own_k[BQ * PITCH], own_v[BQ * PITCH], other_q[STEP * PITCH], other_g[STEP * PITCH],
    weights[BQ * W_PITCH];

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width, first = gl_WorkGroupID.x * BQ;
    const uint keys = T - k_from, end = first < keys ? queries : 0u;
    RF head = qkv + (z * T * row + h * D), query_rows = head + q_from * row, key_rows = head + (k_from * row + width);
    RF gradients = d_out + (z * queries * width + h * D);
    RF lse_row = lse + (z * heads + h) * queries, delta_row = delta + (z * heads + h) * queries;

    vec4 next_q[FETCH], next_g[FETCH], dk[ROWS][COLUMNS], dv[ROWS][COLUMNS];
    float p[ROWS][4], ds[ROWS][4];
    FOR_ROWS FOR_COLUMNS dk[i][c] = dv[i][c] = vec4(0.0);
    if (first < keys) {
        LOAD_OWN(own_k, key_rows, row, first, keys, scale * LOG2_E)
        LOAD_OWN(own_v, key_rows + width, row, first, keys, 1.0)
        FETCH_TILE(next_q, query_rows, row, 0u, queries)
        FETCH_TILE(next_g, gradients, width, 0u, queries)
    }
    for (uint q = 0u; q < end; q += STEP) {
        PUT_TILE(other_q, next_q)
        PUT_TILE(other_g, next_g)
        barrier();
        FETCH_TILE(next_q, query_rows, row, q + STEP, queries)
        FETCH_TILE(next_g, gradients, width, q + STEP, queries)
        SCORES(p, own_k, other_q)
        SCORES(ds, own_v, other_g)
        FOR_4 {
            const uint t = q + tx + j * TX, there = min(t, queries - 1u);
            const float top = lse_row[there].v * LOG2_E, rest = delta_row[there].v;
            FOR_ROWS {
                p[i][j] = t < queries ? exp2(p[i][j] - top) : 0.0;
                ds[i][j] = p[i][j] * (ds[i][j] - rest);
            }
        }
        KEEP_WEIGHTS(p)
        subgroupBarrier();
        WEIGH_UP(dv, other_g, queries - q)
        subgroupBarrier();
        KEEP_WEIGHTS(ds)
        subgroupBarrier();
        WEIGH_UP(dk, other_q, queries - q)
        barrier();
    }
    FOR_ROWS {
        const uint t = first + ty + i * TY;
        RF to = d_qkv + ((z * T + wrapped(k_from + t, T)) * row + h * D);
        if (t < T) {
            STORE_SUM(to + width, dk, t < keys ? scale : 0.0)
            STORE_SUM(to + 2u * width, dv, t < keys ? 1.0 : 0.0)
        }
    }
}
