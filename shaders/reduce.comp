// reduce.comp - sums along the middle axis: out[o][s][i] = sum of a[o][r][i] over the rows r of segment s.
//
// A sum over many rows runs twice: first into SEGMENTS partial sums, then over those. The order of the
// additions is fixed by the shape, so the same input gives the same bits.
// Columns (inner > 1): lanes along i. Grid: (ceil(inner / (VECTORS LANES)), segments, outer).
// Rows (inner = 1): lanes along r, one result a workgroup. Grid: (1, segments, outer).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"

layout(push_constant) uniform Push {
    RF out_, a;
    uint rows, inner, segment; // segment: rows of one partial sum
};

layout(constant_id = 1) const uint ALONG = 0; // 0: columns; 1: rows
const uint VECTORS = 4;

void columns()
{
    uint from = gl_WorkGroupID.y * segment, to = min(from + segment, rows), i = gl_WorkGroupID.x * VECTORS * LANES;
    RF p = a + (gl_WorkGroupID.z * rows + from) * inner + i;
    RF q = out_ + (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * inner + i;
    float sum[VECTORS];
    [[unroll]] for (uint v = 0u; v < VECTORS; v++)
        sum[v] = 0.0;
    uint r = from;
    for (; r + 4u <= to; r += 4u) {
        [[unroll]] for (uint k = 0u; k < 4u; k++)
            [[unroll]] for (uint v = 0u; v < VECTORS; v++)
                sum[v] += lane_load(p + (k * inner + v * LANES));
        p = p + 4u * inner;
    }
    for (; r < to; r++) {
        [[unroll]] for (uint v = 0u; v < VECTORS; v++)
            sum[v] += lane_load(p + v * LANES);
        p = p + inner;
    }
    [[unroll]] for (uint v = 0u; v < VECTORS; v++)
        if (i + v * LANES + lane < inner)
            q[v * LANES + lane].v = sum[v];
}

void along_rows()
{
    uint from = gl_WorkGroupID.y * segment, to = min(from + segment, rows);
    RF p = a + gl_WorkGroupID.z * rows;
    float sum = 0.0;
    for (uint r = from; r < to; r += LANES) {
        float x = lane_load(p + r);
        sum += mix(0.0, x, r + lane < to);
    }
    sum = subgroupAdd(sum);
    if (lane == 0u)
        out_[gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y].v = sum;
}

void main()
{
    if (ALONG == 0u)
        columns();
    else
        along_rows();
}
