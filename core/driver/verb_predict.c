/* verb_predict.c - `vitro predict IMAGE...`: the likeliest classes of each image. */
#include "driver.h"
#include "head_file.h"
#include "image.h"
#include "lines.h"
#include "machine.h"
#include "memory.h"
#include "method_file.h"
#include "resize.h"
#include "table.h"
#include "trial.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const char default_normalise[] = "half";

static int noted_names(struct lines *out, const struct json *names)
{
    for (const struct json *name = json_first(names); name; name = json_next(name))
        TRY(lines_add(out, json_string(name)));
    return 0;
}

/* The classes' names: of --classes, of the trained method, or of the head's file; none where nothing names them. */
static int read_names(struct lines *out, const struct settings *s, const struct method_file *f)
{
    struct head_file head = {0};
    if (s->classes)
        return lines_read(out, s->classes);
    if (f)
        return noted_names(out, f->names);
    if (s->head)
        TRY(head_file_open(&head, s->head));
    int rc = noted_names(out, head.names);
    head_file_close(&head);
    return rc;
}

/* All images at the model's side, one behind the other; the caller frees *rgb. */
static int read_images(const struct settings *s, int side, unsigned char **rgb)
{
    const size_t each = (size_t)side * (size_t)side * 3;
    *rgb = mem_alloc((size_t)s->rest_count, each);
    if (!*rgb)
        return ERR_MEMORY;
    for (int i = 0; i < s->rest_count; i++) {
        struct image image = {0};
        TRY(image_read_file(&image, s->rest[i]));
        int rc = resize_bicubic(&image, *rgb + (size_t)i * each, side, side);
        image_finish(&image);
        if (rc < 0)
            return fail_in(rc, "%s", s->rest[i]);
    }
    return 0;
}

/* exp(logit - largest) / sum, in place. */
static void softmax(float *row, int count)
{
    double top = -INFINITY, sum = 0;
    for (int i = 0; i < count; i++)
        top = fmax(top, (double)row[i]);
    for (int i = 0; i < count; i++)
        sum += exp((double)row[i] - top);
    for (int i = 0; i < count; i++)
        row[i] = (float)(exp((double)row[i] - top) / sum);
}

/* The likeliest classes of one image, in order; `row` is used up. */
static int describe(struct json *top, float *row, int classes, const struct lines *names, int wanted)
{
    softmax(row, classes);
    for (int k = 0; k < wanted && k < classes; k++) {
        char number[32];
        const int best = logits_likeliest(row, classes);
        snprintf(number, sizeof number, "class %d", best);
        struct json *j = json_append_object(top);
        TRY(json_set_integer(j, "class", best));
        TRY(json_set_string(j, "name", (size_t)best < names->count ? names->line[best] : number));
        TRY(json_set_number(j, "probability", (double)row[best]));
        row[best] = -1;
    }
    return 0;
}

static int predict(struct trial *t, const struct settings *s, const struct lines *names,
                   struct json *document)
{
    const int classes = t->vit->shape.classes;
    unsigned char *rgb = NULL;
    float *logits = NULL;
    int rc;
    TRY_OUT(read_images(s, t->vit->shape.image, &rgb));
    double mean[3], deviation[3];
    TRY_OUT(pack_normalise(s->normalise, mean, deviation));
    TRY_OUT(trial_session(t, s, mean, deviation));
    if (s->load)
        TRY_OUT(session_load(t->session, s->load));
    logits = mem_alloc((size_t)s->rest_count * (size_t)classes, sizeof *logits);
    rc = logits ? 0 : ERR_MEMORY;
    const struct images images = {.rgb = rgb, .count = (uint32_t)s->rest_count};
    if (rc == 0)
        rc = session_logits(t->session, &images, (uint32_t)s->recipe.batch, logits, NULL);
    struct json *rows = json_set_array(document, "images");
    for (int i = 0; i < s->rest_count && rc == 0; i++) {
        struct json *row = json_append_object(rows);
        rc = json_set_string(row, "image", s->rest[i]);
        if (rc == 0)
            rc = describe(json_set_array(row, "top"), logits + (size_t)i * (size_t)classes, classes, names,
                          s->top);
    }
out:
    mem_free(logits);
    mem_free(rgb);
    return rc;
}

static void print(const struct json *document)
{
    static const struct column columns[] = {{"probability", "", FORM_PERCENT}, {"name", "", FORM_TEXT}, {0}};
    const struct json *rows = json_get(document, "images");
    for (const struct json *row = json_first(rows); row; row = json_next(row)) {
        printf("%s\n", json_string(json_get(row, "image")));
        table_print(json_get(row, "top"), columns);
    }
}

/* Model and method, for a trained method or for the model's own head. */
static int prepare(struct trial *t, struct machine *machine, const struct settings *s,
                   const struct method_file *f)
{
    TRY(trial_method(t, machine, s, f ? f->method : "linear"));
    TRY(trial_model(t, s, s->image, f ? (int)json_count(f->names) : 0));
    return f ? method_file_check_model(f, s, t->vit) : 0;
}

static int run_with(const struct settings *s, const struct method_file *f)
{
    struct machine machine = {0};
    struct trial t = {0};
    struct lines names = {0};
    struct json *document = json_object();
    int rc;
    TRY_OUT(read_names(&names, s, f));
    TRY_OUT(prepare(&t, &machine, s, f));
    if (names.count && names.count != (size_t)t.vit->shape.classes) {
        rc = fail(ERR_INPUT, "%s names %zu classes, but the head has %d",
                  s->classes ? s->classes : "the file", names.count, t.vit->shape.classes);
        goto out;
    }
    TRY_OUT(predict(&t, s, &names, document));
    TRY_OUT(machine_check(&machine));
    if (s->json)
        rc = json_print(document);
    else
        print(document);
out:
    trial_finish(&t);
    machine_close(&machine);
    lines_free(&names);
    json_destroy(document);
    return rc;
}

static int run(const struct settings *s)
{
    struct settings with = *s;
    struct method_file f = {0};
    if (!s->load) {
        if (!with.normalise)
            with.normalise = default_normalise;
        return run_with(&with, NULL);
    }
    TRY(method_file_open(&f, s->load));
    int rc = 0;
    method_file_settings(&f, &with);
    if (s->normalise && strcmp(s->normalise, f.normalise) != 0)
        rc = fail(ERR_INPUT,
                  "%s was trained with the normalisation %s, but %s is asked for; leave out --normalise",
                  s->load, f.normalise, s->normalise);
    with.normalise = f.normalise;
    if (rc == 0)
        rc = run_with(&with, &f);
    method_file_close(&f);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"load", 'l', ARGUMENT_TEXT, FIELD(load), 0, 0, NULL, "FILE",
     "a method that `vitro train --save` wrote; without it the model's own head answers"},
    {"classes", 0, ARGUMENT_TEXT, FIELD(classes), 0, 0, NULL, "FILE",
     "names of the classes, one a line; a trained method knows its own"},
    {"top", 't', ARGUMENT_WHOLE, FIELD(top), 1, 100000, NULL, "N", "how many classes to show"},
    {"normalise", 'n', ARGUMENT_TEXT, FIELD(normalise), 0, 0, NULL, "NAME",
     "what the pixels are shifted and scaled by: none, half, imagenet or clip; else what the method was "
     "trained with, or half"},
    {"batch", 0, ARGUMENT_WHOLE, FIELD(recipe.batch), 1, 4096, NULL, "N", "images a step"},
    {0}};
static const struct argument_group group = {"Prediction", rows};
static const struct argument_group *const groups[] = {
    &group, &group_model, &group_machine, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_predict = {
    .name = "predict",
    .summary = "the likeliest classes of images",
    .synopsis = "IMAGE... [--load FILE] [--model FILE] [--classes FILE]",
    .about = "Prints the likeliest classes of each image (PNG, JPEG or PPM) with their probabilities: by a "
             "trained "
             "method, or by the model's own head. Images are resized straight to the model's square.",
    .examples = {"vitro predict photo.jpg --load lora.safetensors",
                 "vitro predict *.png --model vit_tiny.safetensors --classes imagenet.txt --json"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = -1,
    .rest_name = "IMAGE",
    .run = run,
};
