// map.comp - every op that treats elements one by one: out[i] = f(a[i], b[i]), with up to four axes of
// free strides on all three, which makes it also the copy behind expand, permute, slice, pad and concat;
// and two of them at once where THEN: f(a[i], b[i]) + c[i] or times c[i], c lying as out does, or as b does.
//
// Axis 3 runs along the lanes, CHUNK elements of it a workgroup.
// Grid: (ceil(size[3] / CHUNK), size[2], size[0] size[1]).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "lane_halves.glsl"
#include "unary.glsl"
#include "philox.glsl"

layout(push_constant) uniform Push {
    RF out_, a, b;
    Control control;                // of dropout
    RF c;
    uint size[4];
    uint out_stride[4], a_stride[4], b_stride[4]; // in floats; dropout: b_stride counts the draws
    float scale, shift;             // affine, fill (shift), dropout (scale 1 / (1 - p))
    uint stream, threshold;         // dropout: a draw below the threshold drops the element
    uint first_draw;
};

const uint MAP_COPY = 0, MAP_ADD = 1, MAP_MUL = 2, MAP_AFFINE = 3, MAP_UNARY = 4, MAP_UNARY_BACK = 5,
           MAP_DROPOUT = 6, MAP_FILL = 7;
layout(constant_id = 1) const uint MAP = 0;
layout(constant_id = 2) const uint FN = 0;     // of unary and its derivative
layout(constant_id = 3) const uint A_STEP = 1; // stride of axis 3: 0, 1, or 2 for any other
layout(constant_id = 4) const uint B_STEP = 1;
layout(constant_id = 5) const uint OUT_STEP = 1;
layout(constant_id = 6) const uint CHUNK = 1024;
layout(constant_id = 7) const uint THEN = 0;   // MAP_ADD, MAP_MUL or 0
layout(constant_id = 8) const uint C_AS_B = 0;
layout(constant_id = 9) const uint PAIRED = 0; // 1: OUT_STEP is 1 and every row of `out_` is at a multiple of 8 bytes
layout(constant_id = 10) const uint FOURS = 0; // 1: dropout's B_STEP is 1 and every row's first draw a multiple of 4
layout(constant_id = 11) const uint NUMBER = 0; // other than fp32: `out_` is halves of it, OUT_STEP 1, and all its rows begin
                                               // and end at even numbers

float load(RF p, uint step, uint i, uint stride)
{
    if (step == 1u)
        return lane_load(p + i);
    if (step == 0u)
        return p.v;
    return p[(i + lane) * stride].v;
}

bool stays(uint index)
{
    return dropout_draw(uvec2(control.seed_low, control.seed_high), control.step, stream, index) >= threshold;
}

// Which elements of four vectors from i on dropout keeps. Random numbers come four at a time: each lane makes the four of
// elements i + 4 lane and on, and vectors take theirs from other lanes.
void stay4(uint i, uint draws, bool row_stays, out bool kept[4])
{
#ifndef PLAIN
    if (FOURS != 0u) {
        const uvec4 words = dropout_words(uvec2(control.seed_low, control.seed_high), control.step, stream,
                                          (draws + i) / 4u + lane);
        [[unroll]] for (uint k = 0u; k < 4u; k++) {
            const uint from = k * (LANES / 4u) + lane / 4u;
            const uvec4 theirs = uvec4(subgroupShuffle(words.x, from), subgroupShuffle(words.y, from),
                                       subgroupShuffle(words.z, from), subgroupShuffle(words.w, from));
            kept[k] = word_at(theirs, lane) >= threshold;
        }
        return;
    }
#endif
    [[unroll]] for (uint k = 0u; k < 4u; k++)
        kept[k] = B_STEP == 0u ? row_stays : stays(draws + (i + k * LANES + lane) * b_stride[3]);
}

float first(RF pa, RF pb, uint i, bool kept)
{
    if (MAP == MAP_FILL)
        return shift;
    float x = load(pa, A_STEP, i, a_stride[3]);
    switch (MAP) {
    case MAP_ADD: return x + load(pb, B_STEP, i, b_stride[3]);
    case MAP_MUL: return x * load(pb, B_STEP, i, b_stride[3]);
    case MAP_AFFINE: return fma(x, scale, shift);
    case MAP_UNARY: return unary(FN, x);
    case MAP_UNARY_BACK: return load(pb, B_STEP, i, b_stride[3]) * unary_derivative(FN, x);
    case MAP_DROPOUT: return mix(0.0, x * scale, kept);
    }
    return x;
}

float compute(RF pa, RF pb, RF pc, uint i, bool kept)
{
    float x = first(pa, pb, i, kept);
    if (THEN == 0u)
        return x;
    float y = C_AS_B != 0u ? load(pc, B_STEP, i, b_stride[3]) : load(pc, OUT_STEP, i, out_stride[3]);
    return THEN == MAP_ADD ? x + y : x * y;
}

void store(RF p, uint i, float x)
{
    if (OUT_STEP == 1u)
        p[i + lane].v = x;
    else
        p[(i + lane) * out_stride[3]].v = x;
}

void main()
{
    uint i0 = gl_WorkGroupID.z / size[1], i1 = gl_WorkGroupID.z % size[1], i2 = gl_WorkGroupID.y;
    uint to = i0 * out_stride[0] + i1 * out_stride[1] + i2 * out_stride[2];
    RF po = out_ + to;
    const uint64_t halves = uint64_t(out_) + 2ul * to;
    RF pa = a + (i0 * a_stride[0] + i1 * a_stride[1] + i2 * a_stride[2]);
    uint along = i0 * b_stride[0] + i1 * b_stride[1] + i2 * b_stride[2], draws = first_draw + along;
    RF pb = b + along, pc = c + (C_AS_B != 0u ? along : to);
    const bool row_stays = MAP == MAP_DROPOUT && B_STEP == 0u ? stays(draws) : true; // a draw for each row, as of stochastic depth
    uint i = gl_WorkGroupID.x * CHUNK, end = min(i + CHUNK, size[3]);
    for (; i + 4u * LANES <= end; i += 4u * LANES) {
        float x[4];
        bool kept[4] = bool[](true, true, true, true);
        if (MAP == MAP_DROPOUT)
            stay4(i, draws, row_stays, kept);
        [[unroll]] for (uint k = 0u; k < 4u; k++)
            x[k] = compute(pa, pb, pc, i + k * LANES, kept[k]);
        if (NUMBER != NUMBER_FP32) {
            lane_store2_halves(NUMBER, halves, i, x[0], x[1]);
            lane_store2_halves(NUMBER, halves, i + 2u * LANES, x[2], x[3]);
        } else if (PAIRED != 0u) {
            lane_store2(po + i, x[0], x[1]);
            lane_store2(po + (i + 2u * LANES), x[2], x[3]);
        } else {
            [[unroll]] for (uint k = 0u; k < 4u; k++)
                store(po, i + k * LANES, x[k]);
        }
    }
    for (; i < end; i += LANES) {
        const bool kept = MAP != MAP_DROPOUT || B_STEP == 0u ? row_stays : stays(draws + (i + lane) * b_stride[3]);
        float x = compute(pa, pb, pc, i, kept);
        if (NUMBER != NUMBER_FP32)
            lane_store_halves(NUMBER, halves, i, end, x);
        else if (i + lane < end)
            store(po, i, x);
    }
}
