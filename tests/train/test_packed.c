/* test_packed.c - several trainings in one command buffer: each ends in the bits it has alone, whatever lies beside it,
 * however they start, stop and end; and what they take of the device's memory together. */
#include "file.h"
#include "foresee.h"
#include "train_world.h"

#include <unistd.h>

enum { EPOCHS = 2, STEPS = 6, TRIALS = 6 };

/* Methods, seeds and all that may differ; the third draws dropout, the adalora one has its plugin's word between steps. */
static const struct {
    const char *method;
    uint64_t seed;
    float lr, decay, drop_path;
} trials[TRIALS] = {
    {"linear", 1, 1e-2f, 1e-4f, 0},          {"lora[r=2,dropout=0]", 2, 3e-3f, 1e-2f, 0.1f},
    {"adaptformer[r=4]", 3, 1e-2f, 0, 0.2f}, {"vpt[prompts=2]", 4, 5e-2f, 1e-3f, 0},
    {"full", 5, 1e-3f, 1e-4f, 0.1f},         {"bitfit+adalora[r=3,target_r=2]", 6, 2e-3f, 0, 0},
};

struct outcome { /* of a training: all that is stored of it */
    float losses[STEPS], logits[IMAGES * CLASSES];
    float *arenas; /* weights and both moments */
    size_t floats;
    char products[HASH_TEXT];
    struct train_result result;
};

static const enum bank_arena kept[] = {BANK_WEIGHTS, BANK_FIRST, BANK_SECOND};
enum { KEPT = sizeof kept / sizeof *kept };

struct group { /* trainings on one engine */
    struct frozen *shared;
    struct setting settings[TRIALS];
    struct train_spec specs[TRIALS];
    struct outcome out[TRIALS];
    uint32_t count;
};

static struct train_spec spec_of(uint32_t i)
{
    struct train_spec s = short_training();
    s.recipe.epochs = EPOCHS;
    s.recipe.seed = 40 + trials[i].seed;
    s.recipe.lr = trials[i].lr;
    s.recipe.decay = trials[i].decay;
    s.recipe.drop_path = trials[i].drop_path;
    return s;
}

static struct session_spec session_of(struct engine *e, struct method *m, uint64_t seed, enum number number)
{
    return (struct session_spec){.engine = e,
                                 .method = m,
                                 .vit = vit,
                                 .mean = {0.5f, 0.5f, 0.5f},
                                 .std = {0.5f, 0.5f, 0.5f},
                                 .seed = seed,
                                 .number = number};
}

/* Trials `which`, side by side where there are several. */
static void open_group(struct group *g, struct engine *e, const uint32_t *which, uint32_t count,
                       enum number number)
{
    *g = (struct group){.count = count};
    if (count > 1)
        must(frozen_create(&g->shared, e));
    for (uint32_t i = 0; i < count; i++) {
        struct setting *s = &g->settings[i];
        must(method_create(&s->method, plugins, trials[which[i]].method));
        must(method_declare(s->method, vit));
        struct session_spec spec = session_of(e, s->method, trials[which[i]].seed, number);
        spec.shared = g->shared;
        must(session_create(&s->session, &spec));
        g->specs[i] = spec_of(which[i]);
        g->specs[i].recipe.precision = (int32_t)number;
        g->specs[i].losses = g->out[i].losses;
    }
}

static enum run_together together = RUN_SIDE_BY_SIDE; /* of what follows */

static int train_group(struct group *g)
{
    struct session *sessions[TRIALS];
    struct train_result results[TRIALS];
    for (uint32_t i = 0; i < g->count; i++)
        sessions[i] = g->settings[i].session;
    int rc = session_train_packed(sessions, g->specs, g->count, together, results);
    for (uint32_t i = 0; i < g->count; i++)
        g->out[i].result = results[i];
    return rc;
}

static void take_outcomes(struct group *g)
{
    const struct images images = {rgb, labels, IMAGES};
    for (uint32_t i = 0; i < g->count; i++) {
        struct outcome *o = &g->out[i];
        struct session *s = g->settings[i].session;
        o->floats = bank_arena_floats(s->bank);
        o->arenas = mem_alloc(KEPT * o->floats, sizeof *o->arenas);
        for (int a = 0; a < KEPT; a++)
            must(bank_arena_read(s->bank, kept[a], o->arenas + (size_t)a * o->floats));
        must(session_logits(s, &images, 16, o->logits, NULL));
        must(session_products(s, o->products));
    }
}

static void close_group(struct group *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        end(&g->settings[i]);
    frozen_destroy(g->shared);
}

static void free_outcomes(struct group *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        mem_free(g->out[i].arenas);
}

static void train_on(struct group *g, struct device *d, const uint32_t *which, uint32_t count,
                     enum number number)
{
    struct engine *e = engine;
    if (d != device)
        must(engine_create(&e, d, ENGINE_AUTO));
    open_group(g, e, which, count, number);
    must(train_group(g));
    take_outcomes(g);
    close_group(g);
    if (d != device)
        engine_destroy(e);
}

static void same_bits(const struct outcome *alone, const struct outcome *packed)
{
    assert_int_equal(alone->floats, packed->floats);
    assert_memory_equal(alone->losses, packed->losses, sizeof alone->losses);
    assert_memory_equal(alone->arenas, packed->arenas, KEPT * alone->floats * sizeof *alone->arenas);
    assert_memory_equal(alone->logits, packed->logits, sizeof alone->logits);
    assert_string_equal(alone->products, packed->products);
}

static const uint32_t every[TRIALS] = {0, 1, 2, 3, 4, 5};
static struct group alone[TRIALS];

static int train_alone(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < TRIALS; i++)
        train_on(&alone[i], device, &every[i], 1, NUMBER_FP32);
    return 0;
}

static int forget_alone(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < TRIALS; i++)
        free_outcomes(&alone[i]);
    return 0;
}

static void packed_trials_end_in_the_bits_they_have_alone(void **state)
{
    (void)state;
    static const struct {
        uint32_t count, which[TRIALS];
    } packs[] = {{2, {0, 4}}, {4, {1, 2, 3, 5}}, {4, {2, 4, 2, 0}}, {TRIALS, {0, 1, 2, 3, 4, 5}}};
    for (size_t p = 0; p < sizeof packs / sizeof *packs; p++) {
        struct group g;
        train_on(&g, device, packs[p].which, packs[p].count, NUMBER_FP32);
        for (uint32_t i = 0; i < packs[p].count; i++) {
            same_bits(&alone[packs[p].which[i]].out[0], &g.out[i]);
            assert_int_equal(g.out[i].result.packed, packs[p].count);
            assert_false(g.out[i].result.in_turn);
        }
        free_outcomes(&g);
    }
}

static void packed_trials_in_fp16_scale_their_losses_apart(void **state)
{
    (void)state;
    static const uint32_t which[] = {1, 4};
    struct group one, both;
    train_on(&both, device, which, 2, NUMBER_FP16);
    for (uint32_t i = 0; i < 2; i++) {
        train_on(&one, device, &which[i], 1, NUMBER_FP16);
        same_bits(&one.out[0], &both.out[i]);
        assert_true(both.out[i].result.loss_scale > 0);
        free_outcomes(&one);
    }
    free_outcomes(&both);
}

static void trials_in_turn_end_in_the_same_bits(void **state)
{
    (void)state;
    struct group g;
    together = RUN_IN_TURN;
    train_on(&g, device, every, TRIALS, NUMBER_FP32);
    for (uint32_t i = 0; i < TRIALS; i++) {
        same_bits(&alone[i].out[0], &g.out[i]);
        assert_true(g.out[i].result.in_turn);
    }
    free_outcomes(&g);
    together = RUN_SIDE_BY_SIDE;
}

/* Four probes of other rates and seeds; one has another depth of dropped paths, and so other features. */
static void equal_features_are_computed_once(void **state)
{
    (void)state;
    static const uint32_t which[] = {0, 0, 0, 0};
    struct group g, one;
    for (int packed = 1; packed >= 0; packed--)
        for (uint32_t i = 0; i < (packed ? 1 : 4); i++) {
            struct group *to = packed ? &g : &one;
            open_group(to, engine, which, packed ? 4 : 1, NUMBER_FP32);
            for (uint32_t k = 0; k < to->count; k++) {
                const uint32_t trial = packed ? k : i;
                to->specs[k].feature_cache = 16;
                to->specs[k].recipe.seed += trial;
                to->specs[k].recipe.lr *= (float)(1 + trial);
                to->specs[k].recipe.drop_path = trial == 2 ? 0.1f : 0;
            }
            must(train_group(to));
            take_outcomes(to);
            close_group(to);
            if (packed)
                continue;
            same_bits(&one.out[0], &g.out[i]);
            assert_true(g.out[i].result.features.saved > 0);
            assert_int_equal(g.out[i].result.features.bytes > 0, i % 2 == 0); /* the others' are lent */
            free_outcomes(&one);
        }
    free_outcomes(&g);
}

/* --- how they end */

static void a_trial_that_diverges_disturbs_no_other(void **state)
{
    (void)state;
    enum { LONG = 12 };
    static const uint32_t which[] = {1, 4, 3};
    struct group g;
    float losses[3][LONG * 3], lone[LONG * 3];
    struct train_result result;
    open_group(&g, engine, which, 3, NUMBER_FP32);
    for (uint32_t i = 0; i < 3; i++) {
        g.specs[i].recipe.epochs = LONG;
        g.specs[i].losses = losses[i];
    }
    g.specs[1].recipe.lr = g.specs[1].recipe.lr_start = 1e3f;
    g.specs[1].recipe.decay = 1e2f;
    must(train_group(&g));
    assert_non_null(strstr(g.out[1].result.diverged, "diverged: the loss of step"));
    assert_true(g.out[1].result.steps < LONG * 3);
    for (uint32_t i = 0; i < 3; i += 2) {
        struct setting s = {0};
        struct train_spec spec = g.specs[i];
        must(method_create(&s.method, plugins, trials[which[i]].method));
        must(method_declare(s.method, vit));
        const struct session_spec session = session_of(engine, s.method, trials[which[i]].seed, NUMBER_FP32);
        must(session_create(&s.session, &session));
        spec.losses = lone;
        must(session_train(s.session, &spec, &result));
        assert_string_equal(g.out[i].result.diverged, "");
        assert_int_equal(g.out[i].result.steps, LONG * 3);
        assert_memory_equal(lone, losses[i], sizeof lone);
        end(&s);
    }
    close_group(&g);
}

static int stop_at(void *context, const struct train_progress *p)
{
    return p->step >= *(const uint32_t *)context;
}

/* One was begun alone, one in a pack that was stopped, one not at all: each goes on from where it stands. */
static void trials_at_different_steps_catch_up(void **state)
{
    (void)state;
    static const uint32_t which[] = {1, 2, 4};
    static const char *const paths[] = {"test_packed.0", "test_packed.1", "test_packed.2"};
    const uint32_t stops[] = {2, 3};
    struct group g;
    for (int i = 0; i < 3; i++)
        unlink(paths[i]);
    for (uint32_t part = 0; part < 2; part++) { /* the first two until 2, then the second until 3 */
        open_group(&g, engine, &which[part], 2 - part, NUMBER_FP32);
        for (uint32_t i = 0; i < g.count; i++) {
            g.specs[i].checkpoint = paths[part + i];
            g.specs[i].checkpoint_steps = 1;
            g.specs[i].report = stop_at;
            g.specs[i].context = (void *)(uintptr_t)&stops[part];
        }
        assert_int_equal(train_group(&g), ERR_STOPPED);
        assert_non_null(strstr(error_text(), "the same command goes on from test_packed."));
        close_group(&g);
    }
    open_group(&g, engine, which, 3, NUMBER_FP32);
    for (uint32_t i = 0; i < 3; i++)
        g.specs[i].checkpoint = paths[i];
    must(train_group(&g));
    assert_int_equal(g.out[0].result.resumed, 2);
    assert_int_equal(g.out[1].result.resumed, 3);
    assert_int_equal(g.out[2].result.resumed, 0);
    take_outcomes(&g);
    for (uint32_t i = 0; i < 3; i++) {
        struct outcome *o = &alone[which[i]].out[0];
        assert_memory_equal(o->losses, g.out[i].losses, sizeof o->losses);
        assert_memory_equal(o->arenas, g.out[i].arenas, KEPT * o->floats * sizeof *o->arenas);
        assert_memory_equal(o->logits, g.out[i].logits, sizeof o->logits);
        unlink(paths[i]);
    }
    free_outcomes(&g);
    close_group(&g);
}

static void a_lost_device_costs_no_bit_of_any(void **state)
{
    (void)state;
    static const uint32_t which[] = {5, 3};
    struct device *fragile;
    struct group g;
    must(device_open(&fragile, &(struct device_spec){.index = -1, .lose_submit = 6, .lose_times = 1}));
    train_on(&g, fragile, which, 2, NUMBER_FP32);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(g.out[i].result.recovered, 1);
        same_bits(&alone[which[i]].out[0], &g.out[i]);
    }
    free_outcomes(&g);
    device_close(fragile);
}

static void trials_of_another_step_are_refused(void **state)
{
    (void)state;
    static const uint32_t which[] = {0, 1};
    struct group g;
    open_group(&g, engine, which, 2, NUMBER_FP32);
    g.specs[1].recipe.batch = 8;
    assert_int_equal(train_group(&g), ERR_INPUT);
    assert_non_null(strstr(error_text(), "the batch of trial 2 (lora[r=2,"));
    assert_non_null(strstr(error_text(), "is 8, the first's is 16"));
    g.specs[1].recipe.batch = 16;
    g.specs[1].recipe.epochs = 3;
    assert_int_equal(train_group(&g), ERR_INPUT);
    assert_non_null(strstr(error_text(), "the number of epochs of trial 2"));
    g.specs[1].recipe.epochs = EPOCHS;
    g.specs[1].images.count = 40;
    assert_int_equal(train_group(&g), ERR_INPUT);
    assert_non_null(strstr(error_text(), "has another device, backbone or data"));
    close_group(&g);
}

/* --- memory */

static void foresee_trials(struct foreseen *f, const uint32_t *which, uint32_t count, enum run_together how)
{
    struct method *methods[TRIALS];
    struct session_spec sessions[TRIALS] = {0};
    struct train_spec trainings[TRIALS];
    struct foresee_spec specs[TRIALS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        must(method_create(&methods[i], plugins, trials[which[i]].method));
        must(method_declare(methods[i], vit));
        sessions[i] = session_of(engine, methods[i], 1, NUMBER_FP32);
        trainings[i] = spec_of(which[i]);
        specs[i] = (struct foresee_spec){.recipe = &trainings[i].recipe, .images = IMAGES};
    }
    must(foresee_packed(f, sessions, specs, count, how));
    for (uint32_t i = 0; i < count; i++)
        method_destroy(methods[i]);
}

static void frozen_weights_count_once_and_what_is_foreseen_is_taken(void **state)
{
    (void)state;
    static const uint32_t which[] = {1, 1, 0, 1}; /* lora, and the probe, which reads no other layouts */
    struct foreseen one, four, turns;
    struct group g;
    foresee_trials(&one, which, 1, RUN_SIDE_BY_SIDE);
    foresee_trials(&four, which, 4, RUN_SIDE_BY_SIDE);
    foresee_trials(&turns, which, 4, RUN_IN_TURN);
    assert_int_equal(four.bank.frozen, one.bank.frozen);
    assert_int_equal(four.bank.layouts, one.bank.layouts);
    assert_true(four.run.activations > 2 * one.run.activations);
    assert_true(turns.run.activations < 2 * one.run.activations);
    struct device *fresh;
    must(device_open(&fresh, &(struct device_spec){.index = -1}));
    train_on(&g, fresh, which, 4, NUMBER_FP32);
    assert_int_equal(g.out[0].result.device_bytes, four.peak);
    free_outcomes(&g);
    device_close(fresh);
}

/* Where side by side does not fit, they follow each other; where that does not fit either, it says how many do. */
static void trials_follow_each_other_where_memory_is_short(void **state)
{
    (void)state;
    static const uint32_t which[] = {4, 2, 4};
    struct foreseen side, turns, two;
    struct device *d;
    struct group g;
    foresee_trials(&side, which, 3, RUN_SIDE_BY_SIDE);
    foresee_trials(&turns, which, 3, RUN_IN_TURN);
    foresee_trials(&two, which, 2, RUN_IN_TURN);
    assert_true(two.peak < turns.peak && turns.peak < side.peak);
    must(device_open(&d, &(struct device_spec){.index = -1, .memory = turns.peak}));
    train_on(&g, d, which, 3, NUMBER_FP32);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(g.out[i].result.in_turn);
        same_bits(&alone[which[i]].out[0], &g.out[i]);
    }
    free_outcomes(&g);
    device_close(d);
    must(device_open(&d, &(struct device_spec){.index = -1, .memory = turns.peak - 1}));
    struct engine *e;
    must(engine_create(&e, d, ENGINE_AUTO));
    open_group(&g, e, which, 3, NUMBER_FP32);
    assert_int_equal(train_group(&g), ERR_DEVICE);
    assert_non_null(strstr(error_text(), "3 packed trials with a batch of 16 take"));
    assert_non_null(strstr(error_text(), "it fits with 2 at once"));
    close_group(&g);
    engine_destroy(e);
    device_close(d);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_trials_end_in_the_bits_they_have_alone),
        cmocka_unit_test(trials_in_turn_end_in_the_same_bits),
        cmocka_unit_test(equal_features_are_computed_once),
        cmocka_unit_test(packed_trials_in_fp16_scale_their_losses_apart),
        cmocka_unit_test(a_trial_that_diverges_disturbs_no_other),
        cmocka_unit_test(trials_at_different_steps_catch_up),
        cmocka_unit_test(a_lost_device_costs_no_bit_of_any),
        cmocka_unit_test(trials_of_another_step_are_refused),
        cmocka_unit_test(frozen_weights_count_once_and_what_is_foreseen_is_taken),
        cmocka_unit_test(trials_follow_each_other_where_memory_is_short),
    };
    return cmocka_run_group_tests(tests, train_alone, forget_alone);
}

int main(void)
{
    const char *const folders[] = {PLUGINS, NULL};
    return run_world(run, folders, 3);
}
