/* test_half.c - binary16 and bfloat16, over all their 65536 patterns. */
#include "half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { INFINITE = 0x7C00 };

/* The definition: (-1)^s 2^(e-15) (1 + f/1024), subnormal (-1)^s 2^-14 f/1024 */
static double meaning(uint16_t half)
{
    int exponent = half >> 10 & 31, fraction = half & 1023;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return half & 0x8000 ? -size : size;
}

static void every_finite_half_has_the_value_of_its_definition(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++)
        if ((h & INFINITE) != INFINITE) {
            assert_true((double)half_to_float((uint16_t)h) == meaning((uint16_t)h));
            assert_int_equal(signbit(half_to_float((uint16_t)h)) != 0, h >> 15);
        }
    assert_true(half_to_float(0x7C00) == INFINITY && half_to_float(0xFC00) == -INFINITY);
    assert_true(isnan(half_to_float(0x7C01)) && isnan(half_to_float(0xFE00)));
}

static void every_half_survives_the_way_there_and_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        if ((h & INFINITE) == INFINITE && (h & 1023))
            assert_true(isnan(half_to_float(half_from_float(half_to_float((uint16_t)h)))));
        else
            assert_int_equal(half_from_float(half_to_float((uint16_t)h)), h);
    }
}

/* Between neighbours a and b: below the middle a, above it b, at it the even one. 65504's upper
 * neighbour stands at 65536 and is infinite. */
static void a_float_between_two_halves_becomes_the_nearer_or_the_even_one(void **state)
{
    (void)state;
    for (uint16_t h = 0; h < INFINITE; h++) {
        double above = h + 1 == INFINITE ? 65536 : meaning((uint16_t)(h + 1));
        float middle = (float)((meaning(h) + above) / 2); /* 12 bits of fraction: exact */
        uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        assert_int_equal(half_from_float(middle), even);
        assert_int_equal(half_from_float(-middle), even | 0x8000);
        assert_int_equal(half_from_float(nextafterf(middle, 0)), h);
        assert_int_equal(half_from_float(nextafterf(middle, INFINITY)), h + 1);
    }
    assert_int_equal(half_from_float(3e38f), INFINITE);
    assert_int_equal(half_from_float(-INFINITY), INFINITE | 0x8000);
    assert_int_equal(half_from_float(1e-40f), 0); /* a subnormal float */
}

static void a_bfloat_is_the_upper_half_of_a_float(void **state)
{
    (void)state;
    assert_true(bfloat_to_float(0x3F80) == 1.0f && bfloat_to_float(0xC049) == -3.140625f);
    assert_true(bfloat_to_float(0x7F80) == INFINITY && isnan(bfloat_to_float(0x7FC0)));
}

/* Between the neighbours b and b + 1: below the middle b, above it b + 1, at it the even one. */
static void a_float_becomes_the_nearest_bfloat(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 0x7F80; b++) {
        uint32_t bits = b << 16 | 0x8000u;
        float middle;
        memcpy(&middle, &bits, sizeof middle);
        assert_int_equal(bfloat_from_float(bfloat_to_float((uint16_t)b)), b);
        assert_int_equal(bfloat_from_float(middle), b + (b & 1));
        assert_int_equal(bfloat_from_float(-middle), (b + (b & 1)) | 0x8000);
        assert_int_equal(bfloat_from_float(nextafterf(middle, 0)), b);
        assert_int_equal(bfloat_from_float(nextafterf(middle, INFINITY)), b + 1);
    }
    assert_int_equal(bfloat_from_float(INFINITY), 0x7F80);
    assert_true(isnan(bfloat_to_float(bfloat_from_float(NAN))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_finite_half_has_the_value_of_its_definition),
        cmocka_unit_test(every_half_survives_the_way_there_and_back),
        cmocka_unit_test(a_float_between_two_halves_becomes_the_nearer_or_the_even_one),
        cmocka_unit_test(a_bfloat_is_the_upper_half_of_a_float),
        cmocka_unit_test(a_float_becomes_the_nearest_bfloat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
