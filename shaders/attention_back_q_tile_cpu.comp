// attention_back_q_tile_cpu.comp - the gradient of attention's queries, for a CPU device; first half of the
// backward.
//
// With p = exp(scale q k - lse) computed again and delta = sum d_out out:
//     ds = p (d_out v - delta) scale,  dq = ds k.
// lib/attention_tile_cpu.glsl has the tiles, lib/attention.glsl the layouts. p and ds are left for the second half:
// `weights` has for each head of an image KEYS rows of p, then as many of ds, PITCH floats each. `panels` has for
// each workgroup 2 D + 1 rows of Q: panels of queries and of d_out, and delta. Writes the query columns of d_qkv.
// Grid: (ceil(QUERIES / Q), HEADS, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_tile_cpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, from, lse, d_out, weights, d_qkv, panels; // from: attention's result
    uint T;
    float scale;
    uint q_from, k_from;
    uint rows; // of d_qkv
};

void main()
{
    const uint first = gl_WorkGroupID.x * Q, h = gl_WorkGroupID.y, z = gl_WorkGroupID.z, row = z * HEADS + h;
    RF head = qkv + (z * T * ROW + h * D);
    RF result = from + (z * QUERIES * WIDTH + h * D), gradients = d_out + (z * QUERIES * WIDTH + h * D);
    RF sums = lse + row * QUERIES;
    RF p = weights + (row * (2u * KEYS * PITCH) + first), ds = p + KEYS * PITCH;
    RF keys = head + (k_from * ROW + WIDTH), values = keys + WIDTH;
    RF q = panels + (row * TILES + gl_WorkGroupID.x) * ((2u * D + 1u) * Q), g = q + D * Q, deltas = g + D * Q;
    float rest[NR], top[NR];
    FOR_VECTORS {
        const uint t = min(first + QUERY_AT(PAIRED(j)), QUERIES - 1u);
        top[j] = sums[min(first + PAIRED(j), QUERIES - 1u)].v * LOG2_E;
        rest[j] = 0.0;
        [[dont_unroll]] for (uint d = 0u; d < D; d += 2u) {
            vec2 x = load_pair(PAIR(result + (t * WIDTH + d))), y = load_pair(PAIR(gradients + (t * WIDTH + d)));
            rest[j] = fma(x.x, y.x, fma(x.y, y.y, rest[j]));
            if (d + 2u >= D)
                break;
        }
    }
    store_paired(deltas, rest);
    LOAD_PANEL(q, head + q_from * ROW, first, ROW, scale * LOG2_E)
    LOAD_PANEL(g, gradients, first, WIDTH, 1.0)
    STAGE_ENDS
    FOR_VECTORS rest[j] = lane_load(deltas + j * LANES);

    [[dont_unroll]] for (uint key = 0u; key < KEYS; key += KR) {
        const uint from = min(key, KEYS - KR); // the last turn starts early enough to be whole
        RF key_rows = keys + from * ROW, value_rows = values + from * ROW;
        float acc[KR][NR], weight[KR][NR];
        ACCUMULATE(KR, D, D_TURN, key_rows, 1u, ROW, q, Q)
        FOR_ROWS(KR) {
            FOR_VECTORS weight[i][j] = exp2(acc[i][j] - top[j]);
            store_paired(p + (from + i) * PITCH, weight[i]);
        }
        ACCUMULATE(KR, D, D_TURN, value_rows, 1u, ROW, g, Q)
        FOR_ROWS(KR) {
            FOR_VECTORS acc[i][j] = weight[i][j] * (acc[i][j] - rest[j]) * scale;
            store_paired(ds + (from + i) * PITCH, acc[i]);
        }
        if (key + KR >= KEYS) // lib/lanes.glsl: WHILE
            break;
    }
    STAGE_ENDS

    [[dont_unroll]] for (uint column = 0u; column < D; column += MR) {
        const uint d = min(column, D - MR);
        float acc[MR][NR];
        ACCUMULATE(MR, KEYS, KEY_TURN, (keys + d), ROW, 1u, ds, PITCH)
        FOR_VECTORS {
            const uint t = first + IN_ORDER(j), to = z * T + q_from + t;
            if (t < QUERIES)
                [[unroll]] for (uint i = 0u; i < MR; i += 2u)
                    store_pair(PAIR(place_of(d_qkv, to, h * D + d + i, rows)), vec2(acc[i][j], acc[i + 1u][j]));
        }
        if (column + MR >= D)
            break;
    }
    if (gl_WorkGroupID.x == 0u) {
        clear(d_qkv, h * D, rows, z * T, z * T + q_from);
        clear(d_qkv, h * D, rows, z * T + q_from + QUERIES, (z + 1u) * T);
    }
}
