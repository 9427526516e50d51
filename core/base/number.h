/* number.h - the kinds of numbers that tensors are kept in and that products multiply. */
#ifndef VITRO_BASE_NUMBER_H
#define VITRO_BASE_NUMBER_H

#include <stdint.h>

/* As a precision: what the operands of products are rounded to. Sums are always fp32. */
enum number { NUMBER_FP32, NUMBER_FP16, NUMBER_BF16, NUMBER_COUNT };
extern const char *const number_names[]; /* "fp32", "fp16", "bf16", ended by NULL */

static inline uint32_t number_bytes(enum number n)
{
    return n == NUMBER_FP32 ? 4 : 2;
}
/* The nearest number of that kind, ties to even. */
float number_round(enum number n, float x);

#endif
