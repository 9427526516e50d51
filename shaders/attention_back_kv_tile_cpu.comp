// attention_back_kv_tile_cpu.comp - the gradients of attention's keys and values, for a CPU device; second half of
// the backward, after attention_back_q_tile_cpu.comp, whose p and ds it reads.
//
//     dk = ds^T q,  dv = p^T d_out.
// Each is a product of matrices, one a head of an image; a workgroup computes a tile of KR keys. Writes the key
// and value columns of d_qkv. Grid: (ceil(KEYS / KR), HEADS, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_tile_cpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, weights, d_qkv, panels; // as in attention_back_q_tile_cpu.comp
    uint T;
    float scale;
    uint q_from, k_from;
};

// to[key] = sum over queries of rows[query] weights[key][query], where rows are `stride` apart.
#define GRADIENT(to, weights, rows, stride)                                       \
    [[dont_unroll]] for (uint d = 0u; d < D; d += NR * LANES) {                                   \
        RF columns = rows + d;                                                    \
        float acc[KR][NR];                                                        \
        ACCUMULATE(KR, QUERIES, QUERY_TURN, weights, 1u, PITCH, columns, stride)  \
        FOR_VECTORS {                                                             \
            RF place = to + (d + j * LANES);                                      \
            if (d + IN_ORDER(j) < D)                                              \
                FOR_ROWS(KR) lane_store(place + i * ROW, acc[i][j]);              \
        }                                                                         \
        if (d + NR * LANES >= D)                                                  \
            break;                                                                \
    }

void main()
{
    const uint key = min(gl_WorkGroupID.x * KR, KEYS - KR); // the last tile starts early enough to be whole
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    RF queries = qkv + ((z * T + q_from) * ROW + h * D), gradients = d_out + (z * QUERIES * WIDTH + h * D);
    RF p = weights + ((z * HEADS + h) * (2u * KEYS) + key) * PITCH, ds = p + KEYS * PITCH;
    RF d_keys = d_qkv + (z * T * ROW + h * D + WIDTH), d_values = d_keys + WIDTH;
    RF to_keys = d_keys + (k_from + key) * ROW, to_values = to_keys + WIDTH;
    GRADIENT(to_keys, ds, queries, ROW)
    GRADIENT(to_values, p, gradients, WIDTH)
    if (gl_WorkGroupID.x == 0u) {
        clear(d_keys, 0u, k_from);
        clear(d_values, 0u, k_from);
    }
}
