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
    uint rows; // of d_qkv
};

// The columns of d_qkv from `column` on: row `to` + i is the sum over queries of weights[i][query] rows[query], where
// rows are `stride` apart.
#define GRADIENT(column, to, weights, from, stride)                                      \
    [[dont_unroll]] for (uint d = 0u; d < D; d += NR * LANES) {                          \
        RF columns = (from) + d, place = place_of(d_qkv, to, (column) + d, rows);        \
        float acc[KR][NR];                                                               \
        ACCUMULATE(KR, QUERIES, QUERY_TURN, weights, 1u, PITCH, columns, stride)         \
        FOR_ROWS(KR) STORE_TILE_ROW(place + i * STEP_OF_ROWS, acc[i], d)                      \
        if (d + NR * LANES >= D)                                                         \
            break;                                                                       \
    }
#define STORE_TILE_ROW(place, x, d)                                                           \
    {                                                                                    \
        if (LANES == 8u && D % (2u * LANES) == 0u)                                       \
            lane_store2(place, x[0], x[1]);                                              \
        else                                                                             \
            FOR_VECTORS                                                                  \
                if ((d) + IN_ORDER(j) < D)                                               \
                    lane_store((place) + along(j, rows), x[j]);                          \
    }

// Where a row's vector j stands behind its first.
uint along(uint j, uint rows)
{
    const uint at = j * LANES;
    return PANELLED != 0u ? at / 16u * (16u * rows) + at % 16u : at;
}

void main()
{
    const uint key = min(gl_WorkGroupID.x * KR, KEYS - KR); // the last tile starts early enough to be whole
    const uint h = gl_WorkGroupID.y, z = gl_WorkGroupID.z;
    RF queries = qkv + ((z * T + q_from) * ROW + h * D), gradients = d_out + (z * QUERIES * WIDTH + h * D);
    RF p = weights + ((z * HEADS + h) * (2u * KEYS) + key) * PITCH, ds = p + KEYS * PITCH;
    const uint d_keys = WIDTH + h * D, d_values = d_keys + WIDTH, to = z * T + k_from + key;
    GRADIENT(d_keys, to, ds, queries, ROW)
    GRADIENT(d_values, to, p, gradients, WIDTH)
    if (gl_WorkGroupID.x == 0u) {
        clear(d_qkv, d_keys, rows, z * T, z * T + k_from);
        clear(d_qkv, d_values, rows, z * T, z * T + k_from);
    }
}
