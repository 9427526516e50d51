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

// a / b for small numbers: drivers divide vectors of whole numbers one by one
uint quotient(uint a, float reciprocal)
{
    return uint((float(a) + 0.5) * reciprocal);
}

void main()
{
    uint p = patch_, count = 3u * p * p, across = width / p;
    float one_pp = 1.0 / float(p * p), one_p = 1.0 / float(p);
    uint y0 = gl_WorkGroupID.y / across * p, x0 = gl_WorkGroupID.y % across * p;
    uint64_t image = uint64_t(index[gl_WorkGroupID.z].v) * uint64_t(height * width * 3u);
    RF row = out_ + (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * count;
    for (uint i = 0u; i < count; i += LANES) {
        uint e = min(i + lane, count - 1u);
        uint channel = quotient(e, one_pp), inside = e - channel * p * p, row_in = quotient(inside, one_p);
        uint y = y0 + row_in, x = x0 + inside - row_in * p;
        uint64_t at = image + uint64_t((y * width + x) * 3u + channel);
        uint pixel = images[uint(at >> 2)].v >> (8u * (uint(at) & 3u)) & 255u;
        float s = channel == 0u ? scale[0] : channel == 1u ? scale[1] : scale[2];
        float t = channel == 0u ? shift[0] : channel == 1u ? shift[1] : shift[2];
        if (i + lane < count)
            row[e].v = fma(float(pixel), s, t);
    }
}
