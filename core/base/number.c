/* number.c - see number.h. */
#include "number.h"

#include "half.h"

#include <stddef.h>

const char *const number_names[] = {"fp32", "fp16", "bf16", NULL};

float number_round(enum number n, float x)
{
    switch (n) {
    case NUMBER_FP16: return half_to_float(half_from_float(x));
    case NUMBER_BF16: return bfloat_to_float(bfloat_from_float(x));
    default: return x;
    }
}
