/* worker.c - see worker.h. */
#include "worker.h"

#include "clock.h"
#include "ledger.h"
#include "memory.h"
#include "recipe_json.h"
#include "store.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const double progress_seconds = 0.2;

const char *worker_text(const struct json *object, const char *key)
{
    const char *text = json_string(json_get(object, key));
    return text ? text : "";
}

void tell(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
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
    w->stage = worker_text(w->spec, "stage");
    w->out = worker_text(w->job, "out");
    w->final = strcmp(w->stage, "final") == 0;
    if (!*w->out || !*w->stage || !json_is_object(w->places))
        return damaged("spec, places or out");
    TRY(trial_id(w->spec, w->id));
    return 0;
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
    s->model = worker_text(w->places, "model");
    s->head = json_string(json_get(w->places, "head"));
    s->data = worker_text(w->places, "pack");
    s->method = worker_text(w->spec, "method");
    json_bool(json_get(w->places, "random"), &s->random);
    if (s->random && sscanf(worker_text(backbone, "sha256"), "random-%" SCNu64, &w->random_seed) == 1)
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
    s->tuning = worker_text(w->places, "tuning");
    s->tuning = *s->tuning ? s->tuning : "off";
    s->tuning_kept = 1;
    const char *checkpoint = worker_text(w->places, "checkpoint");
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
        const char *wanted = worker_text(json_get(w->spec, "plugins"), part.plugin->info.id);
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
    const struct pack_info *info = pack_info(w->at->pack);
    const struct json *pack = json_get(w->spec, "pack");
    if (strcmp(worker_text(pack, "train"), info->split_fingerprint[PACK_TRAIN]) != 0 ||
        strcmp(worker_text(pack, "val"), info->split_fingerprint[PACK_VAL]) != 0 ||
        (w->final && strcmp(worker_text(pack, "test"), info->split_fingerprint[PACK_TEST]) != 0))
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
        return pack_open_sealed(&w->at->pack, w->with.data);
    TRY(ledger_open(&ledger, worker_text(w->places, "ledger")));
    for (size_t i = 0; i < ledger_count(ledger); i++)
        found |= strcmp(ledger_at(ledger, i)->trial, w->id) == 0;
    ledger_close(ledger);
    if (!found)
        return fail(ERR_CHECK,
                    "the ledger knows of no opening of this test split for the trial %.12s; `vitro study run "
                    "--final` writes it down and opens it",
                    w->id);
    return pack_open(&w->at->pack, w->with.data);
}

/* A machine without its device, perhaps since a worker lost it, is at fault, and not the trial. */
static int open_machine(struct worker *w)
{
    int rc = machine_open(&w->at->machine, &w->with);
    return rc == ERR_DEVICE || rc == ERR_LOST ? fail_in(ERR_CHECK, "a worker cannot open its device") : rc;
}

/* What of it is its own, in a process whose device, data and backbone are open. */
static int join(struct worker *w)
{
    TRY(trial_method(&w->trial, &w->at->machine, &w->with, w->with.method));
    TRY(check_pack(w));
    TRY(trial_join(&w->trial, &w->with, &w->at->workers->trial));
    return check_plugins(w);
}

int worker_begin(struct worker *w)
{
    if (w != w->at->workers)
        return join(w);
    TRY(trial_method(&w->trial, &w->at->machine, &w->with, w->with.method));
    TRY(open_pack(w));
    TRY(check_pack(w));
    TRY(open_machine(w));
    if (w->at->count > 1)
        TRY(trial_host(&w->trial, &w->with));
    TRY(trial_start(&w->trial, &w->with, w->at->pack));
    TRY(check_plugins(w));
    if (strcmp(w->trial.vit->source_hash, worker_text(json_get(w->spec, "backbone"), "sha256")) != 0)
        return fail(
            ERR_CHECK,
            "%s holds other weights than the study began with; give back the old file, or begin the study "
            "anew",
            w->with.model);
    return 0;
}

int worker_read(struct worker *w, const char *path, const struct settings *s)
{
    time_t now = time(NULL);
    struct tm utc;
    w->with = *s;
    w->result = json_object();
    w->run = json_object();
    w->files = json_object();
    strftime(w->began, sizeof w->began, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    TRY(read_job(w, path));
    return read_settings(w);
}

/* Says how far all the trainings of the process are, now and then. */
static int show(void *context, const struct train_progress *p)
{
    struct worker *w = context;
    const double now = clock_seconds();
    double share = 0;
    w->share = (double)p->step / p->steps;
    if (now - w->at->told < progress_seconds)
        return stop_wanted();
    w->at->told = now;
    for (uint32_t i = 0; i < w->at->count; i++)
        share += w->at->workers[i].share / w->at->count;
    if (p->features.images && p->features.done < p->features.images)
        tell("progress %.4f features of %u of %u images", share, p->features.done, p->features.images);
    else if (isfinite(p->loss))
        tell("progress %.4f loss %.3f", share, (double)p->loss);
    else
        tell("progress %.4f", share);
    return stop_wanted();
}

int worker_training(struct worker *w, struct train_spec *spec)
{
    const enum pack_split split =
        strcmp(worker_text(w->spec, "split"), "train") == 0 ? PACK_TRAIN : PACK_TRAINVAL;
    TRY(pack_check(w->at->pack, split));
    *spec = (struct train_spec){.recipe = w->with.recipe,
                                .images = trial_images(w->at->pack, split),
                                .report = show,
                                .context = w,
                                .checkpoint = w->with.checkpoint,
                                .identity = w->id,
                                .checkpoint_activations = w->with.checkpoint_activations,
                                .feature_cache = w->with.feature_cache};
    return 0;
}

static int judge_refit(struct worker *w)
{
    TRY(session_load(w->trial.session, worker_text(w->places, "refit")));
    return worker_judge(w, PACK_TEST, "test.safetensors");
}

int worker_finish(struct worker *w)
{
    const char *diverged = *w->trained.diverged ? w->trained.diverged : NULL;
    int rc = 0;
    TRY(worker_describe(w, diverged ? "diverged" : "done", diverged));
    if (w->final)
        rc = judge_refit(w);
    else if (!diverged && strcmp(w->stage, "tune") == 0)
        rc = worker_judge(w, PACK_VAL, "val.safetensors");
    else if (!diverged)
        rc = worker_keep_method(w);
    return rc < 0 ? rc : worker_write(w);
}

void worker_close(struct worker *w)
{
    trial_finish(&w->trial);
    json_destroy(w->result);
    json_destroy(w->run);
    json_destroy(w->files);
    json_destroy(w->job);
}
