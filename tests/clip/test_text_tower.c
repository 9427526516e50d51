/* test_text_tower.c - the text tower on the device is transformers' CLIPModel, from either family's files; heads made
 * of it are the formula's. */
#include "device.h"
#include "error.h"
#include "memory.h"
#include "safetensors.h"
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

/* Of the largest feature: float32 on the device against double in PyTorch, two blocks deep. */
static const double tolerance = 1e-5;
enum { PROMPTS = 40, CONTEXT = 20, WIDTH = 24, CLASSES = 10, TEMPLATES = 4 };

struct world {
    struct device *device;
    struct engine *engine;
    struct safetensors *golden;
};

static int open_world(void **state)
{
    static struct world w;
    const struct device_spec spec = {.index = -1};
    if (device_open(&w.device, &spec) < 0 || engine_create(&w.engine, w.device, ENGINE_AUTO) < 0 ||
        safetensors_open(&w.golden, GOLDEN "/clip_tiny_golden.safetensors") < 0) {
        fprintf(stderr, "%s\n", error_text());
        return -1;
    }
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    struct world *w = *state;
    safetensors_close(w->golden);
    engine_destroy(w->engine);
    device_close(w->device);
    return 0;
}

static void tokens_of(const struct world *w, uint32_t *tokens)
{
    assert_int_equal(safetensors_need(w->golden, "tokens", SAFETENSORS_I32, PROMPTS * CONTEXT, tokens), 0);
}

static void compare(const float *is, const float *golden, size_t count)
{
    double top = 0, worst = 0;
    for (size_t i = 0; i < count; i++) {
        top = fmax(top, fabs((double)golden[i]));
        worst = fmax(worst, fabs((double)is[i] - (double)golden[i]));
        assert_true(isfinite(is[i]));
    }
    if (worst > tolerance * top)
        fail_msg("off by %.2e of the largest", worst / top);
}

static void check_features(const struct world *w, const struct text_tower *tower, int32_t prompts)
{
    uint32_t tokens[PROMPTS * CONTEXT];
    float features[PROMPTS * WIDTH], golden[PROMPTS * WIDTH];
    tokens_of(w, tokens);
    const struct text_batch batch = {
        .tower = tower, .engine = w->engine, .tokens = tokens, .count = PROMPTS, .prompts = prompts};
    assert_int_equal(text_encode(&batch, features), 0);
    assert_int_equal(safetensors_need(w->golden, "text", SAFETENSORS_F32, PROMPTS * WIDTH, golden), 0);
    compare(features, golden, PROMPTS * WIDTH);
}

static void features_are_those_of_transformers(void **state)
{
    struct text_tower *tower = NULL;
    assert_int_equal(text_tower_load(&tower, GOLDEN "/clip_tiny.safetensors", 1), 0);
    assert_int_equal(tower->shape.depth, 2);
    assert_int_equal(tower->shape.projection, WIDTH);
    check_features(*state, tower, 0);
    check_features(*state, tower, 7); /* the last batch has five prompts and two rows to spare */
    text_tower_destroy(tower);
}

/* The tower under OpenAI's names, in a file of its own. */
static void write_openai(const struct text_tower *t, const char *path)
{
    static const struct {
        enum text_part part;
        const char *name;
    } names[] = {{TEXT_TOKENS, "token_embedding.weight"},
                 {TEXT_POSITIONS, "positional_embedding"},
                 {TEXT_NORM1_WEIGHT, "transformer.resblocks.%d.ln_1.weight"},
                 {TEXT_NORM1_BIAS, "transformer.resblocks.%d.ln_1.bias"},
                 {TEXT_QKV_WEIGHT, "transformer.resblocks.%d.attn.in_proj_weight"},
                 {TEXT_QKV_BIAS, "transformer.resblocks.%d.attn.in_proj_bias"},
                 {TEXT_PROJ_WEIGHT, "transformer.resblocks.%d.attn.out_proj.weight"},
                 {TEXT_PROJ_BIAS, "transformer.resblocks.%d.attn.out_proj.bias"},
                 {TEXT_NORM2_WEIGHT, "transformer.resblocks.%d.ln_2.weight"},
                 {TEXT_NORM2_BIAS, "transformer.resblocks.%d.ln_2.bias"},
                 {TEXT_FC1_WEIGHT, "transformer.resblocks.%d.mlp.c_fc.weight"},
                 {TEXT_FC1_BIAS, "transformer.resblocks.%d.mlp.c_fc.bias"},
                 {TEXT_FC2_WEIGHT, "transformer.resblocks.%d.mlp.c_proj.weight"},
                 {TEXT_FC2_BIAS, "transformer.resblocks.%d.mlp.c_proj.bias"},
                 {TEXT_NORM_WEIGHT, "ln_final.weight"},
                 {TEXT_NORM_BIAS, "ln_final.bias"},
                 {TEXT_PROJECTION, "text_projection"}};
    static char text[64][80];
    struct safetensors_item items[64] = {0};
    float turned[64 * WIDTH], scale = logf(t->logit_scale);
    size_t count = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct text_tensor *from = &t->tensors[i];
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            if (names[n].part == from->part)
                snprintf(text[count], sizeof text[count], names[n].name, from->block);
        struct safetensors_item *to = &items[count];
        *to = (struct safetensors_item){
            .name = text[count], .type = SAFETENSORS_F32, .rank = from->shape.rank, .data = from->data};
        for (int k = 0; k < from->shape.rank; k++)
            to->dim[k] = from->shape.dim[k];
        if (from->part == TEXT_PROJECTION) {
            for (int r = 0; r < WIDTH; r++)
                for (int c = 0; c < t->shape.dim; c++)
                    turned[c * WIDTH + r] = from->data[r * t->shape.dim + c];
            to->dim[0] = t->shape.dim;
            to->dim[1] = WIDTH;
            to->data = turned;
        }
        count++;
    }
    items[count++] =
        (struct safetensors_item){.name = "logit_scale", .type = SAFETENSORS_F32, .rank = 0, .data = &scale};
    assert_int_equal(safetensors_write(path, items, count, NULL, 0), 0);
}

static void openai_names_give_the_same_tower(void **state)
{
    static const char path[] = "test_text_tower.safetensors";
    struct text_tower *theirs = NULL, *ours = NULL;
    (void)state;
    assert_int_equal(text_tower_load(&theirs, GOLDEN "/clip_tiny.safetensors", 1), 0);
    write_openai(theirs, path);
    assert_int_equal(text_tower_load(&ours, path, 1), 0);
    assert_int_equal(ours->count, theirs->count);
    for (size_t i = 0; i < ours->count; i++)
        assert_memory_equal(ours->tensors[i].data, theirs->tensors[i].data,
                            (size_t)shape_count(ours->tensors[i].shape) * sizeof(float));
    text_tower_destroy(ours);
    text_tower_destroy(theirs);
    remove(path);
}

/* Names and templates that tokenize to anything: the head must be the formula's of the tower's own features. */
static void a_head_is_the_mean_of_unit_features_times_the_scale(void **state)
{
    static const char *const classes[] = {"cat", "red flower", "lighthouse"}, *const templates[] = {
                                                                                  "a photo of a {}.",
                                                                                  "{} at night, {}"};
    struct world *w = *state;
    struct text_tower *tower = NULL;
    struct tokenizer *tokenizer = NULL;
    uint32_t tokens[6 * CONTEXT];
    float features[6 * WIDTH], head[3 * WIDTH], golden[3 * WIDTH];
    static const char *const prompts[] = {"a photo of a cat.",        "cat at night, cat",
                                          "a photo of a red flower.", "red flower at night, red flower",
                                          "a photo of a lighthouse.", "lighthouse at night, lighthouse"};
    assert_int_equal(text_tower_load(&tower, GOLDEN "/clip_tiny.safetensors", 1), 0);
    assert_int_equal(tokenizer_open(&tokenizer, GOLDEN "/clip_merges.txt"), 0);
    for (int i = 0; i < 6; i++)
        assert_in_range(tokenizer_encode(tokenizer, prompts[i], tokens + i * CONTEXT, CONTEXT), 3, CONTEXT);
    const struct text_batch batch = {.tower = tower, .engine = w->engine, .tokens = tokens, .count = 6};
    assert_int_equal(text_encode(&batch, features), 0);
    for (int c = 0; c < 3; c++) {
        double a = 0, b = 0, sum = 0, mean[WIDTH];
        const float *x = features + 2 * c * WIDTH, *y = x + WIDTH;
        for (int k = 0; k < WIDTH; k++) {
            a += (double)x[k] * (double)x[k];
            b += (double)y[k] * (double)y[k];
        }
        for (int k = 0; k < WIDTH; k++) {
            mean[k] = (double)x[k] / sqrt(a) + (double)y[k] / sqrt(b);
            sum += mean[k] * mean[k];
        }
        for (int k = 0; k < WIDTH; k++)
            golden[c * WIDTH + k] = (float)(mean[k] / sqrt(sum) * (double)tower->logit_scale);
    }
    struct zero_shot z = {.tower = tower,
                          .tokenizer = tokenizer,
                          .engine = w->engine,
                          .classes = classes,
                          .templates = templates,
                          .class_count = 3,
                          .template_count = 2};
    assert_int_equal(zero_shot_head(&z, head), 0);
    compare(head, golden, 3 * WIDTH);

    const char *const hopeless[] = {"zq zq zq zq zq zq zq zq zq zq zq zq"}, *const blind[] = {"a photo"};
    z.classes = hopeless;
    z.class_count = 1;
    assert_true(zero_shot_head(&z, head) < 0);
    assert_non_null(strstr(error_text(), "the text tower takes 20"));
    z.templates = blind;
    assert_true(zero_shot_head(&z, head) < 0);
    assert_non_null(strstr(error_text(), "does not say with {} where the class goes"));
    tokenizer_close(tokenizer);
    text_tower_destroy(tower);
}

static void heads_of_golden_prompts_are_those_of_transformers(void **state)
{
    struct world *w = *state;
    float text[PROMPTS * WIDTH], golden[CLASSES * WIDTH], head[CLASSES * WIDTH];
    assert_int_equal(safetensors_need(w->golden, "text", SAFETENSORS_F32, PROMPTS * WIDTH, text), 0);
    assert_int_equal(safetensors_need(w->golden, "head", SAFETENSORS_F32, CLASSES * WIDTH, golden), 0);
    struct text_tower *tower = NULL;
    assert_int_equal(text_tower_load(&tower, GOLDEN "/clip_tiny.safetensors", 1), 0);
    assert_int_equal(zero_shot_average(text, CLASSES, TEMPLATES, WIDTH, tower->logit_scale, head), 0);
    compare(head, golden, CLASSES * WIDTH);
    text_tower_destroy(tower);
}

static void files_without_a_text_tower_are_refused(void **state)
{
    struct text_tower *tower = NULL;
    (void)state;
    assert_true(text_tower_load(&tower, GOLDEN "/clip_tiny_golden.safetensors", 1) < 0);
    assert_null(tower);
    assert_non_null(strstr(error_text(), "holds no text tower of CLIP"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_those_of_transformers),
        cmocka_unit_test(openai_names_give_the_same_tower),
        cmocka_unit_test(a_head_is_the_mean_of_unit_features_times_the_scale),
        cmocka_unit_test(heads_of_golden_prompts_are_those_of_transformers),
        cmocka_unit_test(files_without_a_text_tower_are_refused),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
