// attention_cpu.comp - out = softmax(scale q k^T) v for a CPU device, and the rows' log-sum-exp.
//
// A lane owns a query and walks over the keys, STEP at a time, with the online softmax of Milakov and
// Gimelshein (2018) in powers of two; keys and values are uniform scalars, scores never leave registers.
// There are at least STEP keys. lib/attention.glsl has the layouts. Grid: (ceil(queries / LANES), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#define PARTS_ID 4
#include "attention.glsl"

layout(constant_id = 3) const uint HEADS = 1; // as `heads`: rows are then constants apart

layout(push_constant) uniform Push {
    RF qkv, to, lse;
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = HEADS * D, row = 3u * width;
    const uint t = gl_WorkGroupID.x * LANES + lane, mine = q_from + min(t, queries - 1u);
    RF head = qkv + (z * T * row + h * D);
    RF keys = head + width, values = keys + width;

    float q[D], sum[D];
    LOAD_ROW(q, head + mine * row)
    FOR_D {
        q[i] *= scale * LOG2_E;
        sum[i] = 0.0;
    }
    float top = LOWEST, total = 0.0;
    for (uint j = k_from; j < T; j += STEP) {
        // the last turn starts early enough to be whole; what came before counts nothing
        const uint from = min(j, T - STEP);
        RF key = keys + from * row, value = values + from * row;
        float s[STEP][PARTS], p[STEP];
        FOR_STEP FOR_PARTS s[u][n] = 0.0;
        FOR_D FOR_STEP s[u][i % PARTS] = fma(q[i], key[u * row + i].v, s[u][i % PARTS]);
        float top_before = top;
        FOR_STEP {
            p[u] = mix(sum_parts(s[u]), LOWEST, from + u < j);
            top = max(top, p[u]);
        }
        float shrink = exp2(top_before - top);
        total *= shrink;
        FOR_STEP {
            p[u] = exp2(p[u] - top);
            total += p[u];
        }
        FOR_D {
            float x = sum[i] * shrink;
            FOR_STEP x = fma(p[u], value[u * row + i].v, x);
            sum[i] = x;
        }
        if (j + STEP >= T) // lib/lanes.glsl: WHILE
            break;
    }
    if (t < queries) {
        float factor = 1.0 / total;
        STORE_ROW(to + ((z * queries + t) * width + h * D), sum, factor)
        lse[(z * heads + h) * queries + t].v = (top + log2(total)) * LN_2;
    }
}
