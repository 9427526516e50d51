// row_sum.comp - out[r] = sum of a[r][i] along rows of N floats, in an order that the shape fixes.
//
// One subgroup a row. Grid: (1, rows, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"

layout(push_constant) uniform Push {
    RF out_, a;
    uint N;
};

void main()
{
    RF p = a + gl_WorkGroupID.y * N;
    float sum = 0.0;
    for (uint i = 0u; i < N; i += LANES)
        sum += mix(0.0, lane_load(p + i), i + lane < N);
    sum = subgroupAdd(sum);
    if (lane == 0u)
        out_[gl_WorkGroupID.y].v = sum;
}
