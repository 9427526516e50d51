/* test_activations.c - what a training takes of a device's memory: less with activation checkpointing, to the same bits. */
#include "bank.h"
#include "foresee.h"
#include "train_world.h"

static float *trained(struct session *s, size_t *count)
{
    *count = bank_arena_floats(s->bank);
    float *data = mem_alloc(*count, sizeof *data);
    must(bank_arena_read(s->bank, BANK_WEIGHTS, data));
    return data;
}

static void train_both_ways(const char *method, int32_t feature_cache)
{
    static float losses[2][64];
    struct train_spec spec = short_training();
    struct train_result result;
    float *data[2];
    size_t n = 0;
    spec.feature_cache = feature_cache;
    for (int i = 0; i < 2; i++) {
        struct setting s = begin_on(engine, method);
        spec.checkpoint_activations = i;
        spec.losses = losses[i];
        must(session_train(s.session, &spec, &result));
        data[i] = trained(s.session, &n);
        end(&s);
    }
    if (memcmp(losses[0], losses[1], result.steps * sizeof(float)) != 0)
        fail_msg("%s: other losses", method);
    if (memcmp(data[0], data[1], n * sizeof(float)) != 0)
        fail_msg("%s: other weights", method);
    mem_free(data[0]);
    mem_free(data[1]);
}

/* Dropout, drop-path, prompts, adapters with derivatives by hand, products of weights, gradients of everything. */
static void activations_computed_again_give_the_same_bits(void **state)
{
    (void)state;
    static const char *const methods[] = {"full",           "lora[r=2,dropout=0.3]+bitfit",
                                          "vpt[prompts=3]", "adaptformer[r=4]+ssf",
                                          "adalora",        "linear"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        train_both_ways(methods[i], FEATURES_AUTO);
}

static struct run_memory memory_of(const char *method, int again)
{
    struct setting s = begin_on(engine, method);
    struct recipe recipe = recipe_default;
    struct feed feed;
    struct run *run;
    must(feed_create(&feed, engine, rgb, labels, IMAGES, SIDE));
    must(session_program(
        s.session,
        &(struct program_spec){
            .feed = &feed, .batch = 32, .series = 1, .recipe = &recipe, .update = 1, .again = again},
        &run));
    struct run_memory m = run_memory(run);
    run_destroy(run);
    feed_destroy(&feed);
    end(&s);
    return m;
}

static void activations_computed_again_take_less_memory(void **state)
{
    (void)state;
    static const char *const methods[] = {"full", "lora[r=2]"};
    for (size_t i = 0; i < 2; i++) {
        uint64_t plain = memory_of(methods[i], 0).activations, again = memory_of(methods[i], 1).activations;
        assert_true(again * 10 < plain * 7); /* four blocks' activations, or four inputs and one block's */
    }
}

static struct foresee_spec foresee_of(const struct train_spec *t)
{
    return (struct foresee_spec){.recipe = &t->recipe,
                                 .images = t->images.count,
                                 .checkpoint_activations = t->checkpoint_activations,
                                 .feature_cache = t->feature_cache};
}

/* A training on a device of its own, so that its peak is this training's. */
static int train_on(const struct device_spec *device_spec, const char *method, const struct train_spec *spec,
                    struct train_result *result, struct foreseen *f)
{
    struct device *d;
    struct engine *e;
    must(device_open(&d, device_spec));
    must(engine_create(&e, d, ENGINE_AUTO));
    struct setting s = begin_on(e, method);
    const struct foresee_spec wanted = foresee_of(spec);
    must(foresee(f, &s.session->spec, &wanted));
    int rc = session_train(s.session, spec, result);
    end(&s);
    engine_destroy(e);
    device_close(d);
    return rc;
}

static void what_is_foreseen_is_what_is_taken(void **state)
{
    (void)state;
    static const char *const methods[] = {"full", "lora[r=2]", "linear"}; /* linear keeps features */
    for (int i = 0; i < 3; i++) {
        struct train_spec spec = short_training();
        struct train_result result;
        struct foreseen f;
        spec.checkpoint_activations = i == 0;
        spec.feature_cache = FEATURES_AUTO;
        must(train_on(&(struct device_spec){.index = -1}, methods[i], &spec, &result, &f));
        assert_int_equal(f.peak, result.device_bytes);
        assert_true(f.alive_count > 0 && f.alive[0].bytes >= f.alive[f.alive_count - 1].bytes);
    }
}

static void what_does_not_fit_is_refused_with_what_would(void **state)
{
    (void)state;
    struct train_spec spec = short_training();
    const struct foresee_spec wanted = foresee_of(&spec);
    struct train_result result;
    struct foreseen f;
    struct setting s = begin_on(engine, "full");
    must(foresee(&f, &s.session->spec, &wanted));
    end(&s);
    const struct device_spec small = {.index = -1, .memory = f.peak - 1};
    assert_int_equal(train_on(&small, "full", &spec, &result, &f), ERR_DEVICE);
    assert_int_equal(result.steps, 0);
    assert_non_null(strstr(error_text(), "full with a batch of 16 takes"));
    assert_non_null(strstr(error_text(), "1 bytes are missing; it fits with --checkpoint-activations"));
    assert_non_null(strstr(error_text(), "or with a batch of 15"));
    spec.checkpoint_activations = 1; /* as it said */
    must(train_on(&small, "full", &spec, &result, &f));
}

/* Tensors lie in as many buffers as the largest one asks for; that changes no bit. */
static void activations_are_spread_over_small_buffers(void **state)
{
    (void)state;
    struct train_spec spec = short_training();
    struct train_result result;
    struct foreseen f;
    float losses[2][16];
    spec.recipe.batch = IMAGES;
    spec.losses = losses[0];
    must(train_on(&(struct device_spec){.index = -1}, "lora[r=2]", &spec, &result, &f));
    spec.losses = losses[1];
    uint64_t piece =
        f.bank.frozen > f.alive[0].bytes ? f.bank.frozen : f.alive[0].bytes; /* the largest there is */
    assert_true(f.run.activations > piece);
    const struct device_limits limits = {.max_allocation =
                                             piece + (68 << 10)}; /* and what a buffer takes besides */
    must(train_on(&(struct device_spec){.index = -1, .limits = &limits}, "lora[r=2]", &spec, &result, &f));
    assert_memory_equal(losses[0], losses[1], result.steps * sizeof(float));
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations_computed_again_give_the_same_bits),
        cmocka_unit_test(activations_computed_again_take_less_memory),
        cmocka_unit_test(what_is_foreseen_is_what_is_taken),
        cmocka_unit_test(what_does_not_fit_is_refused_with_what_would),
        cmocka_unit_test(activations_are_spread_over_small_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const char *const folders[] = {PLUGINS, NULL};
    return run_world(run, folders, 4);
}
