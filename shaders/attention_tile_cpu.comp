// attention_tile_cpu.comp - out = softmax(scale q k^T) v for a CPU device, and the rows' log-sum-exp.
//
// lib/attention_tile_cpu.glsl has the tiles, lib/attention.glsl the layouts. Weights are powers of two relative to
// a reference, which is at most RANGE below the row's largest score so far: it is raised, and the weights so far
// are shrunk, only where a score is further above it, which is rare after the first keys. `scratch` has D + KEYS + 2
// rows of Q for each workgroup: a panel of queries, the weights, their sums and the references.
// Grid: (ceil(QUERIES / Q), HEADS, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "attention_tile_cpu.glsl"

layout(push_constant) uniform Push {
    RF qkv, to, lse, scratch;
    uint T;
    float scale;
    uint q_from, k_from;
};

const float RANGE = 32.0;

void main()
{
    const uint first = gl_WorkGroupID.x * Q, h = gl_WorkGroupID.y, z = gl_WorkGroupID.z, row = z * HEADS + h;
    RF head = qkv + (z * T * ROW + h * D), result = to + (z * QUERIES * WIDTH + h * D);
    RF sums = lse + row * QUERIES;
    RF panel = scratch + (row * TILES + gl_WorkGroupID.x) * ((D + KEYS + 2u) * Q), weights = panel + D * Q;
    RF keys = head + (k_from * ROW + WIDTH), values = keys + WIDTH;
    float top[NR], total[NR];
    LOAD_PANEL(panel, head + q_from * ROW, first, ROW, scale * LOG2_E)
    STAGE_ENDS
    FOR_VECTORS {
        top[j] = LOWEST;
        total[j] = 0.0;
    }

    [[dont_unroll]] for (uint key = 0u; key < KEYS; key += KR) {
        const uint from = min(key, KEYS - KR); // the last turn starts early enough to be whole
        RF rows = keys + from * ROW;
        float acc[KR][NR], highest[NR];
        ACCUMULATE(KR, D, D_TURN, rows, 1u, ROW, panel, Q)
        FOR_VECTORS {
            highest[j] = acc[0][j];
            FOR_ROWS(KR) highest[j] = max(highest[j], acc[i][j]);
        }
        bool above = false;
        FOR_VECTORS above = above || highest[j] > top[j] + RANGE;
        if (above) {
            float shrink[NR];
            FOR_VECTORS {
                const float raised = max(top[j], highest[j]);
                shrink[j] = exp2(top[j] - raised);
                total[j] *= shrink[j];
                top[j] = raised;
            }
            [[dont_unroll]] for (uint r = 0u; r < from; r++)
                [[unroll]] for (uint j = 0u; j < NR; j++)
                    weights[r * Q + PAIRED(j)].v *= shrink[j];
        }
        FOR_ROWS(KR) {
            FOR_VECTORS {
                acc[i][j] = exp2(acc[i][j] - top[j]);
                total[j] += from + i < key ? 0.0 : acc[i][j]; // counted before
            }
            store_paired(weights + (from + i) * Q, acc[i]);
        }
        if (key + KR >= KEYS) // lib/lanes.glsl: WHILE
            break;
    }
    store_paired(weights + KEYS * Q, total);
    store_paired(weights + (KEYS + 1u) * Q, top);
    STAGE_ENDS

    FOR_VECTORS {
        total[j] = lane_load(weights + (KEYS * Q + j * LANES));
        top[j] = lane_load(weights + ((KEYS + 1u) * Q + j * LANES));
        const uint t = first + IN_ORDER(j);
        if (t < QUERIES)
            sums[t].v = (top[j] + log2(total[j])) * LN_2;
        total[j] = 1.0 / total[j];
    }
    [[dont_unroll]] for (uint column = 0u; column < D; column += MR) {
        const uint d = min(column, D - MR);
        float acc[MR][NR];
        ACCUMULATE(MR, KEYS, KEY_TURN, (values + d), ROW, 1u, weights, Q)
        STORE_COLUMNS(result + (t * WIDTH + d), first, total)
        if (column + MR >= D)
            break;
    }
}
