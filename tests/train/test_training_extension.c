/* test_training_extension.c - plugins' part in a training on the device: a scan's gradients against PyTorch's,
 * exact resume, what is kept and saved. */
#include "safetensors.h"
#include "train_world.h"

#include <math.h>
#include <unistd.h>

enum { STEPS = 12 };
static const double SAME = 1e-5; /* one sum of 24 gradients in float32, of two programs */

static const char *const methods[] = {
    "adalora[r=3,target_r=2,warmup=0.2,settle=0.4]",
    "adalora[r=3,target_r=1,every=5,dropout=0]+bitfit",
    "gps[k=2]",
    "pissa[r=3,dropout=0.2]+lora[r=2]",
    STEERED,
};
enum { METHODS = sizeof methods / sizeof *methods };

static struct setting begin_with(const struct vit *model, const char *method)
{
    struct setting s = {0};
    must(method_create(&s.method, plugins, method));
    must(method_declare(s.method, model));
    must(session_create(&s.session, &(struct session_spec){.engine = engine,
                                                           .method = s.method,
                                                           .vit = model,
                                                           .mean = {0.5f, 0.5f, 0.5f},
                                                           .std = {0.5f, 0.5f, 0.5f},
                                                           .seed = 3}));
    return s;
}

static struct setting begin(const char *method)
{
    return begin_on(engine, method);
}

/* The last step of each epoch has padding. */
static struct train_spec twelve_steps(void)
{
    struct train_spec t = short_training();
    t.recipe.epochs = 4;
    t.recipe.decay = 1e-2f;
    return t;
}

static float *read_tensor(const struct setting *s, const char *name)
{
    size_t count;
    const struct tensor *tensors = method_tensors(s->method, &count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(tensors[i].name, name)) {
            float *data = mem_alloc((size_t)shape_count(tensors[i].shape), sizeof *data);
            assert_non_null(data);
            must(session_tensor(s->session, i, data));
            return data;
        }
    fail_msg("there is no tensor %s", name);
    return NULL;
}

/* Everything that training and plugins change. */
static float *all_of(const struct setting *s, size_t *bytes)
{
    size_t floats = bank_arena_floats(s->session->bank);
    float *data = mem_alloc(floats, sizeof *data);
    assert_non_null(data);
    must(bank_arena_read(s->session->bank, BANK_WEIGHTS, data));
    *bytes = floats * sizeof *data;
    return data;
}

/* --- the same bytes */

static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    const struct train_spec spec = twelve_steps();
    struct train_result result;
    for (int m = 0; m < METHODS; m++) {
        float *data[2];
        size_t bytes = 0;
        for (int i = 0; i < 2; i++) {
            struct setting s = begin(methods[m]);
            must(session_train(s.session, &spec, &result));
            data[i] = all_of(&s, &bytes);
            end(&s);
        }
        assert_memory_equal(data[0], data[1], bytes);
        mem_free(data[0]);
        mem_free(data[1]);
    }
}

static int stop_at(void *context, const struct train_progress *p)
{
    return p->step >= *(const uint32_t *)context;
}

/* Killed after steps at which plugins spoke, did not and were about to, each time gone on in a new session. */
static float *train_in_pieces(const char *method, float *losses, size_t *bytes)
{
    static const char *path = "test_training_extension.checkpoint";
    struct train_spec spec = twelve_steps();
    struct train_result result;
    struct setting s;
    unlink(path);
    spec.losses = losses;
    spec.checkpoint = path;
    spec.checkpoint_steps = 4;
    spec.report = stop_at;
    for (uint32_t stop = 1; stop < STEPS; stop += stop == 3 ? 2 : 1) {
        s = begin(method);
        spec.context = &stop;
        assert_int_equal(session_train(s.session, &spec, &result), ERR_STOPPED);
        assert_int_equal(result.steps, stop);
        end(&s);
    }
    spec.report = NULL;
    s = begin(method);
    must(session_train(s.session, &spec, &result));
    float *data = all_of(&s, bytes);
    end(&s);
    unlink(path);
    return data;
}

static void a_resumed_training_ends_in_the_same_bytes(void **state)
{
    (void)state;
    for (int m = 0; m < METHODS; m++) {
        float losses[2][STEPS];
        struct train_spec spec = twelve_steps();
        struct train_result result;
        size_t bytes = 0;
        struct setting s = begin(methods[m]);
        spec.losses = losses[0];
        must(session_train(s.session, &spec, &result));
        assert_int_equal(result.steps, STEPS);
        float *whole = all_of(&s, &bytes), *pieces = train_in_pieces(methods[m], losses[1], &bytes);
        end(&s);
        if (memcmp(whole, pieces, bytes) != 0 || memcmp(losses[0], losses[1], sizeof losses[0]) != 0)
            fail_msg("%s: it ends elsewhere when resumed", methods[m]);
        mem_free(whole);
        mem_free(pieces);
    }
}

static void what_is_saved_brings_frozen_parameters_back(void **state)
{
    (void)state;
    static const char *path = "test_training_extension.safetensors";
    const struct train_spec spec = twelve_steps();
    struct train_result result;
    for (int m = 0; m < METHODS; m++) {
        float before[IMAGES * CLASSES], after[IMAGES * CLASSES];
        size_t bytes = 0;
        struct setting s = begin(methods[m]);
        must(session_train(s.session, &spec, &result));
        must(session_logits(s.session, &spec.images, 16, before, NULL));
        must(session_save(s.session, path, NULL));
        float *saved = all_of(&s, &bytes);
        end(&s);
        s = begin(methods[m]);
        must(session_load(s.session, path));
        must(session_logits(s.session, &spec.images, 16, after, NULL));
        float *loaded = all_of(&s, &bytes);
        assert_memory_equal(before, after, sizeof before);
        assert_memory_equal(saved, loaded, bytes);
        mem_free(saved);
        mem_free(loaded);
        end(&s);
    }
    unlink(path);
}

/* --- begin */

static void training_on_from_a_file_does_not_begin_again(void **state)
{
    (void)state;
    static const char *path = "test_training_extension.safetensors";
    struct train_spec spec = twelve_steps();
    struct train_result result;
    struct setting s = begin("pissa[r=3]");
    spec.recipe.epochs = 1;
    must(session_train(s.session, &spec, &result));
    must(session_save(s.session, path, NULL));
    float *start = read_tensor(&s, "pissa/1/a0"), *there = read_tensor(&s, "pissa/1/a");
    end(&s);
    s = begin("pissa[r=3]");
    must(session_load(s.session, path));
    spec.recipe.lr = spec.recipe.lr_min = spec.recipe.lr_start = 0;
    must(session_train(s.session, &spec, &result));
    float *kept = read_tensor(&s, "pissa/1/a0"), *still = read_tensor(&s, "pissa/1/a");
    assert_memory_equal(start, kept, 3 * 24 * sizeof(float));
    assert_memory_equal(there, still, 3 * 24 * sizeof(float));
    assert_memory_not_equal(there, start, 3 * 24 * sizeof(float));
    mem_free(start);
    mem_free(there);
    mem_free(kept);
    mem_free(still);
    end(&s);
    unlink(path);
}

static void the_optimiser_leaves_frozen_parameters_alone(void **state)
{
    (void)state;
    struct train_spec spec = twelve_steps();
    struct train_result result;
    float *a0[2];
    for (int i = 0; i < 2; i++) {
        struct setting s = begin("pissa[r=3]");
        spec.recipe.epochs = 1 + 3 * i;
        must(session_train(s.session, &spec, &result));
        a0[i] = read_tensor(&s, "pissa/1/a0");
        end(&s);
    }
    assert_memory_equal(a0[0], a0[1], 3 * 24 * sizeof(float));
    mem_free(a0[0]);
    mem_free(a0[1]);
}

static void adalora_ends_with_the_ranks_it_was_told(void **state)
{
    (void)state;
    const struct train_spec spec = twelve_steps();
    struct train_result result;
    struct setting s = begin("adalora[r=4,target_r=2]");
    int kept = 0;
    must(session_train(s.session, &spec, &result));
    for (int block = 0; block < 2; block++) {
        char name[32];
        snprintf(name, sizeof name, "adalora/%d/kept", block);
        float *x = read_tensor(&s, name);
        for (int k = 0; k < 4; k++)
            kept += x[k] == 1;
        mem_free(x);
    }
    assert_int_equal(kept, 2 * 2);
    end(&s);
}

static void a_failing_plugin_ends_the_training_with_its_sentence(void **state)
{
    (void)state;
    const struct train_spec spec = twelve_steps();
    struct train_result result;
    static const char *const kinds[][2] = {{"plan_too_many", "asks for 4 batches to scan"},
                                           {"scan_fails", "a scan too far"},
                                           {"begin_fails", "there is nothing to begin with"},
                                           {"step_fails", "a step too far"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char text[512];
        snprintf(text, sizeof text, STEERED "[kind=%s]", kinds[i][0]);
        struct setting s = begin(text);
        assert_int_equal(session_train(s.session, &spec, &result), ERR_PLUGIN);
        assert_non_null(strstr(error_text(), kinds[i][1]));
        end(&s);
    }
}

/* --- the scan */

static void a_scans_gradient_is_that_of_the_mean_loss(void **state)
{
    (void)state;
    struct train_spec spec = twelve_steps();
    struct train_result result;
    float loss, bias[24];
    double sum = 0;
    size_t count;
    spec.recipe.batch = IMAGES; /* one batch, whose order does not matter */
    spec.recipe.epochs = 1;
    struct setting s = begin(STEERED), plain = begin("bitfit");
    must(session_train(s.session, &spec, &result));
    float *log = read_tensor(&s, "steered/log");
    must(session_gradients(plain.session, &spec.images, &loss));
    const struct tensor *tensors = method_tensors(plain.method, &count);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(tensors[i].name, "blocks.0.attn.proj.bias"))
            must(session_gradient(plain.session, i, bias));
    for (int i = 0; i < 24; i++)
        sum += (i + 1) * (double)bias[i];
    assert_true(log[0] == 1 && fabs((double)log[1] - sum) < SAME * (1 + fabs(sum)));
    assert_true(fabs(sum) > 100 * SAME); /* there is something to compare */
    mem_free(log);
    end(&s);
    end(&plain);
}

/* The tiny model and images of golden/methods/, in batches of `batch`: which columns GPS picks. */
static void check_choice(const struct vit *model, const struct images *images, int batch)
{
    enum { PICKED = 3 };
    static const char *const layers[] = {"QKV", "PROJ", "FC1", "FC2"};
    static const int rows[] = {72, 24, 96, 24};
    struct safetensors *f;
    struct train_result result;
    struct train_spec spec = {.recipe = recipe_default, .images = *images};
    struct setting s = begin_with(model, "gps[k=3]");
    spec.recipe.batch = batch;
    spec.recipe.epochs = 1;
    must(session_train(s.session, &spec, &result));
    must(safetensors_open(&f, GOLDEN "/training.safetensors"));
    for (int i = 0; i < 2 * 4; i++) {
        char name[64];
        float wanted[96 * PICKED];
        size_t n = (size_t)rows[i % 4] * PICKED;
        snprintf(name, sizeof name, "gps/index.%s/%d", layers[i % 4], i / 4);
        must(safetensors_need(f, name, SAFETENSORS_F32, n, wanted));
        snprintf(name, sizeof name, "gps/%d/index.%s", i / 4, layers[i % 4]);
        float *ours = read_tensor(&s, name);
        if (memcmp(ours, wanted, n * sizeof *ours) != 0)
            fail_msg("%s is not PyTorch's with batches of %d", name, batch);
        mem_free(ours);
    }
    safetensors_close(f);
    end(&s);
}

static void gps_picks_what_pytorchs_gradients_pick(void **state)
{
    (void)state;
    enum { COUNT = 3, PIXELS = COUNT * 32 * 32 * 3 };
    static unsigned char pictures[PIXELS];
    int32_t classes[COUNT];
    struct safetensors *f;
    struct vit *model;
    must(vit_create(&model, &(struct vit_shape){.image = 32,
                                                .patch = 8,
                                                .dim = 24,
                                                .depth = 2,
                                                .heads = 3,
                                                .hidden = 96,
                                                .classes = 7,
                                                .eps = 1e-6f}));
    must(safetensors_open(&f, GOLDEN "/methods/model.safetensors"));
    must(safetensors_need(f, "images", SAFETENSORS_U8, PIXELS, pictures));
    must(safetensors_need(f, "labels", SAFETENSORS_I32, COUNT, classes));
    for (size_t i = 0; i < model->count; i++) {
        char name[96];
        snprintf(name, sizeof name, "model/%s", model->tensors[i].name);
        must(safetensors_need(f, name, SAFETENSORS_F32, (size_t)shape_count(model->tensors[i].shape),
                              model->tensors[i].data));
    }
    safetensors_close(f);
    check_choice(model, &(struct images){pictures, classes, COUNT}, COUNT);
    check_choice(model, &(struct images){pictures, classes, COUNT}, 1);
    vit_destroy(model);
}

static int run(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(a_resumed_training_ends_in_the_same_bytes),
        cmocka_unit_test(what_is_saved_brings_frozen_parameters_back),
        cmocka_unit_test(training_on_from_a_file_does_not_begin_again),
        cmocka_unit_test(the_optimiser_leaves_frozen_parameters_alone),
        cmocka_unit_test(adalora_ends_with_the_ranks_it_was_told),
        cmocka_unit_test(a_failing_plugin_ends_the_training_with_its_sentence),
        cmocka_unit_test(a_scans_gradient_is_that_of_the_mean_loss),
        cmocka_unit_test(gps_picks_what_pytorchs_gradients_pick),
    };
    engine_set_pace(engine,
                    (struct engine_pace){.submit_seconds = 1e-9, .parts = 1}); /* each can be the last */
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(void)
{
    static const char *const folders[] = {PLUGINS, NULL};
    return run_world(run, folders, 2);
}
