/* test_shift.c - accuracies under shift: what they are, how sure they are, what is chosen by whom; and their files. */
#include "shift.h"

#include "error.h"
#include "file.h"
#include "rng.h"
#include "store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 400, ALPHAS = 3, SETS = 5 };
/* A percentile interval of 1,000 replicates against the normal one: a tenth of its width. */
static const double WIDTH = 0.1, EXACT = 1e-12;

static int32_t labels[IMAGES], answers[SETS][ALPHAS][IMAGES];
static const double alphas[ALPHAS] = {0, 0.5, 1};
static const struct shift_options options = {.replicates = 1000, .level = 0.95, .seed = 0};

/* Sets: clean, val, two corruptions that fail on the same images, another data set. */
static struct shift_set sets[SETS] = {{.name = "clean", .kind = SET_CLEAN},
                                      {.name = "val", .kind = SET_VAL},
                                      {.name = "fog:1", .kind = SET_CORRUPTION},
                                      {.name = "fog:2", .kind = SET_CORRUPTION},
                                      {.name = "sketch", .kind = SET_DATA}};

static struct shift_run make_run(enum shift_kind kind)
{
    static const double right[SETS][ALPHAS] = {
        {0.5, 0.9, 0.8}, {0.5, 0.8, 0.9}, {0.4, 0.7, 0.6}, {0.4, 0.7, 0.6}, {0.3, 0.4, 0.2}};
    for (int k = 0; k < SETS; k++) {
        sets[k].images = IMAGES;
        sets[k].labels = labels;
        sets[k].answers = sets[k].control = &answers[k][0][0];
        for (int a = 0; a < ALPHAS; a++)
            for (int i = 0; i < IMAGES; i++)
                answers[k][a][i] = i < right[k][a] * IMAGES ? labels[i] : labels[i] + 1;
    }
    return (struct shift_run){.kind = kind,
                              .id = "",
                              .method = "lora",
                              .split = "test",
                              .how = "parameters",
                              .why = "",
                              .head = "probe",
                              .alphas = alphas,
                              .alpha_count = ALPHAS,
                              .sets = sets,
                              .set_count = SETS,
                              .anchor_off = 0};
}

static void estimate(const struct shift_run *run, uint32_t alpha, const struct shift_part *parts,
                     uint32_t count, struct shift_estimate *e)
{
    assert_int_equal(shift_estimate(&run, 1, alpha, parts, count, &options, e), 0);
}

static void one_sets_interval_is_the_binomials(void **state)
{
    (void)state;
    const struct shift_run run = make_run(SHIFT_ROBUST);
    const struct shift_part part = {.set = 2, .over = 1};
    struct shift_estimate e;
    estimate(&run, 2, &part, 1, &e);
    const double half = 1.96 * sqrt(0.6 * 0.4 / IMAGES);
    assert_true(fabs(e.mean - 0.6) < EXACT);
    assert_true(fabs(e.high - e.low - 2 * half) < WIDTH * 2 * half);
}

/* The same images fail in both: two corruptions know no more than one. */
static void corruptions_share_their_images_and_other_data_does_not(void **state)
{
    (void)state;
    const struct shift_run run = make_run(SHIFT_ROBUST);
    const struct shift_part both[] = {{.set = 2, .over = 0.5}, {.set = 3, .over = 0.5}},
                            other[] = {{.set = 2, .over = 0.5}, {.set = 4, .over = 0.5}};
    struct shift_estimate one, two, apart;
    estimate(&run, 2, &(struct shift_part){.set = 2, .over = 1}, 1, &one);
    estimate(&run, 2, both, 2, &two);
    assert_true(fabs(two.mean - 0.6) < EXACT);
    assert_true(fabs(two.low - one.low) < EXACT && fabs(two.high - one.high) < EXACT);
    estimate(&run, 2, other, 2, &apart);
    const double wanted = 2 * 1.96 * 0.5 * sqrt((0.6 * 0.4 + 0.2 * 0.8) / IMAGES);
    assert_true(fabs(apart.high - apart.low - wanted) < WIDTH * wanted);
}

static void what_is_lost_is_a_ratio(void **state)
{
    (void)state;
    const struct shift_run run = make_run(SHIFT_ROBUST);
    const struct shift_part parts[] = {{.set = 2, .over = 1}, {.set = 0, .under = 1}};
    struct shift_estimate e;
    estimate(&run, 2, parts, 2, &e);
    assert_true(fabs(e.mean - 0.75) < EXACT);
    assert_true(e.low > 0.65 && e.low < 0.75 && e.high > 0.75 && e.high < 0.85);
}

static void effective_robustness_is_the_distance_from_the_others_line(void **state)
{
    (void)state;
    enum { COUNT = 5 };
    double x[COUNT] = {0.5, 0.6, 0.7, 0.8, 0.9}, y[COUNT];
    for (int i = 0; i < COUNT; i++)
        y[i] = 1 / (1 + exp(-(0.9 * log(x[i] / (1 - x[i])) - 1)));
    for (uint32_t i = 0; i < COUNT; i++)
        assert_true(fabs(shift_effective(x, y, COUNT, i)) < 1e-9);
    y[2] += 0.05;
    assert_true(fabs(shift_effective(x, y, COUNT, 2) - 0.05) < 1e-9);
    assert_true(isnan(shift_effective(x, y, 3, 2))); /* two others make no line */
    x[1] = x[2] = x[3] = x[4] = 0.7;
    assert_true(isnan(shift_effective(x, y, COUNT, 0)));
}

static double number(const struct json *j, const char *key)
{
    double v;
    return json_number(json_get(j, key), &v) == 0 ? v : (double)NAN;
}

static struct json *describe(const struct shift_run *run, const struct json **section,
                             const struct json **row)
{
    struct json *document = json_object();
    assert_int_equal(shift_describe(document, run, 1, 1, &options), 0);
    *section = json_first(json_get(document, run->kind == SHIFT_WISE ? "wise" : "robustness"));
    *row = json_first(json_get(*section, "methods"));
    assert_non_null(*row);
    return document;
}

static void val_alone_chooses_alpha(void **state)
{
    (void)state;
    struct shift_run run = make_run(SHIFT_WISE); /* test would choose 0.5, val has 1 */
    const struct json *section, *row;
    struct json *document = describe(&run, &section, &row);
    assert_true(fabs(number(row, "best") - 2) < EXACT);
    json_destroy(document);
    run.val_is_trained_on = 1;
    document = describe(&run, &section, &row);
    assert_true(isnan(number(row, "best"))); /* nothing may */
    assert_true(isnan(number(json_get(row, "control"), "best")));
    json_destroy(document);
    run.how = "none";
    run.why = "it has no way back";
    document = describe(&run, &section, &row);
    assert_null(json_get(row, "id")); /* the control alone */
    assert_non_null(json_get(json_get(row, "control"), "id"));
    json_destroy(document);
}

static void means_are_over_sets(void **state)
{
    (void)state;
    struct shift_run run = make_run(SHIFT_ROBUST);
    const struct json *section, *row;
    struct json *document = describe(&run, &section, &row);
    assert_true(fabs(number(row, "clean") - 0.5) < EXACT); /* of the first alpha */
    assert_true(fabs(number(row, "corrupted") - 0.4) < EXACT);
    assert_true(fabs(number(row, "data") - 0.3) < EXACT);
    assert_true(fabs(number(row, "shifted") - 1.1 / 3) < EXACT);
    assert_true(fabs(number(row, "drop") - (1 - 1.1 / 1.5)) < 1e-9);
    assert_true(isnan(number(row, "effective")));
    json_destroy(document);
}

static void a_result_comes_back_as_it_was_and_an_edited_one_is_refused(void **state)
{
    (void)state;
    char folder[] = "/tmp/vitro-shift-XXXXXX", inner[64], path[96], *text = NULL;
    struct shift_run run = make_run(SHIFT_WISE), back;
    struct arena arena = {0};
    struct json *spec = json_object();
    size_t size;
    assert_non_null(mkdtemp(folder));
    snprintf(inner, sizeof inner, "%s/run", folder);
    assert_int_equal(json_set_string(spec, "kind", "wise"), 0);
    struct json *judged = json_array();
    assert_int_equal(json_take(spec, "sets", judged), 0);
    for (int k = 0; k < SETS; k++) {
        struct json *set = json_object();
        assert_int_equal(json_append_take(judged, set), 0);
        assert_int_equal(json_set_string(set, "fingerprint", sets[k].name), 0);
    }
    assert_int_equal(shift_write(&run, spec, inner), 0);
    assert_int_equal(shift_read(&back, &arena, inner), 0);
    assert_int_equal(back.set_count, SETS);
    assert_int_equal(back.alpha_count, ALPHAS);
    assert_string_equal(back.sets[4].name, "sketch");
    assert_string_equal(back.sets[4].fingerprint, "sketch");
    assert_memory_equal(back.sets[3].answers, answers[3], sizeof answers[3]);
    assert_memory_equal(back.sets[0].labels, labels, sizeof labels);

    snprintf(path, sizeof path, "%s/answers.safetensors", inner);
    assert_int_equal(file_read(path, 1 << 20, &text, &size), 0);
    text[size - 4] ^= 1;
    assert_int_equal(file_write(path, text, size), 0);
    assert_int_equal(shift_read(&back, &arena, inner), ERR_INPUT);
    assert_non_null(strstr(error_text(), "file of answers"));
    mem_free(text);
    assert_int_equal(shift_write(&run, spec, inner), 0);
    snprintf(path, sizeof path, "%s/result.json", inner);
    assert_int_equal(file_read(path, 1 << 20, &text, &size), 0);
    *strstr(text, "wise") = 'W'; /* in the spec: another id */
    assert_int_equal(file_write(path, text, size), 0);
    assert_int_equal(shift_read(&back, &arena, inner), ERR_INPUT);
    mem_free(text);
    json_destroy(spec);
    arena_finish(&arena);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

static void runs_on_other_images_or_at_other_alphas_do_not_share_a_table(void **state)
{
    (void)state;
    const double other_alphas[ALPHAS] = {0, 0.25, 1};
    struct shift_set others[SETS];
    struct shift_run a = make_run(SHIFT_WISE), b;
    for (int k = 0; k < SETS; k++)
        sets[k].fingerprint = sets[k].name;
    memcpy(others, sets, sizeof others);
    b = a;
    b.sets = others;
    assert_true(shift_alike(&a, &b));
    others[2].fingerprint = "of another seed of the noise";
    assert_false(shift_alike(&a, &b));
    others[2].fingerprint = sets[2].fingerprint;
    b.split = "val";
    assert_false(shift_alike(&a, &b));
    b = a;
    b.alphas = other_alphas;
    assert_false(shift_alike(&a, &b));
    b.alphas = a.alphas;
    b.set_count--;
    assert_false(shift_alike(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_sets_interval_is_the_binomials),
        cmocka_unit_test(corruptions_share_their_images_and_other_data_does_not),
        cmocka_unit_test(what_is_lost_is_a_ratio),
        cmocka_unit_test(effective_robustness_is_the_distance_from_the_others_line),
        cmocka_unit_test(val_alone_chooses_alpha),
        cmocka_unit_test(means_are_over_sets),
        cmocka_unit_test(a_result_comes_back_as_it_was_and_an_edited_one_is_refused),
        cmocka_unit_test(runs_on_other_images_or_at_other_alphas_do_not_share_a_table),
    };
    for (int i = 0; i < IMAGES; i++)
        labels[i] = i % 3;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
