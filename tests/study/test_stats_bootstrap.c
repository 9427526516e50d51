/* test_stats_bootstrap.c - the hierarchical bootstrap draws what its definition says, and repeats to the bit. */
#include "oracle.h"
#include "stats.h"

#include <stdlib.h>

enum { TASKS = 4, METHODS = 3, SEEDS = 3, REPLICATES = 40000, FEW = 500 };

/* Two independent Monte Carlo runs of 40,000: a deviation has a standard error of 1/sqrt(80,000) of itself,
 * their ratio 1.4 times that; 5 of them. */
static const double DEVIATION = 5 * 1.415 / 283;
/* A 2.5 % quantile of a normal variable has one of sqrt(0.025 * 0.975 / 40,000) / 0.0584 deviations, two differ
 * by 1.4 times that; 5 of them. */
static const double QUANTILE = 5 * 1.415 * 0.0134;
/* The means of replicates are sums of 40,000 doubles. */
static const double ROUNDING = 1e-12;

static unsigned char *right_of[TASKS];
static struct bootstrap_task tasks[TASKS];

static int open_golden(void **state)
{
    (void)state;
    if (golden_open("stats.json") < 0)
        return -1;
    const struct json *j = json_first(json_get(json_get(golden, "bootstrap"), "right"));
    for (size_t t = 0; t < TASKS; t++, j = json_next(j)) {
        const char *text = json_string(j);
        size_t length = strlen(text);
        right_of[t] = mem_alloc(length, 1);
        if (!right_of[t])
            return -1;
        for (size_t i = 0; i < length; i++)
            right_of[t][i] = text[i] == '1';
        tasks[t] = (struct bootstrap_task){(uint32_t)(length / (METHODS * SEEDS)), right_of[t]};
    }
    return 0;
}

static int close_golden(void **state)
{
    for (size_t t = 0; t < TASKS; t++)
        mem_free(right_of[t]);
    return golden_close(state);
}

static struct bootstrap all_of(uint32_t levels, size_t replicates)
{
    return (struct bootstrap){METHODS, SEEDS, TASKS, tasks, levels, replicates, 11};
}

static double *scores_of(struct bootstrap b)
{
    double *scores = mem_alloc(b.replicates * b.methods, sizeof *scores);
    assert_non_null(scores);
    assert_int_equal(stats_bootstrap(&b, scores), 0);
    return scores;
}

/* Column m of [rows][METHODS], or its difference to column `less`. */
static double *column(const double *scores, size_t rows, size_t m, int less)
{
    double *out = mem_alloc(rows, sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < rows; i++)
        out[i] = scores[i * METHODS + m] - (less < 0 ? 0 : scores[i * METHODS + (size_t)less]);
    return out;
}

/* The mean over tasks of the share of right answers, as a reader would compute it. */
static double measured(size_t method)
{
    double sum = 0;
    for (size_t t = 0; t < TASKS; t++) {
        size_t of_method = SEEDS * tasks[t].images, right = 0;
        for (size_t i = 0; i < of_method; i++)
            right += right_of[t][method * of_method + i];
        sum += (double)right / (double)of_method;
    }
    return sum / TASKS;
}

static void without_any_level_every_replicate_is_what_was_measured(void **state)
{
    (void)state;
    double *scores = scores_of(all_of(0, 20));
    for (size_t i = 0; i < 20; i++)
        for (size_t m = 0; m < METHODS; m++)
            assert_true(scores[i * METHODS + m] == measured(m));
    mem_free(scores);
}

static void every_level_and_their_products_spread_as_in_numpy(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "bootstrap"), "levels")); j;
         j = json_next(j)) {
        size_t count;
        double *deviation = numbers_of(j, "deviation", &count);
        double *scores = scores_of(all_of((uint32_t)number_of(j, "levels"), REPLICATES));
        for (size_t m = 0; m < METHODS; m++) {
            double *values = column(scores, REPLICATES, m, -1);
            assert_near(stats_deviation(values, REPLICATES), deviation[m], 0, DEVIATION);
            /* unbiased: 5 standard errors of the mean */
            assert_near(stats_mean(values, REPLICATES), measured(m), 1, 5 * deviation[m] / sqrt(REPLICATES));
            mem_free(values);
        }
        /* one draw for all methods: the difference spreads less than if they were drawn apart */
        double *difference = column(scores, REPLICATES, 0, 1), spread = number_of(j, "difference");
        assert_near(stats_deviation(difference, REPLICATES), spread, 0, DEVIATION);
        struct interval i = stats_percentile(difference, REPLICATES, 0.95, NULL);
        assert_near(i.low, number_of(j, "low"), spread, QUANTILE * spread / fmax(spread, fabs(i.low)));
        assert_near(i.high, number_of(j, "high"), spread, QUANTILE * spread / fmax(spread, fabs(i.high)));
        mem_free(difference);
        mem_free(scores);
        mem_free(deviation);
    }
}

/* Of one seed drawn with its images alone, the variance is the sum over tasks of a(1 - a)/images, over tasks^2. */
static void images_alone_give_the_binomial_standard_error(void **state)
{
    (void)state;
    struct bootstrap_task one_seed[TASKS];
    double variance[METHODS] = {0};
    for (size_t t = 0; t < TASKS; t++)
        one_seed[t] = tasks[t]; /* read as 9 methods of one seed; the first three are used */
    for (size_t t = 0; t < TASKS; t++)
        for (size_t m = 0; m < METHODS; m++) {
            double n = tasks[t].images, right = 0;
            for (size_t i = 0; i < tasks[t].images; i++)
                right += right_of[t][m * tasks[t].images + i];
            variance[m] += right / n * (1 - right / n) / n / (TASKS * TASKS);
        }
    double *scores =
        scores_of((struct bootstrap){METHODS, 1, TASKS, one_seed, BOOTSTRAP_IMAGES, REPLICATES, 3});
    for (size_t m = 0; m < METHODS; m++) {
        double *values = column(scores, REPLICATES, m, -1);
        assert_near(stats_deviation(values, REPLICATES), sqrt(variance[m]), 0, DEVIATION);
        mem_free(values);
    }
    mem_free(scores);
}

static void paired_intervals_are_those_of_scipy(void **state)
{
    (void)state;
    const struct json *scipy = member(member(golden, "bootstrap"), "scipy");
    size_t task = (size_t)number_of(scipy, "task");
    struct bootstrap b = {METHODS, SEEDS, 1, &tasks[task], BOOTSTRAP_IMAGES, REPLICATES, 5};
    double *scores = scores_of(b), *difference = column(scores, REPLICATES, 0, 1);
    double error = number_of(scipy, "error"), p;
    assert_near(stats_deviation(difference, REPLICATES), error, 0, DEVIATION);
    struct interval i = stats_percentile(difference, REPLICATES, 0.95, &p);
    assert_true(fabs(i.low - number_of(scipy, "low")) < QUANTILE * error);
    assert_true(fabs(i.high - number_of(scipy, "high")) < QUANTILE * error);
    assert_true(p < 0.05 && i.low > 0);
    mem_free(difference);
    mem_free(scores);
}

static void the_same_seed_gives_the_same_bits_and_another_does_not(void **state)
{
    (void)state;
    struct bootstrap b = all_of(BOOTSTRAP_TASKS | BOOTSTRAP_SEEDS | BOOTSTRAP_IMAGES, FEW);
    double *once = scores_of(b), *again = scores_of(b);
    assert_memory_equal(once, again, FEW * METHODS * sizeof *once);
    b.replicates = FEW / 2;
    double *fewer = scores_of(b);
    assert_memory_equal(once, fewer, FEW / 2 * METHODS * sizeof *once);
    b.seed++;
    double *other = scores_of(b);
    assert_memory_not_equal(fewer, other, FEW / 2 * METHODS * sizeof *once);
    mem_free(other);
    mem_free(fewer);
    mem_free(again);
    mem_free(once);
}

static void equal_methods_have_equal_scores_in_every_replicate(void **state)
{
    (void)state;
    enum { IMAGES = 1000 }; /* more than a byte counts, and not a multiple of 64 */
    unsigned char *right = mem_alloc((size_t)3 * IMAGES, 1);
    assert_non_null(right);
    for (size_t i = 0; i < IMAGES; i++) {
        right[i] = right[IMAGES + i] = (unsigned char)(i % 3 == 0);
        right[2 * IMAGES + i] =
            (unsigned char)(i % 3 == 0 ? 0 : 7); /* the opposite; any number but 0 is right */
    }
    struct bootstrap_task task = {IMAGES, right};
    double *scores = scores_of((struct bootstrap){3, 1, 1, &task, BOOTSTRAP_IMAGES, FEW, 1});
    for (size_t i = 0; i < FEW; i++) {
        assert_true(scores[3 * i] == scores[3 * i + 1]);
        assert_near(scores[3 * i] + scores[3 * i + 2], 1, 1, ROUNDING); /* every draw has all its images */
    }
    mem_free(scores);
    mem_free(right);
}

static void one_image_of_one_task_and_seed_never_changes(void **state)
{
    (void)state;
    const unsigned char right[] = {1, 0};
    struct bootstrap_task task = {1, right};
    double *scores = scores_of((struct bootstrap){2, 1, 1, &task, 7, 10, 1});
    for (size_t i = 0; i < 10; i++)
        assert_true(scores[2 * i] == 1 && scores[2 * i + 1] == 0);
    mem_free(scores);
}

static void percentile_intervals_and_p_follow_their_definition(void **state)
{
    (void)state;
    double d[] = {3, -1, 1, 2, 4, 5, 6, 0, 8, 9}, p; /* two of ten at or below 0 */
    struct interval i = stats_percentile(d, 10, 0.8, &p);
    assert_near(p, 0.4, 0, ROUNDING);
    assert_near(i.low, -0.1, 1, ROUNDING); /* the 0.1-quantile, at place 0.9 between -1 and 0 */
    assert_near(i.high, 8.1, 1, ROUNDING);
    double positive[] = {1, 2, 3}, same[] = {0, 0}, none[] = {0};
    stats_percentile(positive, 3, 0.95, &p);
    assert_near(p, 0.5, 0, ROUNDING); /* 2 / (3 + 1): three replicates cannot say more */
    stats_percentile(same, 2, 0.95, &p);
    assert_true(p == 1);
    i = stats_percentile(none, 0, 0.95, &p);
    assert_true(isnan(i.low) && isnan(i.high) && isnan(p));
}

static void nonsense_is_refused_with_a_sentence(void **state)
{
    (void)state;
    double scores[METHODS];
    struct bootstrap b = all_of(7, 1);
    b.levels = 8;
    assert_int_equal(stats_bootstrap(&b, scores), ERR_INPUT);
    assert_non_null(strstr(error_text(), "levels are 8"));
    size_t *sizes[] = {&b.methods, &b.seeds, &b.tasks, &b.replicates};
    for (size_t i = 0; i < 4; i++) {
        b = all_of(7, 1);
        *sizes[i] = 0;
        assert_int_equal(stats_bootstrap(&b, scores), ERR_INPUT);
    }
    struct bootstrap_task empty = {0, right_of[0]};
    b = (struct bootstrap){METHODS, SEEDS, 1, &empty, 7, 1, 1};
    assert_int_equal(stats_bootstrap(&b, scores), ERR_INPUT);
    assert_non_null(strstr(error_text(), "task 0 has no images"));
}

static void memory_that_is_out_is_reported(void **state)
{
    (void)state;
    enum { IMAGES = 40000 }; /* several blocks of the arena */
    unsigned char *right = mem_alloc((size_t)METHODS * SEEDS * IMAGES, 1);
    assert_non_null(right);
    struct bootstrap_task large[] = {{IMAGES, right}, {IMAGES, right}, {IMAGES, right}};
    struct bootstrap b = {METHODS, SEEDS, 3, large, 7, 1, 1};
    double scores[METHODS];
    int rc = ERR_MEMORY;
    long successes = 0;
    for (; rc == ERR_MEMORY && successes < 100; successes++) {
        mem_fail_after(successes);
        rc = stats_bootstrap(&b, scores);
    }
    mem_fail_after(-1);
    assert_int_equal(rc, 0);
    assert_true(successes > 2);
    mem_free(right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_any_level_every_replicate_is_what_was_measured),
        cmocka_unit_test(every_level_and_their_products_spread_as_in_numpy),
        cmocka_unit_test(images_alone_give_the_binomial_standard_error),
        cmocka_unit_test(paired_intervals_are_those_of_scipy),
        cmocka_unit_test(the_same_seed_gives_the_same_bits_and_another_does_not),
        cmocka_unit_test(equal_methods_have_equal_scores_in_every_replicate),
        cmocka_unit_test(one_image_of_one_task_and_seed_never_changes),
        cmocka_unit_test(percentile_intervals_and_p_follow_their_definition),
        cmocka_unit_test(nonsense_is_refused_with_a_sentence),
        cmocka_unit_test(memory_that_is_out_is_reported),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
