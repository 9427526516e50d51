// attention_matrix_back_q.comp - attention_back_q.comp on the matrix units of subgroups; operands of products are
// rounded to NUMBER. lib/attention_matrix.glsl has the workgroup. Grid: (ceil(T / BQ), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_matrix.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // from: attention's result
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared uvec4 own_q[BQ * PITCH], own_g[BQ * PITCH], other[STEP * PITCH];
shared vec4 scores[BQ * S_PITCH];
shared uvec2 weights[BQ * W_PITCH];
shared float factors[BQ];

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width, first = gl_WorkGroupID.x * BQ;
    const uint end = first < queries ? T : k_from, at_row = (z * heads + h) * queries;
    RF head = qkv + (z * T * row + h * D), keys = head + width, values = keys + width;
    RF results = from + (z * queries * width + h * D), gradients = d_out + (z * queries * width + h * D);
    const uint mine_now = first + mine + my_row, query = min(mine_now, queries - 1u);

    uvec4 next[FETCH];
    Sums sum[ACROSS];
    FOR_ACROSS sum[c] = Sums(0.0);
    float rest = 0.0, top = 0.0;
    if (first < queries) {
        LOAD_OWN(own_q, head + q_from * row, row, first, queries, scale * LOG2_E)
        LOAD_OWN(own_g, gradients, width, first, queries, 1.0)
        FETCH_TILE(next, values, row, k_from, T)
        for (uint c = 0u; c < D / 4u; c += SHARES) {
            const uint at = min(c + my_part, D / 4u - 1u);
            const vec4 x = R4(results + query * width)[at].v * R4(gradients + query * width)[at].v;
            rest += c + my_part < D / 4u ? (x.x + x.y) + (x.z + x.w) : 0.0;
        }
        rest = parts_add(rest);
        top = lse[at_row + query].v * LOG2_E;
    }
    for (uint k = k_from; k < end; k += STEP) {
        PUT_TILE(other, next)
        barrier();
        FETCH_TILE(next, keys, row, k, T)
        SCORES(scores, own_g, other)
        subgroupBarrier();
        vec4 ds[STEP / 4 / SHARES];
        FOR_FOURS ds[n] = SCORE(scores, n) - rest;
        barrier();
        PUT_TILE(other, next)
        barrier();
        FETCH_TILE(next, values, row, k + STEP, T)
        SCORES(scores, own_q, other)
        subgroupBarrier();
        FOR_FOURS {
            const uvec4 key = uvec4(k + 4u * FOUR(n)) + uvec4(0u, 1u, 2u, 3u);
            ds[n] = mix(vec4(0.0), exp2(SCORE(scores, n) - top) * ds[n], lessThan(key, uvec4(T)));
            WEIGHT(n) = four(ds[n]);
        }
        subgroupBarrier();
        WEIGH_UP(sum, other)
        barrier();
    }
    SCALE_ROWS(sum, mine_now < queries ? scale : 0.0)
    STORE_SUMS(sum, scores, first + r < T, d_qkv + ((z * T + wrapped(q_from + first + r, T)) * row + h * D))
    if (mine_now < queries && my_part == 0u)
        delta[at_row + mine_now].v = rest;
}
