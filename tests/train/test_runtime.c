/* test_runtime.c - what the runtime does to a training changes no bit of it: how its steps are cut into submits, a device
 * that is lost on the way. On a small random ViT and random images. */

#include "train_world.h"

#include <unistd.h>

enum { STEPS = 6 };

struct world { /* a session on a device of its own */
    struct device *device;
    struct engine *engine;
    struct method *method;
    struct session *session;
};

static struct world open_world(const struct device_spec *spec, const char *method)
{
    struct world w = {0};
    must(device_open(&w.device, spec));
    must(engine_create(&w.engine, w.device, ENGINE_AUTO));
    must(method_create(&w.method, plugins, method));
    must(method_declare(w.method, vit));
    must(session_create(&w.session, &(struct session_spec){.engine = w.engine,
                                                           .method = w.method,
                                                           .vit = vit,
                                                           .mean = {0.5f, 0.5f, 0.5f},
                                                           .std = {0.5f, 0.5f, 0.5f},
                                                           .seed = 3}));
    return w;
}

static void close_world(struct world *w)
{
    session_destroy(w->session);
    method_destroy(w->method);
    engine_destroy(w->engine);
    must(device_check(w->device));
    device_close(w->device);
}

struct trained { /* what a training ends in */
    float *weights, losses[STEPS], logits[IMAGES * CLASSES];
    size_t floats;
    struct train_result result;
};

static struct trained *train(struct world *w, struct train_spec spec)
{
    struct trained *t = mem_alloc(1, sizeof *t);
    assert_non_null(t);
    spec.losses = t->losses;
    must(session_train(w->session, &spec, &t->result));
    assert_int_equal(t->result.steps, STEPS);
    must(session_logits(w->session, &spec.images, 16, t->logits, NULL));
    t->floats = bank_arena_floats(w->session->bank);
    t->weights = mem_alloc(t->floats, sizeof *t->weights);
    assert_non_null(t->weights);
    must(bank_arena_read(w->session->bank, BANK_WEIGHTS, t->weights));
    return t;
}

static void assert_same_bits(const struct trained *a, const struct trained *b)
{
    assert_int_equal(a->floats, b->floats);
    assert_memory_equal(a->losses, b->losses, sizeof a->losses);
    assert_memory_equal(a->logits, b->logits, sizeof a->logits);
    assert_memory_equal(a->weights, b->weights, a->floats * sizeof *a->weights);
}

static void trained_free(struct trained *t)
{
    mem_free(t->weights);
    mem_free(t);
}

static struct trained *undisturbed(const char *method)
{
    struct world w = open_world(&(struct device_spec){.index = -1}, method);
    struct trained *t = train(&w, short_training());
    close_world(&w);
    return t;
}

/* Everything its own submit, every dispatch divided; a few dispatches a submit; all steps at once. */
static void how_a_step_is_submitted_changes_no_bit(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        struct engine_pace pace;
    } cases[] = {{"lora[r=2]+vpt[prompts=3]", {0, 2}}, {"full", {1e-3, 1}}, {"full", {10, 1}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trained *plain = undisturbed(cases[i].method);
        struct world w = open_world(&(struct device_spec){.index = -1}, cases[i].method);
        engine_set_pace(w.engine, cases[i].pace);
        struct trained *t = train(&w, short_training());
        assert_same_bits(plain, t);
        trained_free(t);
        trained_free(plain);
        close_world(&w);
    }
}

static char said[1024];

static void hear(void *context, const char *text)
{
    (void)context;
    snprintf(said, sizeof said, "%s", text);
}

/* Every dispatch is a submit here: the losses fall into the set-up, the first steps, and later ones. */
static void a_lost_device_changes_no_bit(void **state)
{
    (void)state;
    static const char *const method = "lora[r=2]";
    static const char *path = "test_runtime.checkpoint";
    static const struct {
        size_t submit;
        int with_file;
    } cases[] = {{40, 0}, {200, 1}, {300, 0}};
    struct trained *plain = undisturbed(method);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w =
            open_world(&(struct device_spec){.index = -1, .lose_submit = cases[i].submit}, method);
        struct train_spec spec = short_training();
        engine_set_log(w.engine, hear, NULL);
        engine_set_pace(w.engine, (struct engine_pace){.submit_seconds = 1e-9, .parts = 1});
        unlink(path);
        spec.checkpoint = cases[i].with_file ? path : NULL;
        spec.checkpoint_steps = 1;
        said[0] = 0;
        struct trained *t = train(&w, spec);
        assert_same_bits(plain, t);
        assert_int_equal(t->result.recovered, 1);
        assert_non_null(strstr(said, "the training goes on from step"));
        trained_free(t);
        close_world(&w);
    }
    unlink(path);
    trained_free(plain);
}

static void a_device_lost_again_and_again_ends_the_training(void **state)
{
    (void)state;
    struct world w =
        open_world(&(struct device_spec){.index = -1, .lose_submit = 30, .lose_times = 100}, "lora[r=2]");
    const struct train_spec spec = short_training();
    struct train_result result;
    engine_set_pace(w.engine, (struct engine_pace){.submit_seconds = 1e-9, .parts = 1});
    assert_int_equal(session_train(w.session, &spec, &result), ERR_LOST);
    assert_int_equal(result.recovered, 3);
    assert_non_null(strstr(error_text(), "the device was lost"));
    close_world(&w);
}

static void other_work_on_a_lost_device_is_not_forgotten(void **state)
{
    (void)state;
    struct world w = open_world(&(struct device_spec){.index = -1, .lose_submit = 30}, "linear");
    const struct train_spec spec = short_training();
    struct train_result result;
    struct buffer other;
    must(buffer_create(&other, w.device, BUFFER_HOST, 64, "other"));
    engine_set_pace(w.engine, (struct engine_pace){.submit_seconds = 1e-9, .parts = 1});
    assert_int_equal(session_train(w.session, &spec, &result), ERR_LOST);
    assert_non_null(strstr(error_text(), "with 1 buffers on it that nothing can bring back"));
    buffer_destroy(w.device, &other);
    close_world(&w);
}

/* The program of a training step by itself. */
static struct run_counts counts_after(struct world *w, uint32_t steps, uint32_t *stride)
{
    struct recipe recipe = short_training().recipe;
    struct feed feed;
    struct run *run;
    int32_t order[8 * 16];
    float rates[8] = {0};
    for (int i = 0; i < 8 * 16; i++)
        order[i] = i % IMAGES;
    must(feed_create(&feed, w->engine, rgb, labels, IMAGES, SIDE));
    must(session_program(
        w->session,
        &(struct program_spec){.feed = &feed, .batch = 16, .series = 8, .recipe = &recipe, .update = 1},
        &run));
    must(run_begin(run, &(struct run_series){.steps = 8, .order = order, .rates = rates}));
    must(run_go(run, steps));
    must(run_wait(run, 0));
    struct run_counts c = run_counts(run);
    *stride = run_stride(run);
    run_destroy(run);
    feed_destroy(&feed);
    return c;
}

static void short_steps_share_a_submit_and_long_ones_are_cut(void **state)
{
    (void)state;
    uint32_t stride;
    struct world w = open_world(&(struct device_spec){.index = -1}, "full");
    engine_set_pace(w.engine, (struct engine_pace){.submit_seconds = 1e4}); /* no step takes hours */
    struct run_counts c = counts_after(&w, 4, &stride);
    assert_int_equal(c.submits, 1);
    assert_true(stride > 1);
    assert_true(c.barriers < c.dispatches);
    engine_set_pace(w.engine, (struct engine_pace){.submit_seconds = 0});
    c = counts_after(&w, 4, &stride);
    assert_int_equal(c.submits, c.dispatches);
    assert_int_equal(stride, 1);
    close_world(&w);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(how_a_step_is_submitted_changes_no_bit),
        cmocka_unit_test(a_lost_device_changes_no_bit),
        cmocka_unit_test(a_device_lost_again_and_again_ends_the_training),
        cmocka_unit_test(other_work_on_a_lost_device_is_not_forgotten),
        cmocka_unit_test(short_steps_share_a_submit_and_long_ones_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    static const char *const folders[] = {PLUGINS, NULL};
    return run_world(run, folders, 2);
}
