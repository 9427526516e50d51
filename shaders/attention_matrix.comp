// attention_matrix.comp - attention.comp on the matrix units of subgroups; queries, keys, values and weights are
// rounded to NUMBER, everything else is fp32. lib/attention_matrix.glsl has the workgroup.
// Grid: (ceil(queries / BQ), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_matrix.glsl"

layout(push_constant) uniform Push {
    RF qkv, to, lse;
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared uvec4 own[BQ * PITCH], other[STEP * PITCH];
shared vec4 scores[BQ * S_PITCH];
shared uvec2 weights[BQ * W_PITCH];
shared float factors[BQ];

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width, first = gl_WorkGroupID.x * BQ;
    RF head = qkv + (z * T * row + h * D), keys = head + width, values = keys + width;

    uvec4 next[FETCH];
    Sums sum[ACROSS];
    FOR_ACROSS sum[c] = Sums(0.0);
    float top = LOWEST, total = 0.0;
    LOAD_OWN(own, head + q_from * row, row, first, queries, scale * LOG2_E)
    FETCH_TILE(next, keys, row, k_from, T)
    for (uint k = k_from; k < T; k += STEP) {
        PUT_TILE(other, next)
        barrier();
        FETCH_TILE(next, values, row, k, T)
        SCORES(scores, own, other)
        subgroupBarrier();
        vec4 p[STEP / 4 / SHARES];
        float higher = top, added = 0.0;
        FOR_FOURS {
            const uvec4 key = uvec4(k + 4u * FOUR(n)) + uvec4(0u, 1u, 2u, 3u);
            p[n] = mix(vec4(LOWEST), SCORE(scores, n), lessThan(key, uvec4(T)));
            higher = max(higher, highest(p[n]));
        }
        higher = parts_max(higher);
        FOR_FOURS {
            p[n] = exp2(p[n] - higher);
            added += (p[n].x + p[n].y) + (p[n].z + p[n].w);
            WEIGHT(n) = four(p[n]);
        }
        const float shrink = exp2(top - higher);
        total = fma(total, shrink, added);
        top = higher;
        SCALE_ROWS(sum, shrink)
        barrier();
        PUT_TILE(other, next)
        barrier();
        FETCH_TILE(next, keys, row, k + STEP, T)
        WEIGH_UP(sum, other)
        barrier();
    }
    total = parts_add(total);
    SCALE_ROWS(sum, 1.0 / total)
    RF out_rows = to + ((z * queries + first) * width + h * D);
    STORE_SUMS(sum, scores, first + r < queries, out_rows + r * width)
    const uint t = first + mine + my_row;
    if (t < queries && my_part == 0u)
        lse[(z * heads + h) * queries + t].v = (top + log2(total)) * LN_2;
}
