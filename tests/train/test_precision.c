/* test_precision.c - trainings whose products round their operands: what that changes, and the scale of the loss
 * that fp16 needs. On a small network with images of noise, which a method can learn by heart. */
#include "bank.h"
#include "engine.h"
#include "recipe_json.h"
#include "train_world.h"

#include <math.h>
#include <unistd.h>

enum { LEARNT = 24, KINDS = 3, STEPS = 12 }; /* of the images: few enough to be learnt by heart */

/* Losses of the first step differ by the rounding of operands alone: half a last place, 2^-9 or 2^-12, for each of
 * some ten products on the way, which add up like independent errors; the loss is about 1. */
static const double first_loss[NUMBER_COUNT] = {0, 2e-3, 1e-2};
static const double last_loss = 0.05; /* of 12 steps: trainings that differ by rounding end alike */

struct outcome {
    float losses[STEPS], *weights;
    size_t count;
    struct train_result result;
    int rc;
    int wide;        /* asked: frozen weights are kept as floats */
    uint64_t frozen; /* bytes of them in the bank */
};

static struct train_spec training_in(struct outcome *o, enum number number)
{
    struct train_spec t = {.recipe = recipe_default, .images = {rgb, labels, LEARNT}, .losses = o->losses};
    t.recipe.epochs = 4;
    t.recipe.warmup = 0;
    t.recipe.batch = 8;
    t.recipe.schedule = SCHEDULE_PLAIN;
    t.recipe.lr = 1e-2f;
    t.recipe.precision = number;
    t.recipe.seed = 9;
    return t;
}

static void train(const struct train_spec *spec, struct outcome *o)
{
    struct method *method;
    struct session *session;
    must(method_create(&method, plugins, "lora[r=2]"));
    must(method_declare(method, vit));
    must(session_create(&session, &(struct session_spec){.engine = engine,
                                                         .method = method,
                                                         .vit = vit,
                                                         .mean = {0.5f, 0.5f, 0.5f},
                                                         .std = {0.5f, 0.5f, 0.5f},
                                                         .seed = 3,
                                                         .wide = o->wide,
                                                         .number = (enum number)spec->recipe.precision}));
    o->rc = session_train(session, spec, &o->result);
    o->frozen = bank_memory(session->bank).frozen;
    o->count = bank_arena_floats(session->bank);
    o->weights = mem_alloc(o->count, sizeof *o->weights);
    must(bank_arena_read(session->bank, BANK_WEIGHTS, o->weights));
    session_destroy(session);
    method_destroy(method);
}

static struct outcome trained(enum number number, float scale)
{
    struct outcome o = {0};
    struct train_spec spec = training_in(&o, number);
    spec.loss_scale = scale;
    train(&spec, &o);
    must(o.rc);
    return o;
}

static void rounding_changes_a_training_by_no_more_than_itself(void **state)
{
    (void)state;
    struct outcome exact = trained(NUMBER_FP32, 0);
    assert_true(exact.result.loss_scale == 0 && exact.result.skipped == 0);
    for (int number = NUMBER_FP16; number < NUMBER_COUNT; number++) {
        struct outcome o = trained((enum number)number, 0);
        double first = fabs((double)(o.losses[0] - exact.losses[0]));
        assert_true(first > 0 && first < first_loss[number]);
        assert_true(fabs((double)(o.losses[STEPS - 1] - exact.losses[STEPS - 1])) < last_loss);
        mem_free(o.weights);
    }
    mem_free(exact.weights);
}

static void only_fp16_scales_its_loss_and_moderate_scales_change_little(void **state)
{
    (void)state;
    struct outcome bf16 = trained(NUMBER_BF16, 0), usual = trained(NUMBER_FP16, 0),
                   small = trained(NUMBER_FP16, 256);
    assert_true(bf16.result.loss_scale == 0);
    assert_true(usual.result.loss_scale == RUN_SCALE_FIRST && usual.result.skipped == 0);
    assert_true(small.result.loss_scale == 256);
    /* before the first update, the scale has changed nothing */
    assert_true(usual.losses[0] == small.losses[0]);
    assert_true(fabs((double)(usual.losses[STEPS - 1] - small.losses[STEPS - 1])) < last_loss);
    mem_free(bf16.weights);
    mem_free(usual.weights);
    mem_free(small.weights);
}

/* At 2^40 every gradient is far beyond 65504: the scale is halved until they fit, and until then nothing moves. */
static void a_step_that_overflows_is_left_out_and_halves_the_scale(void **state)
{
    (void)state;
    struct outcome o = trained(NUMBER_FP16, 0x1p40f), never = trained(NUMBER_FP16, 0x1p90f);
    assert_true(never.result.skipped == STEPS && never.result.loss_scale == 0x1p78f);
    for (size_t i = 0; i < never.count; i++)
        assert_true(isfinite(never.weights[i]));
    assert_true(never.losses[0] == o.losses[0]);
    struct outcome again = trained(NUMBER_FP16, 0x1p90f);
    assert_memory_equal(never.weights, again.weights, again.count * sizeof(float));
    assert_true(o.result.skipped > 0 && o.result.loss_scale == ldexpf(0x1p40f, -(int)o.result.skipped));
    mem_free(o.weights);
    mem_free(never.weights);
    mem_free(again.weights);
}

/* What products round anyway is kept as halves: most of a network, and the same bits come out. */
static void frozen_weights_take_half_the_memory_and_change_no_bit(void **state)
{
    (void)state;
    for (int number = NUMBER_FP16; number < NUMBER_COUNT; number++) {
        struct outcome halves = trained((enum number)number, 0), floats = {.wide = 1};
        struct train_spec spec = training_in(&floats, (enum number)number);
        train(&spec, &floats);
        must(floats.rc);
        assert_true((double)halves.frozen <
                    0.65 * (double)floats.frozen); /* vectors and positions stay floats */
        assert_memory_equal(halves.losses, floats.losses, sizeof halves.losses);
        assert_memory_equal(halves.weights, floats.weights, halves.count * sizeof(float));
        mem_free(halves.weights);
        mem_free(floats.weights);
    }
}

static void a_kernel_that_wants_floats_gets_those_of_kept_halves(void **state)
{
    (void)state;
    enum { N = 67 };
    float data[N], back[N], sum[N];
    for (int i = 0; i < N; i++)
        data[i] = (float)i / 7 - 3;
    for (int number = NUMBER_FP16; number < NUMBER_COUNT; number++) {
        const struct bank_tensor tensor = {
            .name = "w", .shape = SHAPE(N), .kind = LEAF_FROZEN, .number = (enum number)number};
        struct bank *bank;
        struct run *run;
        struct tape *t = tape_create();
        value x = tape_leaf(t, LEAF_INPUT, SHAPE(N), 1, "x");
        value y = tape_add(t, tape_leaf(t, LEAF_FROZEN, SHAPE(N), 0, "w"), x);
        must(bank_create(&bank, engine, &tensor, 1));
        must(bank_write(bank, 0, data));
        must(bank_read(bank, 0, back));
        must(run_create(
            &run, &(struct run_spec){.tape = t, .bank = bank, .logs = &y, .log_count = 1, .series = 1}));
        must(run_begin(run, &(struct run_series){.steps = 1}));
        must(run_go(run, 1));
        must(run_wait(run, 0));
        must(run_log(run, 0, 0, 1, sum));
        for (int i = 0; i < N; i++) {
            assert_true(back[i] == number_round((enum number)number, data[i]));
            assert_true(sum[i] == back[i]); /* x is zeros */
        }
        run_destroy(run);
        bank_destroy(bank);
        tape_destroy(t);
    }
}

static void blocks_that_are_computed_again_end_in_the_same_bits(void **state)
{
    (void)state;
    struct outcome kept = trained(NUMBER_FP16, 0x1p20f), again = {0};
    struct train_spec spec = training_in(&again, NUMBER_FP16);
    spec.loss_scale = 0x1p20f;
    spec.checkpoint_activations = 1;
    train(&spec, &again);
    must(again.rc);
    assert_memory_equal(kept.weights, again.weights, kept.count * sizeof(float));
    assert_int_equal(kept.result.skipped, again.result.skipped);
    mem_free(kept.weights);
    mem_free(again.weights);
}

static int stop_at(void *context, const struct train_progress *p)
{
    return p->step >= *(const uint32_t *)context;
}

/* The first updates are skipped, so the scale and the count of updates are no longer those of the start. */
static void a_resumed_training_knows_its_scale_and_ends_in_the_same_bits(void **state)
{
    (void)state;
    static const char *path = "test_precision.checkpoint";
    const float scale = 0x1p22f;
    uint32_t stop = 7;
    struct outcome whole = trained(NUMBER_FP16, scale), half = {0}, rest = {0};
    struct train_spec spec = training_in(&half, NUMBER_FP16);
    assert_true(whole.result.skipped > 0 && whole.result.skipped < STEPS);
    unlink(path);
    spec.loss_scale = scale;
    spec.checkpoint = path;
    spec.report = stop_at;
    spec.context = &stop;
    train(&spec, &half);
    assert_int_equal(half.rc, ERR_STOPPED);
    spec = training_in(&rest, NUMBER_FP16);
    spec.loss_scale = scale;
    spec.checkpoint = path;
    train(&spec, &rest);
    must(rest.rc);
    unlink(path);
    assert_true(rest.result.resumed >= 7);
    assert_true(rest.result.loss_scale == whole.result.loss_scale);
    assert_int_equal(rest.result.skipped, whole.result.skipped);
    assert_memory_equal(whole.losses, rest.losses, sizeof whole.losses);
    assert_memory_equal(whole.weights, rest.weights, whole.count * sizeof(float));
    mem_free(whole.weights);
    mem_free(half.weights);
    mem_free(rest.weights);
}

static void a_recipe_says_its_precision_unless_it_is_fp32(void **state)
{
    (void)state;
    for (int32_t number = 0; number < NUMBER_COUNT; number++) {
        struct recipe r = recipe_default, back = recipe_default;
        r.precision = number;
        struct json *j = recipe_json(&r);
        assert_non_null(j);
        assert_int_equal(json_get(j, "precision") != NULL, number != NUMBER_FP32);
        must(recipe_read(&back, j));
        assert_int_equal(back.precision, number);
        json_destroy(j);
    }
    struct json *wrong = NULL;
    struct recipe r = recipe_default;
    must(json_parse(&wrong, "{\"precision\": \"fp8\"}", strlen("{\"precision\": \"fp8\"}"), "a recipe"));
    assert_int_equal(recipe_read(&r, wrong), ERR_INPUT);
    json_destroy(wrong);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_changes_a_training_by_no_more_than_itself),
        cmocka_unit_test(only_fp16_scales_its_loss_and_moderate_scales_change_little),
        cmocka_unit_test(a_step_that_overflows_is_left_out_and_halves_the_scale),
        cmocka_unit_test(frozen_weights_take_half_the_memory_and_change_no_bit),
        cmocka_unit_test(a_kernel_that_wants_floats_gets_those_of_kept_halves),
        cmocka_unit_test(blocks_that_are_computed_again_end_in_the_same_bits),
        cmocka_unit_test(a_resumed_training_knows_its_scale_and_ends_in_the_same_bits),
        cmocka_unit_test(a_recipe_says_its_precision_unless_it_is_fp32),
    };
    for (int32_t i = 0; i < LEARNT; i++)
        labels[i] = i % KINDS;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    static const char *const folders[] = {PLUGINS, NULL};
    return run_world(run, folders, 2);
}
