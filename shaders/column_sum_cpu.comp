// column_sum_cpu.comp - out[z][c][n] = sum of x[z][r][n] (times y[z][r][n] where PRODUCT) over the rows r of
// chunk c, in order.
//
// x, y: rows of x_row floats, of which the first N are summed. Two dispatches make a long sum: many chunks
// of rows_per_chunk rows, then one chunk of all of those. Grid: (ceil(N / (4 LANES)), chunks, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"

layout(constant_id = 1) const uint PRODUCT = 0;

layout(push_constant) uniform Push {
    RF x, y, out_sums;
    uint rows, N, rows_per_chunk, x_row;
    uint x_batch, out_batch;
};

#define FOR_VECTORS [[unroll]] for (uint j = 0u; j < 4u; j++)

void add_row(inout float sum[4], RF px, RF py)
{
    FOR_VECTORS {
        float v = lane_load(px + j * LANES);
        sum[j] = PRODUCT != 0u ? fma(v, lane_load(py + j * LANES), sum[j]) : sum[j] + v;
    }
}

void main()
{
    const uint column = gl_WorkGroupID.x * (4u * LANES);
    const uint first = gl_WorkGroupID.y * rows_per_chunk, end = min(first + rows_per_chunk, rows);
    RF px = x + (gl_WorkGroupID.z * x_batch + column), py = y + (gl_WorkGroupID.z * x_batch + column);
    float sum[4];
    FOR_VECTORS sum[j] = 0.0;
    uint r = first;
    WHILE(r + 4u <= end,
        [[unroll]] for (uint u = 0u; u < 4u; u++)
            add_row(sum, px + (r + u) * x_row, py + (r + u) * x_row);
        r += 4u;
    )
    WHILE(r < end, add_row(sum, px + r * x_row, py + r * x_row); r++;)
    RF to = out_sums + (gl_WorkGroupID.z * out_batch + gl_WorkGroupID.y * N + column);
    FOR_VECTORS {
        if (column + j * LANES + lane < N)
            lane_store(to + j * LANES, sum[j]);
    }
}
