/* test_recipe.c - schedules, orders and ranges of a recipe. */
#include "recipe.h"

#include "error.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const double RATE = 1e-9; /* rates are float, at most 1e-2 */

static int near(float got, double expected)
{
    return fabs((double)got - expected) < RATE;
}

/* The values that the study's scheduler prints for lr 1e-3, 100 epochs, 10 of warm-up: one epoch late. */
static void the_studys_schedule_is_one_epoch_late(void **state)
{
    (void)state;
    struct recipe r = recipe_default;
    assert_true(near(recipe_rate(&r, 0), 1e-6) && near(recipe_rate(&r, 1), 1e-6));
    assert_true(near(recipe_rate(&r, 2), 1e-6 + (1e-3 - 1e-6) / 10));
    assert_true(near(recipe_rate(&r, 10), 1e-6 + 9 * (1e-3 - 1e-6) / 10));
    /* the cosine counts from epoch 0: a jump to 0.976 of the top */
    assert_true(near(recipe_rate(&r, 11), 1e-5 + 0.5 * (1e-3 - 1e-5) * (1 + cos(M_PI * 10 / 100))));
    assert_true(near(recipe_rate(&r, 99), 1e-5 + 0.5 * (1e-3 - 1e-5) * (1 + cos(M_PI * 98 / 100))));
}

static void the_plain_schedule_starts_and_ends_where_it_says(void **state)
{
    (void)state;
    struct recipe r = recipe_default;
    r.schedule = SCHEDULE_PLAIN;
    r.epochs = 10;
    r.warmup = 4;
    assert_true(near(recipe_rate(&r, 0), 1e-3 / 5));
    assert_true(near(recipe_rate(&r, 4), 1e-3));
    for (int32_t e = 5; e < 10; e++)
        assert_true(recipe_rate(&r, e) < recipe_rate(&r, e - 1) && recipe_rate(&r, e) > 1e-5f);
}

static void every_image_stands_in_an_epoch_once(void **state)
{
    (void)state;
    enum { IMAGES = 103, BATCH = 16, ENTRIES = 112 };
    struct recipe r = recipe_default;
    int32_t order[ENTRIES], again[ENTRIES], other[ENTRIES];
    int seen[IMAGES] = {0}, masked = 0;
    r.batch = BATCH;
    r.drop_last = 0;
    assert_int_equal(recipe_steps(&r, IMAGES), 7);
    assert_int_equal(recipe_order(&r, 3, IMAGES, order), 0);
    for (int i = 0; i < ENTRIES; i++)
        if (order[i] < 0)
            masked++;
        else
            seen[order[i]]++;
    assert_int_equal(masked, ENTRIES - IMAGES);
    for (int i = 0; i < IMAGES; i++)
        assert_int_equal(seen[i], 1);
    recipe_order(&r, 3, IMAGES, again);
    recipe_order(&r, 4, IMAGES, other);
    assert_memory_equal(order, again, sizeof order);
    assert_memory_not_equal(order, other, sizeof order);
    r.drop_last = 1;
    assert_int_equal(recipe_steps(&r, IMAGES), 6);
}

static void what_is_out_of_range_is_named(void **state)
{
    (void)state;
    struct recipe r = recipe_default;
    assert_int_equal(recipe_check(&r, 1000), 0);
    r.drop_path = 1.5f;
    assert_true(recipe_check(&r, 1000) == ERR_INPUT);
    assert_non_null(strstr(error_text(), "drop_path is 1.5; it must be between 0 and 0.99"));
    r = recipe_default;
    assert_true(recipe_check(&r, 63) == ERR_INPUT);
    assert_non_null(strstr(error_text(), "63 training images give no step of batch 64"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_studys_schedule_is_one_epoch_late),
        cmocka_unit_test(the_plain_schedule_starts_and_ends_where_it_says),
        cmocka_unit_test(every_image_stands_in_an_epoch_once),
        cmocka_unit_test(what_is_out_of_range_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
