/* test_features.c - what is computed once for all epochs: that it changes no bit, in either style of kernels and
 * across interruptions, and for which methods there is such a thing; on a small random ViT and random images. */

#include "train_world.h"

#include <unistd.h>

enum { PATCH = 4, DIM = 24, DEPTH = 3, TOKENS = 17, BATCH = 16, PADDED = 48 };
enum { EPOCHS = 2, STEPS = 6 };

struct outcome { /* of a training */
    float losses[STEPS];
    float *weights;
    size_t count;
    struct train_result result;
    int rc;
};

static struct train_spec training_with(int32_t feature_cache)
{
    struct train_spec t = {
        .recipe = recipe_default, .images = {rgb, labels, IMAGES}, .feature_cache = feature_cache};
    t.recipe.epochs = EPOCHS;
    t.recipe.warmup = 1;
    t.recipe.batch = BATCH;
    t.recipe.drop_last = 0; /* padded rows in the last batch of each epoch */
    t.recipe.lr = 1e-2f;
    t.recipe.seed = 9;
    return t;
}

static struct outcome train_on(struct engine *e, const char *name, struct train_spec spec)
{
    struct outcome o = {0};
    struct method *method;
    struct session *session;
    must(method_create(&method, plugins, name));
    must(method_declare(method, vit));
    must(session_create(&session, &(struct session_spec){.engine = e,
                                                         .method = method,
                                                         .vit = vit,
                                                         .mean = {0.5f, 0.5f, 0.5f},
                                                         .std = {0.5f, 0.5f, 0.5f},
                                                         .seed = 3}));
    spec.losses = o.losses;
    o.rc = session_train(session, &spec, &o.result);
    o.count = bank_arena_floats(session->bank);
    o.weights = mem_alloc(o.count, sizeof *o.weights);
    must(bank_arena_read(session->bank, BANK_WEIGHTS, o.weights));
    session_destroy(session);
    method_destroy(method);
    return o;
}

static struct outcome train(const char *name, struct train_spec spec)
{
    struct engine *e;
    must(engine_create(&e, device, ENGINE_AUTO));
    struct outcome o = train_on(e, name, spec);
    engine_destroy(e);
    return o;
}

static void same_bits(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->losses, b->losses, sizeof a->losses);
    assert_memory_equal(a->weights, b->weights, a->count * sizeof *a->weights);
}

/* --- which methods, and where the cut lies */

static const struct {
    const char *method;
    float drop_path;
    uint64_t floats; /* kept of one image; 0: nothing is */
} expected[] = {
    {"linear", 0, DIM},                                 /* the class features */
    {"linear", 0.1f, 2 * TOKENS *DIM},                  /* the first block whose branches are drawn */
    {"linear+selective[part=fc2]", 0, 4 * DIM + DIM},   /* the class token, and what fc2 makes of it */
    {"selective[part=block]", 0, TOKENS *DIM},          /* the input of the last block */
    {"selective[part=block,blocks=2]", 0, TOKENS *DIM}, /* the input of the last but one */
    {"vpt[mode=shallow]", 0, 0},                        /* the first block changes */
    {"lora[r=2]", 0, 0},
    {"bitfit", 0, 0},
    {"full", 0, 0},
};

static void the_cut_lies_where_the_method_begins(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct train_spec spec = training_with(FEATURES_AUTO);
        spec.recipe.drop_path = expected[i].drop_path;
        struct outcome o = train(expected[i].method, spec);
        const struct train_features f = o.result.features;
        must(o.rc);
        if (f.bytes != expected[i].floats * PADDED * sizeof(float))
            fail_msg("%s: %llu bytes are kept", expected[i].method, (unsigned long long)f.bytes);
        assert_int_equal(f.images, f.bytes ? IMAGES : 0);
        assert_true(f.bytes ? f.saved > 0.1 && f.saved < 1 && f.seconds > 0 : f.saved == 0 && f.seconds == 0);
        mem_free(o.weights);
    }
}

static void one_epoch_keeps_nothing(void **state)
{
    (void)state;
    struct train_spec spec = training_with(FEATURES_AUTO);
    spec.recipe.drop_path = 0;
    spec.recipe.epochs = 1;
    spec.recipe.warmup = 0;
    struct outcome o = train("linear", spec);
    must(o.rc);
    assert_int_equal(o.result.features.bytes, 0);
    mem_free(o.weights);
}

/* --- it changes no bit */

static void check_bits(enum engine_style style)
{
    static const struct {
        const char *method;
        float drop_path;
    } rows[] = {{"linear", 0}, {"linear", 0.3f}, {"selective[part=block]", 0}, {"adaptformer[r=4]", 0.3f}};
    struct engine *e;
    must(engine_create(&e, device, style));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct outcome o[2];
        for (int k = 0; k < 2; k++) {
            struct train_spec spec = training_with(k ? FEATURES_AUTO : 0);
            spec.recipe.drop_path = rows[i].drop_path;
            o[k] = train_on(e, rows[i].method, spec);
            must(o[k].rc);
        }
        assert_int_equal(o[0].result.features.bytes, 0);
        assert_true(o[1].result.features.bytes > 0);
        same_bits(&o[0], &o[1]);
        mem_free(o[0].weights);
        mem_free(o[1].weights);
    }
    engine_destroy(e);
}

static void features_kept_change_no_bit(void **state)
{
    (void)state;
    check_bits(ENGINE_CPU);
}

static void nor_with_kernels_of_the_gpu_style(void **state)
{
    (void)state;
    check_bits(ENGINE_GPU);
}

static int stop_at(void *context, const struct train_progress *p)
{
    return p->step >= *(const uint32_t *)context;
}

/* Begun without, gone on with them, ended without: one training. */
static void an_interruption_may_change_sides(void **state)
{
    (void)state;
    static const char *path = "test_features.checkpoint";
    static const int32_t sides[] = {0, FEATURES_AUTO, 0};
    static const char method[] = "selective[part=block]";
    struct outcome whole = train(method, training_with(FEATURES_AUTO)), part = {0};
    unlink(path);
    for (int i = 0; i < 3; i++) {
        struct train_spec spec = training_with(sides[i]);
        uint32_t stop = 2 * (uint32_t)i + 1;
        spec.checkpoint = path;
        spec.checkpoint_steps = 1;
        spec.report = i < 2 ? stop_at : NULL;
        spec.context = &stop;
        mem_free(part.weights);
        part = train(method, spec);
        assert_int_equal(part.rc, i < 2 ? ERR_STOPPED : 0);
        assert_int_equal(part.result.features.bytes > 0, sides[i] != 0);
    }
    same_bits(&whole, &part);
    mem_free(whole.weights);
    mem_free(part.weights);
    unlink(path);
}

/* --- and goes wrong as it should */

static int stop_early(void *context, const struct train_progress *p)
{
    ++*(uint32_t *)context;
    assert_int_equal(p->step, 0);
    assert_int_equal(p->features.images, IMAGES);
    assert_int_equal(p->features.done, BATCH * *(uint32_t *)context);
    assert_int_equal(p->features.bytes, DIM * PADDED * sizeof(float));
    return p->features.done > BATCH;
}

static void it_can_be_stopped_before_the_first_step(void **state)
{
    (void)state;
    struct train_spec spec = training_with(FEATURES_AUTO);
    uint32_t calls = 0;
    spec.recipe.drop_path = 0;
    spec.report = stop_early;
    spec.context = &calls;
    struct outcome o = train("linear", spec);
    assert_int_equal(o.rc, ERR_STOPPED);
    assert_int_equal(calls, 2);
    assert_non_null(strstr(error_text(), "features of 32 of 44 images"));
    mem_free(o.weights);
}

/* The device runs out at each buffer in turn, those before the features' excepted: one sentence, nothing
 * leaks (ASan). */
static void a_device_out_of_memory_is_reported(void **state)
{
    (void)state;
    enum { FIRST = 12, LEAST = 20, MOST = 60 };
    size_t k = FIRST;
    for (int rc = -1; rc < 0; k++) {
        struct device *small, *whole = device;
        must(device_open(&small, &(struct device_spec){.index = -1, .fail_allocation_after = k}));
        struct train_spec spec = training_with(FEATURES_AUTO);
        spec.recipe.drop_path = 0;
        device = small;
        struct outcome o = train("linear", spec);
        device = whole;
        rc = o.rc;
        assert_true(rc == 0 || (rc == ERR_DEVICE && strstr(error_text(), "does not fit")));
        mem_free(o.weights);
        device_close(small);
    }
    assert_in_range(k, LEAST, MOST);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cut_lies_where_the_method_begins),
        cmocka_unit_test(one_epoch_keeps_nothing),
        cmocka_unit_test(features_kept_change_no_bit),
        cmocka_unit_test(nor_with_kernels_of_the_gpu_style),
        cmocka_unit_test(an_interruption_may_change_sides),
        cmocka_unit_test(it_can_be_stopped_before_the_first_step),
        cmocka_unit_test(a_device_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    static const char *const folders[] = {PLUGINS, NULL};
    return run_world_of(run, folders, PATCH, DEPTH);
}
