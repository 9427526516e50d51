/* test_stats.c - intervals, tests and agreement say what statsmodels, SciPy, scikit-learn and NumPy say. */
#include "oracle.h"
#include "stats.h"

/* Both sides compute in double; sums of up to a few hundred terms, and exponents up to 700, lose three digits. */
static const double ROUNDING = 1e-12;

static int open_golden(void **state)
{
    (void)state;
    return golden_open("stats.json");
}

static void wilson_is_that_of_statsmodels(void **state)
{
    (void)state;
    const struct json *basic = member(golden, "basic");
    for (const struct json *j = json_first(member(basic, "wilson")); j; j = json_next(j)) {
        size_t count;
        double *row = numbers(j, &count); /* right, count, low, high */
        assert_int_equal(count, 4);
        struct interval w = stats_wilson((uint64_t)row[0], (uint64_t)row[1], number_of(basic, "z"));
        assert_near(w.low, row[2], 1, ROUNDING);
        assert_near(w.high, row[3], 1, ROUNDING);
        mem_free(row);
    }
}

static void wilson_ends_exactly_at_0_and_1(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 200; n++) {
        assert_true(stats_wilson(0, n, 1.96).low == 0);
        assert_true(stats_wilson(n, n, 1.96).high == 1);
        assert_true(stats_wilson(0, n, 1.96).high > 0);
        assert_true(stats_wilson(n, n, 1.96).low < 1);
    }
    struct interval none = stats_wilson(0, 0, 1.96);
    assert_true(none.low == 0 && none.high == 1);
}

static void mean_deviation_and_quantiles_are_those_of_numpy(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "basic"), "moments")); j; j = json_next(j)) {
        size_t count, pairs;
        double *values = numbers_of(j, "values", &count), *quantiles = numbers_of(j, "quantiles", &pairs);
        assert_near(stats_mean(values, count), number_of(j, "mean"), 1, ROUNDING);
        /* relative to the values, which one case has at 10^9 */
        assert_near(stats_deviation(values, count), number_of(j, "deviation"), fabs(values[0]), ROUNDING);
        for (size_t i = 0; i < pairs; i += 2)
            assert_true(stats_quantile(values, count, quantiles[i]) == quantiles[i + 1]);
        mem_free(quantiles);
        mem_free(values);
    }
}

static void nothing_has_no_mean_and_no_quantile_and_one_value_no_deviation(void **state)
{
    (void)state;
    const double one[] = {3};
    assert_true(isnan(stats_mean(one, 0)));
    assert_true(isnan(stats_quantile(one, 0, 0.5)));
    assert_true(stats_deviation(one, 1) == 0);
    assert_true(stats_quantile(one, 1, 0.7) == 3);
}

static void mcnemar_is_the_exact_test_of_statsmodels(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "tests"), "mcnemar")); j; j = json_next(j)) {
        size_t count;
        double *row = numbers(j, &count); /* b, c, p */
        uint64_t b = (uint64_t)row[0], c = (uint64_t)row[1];
        assert_near(stats_mcnemar(b, c), row[2], 0, ROUNDING);
        assert_true(stats_mcnemar(b, c) == stats_mcnemar(c, b));
        mem_free(row);
    }
}

/* Up to 52 pairs every probability is a sum of whole numbers over 2^n, exact in double. */
static void mcnemar_counts_every_split_of_few_pairs(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 52; n++) {
        double choose = 1, below = 0;
        for (uint64_t k = 0; 2 * k < n; k++) {
            below += choose;
            assert_near(stats_mcnemar(k, n - k), fmin(2 * ldexp(below, -(int)n), 1), 0, ROUNDING);
            choose = choose * (double)(n - k) / (double)(k + 1);
        }
    }
}

static void holm_is_that_of_statsmodels(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "tests"), "holm")); j; j = json_next(j)) {
        size_t count;
        double *p = numbers_of(j, "p", &count), *adjusted = numbers_of(j, "adjusted", &count);
        assert_int_equal(stats_holm(p, count), 0);
        for (size_t i = 0; i < count; i++)
            assert_near(p[i], adjusted[i], 0, ROUNDING);
        mem_free(adjusted);
        mem_free(p);
    }
}

static void holm_refuses_what_is_no_p_value_and_changes_nothing(void **state)
{
    (void)state;
    const double wrong[] = {NAN, -0.1, 1.5};
    for (size_t i = 0; i < 3; i++) {
        double p[] = {0.01, wrong[i]};
        assert_int_equal(stats_holm(p, 2), ERR_INPUT);
        assert_true(p[0] == 0.01);
        assert_non_null(strstr(error_text(), "p-value 1"));
    }
}

static void friedman_is_that_of_scipy(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "tests"), "friedman")); j;
         j = json_next(j)) {
        const struct json *table = member(j, "values");
        size_t count, blocks = json_count(table);
        double *values = numbers(table, &count), chi2, p;
        assert_int_equal(stats_friedman(values, blocks, count / blocks, &chi2, &p), 0);
        assert_near(chi2, number_of(j, "chi2"), 0, ROUNDING);
        assert_near(p, number_of(j, "p"), 0, ROUNDING);
        mem_free(values);
    }
}

/* With 3 treatments the survival function is exp(-chi2 / 2), whichever way it is summed. */
static void friedmans_p_is_exponential_with_3_treatments(void **state)
{
    (void)state;
    double values[60 * 3], chi2, p;
    for (size_t same = 0; same <= 60; same++) {
        for (size_t i = 0; i < 60; i++)
            for (size_t j = 0; j < 3; j++)
                values[i * 3 + j] = (double)(i < same ? j : (i + j) % 3);
        assert_int_equal(stats_friedman(values, 60, 3, &chi2, &p), 0);
        assert_near(p, exp(-chi2 / 2), 0, ROUNDING);
    }
}

static void friedman_finds_nothing_where_all_is_tied_and_refuses_one_treatment(void **state)
{
    (void)state;
    const double values[] = {1, 1, 1, 2, 2, 2};
    double chi2, p;
    assert_int_equal(stats_friedman(values, 2, 3, &chi2, &p), 0);
    assert_true(chi2 == 0 && p == 1);
    assert_int_equal(stats_friedman(values, 2, 1, &chi2, &p), ERR_INPUT);
    assert_int_equal(stats_friedman(values, 0, 3, &chi2, &p), ERR_INPUT);
    const double gap[] = {1, NAN, 3};
    assert_int_equal(stats_friedman(gap, 1, 3, &chi2, &p), ERR_INPUT);
}

static void kappa_is_that_of_scikit_learn(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "agreement"), "kappa")); j;
         j = json_next(j)) {
        size_t count;
        int32_t *a = integers_of(j, "a", &count), *b = integers_of(j, "b", &count);
        double kappa = stats_kappa(a, b, count, (int32_t)number_of(j, "classes"));
        assert_near(kappa, number_of(j, "kappa"), 1, ROUNDING);
        mem_free(b);
        mem_free(a);
    }
}

static void error_consistency_is_kappa_of_right_and_wrong(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "agreement"), "errors")); j;
         j = json_next(j)) {
        size_t count;
        int32_t *a = integers_of(j, "a", &count), *b = integers_of(j, "b", &count);
        unsigned char right_a[150], right_b[150];
        assert_int_equal(count, 150);
        for (size_t i = 0; i < count; i++) {
            right_a[i] = (unsigned char)a[i];
            right_b[i] = (unsigned char)b[i];
        }
        double consistency = stats_error_consistency(right_a, right_b, count);
        assert_near(consistency, number_of(j, "kappa"), 1, ROUNDING);
        assert_near(consistency, stats_kappa(a, b, count, 2), 1, ROUNDING);
        mem_free(b);
        mem_free(a);
    }
}

static void kappa_is_no_number_where_chance_explains_everything(void **state)
{
    (void)state;
    const int32_t same[] = {4, 4, 4}, outside[] = {4, 5, 4}, negative[] = {4, -1, 4};
    const unsigned char right[] = {1, 1, 1}, wrong[] = {0, 0, 0};
    assert_true(isnan(stats_kappa(same, same, 3, 5)));
    assert_true(isnan(stats_kappa(same, same, 0, 5)));
    assert_true(isnan(stats_kappa(same, outside, 3, 5)));
    assert_true(isnan(stats_kappa(negative, same, 3, 5)));
    assert_true(isnan(stats_error_consistency(right, right, 3)));
    assert_true(stats_error_consistency(right, wrong, 3) == 0);
}

static void memory_that_is_out_is_reported(void **state)
{
    (void)state;
    double p[] = {0.5, 0.25}, chi2, friedman;
    const double values[] = {1, 2, 3, 4, 6, 5};
    mem_fail_after(0);
    assert_int_equal(stats_holm(p, 2), ERR_MEMORY);
    for (long k = 0; k < 3; k++) {
        mem_fail_after(k);
        assert_int_equal(stats_friedman(values, 2, 3, &chi2, &friedman), ERR_MEMORY);
    }
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_is_that_of_statsmodels),
        cmocka_unit_test(wilson_ends_exactly_at_0_and_1),
        cmocka_unit_test(mean_deviation_and_quantiles_are_those_of_numpy),
        cmocka_unit_test(nothing_has_no_mean_and_no_quantile_and_one_value_no_deviation),
        cmocka_unit_test(mcnemar_is_the_exact_test_of_statsmodels),
        cmocka_unit_test(mcnemar_counts_every_split_of_few_pairs),
        cmocka_unit_test(holm_is_that_of_statsmodels),
        cmocka_unit_test(holm_refuses_what_is_no_p_value_and_changes_nothing),
        cmocka_unit_test(friedman_is_that_of_scipy),
        cmocka_unit_test(friedmans_p_is_exponential_with_3_treatments),
        cmocka_unit_test(friedman_finds_nothing_where_all_is_tied_and_refuses_one_treatment),
        cmocka_unit_test(kappa_is_that_of_scikit_learn),
        cmocka_unit_test(error_consistency_is_kappa_of_right_and_wrong),
        cmocka_unit_test(kappa_is_no_number_where_chance_explains_everything),
        cmocka_unit_test(memory_that_is_out_is_reported),
    };
    return cmocka_run_group_tests(tests, open_golden, golden_close_and_tell);
}
