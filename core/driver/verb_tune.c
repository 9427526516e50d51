/* verb_tune.c - `vitro tune`: which kernels are fastest on this device, for the products and attention of a model. */
#include "driver.h"
#include "machine.h"
#include "model_source.h"
#include "progress.h"
#include "table.h"
#include "trial.h"

#include <stddef.h>
#include <stdio.h>

static const char *const usual_methods[] = {"lora", "vpt", "full"};
enum { METHODS = sizeof usual_methods / sizeof *usual_methods };

static const struct column columns[] = {{"product", "product", FORM_TEXT},
                                        {"first", "untuned", FORM_TEXT},
                                        {"first_seconds", "", FORM_SECONDS},
                                        {"best", "fastest", FORM_TEXT},
                                        {"best_seconds", "", FORM_SECONDS},
                                        {"candidates", "of", FORM_WHOLE},
                                        {0}};

struct report {
    struct json *rows;
    struct progress bar;
    double untuned, tuned; /* seconds, each product once */
};

static int describe(struct json *j, const struct tuning_row *row)
{
    TRY(json_set_string(j, "product", row->product));
    TRY(json_set_string(j, "first", row->first));
    TRY(json_set_number(j, "first_seconds", row->first_seconds));
    TRY(json_set_string(j, "best", row->best));
    TRY(json_set_number(j, "best_seconds", row->best_seconds));
    return json_set_integer(j, "candidates", row->candidates);
}

static int add_row(void *context, const struct tuning_row *row)
{
    struct report *r = context;
    r->untuned += row->first_seconds;
    r->tuned += row->best_seconds;
    progress_show(&r->bar, (double)json_count(r->rows), row->product);
    return stop_wanted() || describe(json_append_object(r->rows), row) < 0;
}

/* Compiles what the method runs: a step of training, and evaluation. */
static int compile_method(struct machine *m, const struct settings *s, const char *method)
{
    static const double half[3] = {0.5, 0.5, 0.5};
    struct trial t = {0};
    int rc;
    TRY_OUT(trial_method(&t, m, s, method));
    TRY_OUT(trial_model(&t, s, s->image, 0));
    TRY_OUT(trial_session(&t, s, half, half));
    TRY_OUT(session_compile(t.session, &s->recipe, (uint32_t)s->recipe.batch));
    TRY_OUT(session_compile(t.session, NULL, (uint32_t)s->recipe.batch));
out:
    trial_finish(&t);
    return rc;
}

static int compile(struct machine *m, const struct settings *s)
{
    if (s->method)
        return compile_method(m, s, s->method);
    for (int i = 0; i < METHODS; i++)
        TRY(compile_method(m, s, usual_methods[i]));
    return 0;
}

static int print(struct json *document, const struct report *r, const struct settings *s, const char *path)
{
    TRY(json_set_number(document, "untuned_seconds", r->untuned));
    TRY(json_set_number(document, "tuned_seconds", r->tuned));
    TRY(json_set_string(document, "file", path));
    if (s->json)
        return json_print(document);
    table_print(r->rows, columns);
    printf("\n%zu products, each once: %.2f ms untuned, %.2f ms tuned; kept in %s\n", json_count(r->rows),
           r->untuned * 1e3, r->tuned * 1e3, path);
    return 0;
}

static int run(const struct settings *s)
{
    char path[1024];
    struct machine m = {0};
    struct json *document = json_object();
    struct report report = {.rows = json_set_array(document, "products")};
    struct settings untuned = *s;
    int rc;
    untuned.tuning = "off";
    stop_watch();
    TRY_OUT(machine_open(&m, &untuned));
    if (s->save)
        snprintf(path, sizeof path, "%s", s->save);
    else
        TRY_OUT(tuning_path(device_info(m.device), path, sizeof path));
    TRY_OUT(json_set_string(document, "device", device_info(m.device)->name));
    TRY_OUT(compile(&m, &untuned));
    progress_begin(&report.bar, "tuning", "products", products_count(m.engine));
    rc = tuning_make(m.engine, path, s->repeats, add_row, &report);
    progress_end(&report.bar);
    TRY_OUT(rc);
    TRY_OUT(machine_check(&m));
    rc = print(document, &report, s, path);
out:
    machine_close(&m);
    json_destroy(document);
    return rc;
}

static const struct argument rows[] = {
    {"method", 'M', ARGUMENT_TEXT, offsetof(struct settings, method), 0, 0, NULL, "METHOD",
     "whose steps are tuned for; else lora, vpt and full fine-tuning"},
    {"batch", 0, ARGUMENT_WHOLE, offsetof(struct settings, recipe.batch), 1, 4096, NULL, "N",
     "images a step"},
    {"precision", 0, ARGUMENT_CHOICE, offsetof(struct settings, recipe.precision), 0, 0, number_names, "NAME",
     "what the operands of the products are rounded to, as in `vitro train`: fp32, fp16 or bf16; the file "
     "keeps what was tuned before, so each may be tuned after the other"},
    {"repeats", 'r', ARGUMENT_WHOLE, offsetof(struct settings, repeats), 1, 32, NULL, "N",
     "how often each kernel is timed; the median counts"},
    {"save", 'o', ARGUMENT_TEXT, offsetof(struct settings, save), 0, 0, NULL, "FILE",
     "another file than the user's own for this device; runs take it with --tuning"},
    {0}};
static const struct argument_group group = {"Tuning", rows};
static const struct argument_group *const groups[] = {
    &group, &group_model, &group_machine, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_tune = {
    .name = "tune",
    .summary = "find this device's fastest kernels for a model",
    .synopsis = "[--model FILE] [--image SIZE] [--batch N] [--precision NAME] [--device N] [--json]",
    .about = "Times the likeliest kernels that this device has for each matrix product of the model's steps, "
             "and the "
             "likeliest workgroups for each pass of attention, once, and keeps the fastest in a file in the "
             "user's "
             "cache folder. Later runs on the same device, with the same driver and the same version of this "
             "program, take them from there; on other ones the file is not used. Kernels sum in different "
             "orders: a "
             "tuned run repeats to the bit, but not to the bits of an untuned one. A study keeps the file as "
             "it was "
             "when it began.",
    .examples = {"vitro tune --model vit_base.safetensors --batch 64 --precision bf16",
                 "vitro tune --method lora[r=16] --json"},
    .groups = groups,
    .run = run,
};
