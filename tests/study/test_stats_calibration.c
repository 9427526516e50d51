/* test_stats_calibration.c - ECE, NLL, Brier score and temperature say what NumPy, scikit-learn and SciPy say. */
#include "oracle.h"
#include "stats.h"

/* Both sides compute in double from the same logits. */
static const double ROUNDING = 1e-12;
/* SciPy's search compares values of the NLL, which are flat within half of the digits around their least. */
static const double SEARCH = 1e-6;
/* At the least NLL a temperature that is off by e costs e^2; the slope's root keeps all but the last digits. */
static const double ROOT = 1e-11;

struct images {
    float *logits;
    int32_t *labels, classes;
    size_t count;
};

static int open_golden(void **state)
{
    (void)state;
    return golden_open("stats.json");
}

static struct images images_of(const struct json *j)
{
    struct images s = {0};
    size_t cells;
    double *logits = numbers_of(j, "logits", &cells);
    s.labels = integers_of(j, "labels", &s.count);
    s.classes = (int32_t)(cells / s.count);
    s.logits = mem_alloc(cells, sizeof *s.logits);
    assert_non_null(s.logits);
    for (size_t i = 0; i < cells; i++)
        s.logits[i] = (float)logits[i];
    mem_free(logits);
    return s;
}

static void free_images(struct images s)
{
    mem_free(s.labels);
    mem_free(s.logits);
}

static void compare_bins(const struct calibration *c, const struct json *bins)
{
    size_t count;
    double *expected = numbers(bins, &count); /* [bin]: count, confidence, accuracy */
    assert_int_equal(count, 3 * CALIBRATION_BINS);
    for (size_t b = 0; b < CALIBRATION_BINS; b++) {
        assert_int_equal(c->bins[b].count, (uint64_t)expected[3 * b]);
        assert_near(c->bins[b].confidence, expected[3 * b + 1], 0, ROUNDING);
        assert_near(c->bins[b].accuracy, expected[3 * b + 2], 0, ROUNDING);
    }
    mem_free(expected);
}

static void ece_nll_and_brier_are_those_of_numpy_and_scikit_learn(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(golden, "calibration")); j; j = json_next(j)) {
        struct images s = images_of(j);
        for (const struct json *r = json_first(member(j, "results")); r; r = json_next(r)) {
            struct calibration c;
            assert_int_equal(
                stats_calibrate(s.logits, s.labels, s.count, s.classes, number_of(r, "temperature"), &c), 0);
            assert_near(c.ece, number_of(r, "ece"), 1, ROUNDING);
            assert_near(c.nll, number_of(r, "nll"), 0, ROUNDING);
            assert_near(c.brier, number_of(r, "brier"), 0, ROUNDING);
            assert_near(c.confidence, number_of(r, "confidence"), 0, ROUNDING);
            assert_near(c.accuracy, number_of(r, "accuracy"), 0, ROUNDING);
            compare_bins(&c, member(r, "bins"));
        }
        free_images(s);
    }
}

static void temperature_has_the_least_nll(void **state)
{
    (void)state;
    double in_rounding = worst;
    for (const struct json *j = json_first(member(golden, "calibration")); j; j = json_next(j)) {
        struct images s = images_of(j);
        const struct json *fitted = member(j, "fitted");
        double t = stats_temperature(s.logits, s.labels, s.count, s.classes), root;
        if (json_number(member(fitted, "root"), &root) == 0) {
            assert_near(t, root, 0, ROOT);
            in_rounding = fmax(in_rounding, fabs(t - root) / root);
            assert_near(t, number_of(fitted, "search"), 0, SEARCH);
        } else { /* every image is right: the colder the better, down to the limit */
            assert_true(t == 0.01);
        }
        free_images(s);
    }
    worst = in_rounding; /* without SciPy's own error */
}

static void temperature_ends_at_its_limits(void **state)
{
    (void)state;
    const float right[] = {1, 0, 0, 2}, wrong[] = {0, 1, 2, 0}, flat[] = {3, 3, -1, -1};
    const int32_t labels[] = {0, 1};
    assert_true(stats_temperature(right, labels, 2, 2) == 0.01);
    assert_true(stats_temperature(wrong, labels, 2, 2) == 100);
    assert_true(stats_temperature(flat, labels, 2, 2) == 1);
    assert_true(isnan(stats_temperature(flat, labels, 0, 2)));
    const int32_t outside[] = {0, 2};
    assert_true(isnan(stats_temperature(flat, outside, 2, 2)));
}

/* Scaled logits want the same scale more of temperature. */
static void temperature_follows_the_scale_of_the_logits(void **state)
{
    (void)state;
    struct images s = images_of(json_first(member(golden, "calibration")));
    double once = stats_temperature(s.logits, s.labels, s.count, s.classes);
    for (size_t i = 0; i < s.count * (size_t)s.classes; i++)
        s.logits[i] *= 8;
    assert_near(stats_temperature(s.logits, s.labels, s.count, s.classes), 8 * once, 0, ROOT);
    free_images(s);
}

static void softmax_of_huge_logits_is_finite_and_sums_to_1(void **state)
{
    (void)state;
    const float logits[] = {3e38f, -3e38f, 3e38f, 0};
    double p[4];
    stats_softmax(logits, 4, 0.01, p);
    assert_true(p[0] == 0.5 && p[1] == 0 && p[2] == 0.5 && p[3] == 0);
    const float few[] = {0, 1, 2};
    stats_softmax(few, 3, 2, p);
    assert_near(p[0] + p[1] + p[2], 1, 1, ROUNDING);
    assert_near(p[2] / p[0], exp(1.0), 0, ROUNDING);
}

/* A loss below 1e-16 is still told from 0: log(1 + x) is not computed as the log of a rounded sum. */
static void a_tiny_loss_keeps_its_digits(void **state)
{
    (void)state;
    const float logits[] = {50, 0};
    const int32_t right[] = {0}, wrong[] = {1};
    struct calibration c;
    assert_int_equal(stats_calibrate(logits, right, 1, 2, 1, &c), 0);
    assert_near(c.nll, exp(-50), 0, ROUNDING);
    assert_near(c.brier, 2 * exp(-100), 0, ROUNDING);
    assert_int_equal(stats_calibrate(logits, wrong, 1, 2, 1, &c), 0);
    assert_near(c.nll, 50, 0, ROUNDING);
    assert_near(c.brier, 2, 0, ROUNDING);
}

/* Of k equal logits the confidence is 1/k; for 3, 5 and 15 that is an edge, and belongs to the bin below it. */
static void a_confidence_on_an_edge_lies_in_the_bin_below(void **state)
{
    (void)state;
    const float logits[15] = {0};
    const int32_t label[] = {1};
    for (int32_t classes = 1; classes <= 15; classes++) {
        struct calibration c;
        assert_int_equal(stats_calibrate(logits, classes > 1 ? label : &(int32_t){0}, 1, classes, 1, &c), 0);
        int32_t bin = (CALIBRATION_BINS + classes - 1) / classes - 1;
        assert_int_equal(c.bins[bin].count, 1);
        assert_true(c.bins[bin].accuracy == (classes == 1)); /* of equal logits the first is the top label */
    }
}

static void nonsense_is_refused_with_a_sentence(void **state)
{
    (void)state;
    const float logits[] = {1, 2, 3, 4}, broken[] = {1, 2, NAN, 4}, endless[] = {1, 2, 3, INFINITY};
    const int32_t labels[] = {0, 1}, outside[] = {0, 2}, negative[] = {-1, 0};
    struct calibration c;
    assert_int_equal(stats_calibrate(logits, outside, 2, 2, 1, &c), ERR_INPUT);
    assert_non_null(strstr(error_text(), "image 1 has label 2"));
    assert_int_equal(stats_calibrate(logits, negative, 2, 2, 1, &c), ERR_INPUT);
    assert_int_equal(stats_calibrate(broken, labels, 2, 2, 1, &c), ERR_INPUT);
    assert_int_equal(stats_calibrate(endless, labels, 2, 2, 1, &c), ERR_INPUT);
    assert_int_equal(stats_calibrate(logits, labels, 0, 2, 1, &c), ERR_INPUT);
    assert_int_equal(stats_calibrate(logits, labels, 2, 0, 1, &c), ERR_INPUT);
    assert_int_equal(stats_calibrate(logits, labels, 2, 2, 0, &c), ERR_INPUT);
    assert_int_equal(stats_calibrate(logits, labels, 2, 2, NAN, &c), ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ece_nll_and_brier_are_those_of_numpy_and_scikit_learn),
        cmocka_unit_test(temperature_has_the_least_nll),
        cmocka_unit_test(temperature_ends_at_its_limits),
        cmocka_unit_test(temperature_follows_the_scale_of_the_logits),
        cmocka_unit_test(softmax_of_huge_logits_is_finite_and_sums_to_1),
        cmocka_unit_test(a_tiny_loss_keeps_its_digits),
        cmocka_unit_test(a_confidence_on_an_edge_lies_in_the_bin_below),
        cmocka_unit_test(nonsense_is_refused_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, open_golden, golden_close_and_tell);
}
