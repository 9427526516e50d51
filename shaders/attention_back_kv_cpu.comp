// attention_back_kv_cpu.comp - the gradients of attention's keys and values, for a CPU device; second half
// of the backward, after attention_back_q_cpu.comp, whose delta it reads.
//
//     dv = p^T d_out,  dk = ds^T q,  with p and ds as there.
// A lane owns a key and walks over the queries, STEP at a time. Writes the key and value columns of d_qkv.
// Grid: (ceil(T / LANES), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "attention.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // as in attention_back_q_cpu.comp; `from` is not read
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width;
    const uint keys = T - k_from, first = gl_WorkGroupID.x * LANES, end = first < keys ? queries : 0u;
    const uint t = first + lane, mine = k_from + min(t, keys - 1u);
    RF head = qkv + (z * T * row + h * D), query_rows = head + q_from * row;
    RF gradients = d_out + (z * queries * width + h * D);
    RF lse_row = lse + (z * heads + h) * queries, delta_row = delta + (z * heads + h) * queries;

    float k[D], v[D], dk[D], dv[D];
    LOAD_ROW(k, head + (mine * row + width))
    LOAD_ROW(v, head + (mine * row + 2u * width))
    FOR_D {
        k[i] *= scale * LOG2_E;
        dk[i] = dv[i] = 0.0;
    }
    for (uint j = 0u; j < end; j += STEP) {
        float s[STEP][PARTS], dp[STEP][PARTS], p[STEP], ds[STEP];
        RF query[STEP], gradient[STEP], query_again[STEP], gradient_again[STEP];
        FOR_STEP {
            uint at = min(j + u, end - 1u);
            query[u] = query_rows + at * row;
            gradient[u] = gradients + at * width;
            query_again[u] = AGAIN(query[u]);
            gradient_again[u] = AGAIN(gradient[u]);
            FOR_PARTS s[u][n] = dp[u][n] = 0.0;
        }
        FOR_D FOR_STEP {
            s[u][i % PARTS] = fma(k[i], query[u][i].v, s[u][i % PARTS]);
            dp[u][i % PARTS] = fma(v[i], gradient[u][i].v, dp[u][i % PARTS]);
        }
        FOR_STEP {
            p[u] = exp2(sum_parts(s[u]) - lse_row[min(j + u, end - 1u)].v * LOG2_E);
            p[u] = mix(p[u], 0.0, j + u >= end);
            ds[u] = p[u] * (sum_parts(dp[u]) - delta_row[min(j + u, end - 1u)].v) * scale;
        }
        FOR_D {
            float x = dv[i], y = dk[i];
            FOR_STEP {
                x = fma(p[u], gradient_again[u][i].v, x);
                y = fma(ds[u], query_again[u][i].v, y);
            }
            dv[i] = x;
            dk[i] = y;
        }
        if (j + STEP >= end) // lib/lanes.glsl: WHILE
            break;
    }
    const float inside = t < keys ? 1.0 : 0.0;
    RF to = d_qkv + ((z * T + wrapped(k_from + t, T)) * row + h * D);
    if (t < T) {
        STORE_ROW(to + width, dk, inside)
        STORE_ROW(to + 2u * width, dv, inside)
    }
}
