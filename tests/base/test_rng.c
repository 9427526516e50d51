/* test_rng.c - Philox gives the known answers of its authors, and the draws built on it are fair. */
#include "rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Known-answer rows of Random123's kat_vectors for philox4x32 with 10 rounds. */
static void philox_gives_the_published_answers(void **state)
{
    (void)state;
    static const struct {
        uint64_t key, low, high;
        uint32_t word[4];
    } rows[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822,
         0x85a308d3243f6a88,
         0x0370734413198a2e,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct philox p = philox4x32(rows[i].key, rows[i].low, rows[i].high);
        assert_memory_equal(p.word, rows[i].word, sizeof p.word);
    }
}

static void streams_of_different_purpose_differ(void **state)
{
    (void)state;
    struct rng a = rng_named(1, "head"), b = rng_named(1, "bias"), c = rng_named(1, "head");
    int equal = 0;
    for (int i = 0; i < 64; i++) {
        uint32_t x = rng_u32(&a);
        equal += x == rng_u32(&b);
        assert_int_equal(x, rng_u32(&c));
    }
    assert_true(equal < 2);
}

/* 100,000 draws: the mean of n has a deviation of 1/sqrt(n), 0.0032; 5 of them are allowed. */
static void normal_draws_have_mean_0_and_deviation_1(void **state)
{
    (void)state;
    enum { N = 100000 };
    const double tolerance = 5.0 / 316.0;
    struct rng r = rng_named(7, "normal");
    double sum = 0, squares = 0;
    for (int i = 0; i < N; i++) {
        double x = rng_normal(&r);
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / N) < tolerance);
    assert_true(fabs(squares / N - 1) < 2 * tolerance);
}

static void draws_below_n_cover_it_evenly(void **state)
{
    (void)state;
    enum { N = 60000, SIDES = 6 };
    struct rng r = rng_named(3, "dice");
    int seen[SIDES] = {0};
    for (int i = 0; i < N; i++) {
        uint32_t x = rng_below(&r, SIDES);
        assert_true(x < SIDES);
        seen[x]++;
    }
    for (int i = 0; i < SIDES; i++) /* binomial deviation 91; 5 of them */
        assert_true(abs(seen[i] - N / SIDES) < 455);
    assert_int_equal(rng_below(&r, 1), 0);
}

static void a_shuffle_is_a_permutation_and_repeats(void **state)
{
    (void)state;
    uint32_t a[100], b[100], seen[100] = {0};
    for (uint32_t i = 0; i < 100; i++)
        a[i] = b[i] = i;
    struct rng r = rng_named(5, "order"), s = rng_named(5, "order");
    rng_shuffle(&r, a, 100);
    rng_shuffle(&s, b, 100);
    assert_memory_equal(a, b, sizeof a);
    int moved = 0;
    for (uint32_t i = 0; i < 100; i++) {
        seen[a[i]]++;
        moved += a[i] != i;
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    assert_true(moved > 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_answers),
        cmocka_unit_test(streams_of_different_purpose_differ),
        cmocka_unit_test(normal_draws_have_mean_0_and_deviation_1),
        cmocka_unit_test(draws_below_n_cover_it_evenly),
        cmocka_unit_test(a_shuffle_is_a_permutation_and_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
