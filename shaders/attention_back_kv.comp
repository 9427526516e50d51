// attention_back_kv.comp - the gradients of attention's keys and values, for GPUs; second half of the
// backward, after attention_back_q.comp, whose delta it reads.
//
//     dv = p^T d_out,  dk = ds^T q,  with p and ds as there.
// An invocation owns a key. Writes the key and value columns of d_qkv. Grid: (ceil(T / 64), heads, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_gpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, delta, d_qkv; // as in attention_back_q.comp; `from` is not read
    uint T, heads;
    float scale;
    uint q_from, queries, k_from;
};

void main()
{
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    const uint width = heads * D, row = 3u * width;
    const uint keys = T - k_from, first = gl_WorkGroupID.x * GROUP, end = first < keys ? queries : 0u;
    const uint t = first + gl_LocalInvocationIndex, mine = k_from + min(t, keys - 1u);
    RF head = qkv + (z * T * row + h * D), query_rows = head + q_from * row;
    RF gradients = d_out + (z * queries * width + h * D);
    RF lse_row = lse + (z * heads + h) * queries, delta_row = delta + (z * heads + h) * queries;

    float k[D], v[D], dk[D], dv[D];
    FOR_D {
        k[i] = head[mine * row + width + i].v * (scale * LOG2_E);
        v[i] = head[mine * row + 2u * width + i].v;
        dk[i] = dv[i] = 0.0;
    }
    for (uint j = 0u; j < end; j += TILE) {
        LOAD_TILE(tile_x, query_rows, row, j, end)
        LOAD_TILE(tile_y, gradients, width, j, end)
        barrier();
        const uint count = min(TILE, end - j);
        for (uint n = 0u; n < count; n++) {
            float s = 0.0, dp = 0.0;
            FOR_D {
                s = fma(k[i], tile_x[n][i], s);
                dp = fma(v[i], tile_y[n][i], dp);
            }
            float p = exp2(s - lse_row[j + n].v * LOG2_E);
            float ds = p * (dp - delta_row[j + n].v) * scale;
            FOR_D {
                dv[i] = fma(p, tile_y[n][i], dv[i]);
                dk[i] = fma(ds, tile_x[n][i], dk[i]);
            }
        }
        barrier();
    }
    RF to = d_qkv + ((z * T + wrapped(k_from + t, T)) * row + h * D);
    if (t < T) {
        FOR_D {
            to[width + i].v = t < keys ? dk[i] : 0.0;
            to[2u * width + i].v = t < keys ? dv[i] : 0.0;
        }
    }
}
