// attention_matrix_back_kv.comp - attention_back_kv.comp on the matrix units of subgroups; operands of products
// are rounded to NUMBER. lib/attention_matrix.glsl has the workgroup. Grid: (ceil(T / BQ), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_matrix.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // as in attention_matrix_back_q.comp; `from` is not read
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared uvec4 own_k[BQ * PITCH], own_v[BQ * PITCH], other_q[STEP * PITCH], other_g[STEP * PITCH];
shared vec4 scores[BQ * S_PITCH];
shared uvec2 weights[BQ * W_PITCH];
shared float factors[BQ];

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width, first = gl_WorkGroupID.x * BQ;
    const uint keys = T - k_from, end = first < keys ? queries : 0u;
    RF head = qkv + (z * T * row + h * D), query_rows = head + q_from * row, key_rows = head + (k_from * row + width);
    RF gradients = d_out + (z * queries * width + h * D);
    RF lse_row = lse + (z * heads + h) * queries, delta_row = delta + (z * heads + h) * queries;

    uvec4 next_q[FETCH], next_g[FETCH];
    Sums dk[ACROSS], dv[ACROSS];
    FOR_ACROSS dk[c] = dv[c] = Sums(0.0);
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
        SCORES(scores, own_k, other_q)
        subgroupBarrier();
        vec4 p[STEP / 4 / SHARES], rest[STEP / 4 / SHARES];
        FOR_FOURS {
            vec4 top;
            [[unroll]] for (uint i = 0u; i < 4u; i++) {
                const uint t = min(q + 4u * FOUR(n) + i, queries - 1u);
                top[i] = lse_row[t].v * LOG2_E;
                rest[n][i] = delta_row[t].v;
            }
            const uvec4 t = uvec4(q + 4u * FOUR(n)) + uvec4(0u, 1u, 2u, 3u);
            p[n] = mix(vec4(0.0), exp2(SCORE(scores, n) - top), lessThan(t, uvec4(queries)));
            WEIGHT(n) = four(p[n]);
        }
        subgroupBarrier();
        WEIGH_UP(dv, other_g)
        SCORES(scores, own_v, other_g)
        subgroupBarrier();
        FOR_FOURS WEIGHT(n) = four(p[n] * (SCORE(scores, n) - rest[n]));
        subgroupBarrier();
        WEIGH_UP(dk, other_q)
        barrier();
    }
    SCALE_ROWS(dk, first + mine + my_row < keys ? scale : 0.0)
    SCALE_ROWS(dv, first + mine + my_row < keys ? 1.0 : 0.0)
    RF to = d_qkv + h * D;
    STORE_SUMS(dk, scores, first + r < T, to + ((z * T + wrapped(k_from + first + r, T)) * row + width))
    STORE_SUMS(dv, scores, first + r < T, to + ((z * T + wrapped(k_from + first + r, T)) * row + 2u * width))
}
