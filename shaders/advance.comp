// advance.comp - ends a step: the device counts it, so that replays need no word from the host.
//
// One workgroup.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "philox.glsl"

layout(push_constant) uniform Push {
    Control control;
};

void main()
{
    if (lane == 0u)
        control.step = control.step + 1u;
}
