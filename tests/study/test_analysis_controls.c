/* test_analysis_controls.c - agreement, ensembles and calibration find what was planted, and nothing where nothing was. */
#include "document.h"

static const struct panel_plan independent = {
    .methods = 5,
    .packs = 2,
    .seeds = 2,
    .classes = 6,
    .val_images = 300,
    .test_images = 2000,
    .accuracy = {0.65, 0.65, 0.65, 0.65, 0.65},
    .seed = 11,
};

/* Every method's logits become those of method 0. */
static void make_identical(struct made_panel *made)
{
    for (uint32_t p = 0; p < made->panel.pack_count; p++)
        for (uint32_t m = 1; m < made->panel.method_count; m++) {
            struct panel_cell *cell = panel_at(&made->panel, m, p), *first = panel_at(&made->panel, 0, p);
            cell->val_logits = first->val_logits;
            for (uint32_t s = 0; s < made->panel.seed_count; s++)
                cell->runs[s].logits = first->runs[s].logits;
        }
}

static void identical_logits_agree_in_everything(void **state)
{
    (void)state;
    struct made_panel made;
    panel_make(&made, &independent);
    make_identical(&made);
    struct json *d = analysed(&made);
    assert_number(d, "agreement.mean.same_label.0.3", 1);
    assert_number(d, "agreement.mean.kappa.0.3", 1);
    assert_number(d, "agreement.mean.error_consistency.0.3", 1);
    assert_number(d, "agreement.mean.same_wrong.0.3", 1);
    assert_number(d, "agreement.mean.confident_right.0.3", 1);
    assert_number(d, "agreement.mean.confident_wrong.0.3", 1);
    assert_number(d, "agreement.mean.oracle.0.3", number_at(d, "accuracy.overall.mean.0"));
    assert_number(d, "agreement.summary.between_minus_within", 0);
    assert_number(d, "pairs.0.p", 1);
    assert_number(d, "pairs.0.difference", 0);
    json_destroy(d);
    arena_finish(&made.memory);
}

static void independent_answers_agree_as_often_as_the_control_says(void **state)
{
    (void)state;
    struct made_panel made;
    panel_make(&made, &independent);
    struct json *d = analysed(&made);
    /* 10 pairs of 2 seeds on 2 x 2,000 images: one standard error is about 0.003 */
    double between = number_at(d, "agreement.summary.between"),
           chance = number_at(d, "agreement.summary.independent");
    assert_true(fabs(between - chance) < 0.01);
    assert_true(fabs(number_at(d, "agreement.mean.error_consistency.0.1")) < 0.05);
    assert_true(fabs(number_at(d, "agreement.mean.confident_right.0.1") -
                     number_at(d, "agreement.mean.confident_right_independent.0.1")) < 0.03);
    json_destroy(d);
    arena_finish(&made.memory);
}

static void shared_mistakes_lift_agreement_above_the_control(void **state)
{
    (void)state;
    struct panel_plan plan = independent;
    struct made_panel made;
    plan.by_image = 0.6;
    plan.same_mistake = 0.5;
    panel_make(&made, &plan);
    struct json *d = analysed(&made);
    assert_true(number_at(d, "agreement.summary.between") >
                number_at(d, "agreement.summary.independent") + 0.1);
    assert_true(number_at(d, "agreement.mean.error_consistency.0.1") > 0.2);
    json_destroy(d);
    arena_finish(&made.memory);
}

static void the_control_does_not_lean_towards_the_observed_in_small_classes(void **state)
{
    (void)state;
    struct panel_plan plan = independent;
    struct made_panel made;
    plan.methods = 2;
    plan.packs = 1;
    plan.classes = 700; /* about three images a class */
    plan.by_image = 0.9;
    panel_make(&made, &plan);
    struct json *d = analysed(&made);
    /* wrong answers hardly meet among 700 classes: 0.65^2, though the observed is far above */
    assert_true(number_at(d, "agreement.summary.between") > 0.52);
    assert_true(fabs(number_at(d, "agreement.summary.independent") - 0.65 * 0.65) < 0.02);
    json_destroy(d);
    arena_finish(&made.memory);
}

static void methods_that_are_only_other_seeds_differ_as_seeds_do(void **state)
{
    (void)state;
    struct panel_plan plan = independent;
    struct made_panel made;
    plan.by_image = 0.6;
    panel_make(&made, &plan);
    struct json *d = analysed(&made);
    assert_true(number_at(d, "agreement.summary.between_minus_within_low") < 0);
    assert_true(number_at(d, "agreement.summary.between_minus_within_high") > 0);
    /* and an ensemble of them is worth as much as one of as many seeds: row 6 is the pair by mean logit; one standard
     * error of the mean over two packs is about 0.005 */
    assert_string_equal(text_at(d, "ensembles.mean.6.kind"), "pair");
    assert_true(number_at(d, "ensembles.mean.6.gain_over_val_single") > 0.02);
    assert_true(fabs(number_at(d, "ensembles.mean.6.gain_over_seeds")) < 0.02);
    json_destroy(d);
    arena_finish(&made.memory);
}

static void methods_with_mistakes_of_their_own_differ_more_than_seeds(void **state)
{
    (void)state;
    struct panel_plan plan = independent;
    struct made_panel made;
    plan.by_image = 0.4;
    plan.by_method = 0.4;
    panel_make(&made, &plan);
    struct json *d = analysed(&made);
    assert_true(number_at(d, "agreement.summary.between_minus_within_high") < -0.02);
    assert_true(number_at(d, "agreement.mean.same_method.2") >
                number_at(d, "agreement.mean.same_label_other_seed.2.3"));
    assert_true(number_at(d, "ensembles.mean.0.gain_over_seeds") > 0.02);
    json_destroy(d);
    arena_finish(&made.memory);
}

static void an_ensemble_of_independent_errors_gains(void **state)
{
    (void)state;
    struct made_panel made;
    panel_make(&made, &independent);
    struct json *d = analysed(&made);
    for (const struct json *row = json_first(value_at(d, "ensembles.packs.0.rows")); row;
         row = json_next(row))
        if (strcmp(json_string(json_get(row, "kind")), "all") == 0) {
            assert_true(number_at(row, "gain_low") > 0.1);
            assert_true(number_at(row, "gain_low") < number_at(row, "gain_over_val_single"));
            assert_true(number_at(row, "gain_high") > number_at(row, "gain_over_val_single"));
            assert_number(row, "size", 5);
        }
    assert_true(number_at(d, "ensembles.size_curve.4.accuracy") >
                number_at(d, "ensembles.size_curve.0.accuracy"));
    json_destroy(d);
    arena_finish(&made.memory);
}

static void an_ensemble_of_identical_methods_gains_exactly_nothing(void **state)
{
    (void)state;
    struct made_panel made;
    panel_make(&made, &independent);
    make_identical(&made);
    struct json *d = analysed(&made);
    uint32_t rows = 0;
    for (const struct json *row = json_first(value_at(d, "ensembles.packs.1.rows")); row;
         row = json_next(row))
        if (strcmp(json_string(json_get(row, "kind")), "seeds") != 0) {
            assert_true(number_at(row, "gain_over_val_single") == 0);
            assert_true(number_at(row, "gain_low") == 0 && number_at(row, "gain_high") == 0);
            assert_true(number_at(row, "gain_over_best_single") == 0);
            rows++;
        }
    assert_int_equal(rows, 9);
    json_destroy(d);
    arena_finish(&made.memory);
}

/* Four methods, one image of class 2 in fact two, so that a class is never alone. */
enum { VOTERS = 4, CLASSES = 3, IMAGES = 2 };
static void make_voters(struct made_panel *made, const int32_t answers[VOTERS][IMAGES],
                        const float margins[VOTERS])
{
    const struct panel_plan plan = {.methods = VOTERS,
                                    .packs = 1,
                                    .seeds = 1,
                                    .classes = CLASSES,
                                    .val_images = IMAGES,
                                    .test_images = IMAGES,
                                    .accuracy = {0.5, 0.5, 0.5, 0.5}};
    static const int32_t labels[] = {2, 2};
    panel_make(made, &plan);
    made->packs[0].test_labels = labels;
    for (uint32_t m = 0; m < VOTERS; m++)
        answer_with(made, &panel_at(&made->panel, m, 0)->runs[0].logits, CLASSES, IMAGES, answers[m],
                    margins[m]);
}

static double accuracy_of_all(const struct json *d, const char *rule)
{
    for (const struct json *row = json_first(value_at(d, "ensembles.packs.0.rows")); row;
         row = json_next(row))
        if (strcmp(json_string(json_get(row, "kind")), "all") == 0 &&
            strcmp(json_string(json_get(row, "rule")), rule) == 0)
            return number_at(row, "accuracy");
    return NAN;
}

static void a_tied_vote_goes_to_the_surer_voters(void **state)
{
    (void)state;
    /* two for 2, two for 0: on image 0; on image 1 three votes for 0 outweigh any confidence */
    static const int32_t answers[VOTERS][IMAGES] = {{2, 2}, {2, 0}, {0, 0}, {0, 0}};
    static const float surer[VOTERS] = {2, 2, 1.5f, 1.5f}, less_sure[VOTERS] = {1.5f, 1.5f, 2, 2};
    static const float equal[VOTERS] = {1, 1, 1, 1};
    static const float *const margins[] = {surer, less_sure, equal};
    static const double expected[] = {0.5, 0, 0}; /* equally sure: the lower class, which is 0 */
    for (int i = 0; i < 3; i++) {
        struct made_panel made;
        make_voters(&made, answers, margins[i]);
        struct json *d = analysed(&made);
        assert_true(accuracy_of_all(d, "vote") == expected[i]);
        json_destroy(d);
        arena_finish(&made.memory);
    }
}

static void the_three_rules_answer_as_they_are_defined(void **state)
{
    (void)state;
    /* One method is boundlessly sure of 2, three lean to 0. Logits: 20 against 3 x 3. Probabilities: about 1 against
     * 3 x 0.91. Votes: 1 against 3. */
    static const int32_t answers[VOTERS][IMAGES] = {{2, 2}, {0, 0}, {0, 0}, {0, 0}};
    static const float margins[VOTERS] = {20, 3, 3, 3};
    struct made_panel made;
    make_voters(&made, answers, margins);
    struct json *d = analysed(&made);
    assert_true(accuracy_of_all(d, "logits") == 1);
    assert_true(accuracy_of_all(d, "probabilities") == 0);
    assert_true(accuracy_of_all(d, "vote") == 0);
    json_destroy(d);
    arena_finish(&made.memory);
}

static void the_single_method_is_chosen_on_val_and_not_on_test(void **state)
{
    (void)state;
    struct panel_plan plan = independent, good = independent;
    struct made_panel made, other;
    plan.accuracy[1] = 0.8; /* best on test ... */
    good.accuracy[3] = 0.8; /* ... but val will say 3 */
    good.accuracy[1] = 0.5;
    panel_make(&made, &plan);
    panel_make(&other, &good);
    for (uint32_t m = 0; m < 5; m++)
        panel_at(&made.panel, m, 0)->val_logits = panel_at(&other.panel, m, 0)->val_logits;
    struct json *d = analysed(&made);
    assert_number(d, "ensembles.packs.0.best_single", 1);
    assert_number(d, "ensembles.packs.0.val_single", 3);
    assert_number(d, "ensembles.packs.0.path.0", 3);
    assert_true(number_at(d, "ensembles.packs.0.val_single_accuracy") < 0.7);
    json_destroy(d);
    arena_finish(&other.memory);
    arena_finish(&made.memory);
}

static void among_equals_on_val_the_likelier_is_chosen(void **state)
{
    (void)state;
    static const int32_t answers[VOTERS][IMAGES] = {{2, 0}, {2, 0}, {2, 0}, {0, 0}};
    static const float margins[VOTERS] = {3, 1, 2,
                                          1}; /* half right each but the last: least sure is likeliest */
    struct made_panel made;
    make_voters(&made, answers, margins);
    made.packs[0].val_labels = made.packs[0].test_labels;
    for (uint32_t m = 0; m < VOTERS; m++)
        panel_at(&made.panel, m, 0)->val_logits = panel_at(&made.panel, m, 0)->runs[0].logits;
    struct json *d = analysed(&made);
    assert_number(d, "ensembles.packs.0.val_single", 1);
    assert_number(d, "ensembles.packs.0.path.0", 1);
    json_destroy(d);
    arena_finish(&made.memory);
}

static void without_val_logits_only_the_ensemble_of_all_is_there(void **state)
{
    (void)state;
    struct made_panel made;
    panel_make(&made, &independent);
    for (uint32_t m = 0; m < 5; m++)
        panel_at(&made.panel, m, 0)->val_logits = NULL;
    struct json *d = analysed(&made);
    assert_int_equal(json_count(value_at(d, "ensembles.packs.0.rows")), 3);
    assert_absent(d, "ensembles.packs.0.val_single");
    assert_absent(d, "ensembles.packs.0.rows.0.gain_over_val_single");
    assert_there(d, "ensembles.packs.0.rows.0.gain_over_best_single");
    assert_absent(d, "calibration.0.0.temperature");
    assert_absent(d, "accuracy.cells.0.0.val");
    assert_int_equal(json_count(value_at(d, "ensembles.mean")), 3);
    json_destroy(d);
    arena_finish(&made.memory);
}

/* Labels drawn from the softmax of the logits, which are then scaled: the right temperature is the scale. */
static void draw_calibrated(struct made_panel *made, uint32_t images, float scale, const char *split,
                            const float **logits, const int32_t **labels)
{
    enum { K = 6 };
    struct rng r = rng_named(3, split);
    float *z = arena_alloc(&made->memory, (size_t)images * K, sizeof *z);
    int32_t *y = arena_alloc(&made->memory, images, sizeof *y);
    for (uint32_t i = 0; i < images; i++) {
        double sum = 0, p[K];
        for (int k = 0; k < K; k++) {
            double logit = 2 * rng_normal(&r);
            z[i * K + (uint32_t)k] = scale * (float)logit;
            sum += p[k] = exp(logit);
        }
        double u = rng_uniform(&r) * sum;
        while (y[i] < K - 1 && (u -= p[y[i]]) > 0)
            y[i]++;
    }
    *logits = z;
    *labels = y;
}

static void temperature_recovers_the_scale_that_was_planted(void **state)
{
    (void)state;
    struct panel_plan plan = independent;
    struct made_panel made;
    plan.methods = plan.packs = plan.seeds = 1;
    plan.val_images = 4000;
    panel_make(&made, &plan);
    struct panel_cell *cell = panel_at(&made.panel, 0, 0);
    draw_calibrated(&made, 4000, 3, "val", &cell->val_logits, &made.packs[0].val_labels);
    draw_calibrated(&made, 2000, 3, "test", &cell->runs[0].logits, &made.packs[0].test_labels);
    struct json *d = analysed(&made);
    assert_true(fabs(number_at(d, "calibration.0.0.temperature") - 3) < 0.15); /* 4,000 draws: about 0.06 */
    assert_true(number_at(d, "calibration.0.0.ece") > 0.1);
    assert_true(number_at(d, "calibration.0.0.ece_after") < 0.04);
    assert_true(number_at(d, "calibration.0.0.nll_after") < number_at(d, "calibration.0.0.nll") - 0.2);
    json_destroy(d);
    arena_finish(&made.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identical_logits_agree_in_everything),
        cmocka_unit_test(independent_answers_agree_as_often_as_the_control_says),
        cmocka_unit_test(shared_mistakes_lift_agreement_above_the_control),
        cmocka_unit_test(the_control_does_not_lean_towards_the_observed_in_small_classes),
        cmocka_unit_test(methods_that_are_only_other_seeds_differ_as_seeds_do),
        cmocka_unit_test(methods_with_mistakes_of_their_own_differ_more_than_seeds),
        cmocka_unit_test(an_ensemble_of_independent_errors_gains),
        cmocka_unit_test(an_ensemble_of_identical_methods_gains_exactly_nothing),
        cmocka_unit_test(a_tied_vote_goes_to_the_surer_voters),
        cmocka_unit_test(the_three_rules_answer_as_they_are_defined),
        cmocka_unit_test(the_single_method_is_chosen_on_val_and_not_on_test),
        cmocka_unit_test(among_equals_on_val_the_likelier_is_chosen),
        cmocka_unit_test(without_val_logits_only_the_ensemble_of_all_is_there),
        cmocka_unit_test(temperature_recovers_the_scale_that_was_planted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
