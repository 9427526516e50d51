/* test_stats_ranks.c - ranks, the ranking frequencies of a published study's numbers, and the expected best of n. */
#include "oracle.h"
#include "stats.h"

#include <stdlib.h>

/* Powers of up to the 40th, built by multiplication. */
static const double ROUNDING = 1e-12;

static struct json *published;

static int open_goldens(void **state)
{
    (void)state;
    return json_read_file(&published, GOLDEN "/ranks.json") < 0 ? -1 : golden_open("stats.json");
}

static int close_goldens(void **state)
{
    json_destroy(published);
    return golden_close_and_tell(state);
}

static void ranks_are_those_of_scipy(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "ranks"), "ranks")); j; j = json_next(j)) {
        size_t count;
        double *values = numbers_of(j, "values", &count), *best = numbers_of(j, "best", &count),
               *mean = numbers_of(j, "mean", &count), ranks[16];
        assert_true(count <= 16);
        assert_int_equal(stats_ranks(values, count, RANK_BEST, ranks), 0);
        assert_memory_equal(ranks, best, count * sizeof *ranks);
        assert_int_equal(stats_ranks(values, count, RANK_MEAN, ranks), 0);
        assert_memory_equal(ranks, mean, count * sizeof *ranks);
        mem_free(mean);
        mem_free(best);
        mem_free(values);
    }
}

/* One matrix: the accuracies of its methods on its group's tasks, ranked anew, against what another program counted. */
static void compare_matrix(const struct json *matrix, const double *accuracy, size_t all_methods,
                           const double *tasks, size_t task_count)
{
    size_t methods, cells;
    double *kept = numbers_of(matrix, "methods", &methods),
           *expected = numbers_of(matrix, "frequency", &cells);
    double *values = mem_alloc(task_count * methods, sizeof *values);
    uint32_t *frequency = mem_alloc(methods * methods, sizeof *frequency);
    assert_non_null(values);
    assert_non_null(frequency);
    assert_int_equal(cells, methods * methods);
    for (size_t t = 0; t < task_count; t++)
        for (size_t m = 0; m < methods; m++)
            values[t * methods + m] = accuracy[(size_t)tasks[t] * all_methods + (size_t)kept[m]];
    assert_int_equal(stats_rank_frequency(values, task_count, methods, RANK_BEST, frequency), 0);
    for (size_t i = 0; i < cells; i++)
        assert_int_equal(frequency[i], (uint32_t)expected[i]);
    mem_free(frequency);
    mem_free(values);
    mem_free(expected);
    mem_free(kept);
}

static void ranking_frequencies_of_the_released_accuracies_come_out_again(void **state)
{
    (void)state;
    size_t all_methods = json_count(member(published, "methods")), compared = 0;
    for (const struct json *j = json_first(member(published, "matrices")); j; j = json_next(j)) {
        size_t cells, task_count = 0;
        double *accuracy =
            numbers_of(member(published, "accuracy"), json_string(member(j, "metric")), &cells);
        double *tasks = NULL;
        for (const struct json *g = json_first(member(published, "groups")); g; g = json_next(g))
            if (!strcmp(json_string(member(g, "name")), json_string(member(j, "group"))))
                tasks = numbers_of(g, "tasks", &task_count);
        assert_non_null(tasks);
        assert_int_equal(cells, 19 * all_methods);
        compare_matrix(j, accuracy, all_methods, tasks, task_count);
        compared++;
        mem_free(tasks);
        mem_free(accuracy);
    }
    assert_int_equal(compared, 16); /* two metrics, two sets of methods, four groups of tasks */
}

static void ties_share_the_better_rank_or_their_mean(void **state)
{
    (void)state;
    const double values[] = {3, 5, 5, 5, 1}; /* one task */
    uint32_t frequency[25];
    double ranks[5];
    assert_int_equal(stats_ranks(values, 5, RANK_MEAN, ranks), 0);
    assert_true(ranks[1] == 2 && ranks[0] == 4);
    assert_int_equal(stats_rank_frequency(values, 1, 5, RANK_MEAN, frequency), 0);
    assert_int_equal(frequency[1 * 5 + 1], 1);
    assert_int_equal(stats_rank_frequency(values, 1, 5, RANK_BEST, frequency), 0);
    assert_int_equal(frequency[1 * 5 + 0], 1);
    assert_int_equal(frequency[0 * 5 + 3], 1);
    const double two[] = {7, 7}; /* mean rank 1.5 counts for 1 */
    assert_int_equal(stats_rank_frequency(two, 1, 2, RANK_MEAN, frequency), 0);
    assert_int_equal(frequency[0], 1);
    assert_int_equal(frequency[2], 1);
}

static void expected_best_is_the_mean_over_all_draws(void **state)
{
    (void)state;
    for (const struct json *j = json_first(member(member(golden, "ranks"), "expected_best")); j;
         j = json_next(j)) {
        size_t count;
        double *scores = numbers_of(j, "scores", &count), *expected = numbers_of(j, "expected", &count),
               out[16];
        assert_true(count <= 16);
        assert_int_equal(stats_expected_best(scores, count, out), 0);
        for (size_t n = 0; n < count; n++)
            assert_near(out[n], expected[n], 0, ROUNDING);
        mem_free(expected);
        mem_free(scores);
    }
}

/* Scores i/N: E[best of n] = 1 - sum over i < N of (i/N)^n / N, in closed form from equation 4. */
static void expected_best_starts_at_the_mean_and_never_falls(void **state)
{
    (void)state;
    enum { N = 40 };
    double scores[N], out[N];
    for (size_t i = 0; i < N; i++)
        scores[i] = (double)((i * 7) % N + 1) / N;
    assert_int_equal(stats_expected_best(scores, N, out), 0);
    assert_near(out[0], stats_mean(scores, N), 0, ROUNDING);
    for (size_t n = 0; n < N; n++) {
        double missed = 0;
        for (int i = 1; i < N; i++)
            missed += pow((double)i / N, (double)(n + 1)) / N;
        assert_near(out[n], 1 - missed, 0, ROUNDING);
        assert_true(!n || out[n] >= out[n - 1]);
    }
}

static void what_has_no_order_is_refused(void **state)
{
    (void)state;
    const double values[] = {1, NAN};
    double out[2];
    uint32_t frequency[4];
    assert_int_equal(stats_ranks(values, 2, RANK_BEST, out), ERR_INPUT);
    assert_int_equal(stats_expected_best(values, 2, out), ERR_INPUT);
    assert_int_equal(stats_rank_frequency(values, 1, 2, RANK_BEST, frequency), ERR_INPUT);
    assert_int_equal(stats_rank_frequency(values, 0, 2, RANK_BEST, frequency), ERR_INPUT);
    assert_int_equal(stats_rank_frequency(values, 1, 0, RANK_BEST, frequency), ERR_INPUT);
}

static void memory_that_is_out_is_reported(void **state)
{
    (void)state;
    const double values[] = {1, 2};
    double out[2];
    uint32_t frequency[4];
    mem_fail_after(0);
    assert_int_equal(stats_ranks(values, 2, RANK_BEST, out), ERR_MEMORY);
    for (long k = 0; k < 2; k++) {
        mem_fail_after(k);
        assert_int_equal(stats_expected_best(values, 2, out), ERR_MEMORY);
        mem_fail_after(k);
        assert_int_equal(stats_rank_frequency(values, 1, 2, RANK_BEST, frequency), ERR_MEMORY);
    }
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_those_of_scipy),
        cmocka_unit_test(ranking_frequencies_of_the_released_accuracies_come_out_again),
        cmocka_unit_test(ties_share_the_better_rank_or_their_mean),
        cmocka_unit_test(expected_best_is_the_mean_over_all_draws),
        cmocka_unit_test(expected_best_starts_at_the_mean_and_never_falls),
        cmocka_unit_test(what_has_no_order_is_refused),
        cmocka_unit_test(memory_that_is_out_is_reported),
    };
    return cmocka_run_group_tests(tests, open_goldens, close_goldens);
}
