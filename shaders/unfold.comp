// unfold.comp - [b h w c] to its k x k neighbourhoods [b h w k k c], zero padded, and the transpose (FOLD),
// which sums each element over the neighbourhoods it stands in. NUMBER other than fp32: neighbourhoods are stored as halves
// of it, and channels are even.
//
// Lanes along c. Grid: (w, h, b).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "lane_halves.glsl"

layout(push_constant) uniform Push {
    RF out_, a;
    uint channels, k;
};
layout(constant_id = 1) const uint FOLD = 0;
layout(constant_id = 2) const uint NUMBER = 0;

void main()
{
    uint w = gl_NumWorkGroups.x, h = gl_NumWorkGroups.y, taps = k * k;
    uint x = gl_WorkGroupID.x, y = gl_WorkGroupID.y, image = gl_WorkGroupID.z * h;
    for (uint i = 0u; i < channels; i += LANES) {
        float sum = 0.0;
        for (uint tap = 0u; tap < taps; tap++) {
            // the pixel that this one sees through the tap, or, folding, the one that sees this one
            uint other = FOLD == 0u ? tap : taps - 1u - tap;
            uint sy = y + other / k - k / 2u, sx = x + other % k - k / 2u; // wraps round below 0
            bool inside = sy < h && sx < w;
            uint there = (image + min(sy, h - 1u)) * w + min(sx, w - 1u);
            float v = lane_load(a + (FOLD == 0u ? there * channels : (there * taps + tap) * channels) + i);
            v = inside ? v : 0.0;
            sum += v;
            const uint to = (((image + y) * w + x) * taps + tap) * channels;
            if (FOLD == 0u && NUMBER != NUMBER_FP32)
                lane_store_halves(NUMBER, uint64_t(out_) + 2ul * to, i, channels, v);
            else if (FOLD == 0u && i + lane < channels)
                out_[to + i + lane].v = v;
        }
        if (FOLD != 0u && i + lane < channels)
            out_[((image + y) * w + x) * channels + i + lane].v = sum;
    }
}
