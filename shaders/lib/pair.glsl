// pair.glsl - two floats as one number of 64 bits. Each lane its own pair, 64-bit gathers and scatters cost lavapipe less
// a float. (The driver's own packUint2x32 and unpackUint2x32 fail with vectors of 512 bits.)
#ifndef PAIR_GLSL
#define PAIR_GLSL
layout(buffer_reference, std430, buffer_reference_align = 8) buffer PAIR { uint64_t bits; };

vec2 load_pair(PAIR p)
{
    uint64_t bits = p.bits;
    return vec2(uintBitsToFloat(uint(bits)), uintBitsToFloat(uint(bits >> 32)));
}

void store_pair(PAIR p, vec2 x)
{
    p.bits = uint64_t(floatBitsToUint(x.x)) | uint64_t(floatBitsToUint(x.y)) << 32;
}
#endif
