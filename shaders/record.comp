// record.comp - keeps a value of this step: log[step - first][i] = a[i]. The host reads it late.
//
// Grid: (ceil(count / CHUNK), 1, 1).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "philox.glsl"

layout(push_constant) uniform Push {
    RF log_, a;
    Control control;
    uint count;
};
const uint CHUNK = 1024;

void main()
{
    RF row = log_ + (control.step - control.first) * count;
    uint end = min((gl_WorkGroupID.x + 1u) * CHUNK, count);
    for (uint i = gl_WorkGroupID.x * CHUNK + lane; i < end; i += LANES)
        row[i].v = a[i].v;
}
