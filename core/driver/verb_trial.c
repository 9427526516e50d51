/* verb_trial.c - `vitro trial JOB`: one trial of a study, in a process of its own. `vitro study run` starts it; it is
 * not in the program's help. The job says what the trial is (docs/store.md) and where things lie; the result goes to
 * a folder, which the study takes over when this process ends well. */
#include "driver.h"

#include "clock.h"
#include "file.h"
#include "hash.h"
#include "ledger.h"
#include "machine.h"
#include "memory.h"
#include "recipe_json.h"
#include "safetensors.h"
#include "stats.h"
#include "store.h"
#include "trial.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { IMAGES_AT_ONCE = 512 }; /* judged between two signs of life */
static const double progress_seconds = 0.2;

struct worker {
    struct json *job;
    const struct json *spec, *places;
    const char *stage, *out;
    char id[HASH_TEXT];
    int final;
    struct settings with;
    struct machine machine;
    struct trial trial;
    struct pack *pack;
    struct train_result trained;
    struct json *result, *run, *files;
    double eval_seconds, told; /* told: when progress was last written */
    char began[32];
    uint64_t random_seed;
};

static const char *text_of(const struct json *object, const char *key)
{
    const char *text = json_string(json_get(object, key));
    return text ? text : "";
}

/* What is not the trial's doing ends with ERR_CHECK: the study stops and says so, and nothing counts as the trial's
 * result. */
static int damaged(const char *what)
{
    return fail(ERR_CHECK, "the job's %s cannot be read; `vitro study run` writes jobs", what);
}

static int read_job(struct worker *w, const char *path)
{
    TRY(json_read_file(&w->job, path));
    w->spec = json_get(w->job, "spec");
    w->places = json_get(w->job, "places");
    w->stage = text_of(w->spec, "stage");
    w->out = text_of(w->job, "out");
    w->final = strcmp(w->stage, "final") == 0;
    if (!*w->out || !*w->stage || !json_is_object(w->places))
        return damaged("spec, places or out");
    TRY(trial_id(w->spec, w->id));
    return 0;
}

/* A line to whoever started this. */
__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static int whole_of(const struct json *object, const char *key, int32_t *out)
{
    int64_t number;
    if (json_integer(json_get(object, key), &number) < 0 || number < INT32_MIN || number > INT32_MAX)
        return damaged(key);
    *out = (int32_t)number;
    return 0;
}

/* Of the recipe; most leave it to the weights. */
static int activation_of(const struct json *backbone, int32_t *out)
{
    const char *text = json_string(json_get(backbone, "act"));
    if (!text)
        return 0;
    for (*out = 1; vit_activations[*out]; ++*out)
        if (strcmp(vit_activations[*out], text) == 0)
            return 0;
    return fail(ERR_INPUT, "the spec's activation is \"%.40s\", which this program does not know", text);
}

/* What the spec and the places say, as the options of a verb. */
static int read_settings(struct worker *w)
{
    const struct json *backbone = json_get(w->spec, "backbone");
    struct settings *s = &w->with;
    int64_t cache = FEATURES_AUTO;
    s->model = text_of(w->places, "model");
    s->head = json_string(json_get(w->places, "head"));
    s->data = text_of(w->places, "pack");
    s->method = text_of(w->spec, "method");
    json_bool(json_get(w->places, "random"), &s->random);
    if (s->random && sscanf(text_of(backbone, "sha256"), "random-%" SCNu64, &w->random_seed) == 1)
        s->random_seed = &w->random_seed; /* one network for all seeds of the training */
    TRY(whole_of(backbone, "image", &s->image));
    TRY(whole_of(backbone, "heads", &s->heads));
    TRY(activation_of(backbone, &s->act));
    TRY(whole_of(w->places, "device", &s->device));
    TRY(recipe_read(&s->recipe, json_get(w->spec, "training")));
    if (json_integer(json_get(w->places, "feature_cache"), &cache) == 0)
        s->feature_cache = (int32_t)cache;
    TRY(whole_of(w->places, "device_memory", &s->device_memory));
    json_bool(json_get(w->places, "checkpoint_activations"), &s->checkpoint_activations);
    for (const struct json *folder = json_first(json_get(w->places, "plugins"));
         folder && s->plugin_path.count < ARGUMENT_LIST_MAX; folder = json_next(folder))
        s->plugin_path.items[s->plugin_path.count++] = json_string(folder);
    s->tuning = text_of(w->places, "tuning");
    s->tuning = *s->tuning ? s->tuning : "off";
    s->tuning_kept = 1;
    const char *checkpoint = text_of(w->places, "checkpoint");
    s->checkpoint = *checkpoint ? checkpoint : NULL;
    return 0;
}

/* The plugins are those that the study was resolved with. */
static int check_plugins(const struct worker *w)
{
    for (size_t i = 0; i < method_parts(w->trial.method); i++) {
        struct method_part part;
        char digest[HASH_TEXT];
        TRY(method_part(w->trial.method, i, &part));
        TRY(hash_file(part.plugin->path, digest));
        const char *wanted = text_of(json_get(w->spec, "plugins"), part.plugin->info.id);
        if (strcmp(wanted, digest) != 0)
            return fail(ERR_CHECK,
                        "the plugin %s (%s) is not the one that the study began with; begin it anew with "
                        "`vitro study run "
                        "--replace`",
                        part.plugin->info.id, part.plugin->path);
    }
    return 0;
}

static int check_pack(const struct worker *w)
{
    const struct pack_info *info = pack_info(w->pack);
    const struct json *pack = json_get(w->spec, "pack");
    if (strcmp(text_of(pack, "train"), info->split_fingerprint[PACK_TRAIN]) != 0 ||
        strcmp(text_of(pack, "val"), info->split_fingerprint[PACK_VAL]) != 0 ||
        (w->final && strcmp(text_of(pack, "test"), info->split_fingerprint[PACK_TEST]) != 0))
        return fail(
            ERR_CHECK,
            "%s holds other data than the study began with; give back the old file, or begin the study anew",
            w->with.data);
    return 0;
}

/* The test split opens only for a trial whose opening stands in the ledger. */
static int open_pack(struct worker *w)
{
    struct ledger *ledger = NULL;
    int found = 0;
    if (!w->final)
        return pack_open_sealed(&w->pack, w->with.data);
    TRY(ledger_open(&ledger, text_of(w->places, "ledger")));
    for (size_t i = 0; i < ledger_count(ledger); i++)
        found |= strcmp(ledger_at(ledger, i)->trial, w->id) == 0;
    ledger_close(ledger);
    if (!found)
        return fail(ERR_CHECK,
                    "the ledger knows of no opening of this test split for the trial %.12s; `vitro study run "
                    "--final` writes it down and opens it",
                    w->id);
    return pack_open(&w->pack, w->with.data);
}

/* A machine without its device, perhaps since a worker lost it, is at fault, and not the trial. */
static int open_machine(struct worker *w)
{
    int rc = machine_open(&w->machine, &w->with);
    return rc == ERR_DEVICE || rc == ERR_LOST ? fail_in(ERR_CHECK, "a worker cannot open its device") : rc;
}

static int begin(struct worker *w)
{
    TRY(trial_method(&w->trial, &w->machine, &w->with, w->with.method));
    TRY(open_pack(w));
    TRY(check_pack(w));
    TRY(open_machine(w));
    TRY(trial_start(&w->trial, &w->with, w->pack));
    TRY(check_plugins(w));
    if (strcmp(w->trial.vit->source_hash, text_of(json_get(w->spec, "backbone"), "sha256")) != 0)
        return fail(
            ERR_CHECK,
            "%s holds other weights than the study began with; give back the old file, or begin the study "
            "anew",
            w->with.model);
    return 0;
}

static int show(void *context, const struct train_progress *p)
{
    struct worker *w = context;
    const double now = clock_seconds();
    if (now - w->told < progress_seconds)
        return stop_wanted();
    w->told = now;
    if (p->features.images && p->features.done < p->features.images)
        tell("progress 0 features of %u of %u images", p->features.done, p->features.images);
    else if (isfinite(p->loss))
        tell("progress %.4f loss %.3f", (double)p->step / p->steps, (double)p->loss);
    else
        tell("progress %.4f", (double)p->step / p->steps);
    return stop_wanted();
}

static struct images images_of(const struct pack *pack, enum pack_split split)
{
    const struct pack_images p = pack_images(pack, split);
    return (struct images){.rgb = p.rgb, .labels = p.labels, .count = p.count};
}

static int train(struct worker *w)
{
    const enum pack_split split =
        strcmp(text_of(w->spec, "split"), "train") == 0 ? PACK_TRAIN : PACK_TRAINVAL;
    TRY(pack_check(w->pack, split));
    const struct train_spec spec = {.recipe = w->with.recipe,
                                    .images = images_of(w->pack, split),
                                    .report = show,
                                    .context = w,
                                    .checkpoint = w->with.checkpoint,
                                    .identity = w->id,
                                    .checkpoint_activations = w->with.checkpoint_activations,
                                    .feature_cache = w->with.feature_cache};
    return session_train(w->trial.session, &spec, &w->trained);
}

/* --- what is left in the folder */

static int path_of(const struct worker *w, const char *file, char path[STORE_PATH])
{
    if (snprintf(path, STORE_PATH, "%s/%s", w->out, file) >= STORE_PATH)
        return fail(ERR_INPUT, "the path of %s is too long", file);
    return 0;
}

static int add_file(struct worker *w, const char *file)
{
    char path[STORE_PATH], digest[HASH_TEXT];
    struct file_map map;
    struct json *j = json_object();
    TRY(json_take(w->files, file, j));
    TRY(path_of(w, file, path));
    TRY(hash_file(path, digest));
    TRY(file_map(&map, path));
    int rc = json_set_integer(j, "bytes", (int64_t)map.size);
    file_unmap(&map);
    return rc < 0 ? rc : json_set_string(j, "sha256", digest);
}

static int write_logits(const struct worker *w, const char *file, const float *logits,
                        const struct images *images, int32_t classes)
{
    char path[STORE_PATH];
    const struct safetensors_item items[] = {
        {"logits", SAFETENSORS_F32, 2, {images->count, classes}, logits},
        {"labels", SAFETENSORS_I32, 1, {images->count}, images->labels},
    };
    const struct safetensors_note notes[] = {{"trial", w->id}, {"stage", w->stage}};
    TRY(path_of(w, file, path));
    return safetensors_write(path, items, 2, notes, 2);
}

/* A part at a time, so that a split of many images on a slow device gives signs of life and can be stopped. No part is
 * smaller than a batch unless all is: batches are the same ones as of all at once. */
static int answer(struct worker *w, const struct images *images, float *logits)
{
    const size_t classes = (size_t)w->trial.vit->shape.classes, side = (size_t)w->trial.vit->shape.image;
    const uint32_t batch = (uint32_t)w->with.recipe.batch,
                   part = (IMAGES_AT_ONCE + batch - 1) / batch * batch;
    for (uint32_t at = 0, count; at < images->count; at += count) {
        const uint32_t left = images->count - at;
        double seconds = 0;
        count = left < 2 * part ? left : part;
        const struct images some = {.rgb = images->rgb + at * side * side * 3, .count = count};
        printf("progress 1 judging, %u of %u images\n", at, images->count);
        fflush(stdout);
        if (stop_wanted())
            return fail(ERR_STOPPED, "stopped while judging; it is judged from the start another time");
        TRY(session_logits(w->trial.session, &some, batch, logits + at * classes, &seconds));
        w->eval_seconds += seconds;
    }
    return 0;
}

/* Logits of val after tune, of test after final; accuracy and loss from them. */
static int judge(struct worker *w, enum pack_split split, const char *file)
{
    const struct images images = images_of(w->pack, split);
    const int32_t classes = w->trial.vit->shape.classes;
    struct calibration c;
    TRY(pack_check(w->pack, split));
    float *logits = mem_alloc((size_t)images.count * (size_t)classes, sizeof *logits);
    if (!logits)
        return ERR_MEMORY;
    int rc = answer(w, &images, logits);
    if (rc == 0)
        rc = stats_calibrate(logits, images.labels, images.count, classes, 1, &c);
    if (rc == 0)
        rc = write_logits(w, file, logits, &images, classes);
    mem_free(logits);
    TRY(rc);
    TRY(add_file(w, file));
    TRY(json_set_integer(w->result, "images", images.count));
    TRY(json_set_integer(w->result, "right", llround(c.accuracy * images.count)));
    TRY(json_set_number(w->result, "accuracy", c.accuracy));
    TRY(json_set_number(w->result, "nll", c.nll));
    return w->eval_seconds > 0
               ? json_set_number(w->run, "eval_images_a_second", images.count / w->eval_seconds)
               : 0;
}

/* The trained method. Its notes name model and data as the recipe does, so that they are the same on every machine. */
static int keep_method(struct worker *w)
{
    struct settings named = w->with;
    struct json *notes = NULL;
    char path[STORE_PATH];
    named.model =
        strcmp(named.model, "bundled") == 0 ? named.model : text_of(json_get(w->spec, "backbone"), "name");
    named.data = text_of(json_get(w->spec, "pack"), "name");
    named.training_split = strcmp(text_of(w->spec, "split"), "train") != 0;
    TRY(trial_notes(&notes, &w->trial, &named));
    int rc = path_of(w, "method.safetensors", path);
    if (rc == 0)
        rc = method_file_save(w->trial.session, path, notes);
    json_destroy(notes);
    TRY(rc);
    TRY(add_file(w, "method.safetensors"));
    int64_t bytes = 0;
    json_integer(json_get(json_get(w->files, "method.safetensors"), "bytes"), &bytes);
    return json_set_integer(w->result, "stored_bytes", bytes);
}

static int judge_refit(struct worker *w)
{
    TRY(session_load(w->trial.session, text_of(w->places, "refit")));
    return judge(w, PACK_TEST, "test.safetensors");
}

static int describe(struct worker *w, const char *outcome, const char *reason)
{
    TRY(json_set_string(w->result, "schema", "vitro.result/1"));
    TRY(json_set_string(w->result, "id", w->id));
    TRY(json_take(w->result, "spec", json_copy(w->spec)));
    TRY(json_set_string(w->result, "outcome", outcome));
    if (reason)
        TRY(json_set_string(w->result, "reason", reason));
    if (!w->final) {
        TRY(json_set_integer(w->result, "steps", w->trained.steps));
        TRY(json_set_number(w->result, "loss", float_brief(w->trained.last_loss)));
        if (w->trained.loss_scale > 0) {
            TRY(json_set_number(w->result, "loss_scale", float_brief(w->trained.loss_scale)));
            TRY(json_set_integer(w->result, "skipped", w->trained.skipped));
        }
    }
    TRY(json_set_integer(w->result, "parameters", method_trainable(w->trial.method)));
    return json_set_integer(w->result, "parameters_head", method_head(w->trial.method));
}

static int describe_run(struct worker *w)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    const struct device_info *device = device_info(w->machine.device);
    TRY(json_set_string(w->run, "schema", "vitro.run/1"));
    TRY(json_set_string(w->run, "id", w->id));
    TRY(json_set_string(w->run, "began", w->began));
    TRY(json_set_number(w->run, "seconds", w->trained.seconds));
    TRY(json_set_number(w->run, "compile_seconds", w->trained.compile_seconds));
    TRY(json_set_number(w->run, "images_a_second", w->trained.images_a_second));
    TRY(json_set_number(w->run, "eval_seconds", w->eval_seconds));
    TRY(json_set_integer(w->run, "host_bytes", (int64_t)used.ru_maxrss * 1024));
    TRY(json_set_integer(w->run, "device_bytes", (int64_t)w->trained.device_bytes));
    TRY(json_set_string(w->run, "device", device->name));
    TRY(json_set_string(w->run, "driver", device->driver));
    TRY(json_set_integer(w->run, "resumed_steps", w->trained.resumed));
    char products[HASH_TEXT];
    TRY(session_products(w->trial.session, products));
    TRY(json_set_string(w->run, "tuning", tuning_hash(w->machine.tuning)));
    TRY(json_set_string(w->run, "products", products));
    if (w->trained.recovered)
        TRY(json_set_integer(w->run, "recovered", w->trained.recovered));
    return json_set_string(w->run, "vitro", VITRO_VERSION);
}

static int write_json(const struct worker *w, const char *file, const struct json *j)
{
    char path[STORE_PATH];
    TRY(path_of(w, file, path));
    return json_write_file(j, path);
}

static int work(struct worker *w)
{
    char reason[512] = "";
    TRY(begin(w));
    TRY(file_make_folders(w->out));
    int rc = w->final ? 0 : train(w);
    if (rc == ERR_DIVERGED)
        snprintf(reason, sizeof reason, "%s", error_text());
    if (rc == 0 || rc == ERR_DIVERGED)
        TRY(describe(w, *reason ? "diverged" : "done", *reason ? reason : NULL));
    if (rc == 0 && w->final)
        rc = judge_refit(w);
    else if (rc == 0 && strcmp(w->stage, "tune") == 0)
        rc = judge(w, PACK_VAL, "val.safetensors");
    else if (rc == 0)
        rc = keep_method(w);
    if (rc < 0 && rc != ERR_DIVERGED)
        return rc;
    TRY(machine_check(&w->machine));
    TRY(json_take(w->result, "files", json_copy(w->files)));
    TRY(describe_run(w));
    TRY(write_json(w, "run.json", w->run));
    return write_json(w, "result.json", w->result);
}

static int run(const struct settings *s)
{
    struct worker w = {.with = *s, .result = json_object(), .run = json_object(), .files = json_object()};
    time_t now = time(NULL);
    struct tm utc;
    strftime(w.began, sizeof w.began, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    stop_watch();
    int rc = read_job(&w, s->rest[0]);
    if (rc == 0)
        rc = read_settings(&w);
    if (rc == 0) {
        tell("progress 0"); /* it has begun: from here on plugins may do what they like */
        rc = work(&w);
    }
    if (rc < 0)
        tell("failed %s", error_text()); /* before anything is torn down, and where no log may be writable */
    trial_finish(&w.trial);
    pack_close(w.pack);
    machine_close(&w.machine);
    json_destroy(w.result);
    json_destroy(w.run);
    json_destroy(w.files);
    json_destroy(w.job);
    return rc;
}

static const struct argument_group *const groups[] = {&group_machine, &group_plugins, &group_general, NULL};
const struct verb verb_trial = {
    .name = "trial",
    .summary = NULL, /* hidden: a study's worker */
    .synopsis = "JOB",
    .about = "Runs one trial of a study, as the file JOB describes it, and writes its result to the folder "
             "that it names. "
             "`vitro study run` starts this in processes of its own; there is no need to type it.",
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "JOB",
    .run = run,
};
