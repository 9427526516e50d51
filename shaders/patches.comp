// patches.comp - images [n][H][W][3] uint8, rows `index` of them, to normalised patches
// out[b][grid][e] = (pixel / 255 - mean) / std, e counting channel, y, x as a convolution's weight does.
//
// Where the images' rows are whole words and a patch's rows whole vectors, PATCH says how long they are: a
// vector then is a piece of a row, and its words lie apart by what is known when compiling. NUMBER other than fp32: out is
// stored as halves of it, and the patch is even.
//
// Grid: (1, grid, batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "lane_halves.glsl"

layout(constant_id = 1) const uint PATCH = 0; // as patch_, or 0
layout(constant_id = 2) const uint NUMBER = 0;

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
    const uint from = (gl_WorkGroupID.z * gl_NumWorkGroups.y + gl_WorkGroupID.y) * count;
    RF row = out_ + from;
    const uint64_t halves = uint64_t(out_) + 2ul * from;
    if (PATCH != 0u) {
        uint y = 0u;
        WHILE(y < PATCH,
            Words words = images + uint((image + uint64_t(((y0 + y) * width + x0) * 3u)) >> 2);
            [[unroll]] for (uint channel = 0u; channel < 3u; channel++)
                [[unroll]] for (uint x = 0u; x < PATCH; x += LANES) {
                    const uint at = (x + lane) * 3u + channel;
                    uint pixel = words[at / 4u].v >> (8u * (at % 4u)) & 255u;
                    const uint to = (channel * PATCH + y) * PATCH + x;
                    const float value = fma(float(pixel), scale[channel], shift[channel]);
                    if (NUMBER != NUMBER_FP32)
                        lane_store_halves(NUMBER, halves, to, count, value);
                    else
                        lane_store(row + to, value);
                }
            y++;
        )
        return;
    }
    for (uint i = 0u; i < count; i += LANES) {
        uint e = min(i + lane, count - 1u);
        uint channel = quotient(e, one_pp), inside = e - channel * p * p, row_in = quotient(inside, one_p);
        uint y = y0 + row_in, x = x0 + inside - row_in * p;
        uint64_t at = image + uint64_t((y * width + x) * 3u + channel);
        uint pixel = images[uint(at >> 2)].v >> (8u * (uint(at) & 3u)) & 255u;
        float s = channel == 0u ? scale[0] : channel == 1u ? scale[1] : scale[2];
        float t = channel == 0u ? shift[0] : channel == 1u ? shift[1] : shift[2];
        const float value = fma(float(pixel), s, t);
        if (NUMBER != NUMBER_FP32)
            lane_store_halves(NUMBER, halves, i, count, value);
        else if (i + lane < count)
            row[e].v = value;
    }
}
