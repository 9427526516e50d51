// column_sum_cpu.comp - out[z][c][n] = sum of x[z][r][n] (times y[z][r][n] where PRODUCT) over the rows r of
// chunk c, in order.
//
// x, y: rows of x_row floats, of which the first N are summed. Two dispatches make a long sum: many chunks
// of rows_per_chunk rows, then one chunk of all of those. Grid: (ceil(N / (VECTORS LANES)), chunks, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#define IN_STEP_ID 2
#include "lanes.glsl"
#include "turns.glsl"

layout(constant_id = 1) const uint PRODUCT = 0;
layout(constant_id = 3) const uint VECTORS = 4; // of a row, 4 at most
const uint TURN = 32u / VECTORS;                // rows

layout(push_constant) uniform Push {
    RF x, y, out_sums;
    uint rows, N, rows_per_chunk, x_row;
    uint x_batch, out_batch;
};

#define FOR_VECTORS [[unroll]] for (uint j = 0u; j < VECTORS; j++)

void add_row(inout float sum[VECTORS], RF px, RF py)
{
    FOR_VECTORS {
        float v = lane_load(px + j * LANES);
        sum[j] = PRODUCT != 0u ? fma(v, lane_load(py + j * LANES), sum[j]) : sum[j] + v;
    }
}

void main()
{
    const uint column = gl_WorkGroupID.x * (VECTORS * LANES);
    const uint first = gl_WorkGroupID.y * rows_per_chunk, end = min(first + rows_per_chunk, rows);
    RF px = x + (gl_WorkGroupID.z * x_batch + column), py = y + (gl_WorkGroupID.z * x_batch + column);
    const uint whole = (end - first) / TURN * TURN;
    float sum[VECTORS];
    FOR_VECTORS sum[j] = 0.0;
    if (whole > 0u)
        for (uint counted = turns_from_0();;) {
            const uint turned = next_turn(counted, TURN, SOME), r = first + turned;
            [[unroll]] for (uint u = 0u; u < TURN; u++)
                add_row(sum, px + (r + u) * x_row, py + (r + u) * x_row);
            if (is_last_turn(turned, TURN, whole))
                break;
        }
    uint r = first + whole;
    WHILE(r < end, add_row(sum, px + r * x_row, py + r * x_row); r++;)
    RF to = out_sums + (gl_WorkGroupID.z * out_batch + gl_WorkGroupID.y * N + column);
    FOR_VECTORS {
        if (column + j * LANES + lane < N)
            lane_store(to + j * LANES, sum[j]);
    }
}
