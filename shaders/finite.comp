// finite.comp - whether all gradients are finite: if not, control.overflow becomes 1, and this step's update is
// left out (adamw.comp, advance.comp). g holds blocks of BLOCK floats.
//
// Grid: (ceil(blocks / each), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "philox.glsl"

layout(push_constant) uniform Push {
    RF g;
    Control control;
    uint blocks, each; // each: of a workgroup
};
const uint BLOCK = 64, INFINITE = 0x7f800000;

void main()
{
    uint bad = 0u, end = min((gl_WorkGroupID.x + 1u) * each, blocks) * BLOCK;
    for (uint i = gl_WorkGroupID.x * each * BLOCK; i < end; i += LANES)
        bad += (floatBitsToUint(lane_load(g + i)) & INFINITE) == INFINITE ? 1u : 0u;
    bad = subgroupAdd(bad);
    if (bad > 0u && lane == 0u)
        control.overflow = 1u;
}
