/* test_training.c - training on the device: AdamW against PyTorch, masked rows, repeatability, exact resume,
 * divergence, saving and loading; on a small random ViT and random images. */
#include "checkpoint.h"
#include "file.h"
#include "safetensors.h"
#include "train_world.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static const double ADAMW = 2e-6;  /* 20 float32 steps of numbers around 1 */
static const double MASKED = 1e-6; /* the same mean, added in another order */

static struct setting begin(const char *method)
{
    return begin_on(engine, method);
}

static struct train_spec twelve_steps(void)
{
    struct train_spec t = short_training();
    t.recipe.epochs = 4;
    return t;
}

/* Everything trained, as one text of bytes. */
static float *trained(struct session *s, size_t *count)
{
    *count = bank_arena_floats(s->bank);
    float *data = mem_alloc(*count, sizeof *data);
    must(bank_arena_read(s->bank, BANK_WEIGHTS, data));
    return data;
}

static void adamw_is_pytorchs(void **state)
{
    (void)state;
    enum { STEPS = 20, N = 100 };
    static float weight[(STEPS + 1) * N], grad[STEPS * N], rates[STEPS], got[N];
    struct safetensors *f;
    must(safetensors_open(&f, GOLDEN "/adamw.safetensors"));
    must(safetensors_need(f, "weight", SAFETENSORS_F32, (STEPS + 1) * N, weight));
    must(safetensors_need(f, "grad", SAFETENSORS_F32, STEPS * N, grad));
    must(safetensors_need(f, "lr", SAFETENSORS_F32, STEPS, rates));
    safetensors_close(f);
    struct bank *bank;
    struct run *run;
    struct tape *t = tape_create();
    const struct bank_tensor tensor = {.name = "w", .shape = SHAPE(N), .kind = LEAF_TRAINABLE, .lr_mul = 1};
    must(bank_create(&bank, engine, &tensor, 1));
    must(bank_write(bank, 0, weight));
    value w = tape_leaf(t, LEAF_TRAINABLE, SHAPE(N), 0, "w"), g = tape_leaf(t, LEAF_INPUT, SHAPE(N), 1, "g");
    (void)w;
    const struct run_gradient gradient = {0, g};
    must(run_create(&run, &(struct run_spec){.tape = t,
                                             .bank = bank,
                                             .gradients = &gradient,
                                             .gradient_count = 1,
                                             .update = 1,
                                             .beta1 = 0.9f,
                                             .beta2 = 0.999f,
                                             .eps = 1e-8f,
                                             .decay = 1e-2f,
                                             .series = 1}));
    double worst = 0;
    for (uint32_t i = 0; i < STEPS; i++) {
        must(run_write(run, g, grad + i * N));
        must(run_begin(run, &(struct run_series){.first = i, .steps = 1, .rates = &rates[i]}));
        must(run_go(run, 1));
        must(run_wait(run, 0));
        must(bank_read(bank, 0, got));
        for (int k = 0; k < N; k++)
            worst = fmax(worst, fabs((double)got[k] - (double)weight[(i + 1) * N + (uint32_t)k]));
    }
    assert_true(worst <= ADAMW);
    run_destroy(run);
    bank_destroy(bank);
    tape_destroy(t);
}

enum { MANY = 10, EACH = 16 * BANK_BLOCK }; /* tensors, and floats of each */

/* One scaled step over many tensors; the last gradient of all is `last`. */
static void update_on(const struct device_limits *limits, float last, float out[MANY * EACH])
{
    static float grad[MANY * EACH];
    const float rate = 1e-2f;
    struct device *d;
    struct engine *e;
    struct bank *bank;
    struct run *run;
    struct bank_tensor tensors[MANY];
    struct run_gradient gradients[MANY];
    struct tape *t = tape_create();
    must(device_open(&d, &(struct device_spec){.index = -1, .limits = limits}));
    must(engine_create(&e, d, ENGINE_AUTO));
    for (int i = 0; i < MANY * EACH; i++)
        grad[i] = (float)(i % 7 - 3) * 1e3f;
    grad[MANY * EACH - 1] = last;
    for (uint32_t i = 0; i < MANY; i++)
        tensors[i] =
            (struct bank_tensor){.name = "w", .shape = SHAPE(EACH), .kind = LEAF_TRAINABLE, .lr_mul = 1};
    must(bank_create(&bank, e, tensors, MANY));
    for (uint32_t i = 0; i < MANY; i++) {
        tape_leaf(t, LEAF_TRAINABLE, SHAPE(EACH), i, "w");
        gradients[i] = (struct run_gradient){i, tape_leaf(t, LEAF_INPUT, SHAPE(EACH), MANY + i, "g")};
    }
    value scale = tape_leaf(t, LEAF_INPUT, SHAPE(1), 2 * MANY, "scale");
    must(run_create(&run, &(struct run_spec){.tape = t,
                                             .bank = bank,
                                             .gradients = gradients,
                                             .gradient_count = MANY,
                                             .scale = scale,
                                             .update = 1,
                                             .beta1 = 0.9f,
                                             .beta2 = 0.999f,
                                             .eps = 1e-8f,
                                             .series = 1}));
    for (uint32_t i = 0; i < MANY; i++)
        must(run_write(run, gradients[i].gradient, grad + i * EACH));
    must(run_begin(run, &(struct run_series){.steps = 1, .rates = &rate}));
    must(run_go(run, 1));
    must(run_wait(run, 0));
    for (uint32_t i = 0; i < MANY; i++)
        must(bank_read(bank, i, out + i * EACH));
    run_destroy(run);
    bank_destroy(bank);
    tape_destroy(t);
    engine_destroy(e);
    device_close(d);
}

/* ViT-B's 86 million floats on a device that allows 65,535 workgroups, in small. */
static void more_floats_than_workgroups_are_all_updated(void **state)
{
    (void)state;
    static float usual[MANY * EACH], few[MANY * EACH];
    const struct device_limits limits = {.max_groups = 2};
    update_on(NULL, 1, usual);
    update_on(&limits, 1, few);
    assert_memory_equal(few, usual, sizeof few);
    for (int i = 0; i < MANY * EACH; i++)
        assert_true((few[i] != 0) == (i % 7 != 3 || i == MANY * EACH - 1));
    update_on(&limits, INFINITY, few);
    for (int i = 0; i < MANY * EACH; i++)
        assert_true(few[i] == 0); /* a step that is not finite is left out */
}

/* One batch with padding rows against the same images alone. */
static void masked_rows_do_not_count(void **state)
{
    (void)state;
    enum { ROWS = 5, PADDED = 8 };
    struct setting s = begin("bitfit");
    float loss, padded_loss;
    must(session_gradients(s.session, &(struct images){rgb, labels, ROWS}, &loss));
    size_t n = bank_arena_floats(s.session->bank);
    float *a = mem_alloc(n, sizeof *a), *b = mem_alloc(n, sizeof *b);
    must(bank_arena_read(s.session->bank, BANK_GRADIENTS, a));
    struct recipe recipe = recipe_default;
    recipe.drop_path = 0;
    struct feed feed;
    struct run *run;
    const int32_t order[PADDED] = {0, 1, 2, 3, 4, -1, -1, -1};
    must(feed_create(&feed, engine, rgb, labels, IMAGES, SIDE));
    must(session_program(
        s.session, &(struct program_spec){.feed = &feed, .batch = PADDED, .series = 1, .recipe = &recipe},
        &run));
    must(run_begin(run, &(struct run_series){.steps = 1, .order = order}));
    must(run_go(run, 1));
    must(run_wait(run, 0));
    must(run_log(run, 0, 0, 1, &padded_loss));
    must(bank_arena_read(s.session->bank, BANK_GRADIENTS, b));
    assert_true(fabs((double)loss - (double)padded_loss) <= MASKED);
    double worst = 0, top = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
        top = fmax(top, fabs((double)a[i]));
    }
    assert_true(top > 0 && worst <= MASKED * top);
    mem_free(a);
    mem_free(b);
    run_destroy(run);
    feed_destroy(&feed);
    end(&s);
}

static void the_same_seed_gives_the_same_bits(void **state)
{
    (void)state;
    const struct train_spec spec = twelve_steps();
    struct train_result result;
    float *data[2];
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        struct setting s = begin("lora[r=2]+vpt[prompts=3]");
        must(session_train(s.session, &spec, &result));
        data[i] = trained(s.session, &n);
        end(&s);
    }
    assert_memory_equal(data[0], data[1], n * sizeof(float));
    mem_free(data[0]);
    mem_free(data[1]);
}

static void another_seed_gives_other_bits(void **state)
{
    (void)state;
    struct train_spec spec = twelve_steps();
    struct train_result result;
    float *data[2];
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        struct setting s = begin("lora[r=2]");
        spec.recipe.seed = (uint64_t)i;
        must(session_train(s.session, &spec, &result));
        data[i] = trained(s.session, &n);
        end(&s);
    }
    assert_memory_not_equal(data[0], data[1], n * sizeof(float));
    mem_free(data[0]);
    mem_free(data[1]);
}

static int stop_at(void *context, const struct train_progress *p)
{
    return p->step >= *(const uint32_t *)context;
}

/* Stopped in mid-epoch, twice, each time gone on in a fresh session. */
static void a_resumed_training_ends_in_the_same_bits(void **state)
{
    (void)state;
    enum { STEPS = 12 };
    static const char *path = "test_training.checkpoint";
    static float losses[2][STEPS];
    struct train_spec spec = twelve_steps();
    struct train_result result;
    size_t n = 0;
    unlink(path);
    struct setting s = begin("adaptformer[r=4]");
    spec.losses = losses[0];
    must(session_train(s.session, &spec, &result));
    assert_int_equal(result.steps, STEPS);
    float *whole = trained(s.session, &n);
    end(&s);
    spec.losses = losses[1];
    spec.checkpoint = path;
    spec.checkpoint_steps = 2;
    spec.identity = "this one";
    spec.report = stop_at;
    for (uint32_t stop = 4; stop <= 7; stop += 3) {
        s = begin("adaptformer[r=4]");
        spec.context = &stop;
        assert_int_equal(session_train(s.session, &spec, &result), ERR_STOPPED);
        assert_non_null(strstr(error_text(), "the same command goes on from"));
        end(&s);
    }
    spec.report = NULL;
    s = begin("adaptformer[r=4]");
    must(session_train(s.session, &spec, &result));
    assert_true(result.resumed >= 7);
    float *resumed = trained(s.session, &n);
    end(&s);
    assert_memory_equal(whole, resumed, n * sizeof(float));
    assert_memory_equal(losses[0], losses[1], sizeof losses[0]);
    mem_free(whole);
    mem_free(resumed);

    s = begin("adaptformer[r=4]");
    spec.identity = "another one";
    assert_int_equal(session_train(s.session, &spec, &result), ERR_INPUT);
    assert_non_null(strstr(error_text(), "belongs to another training"));
    end(&s);
    unlink(path);
}

static void a_full_disk_keeps_the_last_checkpoint(void **state)
{
    (void)state;
    static const char *path = "test_training_full.checkpoint";
    struct train_spec spec = twelve_steps();
    struct train_result result;
    unlink(path);
    spec.checkpoint = path;
    spec.recipe.epochs = 1;
    struct setting s = begin("linear");
    must(session_train(s.session, &spec, &result));
    end(&s);
    char *before, *after;
    size_t size[2];
    must(file_read(path, 1 << 24, &before, &size[0]));
    struct bank *bank;
    s = begin("linear");
    bank = s.session->bank;
    float loss = 1;
    file_fail_after(1);
    assert_true(
        checkpoint_write(path, "", bank, &(struct checkpoint){.step = 1, .steps = 1, .losses = &loss}) < 0);
    file_fail_after(-1);
    end(&s);
    must(file_read(path, 1 << 24, &after, &size[1]));
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(before, after, size[0]);
    mem_free(before);
    mem_free(after);
    unlink(path);
}

static void an_infinite_loss_ends_as_diverged(void **state)
{
    (void)state;
    struct train_spec spec = twelve_steps();
    struct train_result result;
    struct setting s = begin("full");
    spec.recipe.lr = 1e3f;
    spec.recipe.lr_start = 1e3f;
    spec.recipe.decay = 1e2f;
    spec.recipe.epochs = 12;
    assert_int_equal(session_train(s.session, &spec, &result), ERR_DIVERGED);
    assert_non_null(strstr(error_text(), "try a smaller learning rate"));
    end(&s);
}

static void training_learns_its_images(void **state)
{
    (void)state;
    struct train_spec spec = twelve_steps();
    struct train_result result;
    static float logits[IMAGES * CLASSES];
    struct setting s = begin("full");
    spec.recipe.epochs = 40;
    spec.recipe.lr = 2e-3f;
    spec.recipe.drop_path = 0;
    must(session_train(s.session, &spec, &result));
    must(session_logits(s.session, &spec.images, 16, logits, NULL));
    assert_true(logits_accuracy(logits, labels, IMAGES, CLASSES) > 0.9);
    end(&s);
}

static void what_is_saved_comes_back(void **state)
{
    (void)state;
    static const char *path = "test_training.safetensors";
    static const char *const notes[] = {"method", "lora", NULL};
    static float before[IMAGES * CLASSES], after[IMAGES * CLASSES];
    struct train_spec spec = twelve_steps();
    struct train_result result;
    struct setting s = begin("lora[r=2]");
    must(session_train(s.session, &spec, &result));
    must(session_logits(s.session, &spec.images, 16, before, NULL));
    must(session_save(s.session, path, notes));
    end(&s);
    s = begin("lora[r=2]");
    must(session_load(s.session, path));
    must(session_logits(s.session, &spec.images, 16, after, NULL));
    assert_memory_equal(before, after, sizeof before);
    end(&s);
    s = begin("lora[r=3]");
    assert_int_equal(session_load(s.session, path), ERR_INPUT);
    assert_non_null(strstr(error_text(), "has the shape"));
    end(&s);
    s = begin("bitfit");
    assert_int_equal(session_load(s.session, path), ERR_INPUT);
    end(&s);
    unlink(path);
}

/* The device runs out at each of the first buffers in turn: one sentence, nothing leaks (ASan). */
static void a_device_out_of_memory_is_reported(void **state)
{
    (void)state;
    for (size_t k = 1; k < 14; k++) {
        struct device *small;
        struct engine *e = NULL;
        struct session *session = NULL;
        struct method *method;
        struct train_spec spec = twelve_steps();
        struct train_result result;
        must(device_open(&small, &(struct device_spec){.index = -1, .fail_allocation_after = k}));
        must(engine_create(&e, small, ENGINE_AUTO));
        must(method_create(&method, plugins, "lora[r=2]"));
        must(method_declare(method, vit));
        int rc = session_create(
            &session, &(struct session_spec){.engine = e, .method = method, .vit = vit, .std = {1, 1, 1}});
        if (rc == 0)
            rc = session_train(session, &spec, &result);
        if (rc < 0) {
            assert_int_equal(rc, ERR_DEVICE);
            assert_non_null(strstr(error_text(), "does not fit"));
        } else {
            assert_true(k > 10);
        }
        session_destroy(session);
        method_destroy(method);
        engine_destroy(e);
        device_close(small);
    }
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_is_pytorchs),
        cmocka_unit_test(more_floats_than_workgroups_are_all_updated),
        cmocka_unit_test(masked_rows_do_not_count),
        cmocka_unit_test(the_same_seed_gives_the_same_bits),
        cmocka_unit_test(another_seed_gives_other_bits),
        cmocka_unit_test(a_resumed_training_ends_in_the_same_bits),
        cmocka_unit_test(a_full_disk_keeps_the_last_checkpoint),
        cmocka_unit_test(an_infinite_loss_ends_as_diverged),
        cmocka_unit_test(training_learns_its_images),
        cmocka_unit_test(what_is_saved_comes_back),
        cmocka_unit_test(a_device_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    static const char *const folders[] = {PLUGINS, NULL};
    return run_world(run, folders, 2);
}
