// patches.comp - images [n][H][W][3] uint8, rows `index` of them, to normalised patches
// out[b][grid][e] = (pixel / 255 - mean) / std, e counting channel, y, x as a convolution's weight does.
//
// Grid: (1, grid, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Words { uint v; };

layout(push_constant) uniform Push {
    RF out_;
    Words images; // four bytes a word, lowest first
    RF index;
    uint height, width, patch_;
    float scale[3], shift[3]; // pixel * scale + shift
};

void main()
{
    uint p = patch_, count = 3u * p * p, across = width / p;
    uint y0 = gl_WorkGroupID.y / across * p, x0 = gl_WorkGroupID.y % across * p;
    uint64_t image = uint64_t(index[gl_WorkGroupID.z].v) * uint64_t(height * width * 3u);
    RF row = out_ + (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * count;
    for (uint i = 0u; i < count; i += LANES) {
        uint e = min(i + lane, count - 1u);
        uint channel = e / (p * p), y = y0 + e / p % p, x = x0 + e % p;
        uint64_t at = image + uint64_t((y * width + x) * 3u + channel);
        uint pixel = images[uint(at >> 2)].v >> (8u * (uint(at) & 3u)) & 255u;
        float s = channel == 0u ? scale[0] : channel == 1u ? scale[1] : scale[2];
        float t = channel == 0u ? shift[0] : channel == 1u ? shift[1] : shift[2];
        if (i + lane < count)
            row[e].v = fma(float(pixel), s, t);
    }
}
