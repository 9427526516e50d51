// attention_matrix.comp - attention.comp on the matrix units of subgroups: queries, keys, values and the weights of
// values are rounded to 16 bits, everything else is fp32. lib/attention_matrix.glsl has the workgroup.
// Grid: (ceil(queries / BQ), heads, batch).
//
// The scale is multiplied into the scores, where it costs nothing, so that queries are rounded as they are.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#include "attention_matrix.glsl"

layout(push_constant) uniform Push {
    RF qkv, to, lse;
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared uvec4 own[BQ * PITCH], tile_k[STEP * PITCH], tile_v[STEP * PITCH];
shared float factors[BQ];

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width >> QKV_HALF, first = gl_WorkGroupID.x * BQ;
    const bool asks = SKIPS == 0u || first + mine < queries; // the subgroup has a row
    const float factor = scale * LOG2_E;
    RF head = qkv + (z * T * row + (h * D >> QKV_HALF)), keys = head + (width >> QKV_HALF);
    RF values = keys + (width >> QKV_HALF);

    uvec4 next_k[QKV_PIECES * FETCH], next_v[QKV_PIECES * FETCH];
    Sums sum[ACROSS];
    FOR_ACROSS sum[c] = Sums(0.0);
    float top = LOWEST, total = 0.0;
    FETCH_TILE(next_k, QKV_PIECES, keys, row, k_from, T)
    FETCH_TILE(next_v, QKV_PIECES, values, row, k_from, T)
    LOAD_OWN(own, QKV_PIECES, head + q_from * row, row, first, queries)
    for (uint k = k_from; k < T; k += STEP) {
        PUT_TILE(tile_k, QKV_PIECES, next_k)
        PUT_TILE(tile_v, QKV_PIECES, next_v)
        barrier();
        FETCH_TILE(next_k, QKV_PIECES, keys, row, k + STEP, T)
        FETCH_TILE(next_v, QKV_PIECES, values, row, k + STEP, T)
        if (asks) {
            FOR_KEYS {
                Sums s[UNROLL];
                MULTIPLY(s, own, tile_k)
                FOR_UNROLL STASH(s[u], stash, j + u)
            }
            subgroupBarrier();
            vec4 p[2 * PARTS_OF_ROW];
            float higher = top, added = 0.0;
            FOR_EIGHTS [[unroll]] for (uint i = 0u; i < 2u; i++) {
                const uint four = 2u * EIGHT(n) + i;
                const uvec4 key = uvec4(k + 4u * four) + uvec4(0u, 1u, 2u, 3u);
                p[2u * n + i] = mix(vec4(LOWEST), STASHED(stash, my_row, four), lessThan(key, uvec4(T)));
                higher = max(higher, max4(p[2u * n + i]));
            }
            higher = row_max(higher);
            subgroupBarrier();
            FOR_EIGHTS {
                p[2u * n] = exp2((p[2u * n] - higher) * factor);
                p[2u * n + 1u] = exp2((p[2u * n + 1u] - higher) * factor);
                added += sum4(p[2u * n]) + sum4(p[2u * n + 1u]);
                stash[my_row * S_PITCH + EIGHT(n)] = narrow8(p[2u * n], p[2u * n + 1u]);
            }
            const float shrink = exp2((top - higher) * factor);
            total = fma(total, shrink, added);
            top = higher;
            if (my_part == 0u)
                factors[my_row] = shrink;
            subgroupBarrier();
            Sums by;
            SPREAD_ROWS(by, factors)
            FOR_ACROSS sum[c] = sum[c] * by;
            WEIGH_UP(sum, stash, tile_v)
        }
        barrier();
    }
    total = row_add(total);
    if (my_part == 0u)
        factors[my_row] = 1.0 / total;
    if (first + my_row < queries && my_part == 0u)
        lse[(z * heads + h) * queries + first + my_row].v = fma(top, scale, log2(total) * LN_2);
    STORE_SUMS(sum, first + r < queries, factors[r], to + ((z * queries + first + r) * width + h * D >> STORED_HALF))
}
