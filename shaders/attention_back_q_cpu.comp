// attention_back_q_cpu.comp - the gradient of attention's queries, for a CPU device; first half of the
// backward.
//
// With p = exp(scale q k - lse) computed again and delta = sum d_out out (kept for the second half):
//     ds = p (d_out v - delta) scale,  dq = ds k.
// A lane owns a query and walks over the keys as attention_cpu.comp does. Writes the query columns of d_qkv.
// Grid: (ceil(T / LANES), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "attention.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // from: attention's result
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width;
    const uint first = gl_WorkGroupID.x * LANES, end = first < queries ? T : k_from;
    const uint t = first + lane, query = min(t, queries - 1u), mine = q_from + query;
    RF head = qkv + (z * T * row + h * D);
    RF keys = head + width, values = keys + width;
    const uint at_out = (z * queries + query) * width + h * D, at_row = (z * heads + h) * queries + query;

    float q[D], g[D], dq[D];
    float rest = 0.0;
    LOAD_ROW(dq, from + at_out)
    LOAD_ROW(g, d_out + at_out)
    LOAD_ROW(q, head + mine * row)
    FOR_D {
        rest = fma(dq[i], g[i], rest);
        q[i] *= scale * LOG2_E;
        dq[i] = 0.0;
    }
    const float top = lse[at_row].v * LOG2_E;
    for (uint j = k_from; j < end; j += STEP) {
        float s[STEP][PARTS], dp[STEP][PARTS], ds[STEP];
        RF key[STEP], value[STEP], key_again[STEP];
        FOR_STEP {
            key[u] = keys + min(j + u, T - 1u) * row;
            value[u] = values + min(j + u, T - 1u) * row;
            key_again[u] = AGAIN(key[u]);
            FOR_PARTS s[u][n] = dp[u][n] = 0.0;
        }
        FOR_D FOR_STEP {
            s[u][i % PARTS] = fma(q[i], key[u][i].v, s[u][i % PARTS]);
            dp[u][i % PARTS] = fma(g[i], value[u][i].v, dp[u][i % PARTS]);
        }
        FOR_STEP {
            ds[u] = exp2(sum_parts(s[u]) - top) * (sum_parts(dp[u]) - rest) * scale;
            ds[u] = mix(ds[u], 0.0, j + u >= T);
        }
        FOR_D {
            float x = dq[i];
            FOR_STEP x = fma(ds[u], key_again[u][i].v, x);
            dq[i] = x;
        }
        if (j + STEP >= end) // lib/lanes.glsl: WHILE
            break;
    }
    if (t < queries)
        delta[at_row].v = rest;
    const float inside = t < queries ? 1.0 : 0.0;
    const uint token = z * T + wrapped(q_from + t, T);
    if (t < T)
        STORE_ROW(d_qkv + (token * row + h * D), dq, inside)
}
