/* test_halves.c - activations that only products read, stored as halves: trainings end in the same bits as with floats, and
 * take less memory. In the GPU style; run/test_stored_halves goes over the other rungs of the ladder. */
#include "../run/take_only.h"
#include "attention_matrix.h"
#include "bank.h"
#include "foresee.h"
#include "train_world.h"

#include <stdlib.h>

enum { STEPS = 6, TRIALS = 6, PACK = 3 };

/* Gradients of everything, dropout between two products, prompts, branches beside the network's products. */
static const char *const methods[TRIALS] = {
    "full", "lora[r=4,dropout=0.3]", "vpt[prompts=3]", "adaptformer[r=8]", "linear", "convpass+bitfit"};

static const struct rung_case {
    const char *tile;
    enum number number;
    uint32_t trials; /* how many of the methods: kernels take their time to compile */
} rungs[] = {
    {"tiled 32x32", NUMBER_FP16, TRIALS},
    {"tiled 32x32", NUMBER_BF16, 1},
    {"cpu", NUMBER_FP16, 2}, /* which wants floats of what is stored as halves */
};
enum { RUNG_CASES = sizeof rungs / sizeof *rungs };

struct outcome {
    float losses[STEPS], logits[IMAGES * CLASSES];
    float *weights;
    size_t floats;
};

static struct session_spec spec_on(struct engine *e, struct method *m, enum number number)
{
    return (struct session_spec){.engine = e,
                                 .method = m,
                                 .vit = vit,
                                 .mean = {0.5f, 0.5f, 0.5f},
                                 .std = {0.5f, 0.5f, 0.5f},
                                 .seed = 3,
                                 .number = number};
}

/* Trainings of the methods from `first` on, packed where there are several. */
static void train(struct engine *e, enum number number, uint32_t first, uint32_t count, int again,
                  struct outcome *out)
{
    const struct images images = {rgb, labels, IMAGES};
    struct method *method[PACK];
    struct session *session[PACK] = {0};
    struct train_spec spec[PACK] = {0};
    struct train_result result[PACK];
    struct frozen *shared = NULL;
    if (count > 1)
        must(frozen_create(&shared, e));
    for (uint32_t i = 0; i < count; i++) {
        must(method_create(&method[i], plugins, methods[first + i]));
        must(method_declare(method[i], vit));
        struct session_spec s = spec_on(e, method[i], number);
        s.shared = shared;
        must(session_create(&session[i], &s));
        spec[i] = short_training();
        spec[i].recipe.precision = (int32_t)number;
        spec[i].recipe.drop_path = 0.1f;
        spec[i].checkpoint_activations = again;
        spec[i].losses = out[i].losses;
    }
    must(session_train_packed(session, spec, count, RUN_SIDE_BY_SIDE, result));
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(result[i].steps, STEPS);
        out[i].floats = bank_arena_floats(session[i]->bank);
        out[i].weights = mem_alloc(out[i].floats, sizeof(float));
        assert_non_null(out[i].weights);
        must(bank_arena_read(session[i]->bank, BANK_WEIGHTS, out[i].weights));
        must(session_logits(session[i], &images, 16, out[i].logits, NULL));
        session_destroy(session[i]);
        method_destroy(method[i]);
    }
    frozen_destroy(shared);
}

static void same_bits(struct engine *e, enum number number, uint32_t first, uint32_t count, int again)
{
    struct outcome floats[PACK], halves[PACK];
    engine_want_halves(e, 0);
    train(e, number, first, count, again, floats);
    engine_want_halves(e, 1);
    train(e, number, first, count, again, halves);
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(floats[i].losses, halves[i].losses, sizeof floats[i].losses) != 0)
            fail_msg("%s: other losses", methods[first + i]);
        if (memcmp(floats[i].weights, halves[i].weights, floats[i].floats * sizeof(float)) != 0)
            fail_msg("%s: other weights", methods[first + i]);
        if (memcmp(floats[i].logits, halves[i].logits, sizeof floats[i].logits) != 0)
            fail_msg("%s: other logits", methods[first + i]);
        mem_free(floats[i].weights);
        mem_free(halves[i].weights);
    }
}

static struct engine *gpu(void)
{
    struct engine *e;
    must(engine_create(&e, device, ENGINE_GPU));
    return e;
}

static void halves_change_no_bit_of_a_training(void **state)
{
    (void)state;
    for (int r = 0; r < RUNG_CASES; r++) {
        struct engine *e = gpu();
        if (take_only(e, rungs[r].tile, rungs[r].number)) {
            for (uint32_t i = 0; i < rungs[r].trials; i++)
                same_bits(e, rungs[r].number, i, 1, 0);
            printf("%s %s: equal\n", rungs[r].tile, number_names[rungs[r].number]);
        }
        engine_destroy(e);
    }
}

static void nor_where_activations_are_computed_again_or_trials_packed(void **state)
{
    (void)state;
    struct engine *e = gpu();
    assert_true(take_only(e, rungs[0].tile, rungs[0].number));
    same_bits(e, NUMBER_FP16, 0, 1, 1);
    same_bits(e, NUMBER_FP16, 0, PACK, 1);
    engine_destroy(e);
}

static void nor_where_attention_on_matrix_units_has_them_too(void **state)
{
    (void)state;
    if (!device_info(device)->has_coopmat) {
        print_message("skipped: the device has no matrix units\n");
        skip();
    }
    struct engine *e = gpu();
    take_beside_units(e, rungs[0].tile);
    assert_non_null(attention_matrix_unit(e, NUMBER_FP16, (uint32_t)(vit->shape.dim / vit->shape.heads)));
    same_bits(e, NUMBER_FP16, 1, 2, 1);
    engine_destroy(e);
}

static uint64_t activations_of(struct engine *e, const char *name, enum number number, int halves)
{
    struct method *method;
    struct session *session;
    struct recipe recipe = recipe_default;
    struct feed feed;
    struct run *run;
    recipe.precision = (int32_t)number;
    engine_want_halves(e, halves);
    must(method_create(&method, plugins, name));
    must(method_declare(method, vit));
    must(session_create(
        &session,
        &(struct session_spec){
            .engine = e, .method = method, .vit = vit, .std = {1, 1, 1}, .seed = 3, .number = number}));
    must(feed_create(&feed, e, rgb, labels, IMAGES, SIDE));
    must(session_program(
        session,
        &(struct program_spec){.feed = &feed, .batch = 32, .series = 1, .recipe = &recipe, .update = 1},
        &run));
    const uint64_t bytes = run_memory(run).activations;
    run_destroy(run);
    feed_destroy(&feed);
    session_destroy(session);
    method_destroy(method);
    return bytes;
}

static void halves_take_less_memory(void **state)
{
    (void)state;
    struct engine *e = gpu();
    assert_true(take_only(e, rungs[0].tile, rungs[0].number));
    for (int number = 0; number < NUMBER_COUNT; number++) {
        const uint64_t floats = activations_of(e, "full", (enum number)number, 0),
                       halves = activations_of(e, "full", (enum number)number, 1);
        printf("full, %s: %llu and %llu bytes\n", number_names[number], (unsigned long long)floats,
               (unsigned long long)halves);
        if (number == NUMBER_FP32)
            assert_int_equal(halves, floats);
        else
            assert_true(halves < floats);
    }
    engine_destroy(e);
    const uint64_t floats = activations_of(engine, "full", NUMBER_FP16, 0);
    assert_int_equal(floats == activations_of(engine, "full", NUMBER_FP16, 1), engine_cpu_style(engine));
}

static void what_is_foreseen_is_what_is_taken(void **state)
{
    (void)state;
    struct device *d;
    struct engine *e;
    struct foreseen f;
    struct train_result result;
    must(device_open(&d, &(struct device_spec){.index = -1}));
    must(engine_create(&e, d, ENGINE_GPU));
    assert_true(take_only(e, rungs[0].tile, rungs[0].number));
    struct setting s = {0};
    must(method_create(&s.method, plugins, methods[0]));
    must(method_declare(s.method, vit));
    const struct session_spec session = spec_on(e, s.method, NUMBER_FP16);
    must(session_create(&s.session, &session));
    struct train_spec spec = short_training();
    spec.recipe.precision = NUMBER_FP16;
    must(foresee(&f, &s.session->spec, &(struct foresee_spec){.recipe = &spec.recipe, .images = IMAGES}));
    must(session_train(s.session, &spec, &result));
    assert_int_equal(f.peak, result.device_bytes);
    end(&s);
    engine_destroy(e);
    device_close(d);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_change_no_bit_of_a_training),
        cmocka_unit_test(nor_where_activations_are_computed_again_or_trials_packed),
        cmocka_unit_test(nor_where_attention_on_matrix_units_has_them_too),
        cmocka_unit_test(halves_take_less_memory),
        cmocka_unit_test(what_is_foreseen_is_what_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    const char *const folders[] = {PLUGINS, NULL};
    if (setenv("VITRO_VECTOR_WIDTH", "256", 0) != 0) /* run/device_world.h says why */
        abort();
    return run_world(run, folders, 2);
}
