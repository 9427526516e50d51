/* test_builtin.c - the generated tasks are deterministic, balanced, sound and not told by colour. */
#include "builtin.h"
#include "error.h"
#include "hash.h"
#include "memory.h"
#include "scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct pack *make(const char *task, int size, uint64_t seed, uint32_t train, uint32_t val,
                         uint32_t test)
{
    struct builtin_spec spec = {task, "half", size, seed, {train, val, test}};
    struct pack *p = NULL;
    if (pack_builtin(&p, &spec, NULL, NULL) < 0)
        fail_msg("%s: %s", task, error_text());
    return p;
}

static void there_are_six_tasks_in_three_kinds_and_one_to_pretrain_on(void **state)
{
    (void)state;
    static const char *const kinds[] = {"natural",    "natural",    "specialised", "structured",
                                        "structured", "structured", "pretrain"};
    for (int i = 0; i < 7; i++) {
        const struct builtin_task *t = builtin_task(i), *found = NULL;
        assert_non_null(t);
        assert_string_equal(t->kind, kinds[i]);
        assert_int_equal(builtin_find(&found, t->name), 0);
        assert_ptr_equal(found, t);
        assert_in_range(t->class_count, 6, 64);
        for (int k = 0; k < t->class_count; k++)
            for (int j = 0; j < k; j++)
                assert_string_not_equal(t->class_names[k], t->class_names[j]);
    }
    assert_null(builtin_task(7));
    assert_null(builtin_task(-1));
}

/* The digest of all tasks' pictures at two sizes: it must be the same with every compiler, on every
 * machine. A change of a picture is a change of the tasks and needs this line, and README's numbers. */
static void every_machine_draws_the_same_pictures(void **state)
{
    (void)state;
    struct hash *h = NULL;
    char text[HASH_TEXT];
    static unsigned char rgb[48 * 48 * 3];
    assert_int_equal(hash_begin(&h), 0);
    for (int size = 32; size <= 48; size += 16) {
        struct canvas c;
        assert_int_equal(canvas_init(&c, size), 0);
        for (int i = 0; builtin_task(i); i++)
            for (int k = 0; k < 2 * builtin_task(i)->class_count; k++) {
                builtin_draw(builtin_task(i), &c, 11, (uint64_t)k, k % builtin_task(i)->class_count, rgb);
                hash_add(h, rgb, (size_t)size * (size_t)size * 3);
            }
        canvas_finish(&c);
    }
    assert_int_equal(hash_end(h, text), 0);
    assert_string_equal(text, "c6952a49ff2a5dd13956065977fa67dabbf3281b372a1ed3d31a0e6ef44ceb64");
}

static void a_pack_repeats_and_a_seed_changes_it(void **state)
{
    (void)state;
    for (int i = 0; builtin_task(i); i++) {
        const char *name = builtin_task(i)->name;
        struct pack *a = make(name, 32, 1, 24, 8, 16), *b = make(name, 32, 1, 24, 8, 16),
                    *c = make(name, 32, 2, 24, 8, 16);
        assert_string_equal(pack_info(a)->fingerprint, pack_info(b)->fingerprint);
        assert_string_not_equal(pack_info(a)->fingerprint, pack_info(c)->fingerprint);
        assert_int_equal(pack_check(a, PACK_TRAINVAL), 0);
        assert_int_equal(pack_check(a, PACK_TEST), 0);
        assert_string_equal(pack_info(a)->task, name);
        assert_string_equal(pack_info(a)->origin, "generated from seed 1");
        pack_close(a);
        pack_close(b);
        pack_close(c);
    }
}

static void splits_share_no_picture_and_classes_are_even(void **state)
{
    (void)state;
    enum { PICTURE = 16 * 16 * 3 };
    struct pack *p = make("count", 16, 3, 80, 16, 84);
    struct pack_images train = pack_images(p, PACK_TRAIN), test = pack_images(p, PACK_TEST);
    int seen[8] = {0};
    for (uint32_t i = 0; i < test.count; i++) {
        seen[test.labels[i]]++;
        for (uint32_t k = 0; k < train.count; k++)
            assert_memory_not_equal(test.rgb + i * PICTURE, train.rgb + k * PICTURE, PICTURE);
    }
    for (int k = 0; k < 8; k++)
        assert_in_range(seen[k], 10, 11);
    int runs = 0; /* of equal neighbours: labels are shuffled, not sorted and not cyclic */
    for (uint32_t i = 1; i < train.count; i++)
        runs += train.labels[i] == train.labels[i - 1];
    assert_in_range(runs, 1, 30);
    pack_close(p);
}

static void the_counts_default_to_vtabs(void **state)
{
    (void)state;
    struct pack *p = make("distance", 16, 0, 0, 0, 0);
    assert_int_equal(pack_images(p, PACK_TRAINVAL).count, 1000);
    assert_int_equal(pack_images(p, PACK_TEST).count, 1000);
    pack_close(p);
}

static void a_generated_pack_reads_back_from_its_file(void **state)
{
    (void)state;
    struct pack *p = make("cells", 24, 4, 16, 0, 8), *q = NULL;
    assert_int_equal(pack_save(p, "cells.pack"), 0);
    assert_int_equal(pack_open(&q, "cells.pack"), 0);
    assert_string_equal(pack_info(p)->fingerprint, pack_info(q)->fingerprint);
    assert_int_equal(pack_info(q)->count[PACK_VAL], 0);
    assert_int_equal(pack_check(q, PACK_TEST), 0);
    pack_close(p);
    pack_close(q);
}

/* Nearest class mean over the three mean colours and their deviations: a network must look at form.
 * 600 test pictures; chance is 12.5 or 16.7 %. Form leaks a little into the deviation (more things,
 * more contrast), so twice chance is allowed. */
static void mean_colours_do_not_tell_the_class(void **state)
{
    (void)state;
    enum { SIZE = 16, PIXELS = SIZE * SIZE, TRAIN = 1200, TEST = 600, FEATURES = 3 };
    for (int task = 0; task < 6; task++) {
        struct pack *p = make(builtin_task(task)->name, SIZE, 5, TRAIN, 0, TEST);
        struct pack_images split[2] = {pack_images(p, PACK_TRAIN), pack_images(p, PACK_TEST)};
        double mean[8][FEATURES] = {{0}};
        int count[8] = {0}, right = 0, classes = builtin_task(task)->class_count;
        for (int s = 0; s < 2; s++)
            for (uint32_t i = 0; i < split[s].count; i++) {
                double colour[FEATURES] = {0}, best = 1e9;
                int label = split[s].labels[i], nearest = 0;
                for (int k = 0; k < PIXELS * 3; k++)
                    colour[k % 3] += split[s].rgb[i * PIXELS * 3 + (uint32_t)k] / (double)PIXELS;
                for (int k = 0; s == 0 && k < FEATURES; k++)
                    mean[label][k] += colour[k];
                count[label] += s == 0;
                for (int k = 0; s == 1 && k < classes; k++) {
                    double d = 0;
                    for (int f = 0; f < FEATURES; f++)
                        d += pow(colour[f] - mean[k][f] / count[k], 2);
                    nearest = d < best ? k : nearest;
                    best = d < best ? d : best;
                }
                right += s == 1 && nearest == label;
            }
        if (right * classes > 2 * TEST)
            fail_msg("%s: %d of %d told by their mean colour", builtin_task(task)->name, right, TEST);
        pack_close(p);
    }
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    struct pack *p = NULL;
    struct builtin_spec good = {"shapes", "half", 32, 0, {8, 8, 8}}, bad = good;
    bad.task = "cifar";
    assert_int_equal(pack_builtin(&p, &bad, NULL, NULL), ERR_INPUT);
    assert_non_null(strstr(error_text(), "textures, shapes, cells, count, orientation, distance, pretrain"));
    bad = good;
    bad.size = 15;
    assert_int_equal(pack_builtin(&p, &bad, NULL, NULL), ERR_INPUT);
    bad.size = PACK_SIZE_LIMIT + 1;
    assert_int_equal(pack_builtin(&p, &bad, NULL, NULL), ERR_INPUT);
    bad = good;
    bad.normalise = "?";
    assert_int_equal(pack_builtin(&p, &bad, NULL, NULL), ERR_INPUT);
    bad = good;
    bad.count[0] = UINT32_MAX;
    assert_int_equal(pack_builtin(&p, &bad, NULL, NULL), ERR_INPUT);
    assert_null(p);
}

static int stop(void *context, size_t done, size_t total)
{
    (void)context;
    return done < total;
}

static void drawing_may_be_stopped_and_may_run_out_of_memory(void **state)
{
    (void)state;
    struct pack *p = NULL;
    struct builtin_spec spec = {"shapes", "half", 32, 0, {8, 8, 8}};
    assert_int_equal(pack_builtin(&p, &spec, stop, NULL), ERR_STOPPED);
    int rc = ERR_MEMORY;
    for (long after = 0; rc < 0; after++) {
        mem_fail_after(after);
        rc = pack_builtin(&p, &spec, NULL, NULL);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_MEMORY);
    }
    pack_close(p);
}

/* The polynomial against libm, over several turns. */
static void the_sine_is_good_to_a_ten_thousandth(void **state)
{
    (void)state;
    const double tolerance = 1e-4;
    for (double t = -3; t < 3; t += 0.001)
        assert_true(fabs((double)draw_sine((float)t) - sin(6.283185307179586 * t)) < tolerance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_six_tasks_in_three_kinds_and_one_to_pretrain_on),
        cmocka_unit_test(every_machine_draws_the_same_pictures),
        cmocka_unit_test(a_pack_repeats_and_a_seed_changes_it),
        cmocka_unit_test(splits_share_no_picture_and_classes_are_even),
        cmocka_unit_test(the_counts_default_to_vtabs),
        cmocka_unit_test(a_generated_pack_reads_back_from_its_file),
        cmocka_unit_test(mean_colours_do_not_tell_the_class),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(drawing_may_be_stopped_and_may_run_out_of_memory),
        cmocka_unit_test(the_sine_is_good_to_a_ten_thousandth),
    };
    return cmocka_run_group_tests(tests, scratch_enter, scratch_leave);
}
