// number.glsl - fp16 and bf16 by the bits of 32-bit words: right on every device, whatever it offers.
const uint NUMBER_FP32 = 0, NUMBER_FP16 = 1, NUMBER_BF16 = 2; // enum number of core/base

// to the nearest, ties to even, as core/base/half.c
uint half_bits(float x)
{
    uint bits = floatBitsToUint(x), size = bits & 0x7fffffffu;
    uint normal = (size + 0xfffu + (size >> 13 & 1u) - 0x38000000u) >> 13;
    uint tiny = floatBitsToUint(uintBitsToFloat(size) + 0.5) - 0x3f000000u; // 0.5: its last place is 2^-24
    uint huge = size > 0x7f800000u ? 0x7e00u : 0x7c00u;
    return (bits >> 16 & 0x8000u) | (size >= 0x47800000u ? huge : size < 0x38800000u ? tiny : normal);
}

uint bfloat_bits(float x)
{
    uint bits = floatBitsToUint(x);
    return (bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

uint narrow1(uint number, float x)
{
    return number == NUMBER_FP16 ? half_bits(x) : bfloat_bits(x);
}

// two numbers in one word, the first one low
uint narrow2(uint number, vec2 x)
{
    return narrow1(number, x.x) | narrow1(number, x.y) << 16;
}

vec2 widen2(uint number, uint word)
{
    return number == NUMBER_FP16 ? unpackHalf2x16(word)
                                 : vec2(uintBitsToFloat(word << 16), uintBitsToFloat(word & 0xffff0000u));
}

float rounded(uint number, float x)
{
    return number == NUMBER_FP32   ? x
           : number == NUMBER_FP16 ? unpackHalf2x16(half_bits(x)).x
                                   : uintBitsToFloat(bfloat_bits(x) << 16);
}
