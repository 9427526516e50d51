/* test_clip.c - a whole CLIP: image tower, text tower and zero-shot head against transformers' CLIPModel, on a random
 * small one (reference/make_clip_golden.py). */
#include "device.h"
#include "error.h"
#include "head_file.h"
#include "memory.h"
#include "pack.h"
#include "safetensors.h"
#include "session.h"
#include "text_encode.h"
#include "zero_shot.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 5, SIDE = 24, CLASSES = 10, TEMPLATES = 4, WIDTH = 24, PROMPTS = 40, CONTEXT = 20 };
/* Of the largest logit: two towers of two blocks in float32 on the device, against double. */
static const double tolerance = 1e-5;

static void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

static void need(struct safetensors *golden, const char *name, enum safetensors_type type, size_t count,
                 void *out)
{
    must(safetensors_need(golden, name, type, count, out));
}

/* The head of the golden prompts, as the text tower here makes it. */
static void make_head(struct engine *engine, struct safetensors *golden, float *weights)
{
    struct text_tower *tower = NULL;
    static uint32_t tokens[PROMPTS * CONTEXT];
    static float features[PROMPTS * WIDTH];
    need(golden, "tokens", SAFETENSORS_I32, PROMPTS * CONTEXT, tokens);
    must(text_tower_load(&tower, GOLDEN "/clip_tiny.safetensors", 1));
    must(text_encode(
        &(struct text_batch){.tower = tower, .engine = engine, .tokens = tokens, .count = PROMPTS},
        features));
    must(zero_shot_average(features, CLASSES, TEMPLATES, WIDTH, tower->logit_scale, weights));
    text_tower_destroy(tower);
}

static void zero_shot_logits_are_those_of_transformers(void **state)
{
    (void)state;
    static const char *const search[] = {PLUGINS, NULL};
    struct device *device = NULL;
    struct engine *engine = NULL;
    struct plugins *plugins = NULL;
    struct method *method = NULL;
    struct vit *vit = NULL;
    struct session *session = NULL;
    struct safetensors *golden = NULL;
    static unsigned char rgb[IMAGES * SIDE * SIDE * 3];
    static float weights[CLASSES * WIDTH], bias[CLASSES], logits[IMAGES * CLASSES], wanted[IMAGES * CLASSES];
    double mean[3], deviation[3];
    must(safetensors_open(&golden, GOLDEN "/clip_tiny_golden.safetensors"));
    must(device_open(&device, &(struct device_spec){.index = -1}));
    must(engine_create(&engine, device, ENGINE_AUTO));
    must(plugins_create(&plugins, search));
    make_head(engine, golden, weights);

    must(vit_load(&vit, GOLDEN "/clip_tiny.safetensors", &(struct vit_import){.classes = CLASSES}));
    const struct head_file head = {
        .classes = CLASSES, .width = WIDTH, .weight = weights, .bias = bias, .unit_features = 1};
    must(head_file_apply(&head, vit));
    must(method_create(&method, plugins, "linear"));
    must(method_declare(method, vit));
    must(pack_normalise("clip", mean, deviation));
    struct session_spec spec = {.engine = engine, .method = method, .vit = vit, .seed = 1};
    for (int i = 0; i < 3; i++) {
        spec.mean[i] = (float)mean[i];
        spec.std[i] = (float)deviation[i];
    }
    must(session_create(&session, &spec));
    need(golden, "images", SAFETENSORS_U8, sizeof rgb, rgb);
    need(golden, "logits", SAFETENSORS_F32, IMAGES * CLASSES, wanted);
    must(session_logits(session, &(struct images){.rgb = rgb, .count = IMAGES}, 2, logits, NULL));
    double worst = 0, top = 0;
    for (int i = 0; i < IMAGES * CLASSES; i++) {
        worst = fmax(worst, fabs((double)logits[i] - (double)wanted[i]));
        top = fmax(top, fabs((double)wanted[i]));
    }
    print_message("zero-shot logits: largest difference %.2e of the largest\n", worst / top);
    assert_true(worst <= tolerance * top);

    session_destroy(session);
    method_destroy(method);
    vit_destroy(vit);
    plugins_destroy(plugins);
    engine_destroy(engine);
    device_close(device);
    safetensors_close(golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(zero_shot_logits_are_those_of_transformers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
