// advance.comp - ends a step: the device counts it, so that replays need no word from the host. It also takes the
// loss's scale (Micikevicius et al. 2018, arXiv:1710.03740) down by half after gradients that overflowed, and to
// the double after GROWTH steps without.
//
// One workgroup.
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "philox.glsl"

layout(push_constant) uniform Push {
    Control control;
};

const uint GROWTH = 2000;
const float LOWEST = 1.0 / 16384.0, HIGHEST = 16777216.0;

void main()
{
    if (lane != 0u)
        return;
    control.step = control.step + 1u;
    if (control.scale > 0.0) {
        const bool bad = control.overflow != 0u;
        const uint good = bad ? 0u : control.good + 1u;
        if (bad)
            control.scale = max(control.scale * 0.5, LOWEST);
        else if (good == GROWTH)
            control.scale = max(control.scale, min(control.scale * 2.0, HIGHEST));
        control.good = good == GROWTH ? 0u : good;
        control.skipped += bad ? 1u : 0u;
        control.overflow = 0u;
    }
}
