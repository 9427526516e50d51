// attention_matrix_back_q.comp - attention_back_q.comp on the matrix units of subgroups: queries, keys, values,
// gradients and ds are rounded to 16 bits, everything else is fp32. lib/attention_matrix.glsl has the workgroup.
// Grid: (ceil(T / BQ), heads, batch).
//
// delta is taken of the rounded gradients, which the products see too: then what a row of ds adds up to stays 0. They are
// read where they lie rounded, as compilers take a conversion to 16 bits and back for nothing.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#include "attention_matrix.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // from: attention's result
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared uvec4 own_q[BQ * PITCH], own_g[BQ * PITCH], tile_k[STEP * PITCH], tile_v[STEP * PITCH];
shared float tops[BQ], rests[BQ];

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width >> QKV_HALF, first = gl_WorkGroupID.x * BQ;
    const uint end = first < queries ? T : k_from;
    const bool asks = SKIPS == 0u || first + mine < queries; // the subgroup has a row
    const float factor = scale * LOG2_E;
    RF head = qkv + (z * T * row + (h * D >> QKV_HALF)), keys = head + (width >> QKV_HALF);
    RF values = keys + (width >> QKV_HALF), results = from + (z * queries * width + h * D);
    RF gradients = d_out + (z * queries * width + h * D >> D_OUT_HALF);

    uvec4 next_k[QKV_PIECES * FETCH], next_v[QKV_PIECES * FETCH];
    Sums sum[ACROSS], top, rest;
    FOR_ACROSS sum[c] = Sums(0.0);
    if (first < queries) {
        FETCH_TILE(next_k, QKV_PIECES, keys, row, k_from, T)
        FETCH_TILE(next_v, QKV_PIECES, values, row, k_from, T)
        LOAD_OWN(own_q, QKV_PIECES, head + q_from * row, row, first, queries)
        LOAD_OWN(own_g, D_OUT_PIECES, gradients, width >> D_OUT_HALF, first, queries)
        barrier();
        const uint query = min(first + my_row, queries - 1u), at_row = (z * heads + h) * queries + query;
        float sum_of_row = 0.0;
        for (uint c = 0u; c < D / 4u; c += SHARES) {
            const uint at = min(c + my_part, D / 4u - 1u);
            const vec4 x = R4(results + query * width)[at].v * widened4(own_g[my_row * PITCH + at / 2u], at % 2u);
            sum_of_row += c + my_part < D / 4u ? sum4(x) : 0.0;
        }
        sum_of_row = row_add(sum_of_row);
        if (my_part == 0u) {
            tops[my_row] = lse[at_row].v * LOG2_E;
            rests[my_row] = sum_of_row;
            if (first + my_row < queries)
                delta[at_row].v = sum_of_row;
        }
        subgroupBarrier();
        SPREAD_ROWS(top, tops)
        SPREAD_ROWS(rest, rests)
    }
    for (uint k = k_from; k < end; k += STEP) {
        PUT_TILE(tile_k, QKV_PIECES, next_k)
        PUT_TILE(tile_v, QKV_PIECES, next_v)
        barrier();
        FETCH_TILE(next_k, QKV_PIECES, keys, row, k + STEP, T)
        FETCH_TILE(next_v, QKV_PIECES, values, row, k + STEP, T)
        if (asks) {
            FOR_KEYS {
                Sums s[UNROLL], ds[UNROLL];
                MULTIPLY(s, own_q, tile_k)
                MULTIPLY(ds, own_g, tile_v)
                FOR_UNROLL {
                    FOR_LENGTH(top) ds[u][i] = exp2(fma(s[u][i], factor, -top[i])) * (ds[u][i] - rest[i]);
                    STASH(ds[u], stash, j + u)
                }
            }
            subgroupBarrier();
            NARROW(stash, T - k)
            subgroupBarrier();
            WEIGH_UP(sum, stash, tile_k)
        }
        barrier();
    }
    STORE_SUMS(sum, first + r < T, first + r < queries ? scale : 0.0,
               d_qkv + ((z * T + wrapped(q_from + first + r, T)) * (3u * width) + h * D >> STORED_HALF))
}
