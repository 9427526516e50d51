/* half.c - see half.h. Layout: sign 1, exponent 5 (bias 15), fraction 10. */
#include "half.h"

#include <string.h>

static float float_of_bits(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, exponent = half >> 10 & 31u, fraction = half & 1023u;
    if (exponent == 31)
        return float_of_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent)
        return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f; /* subnormal or zero: exact */
    return sign ? -tiny : tiny;
}

uint16_t half_from_float(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    uint32_t size = bits & 0x7FFFFFFFu;
    if (size > 0x7F800000u) /* not a number: a quiet one */
        return (uint16_t)(sign | 0x7E00u | (size >> 13 & 1023u));
    if (size >= 0x47800000u) /* 65536 and more */
        return (uint16_t)(sign | 0x7C00u);
    if (size < 0x33000000u) /* below 2^-25, half of the smallest subnormal */
        return sign;
    uint32_t dropped = 13, fraction = size;
    if (size >= 0x38800000u) { /* normal, 2^-14 and more */
        fraction -= 112u << 23;
    } else {
        dropped = 126 - (size >> 23);
        fraction = (size & 0x7FFFFFu) | 0x800000u;
    }
    uint32_t kept = fraction >> dropped, rest = fraction & ((1u << dropped) - 1), tie = 1u << (dropped - 1);
    kept += rest > tie || (rest == tie && (kept & 1)); /* a carry goes on into the exponent */
    return (uint16_t)(sign | kept);
}

float bfloat_to_float(uint16_t bfloat)
{
    return float_of_bits((uint32_t)bfloat << 16);
}

uint16_t bfloat_from_float(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) /* not a number: a quiet one */
        return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16); /* a carry goes on into the exponent */
}
