/* half.h - IEEE 754 binary16 and bfloat16, as bit patterns, to and from float. */
#ifndef VITRO_BASE_HALF_H
#define VITRO_BASE_HALF_H

#include <stdint.h>

float half_to_float(uint16_t half);
/* Rounds to nearest, ties to even; beyond 65504 (after rounding) it is infinite. */
uint16_t half_from_float(float number);
float bfloat_to_float(uint16_t bfloat);
/* Rounds to nearest, ties to even; what rounds beyond the largest is infinite. */
uint16_t bfloat_from_float(float number);

#endif
