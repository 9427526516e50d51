// lane_halves.glsl - what the lanes of lanes.glsl hold, stored as halves: neighbours make a word. Not with PLAIN, whose
// devices get floats.
#include "number.glsl"

layout(buffer_reference, std430, buffer_reference_align = 4) buffer RU { uint v; };

// Where lane l holds x as number i + l and y as number i + LANES + l of `row`, i even. Even lanes write what belongs to
// x's vector, odd ones what belongs to y's.
void lane_store2_halves(uint number, uint64_t row, uint i, float x, float y)
{
#ifndef PLAIN
    const bool odd = lane % 2u != 0u;
    const float other = subgroupShuffleXor(odd ? x : y, 1u);
    const uint word = (i + lane + (odd ? LANES - 1u : 0u)) / 2u;
    RU(row)[word].v = narrow2(number, odd ? vec2(other, y) : vec2(x, other));
#endif
}

// Of x alone, and only those before number `end`, which is even.
void lane_store_halves(uint number, uint64_t row, uint i, uint end, float x)
{
#ifndef PLAIN
    const float other = subgroupShuffleXor(x, 1u);
    if (lane % 2u == 0u && i + lane < end)
        RU(row)[(i + lane) / 2u].v = narrow2(number, vec2(x, other));
#endif
}
