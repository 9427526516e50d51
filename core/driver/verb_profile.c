/* verb_profile.c - `vitro profile`: where the time of a step goes. */
#include "driver.h"
#include "machine.h"
#include "memory_view.h"
#include "model_source.h"
#include "profile_view.h"
#include "progress.h"
#include "table.h"
#include "trial.h"

#include <stddef.h>
#include <stdio.h>

static const struct column card[] = {{"device", "device", FORM_TEXT},
                                     {"method", "method", FORM_TEXT},
                                     {"model", "model", FORM_TEXT},
                                     {"batch", "images a step", FORM_WHOLE},
                                     {"image", "image side", FORM_WHOLE},
                                     {"precision", "precision", FORM_TEXT},
                                     {"dispatches", "dispatches a step", FORM_WHOLE},
                                     {"plain_seconds", "a step", FORM_SECONDS},
                                     {"seconds", "  with timestamps", FORM_SECONDS},
                                     {"span_seconds", "    of these on the device", FORM_SECONDS},
                                     {"host_seconds", "    and on the host", FORM_SECONDS},
                                     {"images_a_second", "images/s without timestamps", FORM_TENTHS},
                                     {"ceiling_product", "ceiling of products, measured", FORM_TEXT},
                                     {"ceiling_copy", "ceiling of copies, measured", FORM_TEXT},
                                     {"device_bytes", "peak device memory", FORM_BYTES},
                                     {"trace", "trace in", FORM_TEXT},
                                     {0}};

static const struct column columns[] = {{"name", "", FORM_TEXT},
                                        {"phase", "", FORM_TEXT},
                                        {"count", "count", FORM_WHOLE},
                                        {"seconds", "time", FORM_SECONDS},
                                        {"share", "share", FORM_PERCENT},
                                        {"gflops", "GFLOP/s", FORM_TENTHS},
                                        {"gbytes", "GB/s", FORM_TENTHS},
                                        {"ceiling", "of ceiling", FORM_PERCENT},
                                        {0}};

static int describe_ceiling(struct json *j, const struct ceiling *c)
{
    char text[96];
    snprintf(text, sizeof text, "%.1f GFLOP/s in a product [%u %u] x [%u %u] of %s", c->flops * 1e-9, c->m,
             c->k, c->k, c->n, number_names[c->number]);
    TRY(json_set_string(j, "ceiling_product", text));
    snprintf(text, sizeof text, "%.1f GB/s in a copy of %.0f MiB", c->bytes * 1e-9,
             (double)c->copied / (1 << 20));
    TRY(json_set_string(j, "ceiling_copy", text));
    TRY(json_set_number(j, "ceiling_gflops", c->flops * 1e-9));
    return json_set_number(j, "ceiling_gbytes", c->bytes * 1e-9);
}

static int describe(struct json *j, const struct trial *t, const struct settings *s, const struct profile *p,
                    const struct ceiling *c)
{
    TRY(json_set_string(j, "device", device_info(t->machine->device)->name));
    TRY(json_set_string(j, "driver", device_info(t->machine->device)->driver));
    TRY(json_set_string(j, "method", method_text(t->method)));
    TRY(json_set_string(j, "model", s->model ? s->model : bundled_name));
    TRY(json_set_string(j, "mode", s->inference ? "inference" : "training"));
    TRY(json_set_integer(j, "batch", s->recipe.batch));
    TRY(json_set_integer(j, "image", t->vit->shape.image));
    TRY(json_set_string(j, "precision", number_names[s->recipe.precision]));
    TRY(json_set_integer(j, "steps", s->steps));
    TRY(json_set_integer(j, "dispatches", p->count));
    TRY(json_set_number(j, "plain_seconds", p->plain_seconds));
    TRY(json_set_number(j, "seconds", p->seconds));
    TRY(json_set_number(j, "span_seconds", p->span_seconds));
    TRY(json_set_number(j, "busy_seconds", p->busy_seconds));
    TRY(json_set_number(j, "host_seconds", p->seconds - p->span_seconds));
    TRY(json_set_number(j, "images_a_second", s->recipe.batch / p->plain_seconds));
    TRY(describe_ceiling(j, c));
    TRY(json_set_integer(j, "device_bytes", (int64_t)p->device_bytes));
    TRY(json_set_string(j, "by", profile_bys[s->by]));
    return profile_rows(json_set_array(j, "rows"), p, c, (enum profile_by)s->by, s->top);
}

static int write_trace(const struct trial *t, const struct settings *s, const struct profile *p)
{
    struct json *trace = NULL;
    TRY(profile_trace(&trace, p, device_info(t->machine->device)->name));
    int rc = json_write_file(trace, s->trace);
    json_destroy(trace);
    return rc;
}

static int measure(struct trial *t, const struct settings *s, struct profile *p, struct ceiling *c)
{
    static const double half[3] = {0.5, 0.5, 0.5}; /* pixels are random: any normalisation costs the same */
    const struct profile_spec spec = {.recipe = &s->recipe,
                                      .inference = s->inference,
                                      .steps = (uint32_t)s->steps,
                                      .again = s->checkpoint_activations};
    const enum number number = (enum number)s->recipe.precision;
    struct progress bar;
    TRY(machine_open(t->machine, s));
    progress_begin(&bar, "measuring the device's ceiling", NULL, 0);
    int rc = ceiling_measure(c, t->machine->engine, number);
    progress_end(&bar);
    TRY(rc);
    progress_begin(&bar, "profiling", NULL, 0);
    rc = trial_session(t, s, half, half);
    if (rc == 0)
        rc = profile_session(p, t->session, &spec);
    progress_end(&bar);
    struct ceiling after; /* once more: others may have used the device meanwhile */
    if (rc == 0)
        rc = ceiling_measure(&after, t->machine->engine, number);
    TRY(rc);
    c->flops = after.flops > c->flops ? after.flops : c->flops;
    c->bytes = after.bytes > c->bytes ? after.bytes : c->bytes;
    return 0;
}

static void print(const struct json *document)
{
    table_print_card(document, card);
    printf("\n");
    table_print(json_get(document, "rows"), columns);
}

static int run(const struct settings *s)
{
    struct machine machine = {0};
    struct trial t = {0};
    struct profile profile = {0};
    struct ceiling ceiling;
    struct json *document = json_object();
    int rc;
    TRY_OUT(trial_method(&t, &machine, s, s->method));
    TRY_OUT(trial_model(&t, s, s->image, s->outputs));
    if (s->memory) {
        struct foresee_spec spec = memory_spec(s);
        spec.images = (uint32_t)s->recipe.batch;
        spec.feature_cache = 0;
        TRY_OUT(machine_open(&machine, s));
        rc = memory_show(&t, s, &spec, 1, document);
        goto out;
    }
    TRY_OUT(measure(&t, s, &profile, &ceiling));
    TRY_OUT(describe(document, &t, s, &profile, &ceiling));
    if (s->trace) {
        TRY_OUT(write_trace(&t, s, &profile));
        TRY_OUT(json_set_string(document, "trace", s->trace));
    }
    TRY_OUT(machine_check(&machine));
    if (s->json)
        rc = json_print(document);
    else
        print(document);
out:
    profile_finish(&profile);
    trial_finish(&t);
    machine_close(&machine);
    json_destroy(document);
    return rc;
}

static void preset(struct settings *s)
{
    s->method = "lora";
    s->top = 30;
    s->outputs = 100;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"method", 'M', ARGUMENT_TEXT, FIELD(method), 0, 0, NULL, "METHOD",
     "what is trained: name, name[option=value,...], or a stack name+name (`vitro plugins`)"},
    {"inference", 0, ARGUMENT_FLAG, FIELD(inference), 0, 0, NULL, NULL,
     "the logits of a batch, instead of a training step"},
    {"by", 'b', ARGUMENT_CHOICE, FIELD(by), 0, 0, profile_bys, "NAME",
     "what makes a row: `kernel`; `op`, the arithmetic behind it; `site`, who works where in a block; "
     "`place`, the "
     "same block by block; `method`, each plugin of a stack, the head, and the backbone"},
    {"batch", 0, ARGUMENT_WHOLE, FIELD(recipe.batch), 1, 4096, NULL, "N", "images a step"},
    {"steps", 0, ARGUMENT_WHOLE, FIELD(steps), 1, 1000, NULL, "N",
     "steps to time, after one that is not; times are medians over them"},
    {"drop_path", 0, ARGUMENT_REAL, FIELD(recipe.drop_path), 0, 0.99, NULL, "X",
     "stochastic depth of the last block, as in training"},
    {"precision", 0, ARGUMENT_CHOICE, FIELD(recipe.precision), 0, 0, number_names, "NAME",
     "what the operands of matrix products are rounded to, as in `vitro train`: fp32, fp16 or bf16; the "
     "ceiling is measured in it"},
    {"top", 't', ARGUMENT_WHOLE, FIELD(top), 1, 100000, NULL, "N",
     "rows to show; the rest is summed up in one"},
    {"outputs", 0, ARGUMENT_WHOLE, FIELD(outputs), 0, 100000, NULL, "N",
     "classes of the head; 0: the head of the model's file"},
    {"checkpoint_activations", 0, ARGUMENT_FLAG, FIELD(checkpoint_activations), 0, 0, NULL, NULL,
     "as in `vitro train`: the blocks' forward part is computed again in the backward pass"},
    {"memory", 0, ARGUMENT_FLAG, FIELD(memory), 0, 0, NULL, NULL,
     "only say what a step would take of the device's memory, and for what; nothing is run (docs/memory.md)"},
    {"trace", 0, ARGUMENT_TEXT, FIELD(trace), 0, 0, NULL, "FILE",
     "also write every dispatch of every step there, for ui.perfetto.dev or chrome://tracing"},
    {0}};
static const struct argument_group group = {"Profile", rows};
static const struct argument_group *const groups[] = {
    &group, &group_model, &group_machine, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_profile = {
    .name = "profile",
    .summary = "where the time of a training step goes, by kernel, by site, by method",
    .synopsis = "[--method METHOD] [--model FILE] [--by NAME] [--trace FILE]",
    .about =
        "Runs a few steps of a method on random images and times every dispatch on the device. Rows say how "
        "long a step spends where, its arithmetic and its traffic (each operand counted once), and how near "
        "that is to what the device reaches in a large product and a large copy, measured first: the share "
        "of "
        "the ceiling is the time that the slower of the two would need. With timestamps each dispatch waits "
        "for the one before, so nothing overlaps: times add up to more than a step takes without them, and "
        "both are shown (docs/profile.md).",
    .examples = {"vitro profile --method lora+bitfit --by method",
                 "vitro profile --model vit_base.safetensors --method full --batch 16 --trace step.json",
                 "vitro profile --inference --by site --json"},
    .groups = groups,
    .preset = preset,
    .run = run,
};
