// attention.comp - out = softmax(scale q k^T) v for GPUs, and the rows' log-sum-exp.
//
// The online softmax of Milakov and Gimelshein (2018), in powers of two, over tiles of keys and values that
// take turns in one place in shared memory: scores live in registers, weights in shared memory (Dao et al.
// 2022). lib/attention.glsl has the tensors' layouts, lib/attention_gpu.glsl the workgroup's.
// Grid: (ceil(queries / BQ), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_gpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, to, lse;
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

shared vec4 own[BQ * PITCH], other[STEP * PITCH], weights[BQ * W_PITCH];

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width, first = gl_WorkGroupID.x * BQ;
    RF head = qkv + (z * T * row + h * D), keys = head + width, values = keys + width;

    vec4 next[FETCH], sum[ROWS][COLUMNS];
    float top[ROWS], total[ROWS], p[ROWS][4];
    FOR_ROWS {
        top[i] = LOWEST;
        total[i] = 0.0;
        FOR_COLUMNS sum[i][c] = vec4(0.0);
    }
    LOAD_OWN(own, head + q_from * row, row, first, queries, scale * LOG2_E)
    FETCH_TILE(next, keys, row, k_from, T)
    for (uint k = k_from; k < T; k += STEP) {
        PUT_TILE(other, next)
        barrier();
        FETCH_TILE(next, values, row, k, T)
        SCORES(p, own, other)
        FOR_ROWS {
            FOR_4 p[i][j] = k + tx + j * TX < T ? p[i][j] : LOWEST;
            const float before = top[i];
            top[i] = max(before, row_max(max(max(p[i][0], p[i][1]), max(p[i][2], p[i][3]))));
            FOR_4 p[i][j] = exp2(p[i][j] - top[i]);
            const float shrink = exp2(before - top[i]);
            total[i] = fma(total[i], shrink, (p[i][0] + p[i][1]) + (p[i][2] + p[i][3]));
            FOR_COLUMNS sum[i][c] *= shrink;
        }
        KEEP_WEIGHTS(p)
        barrier();
        PUT_TILE(other, next)
        barrier();
        FETCH_TILE(next, keys, row, k + STEP, T)
        WEIGH_UP(sum, other, T - k)
        barrier();
    }
    FOR_ROWS {
        const uint t = first + ty + i * TY;
        const float all = row_add(total[i]);
        if (t < queries) {
            STORE_SUM(to + ((z * queries + t) * width + h * D), sum, 1.0 / all)
            if (tx == 0u)
                lse[(z * heads + h) * queries + t].v = (top[i] + log2(all)) * LN_2;
        }
    }
}
