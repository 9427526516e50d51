/* test_parity.c - the real ViT-Ti/16 against PyTorch: tokens, logits, loss and all 152 gradients; and 100
 * LoRA steps on EuroSAT. Needs VITRO_ASSETS, a folder with vit_tiny_patch16_224_augreg/ (weights and
 * golden/); skipped without. The whole gradients and the training trace come from the scripts in
 * tests/reference, as vit_tiny_gradients.safetensors and eurosat_lora_trace.safetensors beside it. */
#include "error.h"
#include "file.h"
#include "json.h"
#include "memory.h"
#include "safetensors.h"
#include "session.h"
#include "session_private.h"
#include "trace.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vitro/method.h>

enum { IMAGES = 4, SIDE = 224, TOKENS = 197, DIM = 192, STAGES = 13, CLASSES = 1000 };
/* The golden values are themselves float32: their rounding takes half of the tokens' tolerance. */
static const double LOGITS = 2e-4, TOKEN = 1e-3, LOSS = 1e-5, NORM = 1e-3, GRADIENT = 1e-3, TRACE = 1e-3;

static char folder[900];
static struct device *device;
static struct engine *engine;
static struct plugins *plugins;

static void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

static char *path_of(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static float *read_floats(const char *name, size_t count)
{
    char *bytes;
    size_t size;
    must(file_read(path_of(name), 1 << 28, &bytes, &size));
    assert_int_equal(size, count * sizeof(float));
    return (float *)(void *)bytes;
}

/* The golden inputs are normalised pixels [4][3][224][224]; back to the bytes they came from. */
static unsigned char *golden_images(void)
{
    float *x =
        read_floats("vit_tiny_patch16_224_augreg/golden/input_4x3x224x224.f32", IMAGES * 3 * SIDE * SIDE);
    unsigned char *rgb = mem_alloc(IMAGES * SIDE * SIDE, 3);
    for (int n = 0; n < IMAGES; n++)
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < SIDE * SIDE; i++) {
                float pixel = (x[(n * 3 + c) * SIDE * SIDE + i] * 0.5f + 0.5f) * 255;
                assert_true(fabsf(pixel - roundf(pixel)) < 1e-2f);
                rgb[((size_t)n * SIDE * SIDE + (size_t)i) * 3 + (size_t)c] = (unsigned char)roundf(pixel);
            }
    mem_free(x);
    return rgb;
}

struct setting {
    struct vit *vit;
    struct method *method;
    struct session *session;
};

static void begin(struct setting *s, const char *method, struct vit_import want)
{
    must(vit_load(&s->vit, path_of("vit_tiny_patch16_224_augreg/model.safetensors"), &want));
    must(method_create(&s->method, plugins, method));
    must(method_declare(s->method, s->vit));
    must(session_create(&s->session, &(struct session_spec){.engine = engine,
                                                            .method = s->method,
                                                            .vit = s->vit,
                                                            .mean = {0.5f, 0.5f, 0.5f},
                                                            .std = {0.5f, 0.5f, 0.5f},
                                                            .seed = 1}));
}

static void end(struct setting *s)
{
    session_destroy(s->session);
    method_destroy(s->method);
    vit_destroy(s->vit);
}

static void logits_are_pytorchs(void **state)
{
    (void)state;
    struct setting s;
    begin(&s, "linear", (struct vit_import){0});
    unsigned char *rgb = golden_images();
    float *golden = read_floats("vit_tiny_patch16_224_augreg/golden/logits_4x1000.f32", IMAGES * CLASSES);
    static float got[IMAGES * CLASSES];
    must(session_logits(s.session, &(struct images){.rgb = rgb, .count = IMAGES}, 3, got, NULL));
    double worst = 0;
    for (int i = 0; i < IMAGES * CLASSES; i++)
        worst = fmax(worst, fabs((double)got[i] - (double)golden[i]));
    print_message("logits: largest difference %.3g\n", worst);
    assert_true(worst <= LOGITS);
    for (int n = 0; n < IMAGES; n++) {
        int best[2] = {0, 0};
        for (int c = 0; c < CLASSES; c++) {
            best[0] = got[n * CLASSES + c] > got[n * CLASSES + best[0]] ? c : best[0];
            best[1] = golden[n * CLASSES + c] > golden[n * CLASSES + best[1]] ? c : best[1];
        }
        assert_int_equal(best[0], best[1]);
    }
    mem_free(golden);
    mem_free(rgb);
    end(&s);
}

struct stages {
    value at[STAGES];
};

static value watch(void *context, int32_t site, int32_t block, value x)
{
    struct stages *stages = context;
    if (site == VITRO_AT_BLOCK_IN && block == 0)
        stages->at[0] = x;
    if (site == VITRO_AT_BLOCK_OUT)
        stages->at[block + 1] = x;
    return x;
}

static void tokens_of_every_block_are_pytorchs(void **state)
{
    (void)state;
    struct setting s;
    begin(&s, "linear", (struct vit_import){0});
    unsigned char *rgb = golden_images();
    static const int32_t labels[IMAGES], order[IMAGES] = {0, 1, 2, 3};
    struct feed feed;
    must(feed_create(&feed, engine, rgb, labels, IMAGES, SIDE));
    struct tape *t = tape_create();
    value leaves[200], images = tape_leaf(t, LEAF_IMAGES, SHAPE(IMAGES, SIDE, SIDE, 3), 900, "images");
    value index = tape_leaf(t, LEAF_INPUT, SHAPE(IMAGES), 901, "index");
    for (uint32_t i = 0; i < s.vit->count; i++)
        leaves[i] =
            tape_leaf(t, s.session->tensors[i].kind, s.vit->tensors[i].shape, i, s.vit->tensors[i].name);
    struct stages stages = {{0}};
    assert_true(vit_trace(&(struct vit_trace){.tape = t,
                                              .vit = s.vit,
                                              .images = images,
                                              .index = index,
                                              .mean = {0.5f, 0.5f, 0.5f},
                                              .std = {0.5f, 0.5f, 0.5f},
                                              .tensors = leaves,
                                              .hook = watch,
                                              .context = &stages}) != 0);
    struct run *run;
    must(run_create(&run, &(struct run_spec){.tape = t,
                                             .bank = s.session->bank,
                                             .feed = &feed,
                                             .images = images,
                                             .index = index,
                                             .logs = stages.at,
                                             .log_count = STAGES,
                                             .series = 1}));
    must(run_begin(run, &(struct run_series){.steps = 1, .order = order}));
    must(run_go(run, 1));
    must(run_wait(run, 0));
    float *tokens =
        read_floats("vit_tiny_patch16_224_augreg/golden/tokens_image0_13x197x192.f32", STAGES * TOKENS * DIM);
    float *class_tokens =
        read_floats("vit_tiny_patch16_224_augreg/golden/cls_per_block_4x13x192.f32", IMAGES * STAGES * DIM);
    static float got[IMAGES * TOKENS * DIM];
    double worst = 0;
    for (int stage = 0; stage < STAGES; stage++) {
        must(run_log(run, (size_t)stage, 0, 1, got));
        for (int i = 0; i < TOKENS * DIM; i++)
            worst = fmax(worst, fabs((double)got[i] - (double)tokens[stage * TOKENS * DIM + i]));
        for (int n = 0; n < IMAGES; n++)
            for (int i = 0; i < DIM; i++)
                worst = fmax(worst, fabs((double)got[n * TOKENS * DIM + i] -
                                         (double)class_tokens[(n * STAGES + stage) * DIM + i]));
    }
    print_message("tokens: largest difference %.3g\n", worst);
    assert_true(worst <= TOKEN);
    mem_free(tokens);
    mem_free(class_tokens);
    mem_free(rgb);
    run_destroy(run);
    tape_destroy(t);
    feed_destroy(&feed);
    end(&s);
}

static size_t tensor_named(struct session *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (!strcmp(s->tensors[i].name, name))
            return i;
    fail_msg("there is no tensor %s", name);
    return 0;
}

/* norm and first four entries of one gradient against golden.json */
static void compare_summary(struct session *s, const struct json *grads, size_t tensor, const float *g)
{
    const struct json *row = json_get(grads, s->tensors[tensor].name), *first = json_get(row, "grad_first4");
    double norm = 0, expected = 0, entry = 0;
    for (int64_t i = 0; i < shape_count(s->tensors[tensor].shape); i++)
        norm += (double)g[i] * (double)g[i];
    norm = sqrt(norm);
    assert_int_equal(json_number(json_get(row, "grad_l2"), &expected), 0);
    assert_true(fabs(norm - expected) <= NORM * expected);
    int i = 0;
    for (const struct json *e = json_first(first); e; e = json_next(e), i++) {
        assert_int_equal(json_number(e, &entry), 0);
        assert_true(fabs((double)g[i] - entry) <=
                    NORM * fmax(fabs(entry), expected / sqrt((double)shape_count(s->tensors[tensor].shape))));
    }
    assert_int_equal(i, 4);
}

static double relative(const float *got, const float *expected, int64_t count)
{
    double difference = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        double d = (double)got[i] - (double)expected[i];
        difference += d * d;
        size += (double)expected[i] * (double)expected[i];
    }
    return sqrt(difference / size);
}

static void all_gradients_are_pytorchs(void **state)
{
    (void)state;
    struct setting s;
    begin(&s, "full", (struct vit_import){0});
    unsigned char *rgb = golden_images();
    struct json *golden = NULL;
    struct safetensors *whole = NULL;
    must(json_read_file(&golden, path_of("vit_tiny_patch16_224_augreg/golden/golden.json")));
    if (file_exists(path_of("vit_tiny_gradients.safetensors")))
        must(safetensors_open(&whole, path_of("vit_tiny_gradients.safetensors")));
    int32_t labels[IMAGES] = {0};
    int k = 0;
    for (const struct json *e = json_first(json_get(golden, "labels")); e; e = json_next(e)) {
        int64_t label = 0;
        assert_int_equal(json_integer(e, &label), 0);
        labels[k++] = (int32_t)label;
    }
    /* the head of the file, not a fresh one */
    for (size_t i = 0; i < s.session->count; i++)
        must(session_set_tensor(s.session, i, s.vit->tensors[i].data));
    float loss;
    must(session_gradients(s.session, &(struct images){rgb, labels, IMAGES}, &loss));
    double expected = 0, worst = 0;
    assert_int_equal(json_number(json_get(golden, "loss_mean_ce"), &expected), 0);
    assert_true(fabs((double)loss - expected) <= LOSS);
    int compared = 0;
    for (size_t i = 0; i < s.session->count; i++) {
        int64_t count = shape_count(s.session->tensors[i].shape);
        float *g = mem_alloc((size_t)count, 2 * sizeof *g);
        must(session_gradient(s.session, i, g));
        compare_summary(s.session, json_get(golden, "grads"), i, g);
        if (whole) {
            must(safetensors_need(whole, s.session->tensors[i].name, SAFETENSORS_F32, (size_t)count,
                                  g + count));
            worst = fmax(worst, relative(g, g + count, count));
        }
        mem_free(g);
        compared++;
    }
    assert_int_equal(compared, 152);
    print_message("loss %.7f (golden %.7f); gradients: largest relative L2 difference %.3g%s\n", (double)loss,
                  expected, worst, whole ? "" : " (no whole gradients at hand)");
    assert_true(worst <= GRADIENT);
    safetensors_close(whole);
    json_destroy(golden);
    mem_free(rgb);
    end(&s);
}

/* The recorded batches and learning rates, step by step, through a program of one batch. */
static void a_hundred_lora_steps_follow_pytorch(void **state)
{
    (void)state;
    if (!file_exists(path_of("eurosat_lora_trace.safetensors")))
        skip();
    enum { STEPS = 100, BATCH = 64, COUNT = 1000, SMALL = 96, RANK = 8 };
    struct safetensors *f = NULL;
    struct setting s;
    begin(&s, "lora[r=8,dropout=0]", (struct vit_import){.image = SMALL, .classes = 10});
    must(safetensors_open(&f, path_of("eurosat_lora_trace.safetensors")));
    for (int b = 0; b < 12; b++)
        for (int part = 0; part < 2; part++) {
            char name[64], source[64];
            static float data[3 * DIM * RANK];
            snprintf(name, sizeof name, "lora/%d/%s", b, part ? "b" : "a");
            snprintf(source, sizeof source, "init/param/%s/%d", part ? "b" : "a", b);
            if (!safetensors_find(f, source))
                snprintf(source, sizeof source, "init/%s/%d", part ? "b" : "a", b);
            must(safetensors_need(f, source, SAFETENSORS_F32, (size_t)(part ? 3 * DIM * RANK : DIM * RANK),
                                  data));
            must(session_set_tensor(s.session, tensor_named(s.session, name), data));
        }
    static float head[10 * DIM], bias[10];
    must(safetensors_need(f, "init/head.weight", SAFETENSORS_F32, 10 * DIM, head));
    must(safetensors_need(f, "init/head.bias", SAFETENSORS_F32, 10, bias));
    must(session_set_tensor(s.session, tensor_named(s.session, "head.weight"), head));
    must(session_set_tensor(s.session, tensor_named(s.session, "head.bias"), bias));

    unsigned char *rgb = mem_alloc(COUNT, SMALL * SMALL * 3);
    int32_t *order = mem_alloc(STEPS * BATCH, sizeof *order);
    static int32_t labels[COUNT];
    static float rates[STEPS], expected[STEPS], got[STEPS];
    must(safetensors_need(f, "pixels", SAFETENSORS_U8, (size_t)COUNT * SMALL * SMALL * 3, rgb));
    const struct safetensors_entry *e = safetensors_find(f, "labels");
    if (e->type == SAFETENSORS_I64) {
        static int64_t wide[COUNT];
        must(safetensors_need(f, "labels", SAFETENSORS_I64, COUNT, wide));
        for (int i = 0; i < COUNT; i++)
            labels[i] = (int32_t)wide[i];
    } else {
        must(safetensors_need(f, "labels", SAFETENSORS_I32, COUNT, labels));
    }
    must(safetensors_need(f, "batch", SAFETENSORS_I32, STEPS * BATCH, order));
    must(safetensors_need(f, "lr", SAFETENSORS_F32, STEPS, rates));
    must(safetensors_need(f, "loss", SAFETENSORS_F32, STEPS, expected));

    struct recipe recipe = recipe_default;
    recipe.drop_path = 0;
    recipe.decay = 1e-4f;
    struct feed feed;
    struct run *run;
    must(feed_create(&feed, engine, rgb, labels, COUNT, SMALL));
    must(session_program(s.session,
                         &(struct program_spec){
                             .feed = &feed, .batch = BATCH, .series = STEPS, .recipe = &recipe, .update = 1},
                         &run));
    must(run_begin(run, &(struct run_series){.steps = STEPS, .seed = 1, .order = order, .rates = rates}));
    must(run_go(run, STEPS));
    must(run_wait(run, 0));
    must(run_log(run, 0, 0, STEPS, got));
    double worst = 0;
    for (int i = 0; i < STEPS; i++)
        worst = fmax(worst, fabs((double)got[i] - (double)expected[i]) / (double)expected[i]);
    print_message("100 LoRA steps: loss %.4f to %.4f, largest relative difference from PyTorch %.3g\n",
                  (double)got[0], (double)got[STEPS - 1], worst);
    assert_true(worst <= TRACE);
    run_destroy(run);
    feed_destroy(&feed);
    mem_free(order);
    mem_free(rgb);
    safetensors_close(f);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_pytorchs),
        cmocka_unit_test(tokens_of_every_block_are_pytorchs),
        cmocka_unit_test(all_gradients_are_pytorchs),
        cmocka_unit_test(a_hundred_lora_steps_follow_pytorch),
    };
    const char *assets = getenv("VITRO_ASSETS");
    if (!assets) {
        fprintf(stderr, "VITRO_ASSETS is not set; see the head of this file\n");
        return 77;
    }
    snprintf(folder, sizeof folder, "%s", assets);
    const char *const search[] = {PLUGINS, NULL};
    if (device_open(&device, &(struct device_spec){.index = -1}) < 0 ||
        engine_create(&engine, device, ENGINE_AUTO) < 0 || plugins_create(&plugins, search) < 0) {
        fprintf(stderr, "%s\n", error_text());
        return 77;
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    plugins_destroy(plugins);
    engine_destroy(engine);
    device_close(device);
    return rc;
}
