/* verb_demo.c - `vitro demo`: methods fine-tune the bundled model on built-in tasks; one table. */
#include "driver.h"

#include "builtin.h"
#include "machine.h"
#include "memory.h"
#include "model_source.h"
#include "progress.h"
#include "table.h"
#include "trial.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_LIMIT = 64, TASK_LIMIT = 8, ENTRY_TEXT = 160, TEST_IMAGES = 500 };

/* Learning rates that suit the bundled model, found on val; what is not named here takes --lr. */
static const struct {
    const char *plugin;
    float rate;
} rates[] = {{"linear", 2e-2f}, {"vpt", 2e-2f}, {"bitfit", 1e-2f}, {"ssf", 1e-2f}, {"full", 1e-3f}};

struct entry { /* a row of the table */
    char method[ENTRY_TEXT];
    int64_t parameters;
    double share[TASK_LIMIT]; /* NaN: diverged or not reached */
    double seconds, images;
    int finished;
};

struct demo {
    const struct settings *s;
    struct machine machine;
    char tasks[TASK_LIMIT][64];
    int task_count;
    struct entry *entries;
    int entry_count;
    struct progress progress;
    double done; /* images on the bar */
};

/* Splits at commas outside of brackets; returns how many pieces there are, at most `room` of them kept. */
static int split(const char *text, char *out, size_t size, int room)
{
    int count = 0, depth = 0;
    size_t used = 0;
    for (const char *c = text;; c++) {
        depth += (*c == '[') - (*c == ']');
        if (*c && (*c != ',' || depth > 0)) {
            if (count < room && used + 1 < size)
                out[(size_t)count * size + used++] = *c;
            continue;
        }
        if (used && count < room)
            out[(size_t)count++ * size + used] = 0;
        used = 0;
        if (!*c)
            return count;
    }
}

static int every_plugin(const struct settings *s)
{
    return strcmp(s->methods, "all") == 0;
}

static int find_methods(struct demo *d)
{
    const struct plugin_card *cards;
    size_t count;
    char(*texts)[ENTRY_TEXT] = mem_alloc(ENTRY_LIMIT, sizeof *texts);
    if (!texts)
        return ERR_MEMORY;
    int rc = 0;
    if (!every_plugin(d->s)) {
        d->entry_count = split(d->s->methods, texts[0], ENTRY_TEXT, ENTRY_LIMIT);
    } else {
        rc = plugins_list(d->machine.plugins, &cards, &count);
        for (size_t i = 0; rc == 0 && i < count && d->entry_count < ENTRY_LIMIT; i++)
            if (cards[i].plugin)
                snprintf(texts[d->entry_count++], ENTRY_TEXT, "%s", cards[i].plugin->info.id);
    }
    for (int i = 0; i < d->entry_count; i++)
        memcpy(d->entries[i].method, texts[i], ENTRY_TEXT);
    mem_free(texts);
    if (rc == 0 && d->entry_count == 0)
        rc = fail(ERR_PLUGIN,
                  "no plugin was found; say where they are with --plugin-path or VITRO_PLUGIN_PATH");
    return rc;
}

static int by_parameters(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->parameters != y->parameters)
        return x->parameters < y->parameters ? -1 : 1;
    return strcmp(x->method, y->method);
}

static int count_entry(const struct demo *d, const struct vit *model, struct entry *e)
{
    struct method *method = NULL;
    int rc = method_create(&method, d->machine.plugins, e->method);
    if (rc == 0)
        rc = method_declare(method, model);
    if (rc == 0)
        e->parameters = method_trainable(method);
    method_destroy(method);
    return rc;
}

/* Counts each method's parameters, which also refuses what cannot run before anything does. A plugin that
 * nobody named and that the model does not suit is left out, and that is said. */
static int count_parameters(struct demo *d)
{
    struct vit *model = NULL;
    TRY(open_model(&model, d->s, d->s->image, 2));
    int rc = 0, kept = 0;
    for (int i = 0; i < d->entry_count && rc == 0; i++) {
        rc = count_entry(d, model, &d->entries[i]);
        if (rc == ERR_PLUGIN && every_plugin(d->s)) {
            say("left out, as the model does not suit it: %s", error_text());
            rc = 0;
            continue;
        }
        d->entries[kept++] = d->entries[i];
    }
    d->entry_count = kept;
    vit_destroy(model);
    qsort(d->entries, (size_t)d->entry_count, sizeof *d->entries, by_parameters);
    return rc;
}

static float rate_for(const struct settings *s, const char *method)
{
    size_t length = strcspn(method, "[+");
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (strlen(rates[i].plugin) == length && strncmp(rates[i].plugin, method, length) == 0 &&
            !method[length])
            return rates[i].rate;
    return s->recipe.lr;
}

static int run_trial(struct demo *d, struct entry *e, int task, const struct pack *pack)
{
    struct settings with = *d->s;
    struct trial t = {0};
    struct train_result result = {0};
    struct accuracy accuracy;
    char name[ENTRY_TEXT + 80];
    int rc;
    snprintf(name, sizeof name, "%s on %s", e->method, d->tasks[task]);
    struct trial_bar bar = {
        .progress = &d->progress, .before = d->done, .name = name, .batch = with.recipe.batch, .verbose = 0};
    with.recipe.lr = rate_for(d->s, e->method);
    TRY_OUT(trial_method(&t, &d->machine, &with, e->method));
    TRY_OUT(trial_start(&t, &with, pack));
    TRY_OUT(trial_train(&t, &with, PACK_TRAINVAL, NULL, &bar, &result));
    TRY_OUT(trial_accuracy(&t, &with, PACK_TEST, &accuracy));
    e->share[task] = accuracy.share;
out:
    e->seconds += result.seconds;
    e->images += (double)result.steps * with.recipe.batch;
    trial_finish(&t);
    if (rc == ERR_DIVERGED) { /* a result as well: the cell stays empty */
        say("%s on %s %s", e->method, d->tasks[task], error_text());
        return 0;
    }
    return rc;
}

static int open_task(struct demo *d, int task, struct pack **out)
{
    struct settings with = *d->s;
    char data[96];
    const int val = d->s->images / 5; /* shares as in VTAB-1K */
    snprintf(data, sizeof data, "builtin:%s:%d/%d/%d", d->tasks[task], d->s->images - val, val, TEST_IMAGES);
    with.data = data;
    return trial_pack(out, &with);
}

static int run_all(struct demo *d, struct pack *const *packs)
{
    const struct recipe *r = &d->s->recipe;
    double total = 0;
    int rc = 0;
    for (int k = 0; k < d->task_count; k++)
        total += (double)recipe_steps(r, pack_images(packs[k], PACK_TRAINVAL).count) * r->epochs * r->batch;
    progress_begin(&d->progress, "demo", "images", total * d->entry_count);
    for (int i = 0; i < d->entry_count && rc == 0; i++) {
        for (int k = 0; k < d->task_count && rc == 0; k++) {
            rc = run_trial(d, &d->entries[i], k, packs[k]);
            d->done +=
                (double)recipe_steps(r, pack_images(packs[k], PACK_TRAINVAL).count) * r->epochs * r->batch;
        }
        d->entries[i].finished = rc == 0;
        if (rc == 0 && d->s->verbose)
            say("%s is done after %.0f s", d->entries[i].method, d->entries[i].seconds);
    }
    progress_end(&d->progress);
    return rc;
}

static int describe_entry(struct json *row, const struct demo *d, const struct entry *e)
{
    double sum = 0;
    TRY(json_set_string(row, "method", e->method));
    TRY(json_set_integer(row, "parameters", e->parameters));
    for (int k = 0; k < d->task_count; k++) {
        TRY(json_set_number(row, d->tasks[k], e->share[k]));
        sum += e->share[k];
    }
    TRY(json_set_number(row, "accuracy", sum / d->task_count));
    TRY(json_set_number(row, "seconds", e->seconds));
    return json_set_number(row, "images_a_second", e->seconds > 0 ? e->images / e->seconds : 0);
}

static int describe(struct json *document, const struct demo *d)
{
    TRY(json_set_string(document, "device", device_info(d->machine.device)->name));
    TRY(json_set_string(document, "model", d->s->model ? d->s->model : bundled_name));
    TRY(json_set_bool(document, "random", d->s->random));
    TRY(json_take(document, "recipe", recipe_json(&d->s->recipe)));
    struct json *rows = json_set_array(document, "methods");
    for (int i = 0; i < d->entry_count; i++)
        if (d->entries[i].finished)
            TRY(describe_entry(json_append_object(rows), d, &d->entries[i]));
    return 0;
}

static int print(const struct json *document, const struct demo *d)
{
    struct column columns[TASK_LIMIT + 6] = {{"method", "method", FORM_TEXT},
                                             {"parameters", "trainable parameters", FORM_WHOLE}};
    int count = 2;
    if (d->s->json)
        return json_print(document);
    for (int k = 0; k < d->task_count; k++)
        columns[count++] = (struct column){d->tasks[k], d->tasks[k], FORM_PERCENT};
    if (d->task_count > 1)
        columns[count++] = (struct column){"accuracy", "mean accuracy", FORM_PERCENT};
    columns[count++] = (struct column){"seconds", "seconds", FORM_TENTHS};
    columns[count++] = (struct column){"images_a_second", "images/s", FORM_WHOLE};
    table_print(json_get(document, "methods"), columns);
    printf("\n%s weights; %d epochs of %d images of each task, accuracy on %d others; %s\n",
           d->s->random  ? "random"
           : d->s->model ? d->s->model
                         : "bundled",
           d->s->recipe.epochs, d->s->images, TEST_IMAGES, device_info(d->machine.device)->name);
    return 0;
}

static int run_demo(struct demo *d)
{
    struct pack *packs[TASK_LIMIT] = {0};
    struct json *document = json_object();
    int rc, stopped = 0;
    const struct builtin_task *task;
    for (int k = 0; k < d->task_count; k++) /* a mistyped name is told before anything else is */
        TRY_OUT(builtin_find(&task, d->tasks[k]));
    TRY_OUT(open_plugins(&d->machine.plugins, d->s));
    TRY_OUT(find_methods(d));
    TRY_OUT(count_parameters(d));
    TRY_OUT(machine_open(&d->machine, d->s));
    for (int k = 0; k < d->task_count; k++)
        TRY_OUT(open_task(d, k, &packs[k]));
    rc = run_all(d, packs);
    stopped = rc == ERR_STOPPED;
    if (rc == 0 || stopped) {
        TRY_OUT(machine_check(&d->machine));
        TRY_OUT(describe(document, d));
        TRY_OUT(print(document, d));
    }
out:
    for (int k = 0; k < d->task_count; k++)
        pack_close(packs[k]);
    machine_close(&d->machine);
    json_destroy(document);
    return rc == 0 && stopped ? fail(ERR_STOPPED, "demo: stopped; the table holds the methods that were done")
                              : rc;
}

static void preset(struct settings *s)
{
    s->tasks = "textures,cells,count";
    s->methods = "linear,vpt,bitfit,ssf,lora,adaptformer,full";
    s->images = 500;
    s->recipe.batch = 32;
    s->recipe.lr = 5e-3f;
    s->recipe.epochs = 8;
    s->recipe.warmup = 1;
    s->recipe.schedule = SCHEDULE_PLAIN;
}

static int run(const struct settings *s)
{
    struct demo d = {.s = s};
    stop_watch();
    if (!s->model)
        TRY(bundled_missing());
    d.task_count = split(s->tasks, d.tasks[0], sizeof d.tasks[0], TASK_LIMIT);
    d.entries = mem_alloc(ENTRY_LIMIT, sizeof *d.entries);
    if (!d.entries)
        return ERR_MEMORY;
    for (int i = 0; i < ENTRY_LIMIT; i++)
        for (int k = 0; k < TASK_LIMIT; k++)
            d.entries[i].share[k] = NAN;
    int rc = run_demo(&d);
    mem_free(d.entries);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"tasks", 't', ARGUMENT_TEXT, FIELD(tasks), 0, 0, NULL, "NAMES",
     "built-in tasks (`vitro tasks`), separated by commas"},
    {"methods", 'M', ARGUMENT_TEXT, FIELD(methods), 0, 0, NULL, "METHODS",
     "methods, separated by commas, as in linear,lora[r=4]; all is every plugin with its defaults"},
    {"images", 0, ARGUMENT_WHOLE, FIELD(images), 10, 1e6, NULL, "N",
     "images of each task to train on: train and val together"},
    {"epochs", 'e', ARGUMENT_WHOLE, FIELD(recipe.epochs), 1, 100000, NULL, "N", "passes over the images"},
    {"lr", 0, ARGUMENT_REAL, FIELD(recipe.lr), 0, 1e3, NULL, "X",
     "learning rate of the methods for which the demo knows no better one"},
    {"seed", 's', ARGUMENT_SEED, FIELD(recipe.seed), 0, 0, NULL, "N",
     "of initial weights, order and dropout"},
    {0}};
static const struct argument_group group = {"What to run", rows};
static const struct argument_group *const groups[] = {
    &group, &group_model, &group_machine, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_demo = {
    .name = "demo",
    .summary = "fine-tune the bundled model with seven methods, in minutes",
    .synopsis = "[--tasks NAMES] [--methods METHODS] [--epochs N]",
    .about =
        "Fine-tunes the bundled model with seven methods, or others by --methods, on tasks that the program "
        "draws itself, and ends with a table. Model and tasks are stand-ins that need no download: they show "
        "that everything works and "
        "that pre-training helps (compare --random), not which method is better on photographs.",
    .examples = {"vitro demo", "vitro demo --tasks distance,cells --methods linear,lora[r=4] --epochs 10"},
    .groups = groups,
    .preset = preset,
    .run = run,
};
