// attention_matrix_back_kv.comp - attention_back_kv.comp on the matrix units of subgroups: queries, keys, values,
// gradients, p and ds are rounded to 16 bits, everything else is fp32. lib/attention_matrix.glsl has the workgroup.
// Grid: (ceil(T / BQ), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#include "attention_matrix.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // as in attention_matrix_back_q.comp; `from` is not read
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared uvec4 own_k[BQ * PITCH], own_v[BQ * PITCH], tile_q[STEP * PITCH], tile_g[STEP * PITCH];
shared uvec4 stash_ds[BQ * S_PITCH]; // `stash` has p
shared float tops[STEP], rests[STEP];

const uint FETCH_ROWS = (STEP + GROUP - 1) / GROUP; // an invocation's share of a tile's rows

#define FETCH_ROW_NUMBERS(first)                                                        \
    [[unroll]] for (uint n = 0u; n < FETCH_ROWS; n++) {                                 \
        const uint t = min((first) + me + n * GROUP, queries - 1u);                     \
        next_top[n] = lse_row[t].v * LOG2_E;                                            \
        next_rest[n] = delta_row[t].v;                                                  \
    }
#define PUT_ROW_NUMBERS                                                                 \
    [[unroll]] for (uint n = 0u; n < FETCH_ROWS; n++)                                   \
        if (me + n * GROUP < STEP) {                                                    \
            tops[me + n * GROUP] = next_top[n];                                         \
            rests[me + n * GROUP] = next_rest[n];                                       \
        }

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width >> QKV_HALF, first = gl_WorkGroupID.x * BQ;
    const uint keys = T - k_from, end = first < keys ? queries : 0u;
    const bool asked = SKIPS == 0u || first + mine < keys; // the subgroup has a row
    const float factor = scale * LOG2_E;
    RF head = qkv + (z * T * row + (h * D >> QKV_HALF)), query_rows = head + q_from * row;
    RF key_rows = head + (k_from * row + (width >> QKV_HALF)), value_rows = key_rows + (width >> QKV_HALF);
    RF gradients = d_out + (z * queries * width + h * D >> D_OUT_HALF);
    RF lse_row = lse + (z * heads + h) * queries, delta_row = delta + (z * heads + h) * queries;

    uvec4 next_q[QKV_PIECES * FETCH], next_g[D_OUT_PIECES * FETCH];
    float next_top[FETCH_ROWS], next_rest[FETCH_ROWS];
    Sums dk[ACROSS], dv[ACROSS];
    FOR_ACROSS dk[c] = dv[c] = Sums(0.0);
    if (first < keys) {
        FETCH_TILE(next_q, QKV_PIECES, query_rows, row, 0u, queries)
        FETCH_TILE(next_g, D_OUT_PIECES, gradients, width >> D_OUT_HALF, 0u, queries)
        FETCH_ROW_NUMBERS(0u)
        LOAD_OWN(own_k, QKV_PIECES, key_rows, row, first, keys)
        LOAD_OWN(own_v, QKV_PIECES, value_rows, row, first, keys)
    }
    for (uint q = 0u; q < end; q += STEP) {
        PUT_TILE(tile_q, QKV_PIECES, next_q)
        PUT_TILE(tile_g, D_OUT_PIECES, next_g)
        PUT_ROW_NUMBERS
        barrier();
        FETCH_TILE(next_q, QKV_PIECES, query_rows, row, q + STEP, queries)
        FETCH_TILE(next_g, D_OUT_PIECES, gradients, width >> D_OUT_HALF, q + STEP, queries)
        FETCH_ROW_NUMBERS(q + STEP)
        if (asked) {
            FOR_KEYS {
                Sums p[UNROLL], ds[UNROLL], top, rest;
                MULTIPLY(p, own_k, tile_q)
                MULTIPLY(ds, own_v, tile_g)
                FOR_UNROLL {
                    SPREAD_COLUMNS(top, tops, (j + u) * NN)
                    SPREAD_COLUMNS(rest, rests, (j + u) * NN)
                    FOR_LENGTH(top) {
                        p[u][i] = exp2(fma(p[u][i], factor, -top[i]));
                        ds[u][i] = p[u][i] * (ds[u][i] - rest[i]);
                    }
                    STASH(p[u], stash, j + u)
                    STASH(ds[u], stash_ds, j + u)
                }
            }
            subgroupBarrier();
            NARROW(stash, queries - q)
            NARROW(stash_ds, queries - q)
            subgroupBarrier();
            WEIGH_UP(dv, stash, tile_g)
            WEIGH_UP(dk, stash_ds, tile_q)
        }
        barrier();
    }
    const uint d_row = 3u * width;
    STORE_SUMS(dk, first + r < T, first + r < keys ? scale : 0.0,
               d_qkv + ((z * T + wrapped(k_from + first + r, T)) * d_row + width + h * D >> STORED_HALF))
    STORE_SUMS(dv, first + r < T, first + r < keys ? 1.0 : 0.0,
               d_qkv + ((z * T + wrapped(k_from + first + r, T)) * d_row + 2u * width + h * D >> STORED_HALF))
}
