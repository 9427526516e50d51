/* verb_train.c - `vitro train`: fine-tunes a model with a method, says how good it became, keeps it. */
#include "beside.h"
#include "machine.h"
#include "memory.h"
#include "memory_view.h"
#include "model_source.h"
#include "number.h"
#include "opening.h"
#include "progress.h"
#include "table.h"
#include "trial.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

static const struct column card[] = {{"method", "method", FORM_TEXT},
                                     {"model", "model", FORM_TEXT},
                                     {"task", "task", FORM_TEXT},
                                     {"trained_on", "trained on", FORM_TEXT},
                                     {"image", "image side", FORM_WHOLE},
                                     {"steps", "steps", FORM_WHOLE},
                                     {"resumed", "of these resumed", FORM_WHOLE},
                                     {"recovered", "losses of the device survived", FORM_WHOLE},
                                     {"parameters", "trainable parameters", FORM_WHOLE},
                                     {"parameters_head", "  and of the head", FORM_WHOLE},
                                     {"precision", "precision", FORM_TEXT},
                                     {"loss_scale", "  scale of the loss", FORM_BRIEF},
                                     {"skipped", "  steps skipped for it", FORM_WHOLE},
                                     {"loss", "loss of the last epoch", FORM_BRIEF},
                                     {"evaluated_on", "evaluated on", FORM_TEXT},
                                     {"accuracy", "accuracy", FORM_PERCENT},
                                     {"seconds", "training", FORM_SECONDS},
                                     {"compile_seconds", "compilation", FORM_SECONDS},
                                     {"images_a_second", "images/s", FORM_TENTHS},
                                     {"features_bytes", "features kept of all images", FORM_BYTES},
                                     {"features_saved", "  of a step's arithmetic", FORM_PERCENT},
                                     {"features_seconds", "  computed once in", FORM_SECONDS},
                                     {"device_bytes", "peak device memory", FORM_BYTES},
                                     {"saved", "saved in", FORM_TEXT},
                                     {0}};

/* Of several, a row each. */
static const struct column trial_columns[] = {{"method", "method", FORM_TEXT},
                                              {"seed", "seed", FORM_TEXT},
                                              {"lr", "lr", FORM_BRIEF},
                                              {"parameters", "parameters", FORM_WHOLE},
                                              {"loss", "loss", FORM_BRIEF},
                                              {"evaluated_on", "on", FORM_TEXT},
                                              {"accuracy", "accuracy", FORM_PERCENT},
                                              {"seconds", "share of time", FORM_SECONDS},
                                              {"saved", "saved in", FORM_TEXT},
                                              {0}};

enum { TRIALS_MOST = 1 + ARGUMENT_LIST_MAX };

struct entry { /* one of the trials that are trained at once */
    struct settings with;
    char *words; /* what they are lent from */
    struct trial trial;
    struct json *notes;
    char *identity;
    struct trial_bar bar;
    struct train_result result;
};
struct entries {
    struct entry all[TRIALS_MOST];
    uint32_t count;
    struct machine machine;
    struct pack *pack;
};

static int describe_features(struct json *j, const struct train_features *f)
{
    if (!f->images)
        return 0;
    TRY(json_set_integer(j, "features_bytes", (int64_t)f->bytes));
    TRY(json_set_number(j, "features_saved", f->saved));
    return json_set_number(j, "features_seconds", f->seconds);
}

static int describe(struct json *j, const struct trial *t, const struct settings *s,
                    const struct train_result *r)
{
    TRY(json_set_string(j, "method", method_text(t->method)));
    TRY(json_set_string(j, "model", s->model ? s->model : bundled_name));
    TRY(json_set_string(j, "task", pack_info(t->pack)->task));
    TRY(json_set_string(j, "fingerprint", pack_info(t->pack)->fingerprint));
    TRY(json_set_string(j, "trained_on", training_splits[s->training_split]));
    TRY(json_set_integer(j, "image", t->vit->shape.image));
    TRY(json_set_integer(j, "steps", r->steps));
    if (r->resumed)
        TRY(json_set_integer(j, "resumed", r->resumed));
    if (r->recovered)
        TRY(json_set_integer(j, "recovered", r->recovered));
    TRY(json_set_integer(j, "parameters", method_trainable(t->method)));
    TRY(json_set_integer(j, "parameters_head", method_head(t->method)));
    TRY(json_set_string(j, "precision", number_names[s->recipe.precision]));
    if (r->loss_scale > 0) {
        TRY(json_set_number(j, "loss_scale", (double)r->loss_scale));
        TRY(json_set_integer(j, "skipped", r->skipped));
    }
    TRY(json_set_number(j, "loss", (double)r->last_loss));
    TRY(json_set_number(j, "seconds", r->seconds));
    TRY(json_set_number(j, "compile_seconds", r->compile_seconds));
    TRY(json_set_number(j, "images_a_second", r->images_a_second));
    TRY(json_set_integer(j, "device_bytes", (int64_t)r->device_bytes));
    TRY(describe_features(j, &r->features));
    TRY(json_take(j, "recipe", recipe_json(&s->recipe)));
    return s->save ? json_set_string(j, "saved", s->save) : 0;
}

/* Everything that decides the trained bits, and what they are judged on: the trial's name in the ledger. */
static int record(const struct trial *t, const struct settings *s)
{
    struct json *what = NULL;
    TRY(trial_notes(&what, t, s));
    int rc = json_set_string(what, "model", ""); /* not where the files lie: their hash is there */
    if (rc == 0 && s->head)
        rc = json_set_string(what, "head", "");
    if (rc == 0)
        rc = json_set_string(what, "data", "");
    if (rc == 0)
        rc = opening_record(t, s, what);
    json_destroy(what);
    return rc;
}

/* On val where it was not trained on, on test when that is asked for, else not at all. */
static int judge(struct trial *t, const struct settings *s, struct json *j)
{
    struct accuracy a;
    if (!s->final && s->training_split)
        return json_set_string(j, "evaluated_on",
                               "nothing: val was trained on, and test is sealed (--final opens it, once)");
    TRY(trial_evaluate(t, s, s->final ? PACK_TEST : PACK_VAL, &a));
    TRY(json_set_string(j, "evaluated_on", s->final ? "test" : "val"));
    TRY(json_set_integer(j, "images", a.images));
    TRY(json_set_integer(j, "right", a.right));
    return json_set_number(j, "accuracy", a.share);
}

static enum pack_split split_of(const struct settings *s)
{
    return s->training_split ? PACK_TRAINVAL : PACK_TRAIN;
}

static int run_training(struct entries *e, struct progress *progress)
{
    struct session *sessions[TRIALS_MOST];
    struct train_spec specs[TRIALS_MOST];
    struct train_result results[TRIALS_MOST];
    for (uint32_t i = 0; i < e->count; i++) {
        struct entry *one = &e->all[i];
        sessions[i] = one->trial.session;
        one->bar = (struct trial_bar){.progress = progress,
                                      .name = "",
                                      .batch = one->with.recipe.batch,
                                      .verbose = one->with.verbose && !i};
        TRY(trial_notes(&one->notes, &one->trial, &one->with));
        TRY(trial_training(&one->trial, &one->with, split_of(&one->with), one->notes, &one->bar, &specs[i],
                           &one->identity));
    }
    int rc = session_train_packed(sessions, specs, e->count, RUN_AS_PAYS, results);
    for (uint32_t i = 0; i < e->count; i++)
        e->all[i].result = results[i];
    return rc;
}

static int train(struct entries *e)
{
    const struct settings *s = &e->all->with;
    const uint32_t images = pack_images(e->pack, split_of(s)).count;
    struct progress progress = {0};
    progress_begin(&progress, "training", "images",
                   (double)recipe_steps(&s->recipe, images) * s->recipe.epochs * s->recipe.batch);
    int rc = run_training(e, &progress);
    progress_end(&progress);
    if (rc == 0 && s->verbose)
        say("epoch %d of %d: loss %.4f", s->recipe.epochs, s->recipe.epochs,
            (double)e->all->result.last_loss);
    for (uint32_t i = 0; i < e->count && rc == 0; i++) {
        struct entry *one = &e->all[i];
        if (*one->result.diverged && e->count == 1)
            rc = fail(ERR_DIVERGED, "%s", one->result.diverged);
        else if (*one->result.diverged)
            say("%s %s", method_text(one->trial.method), one->result.diverged);
        else if (one->with.save)
            rc = method_file_save(one->trial.session, one->with.save, one->notes);
    }
    return rc;
}

/* Without training, nor a session: what does not fit is told too. */
static int only_memory(struct entries *e, struct json *document)
{
    struct trial trials[TRIALS_MOST];
    struct foresee_spec specs[TRIALS_MOST];
    const struct pack_info *info = pack_info(e->pack);
    const struct settings *s = &e->all->with;
    TRY(trial_model(&e->all->trial, s, info->size, info->class_count));
    TRY(machine_open(&e->machine, s));
    for (uint32_t i = 0; i < e->count; i++) {
        struct entry *one = &e->all[i];
        if (i)
            TRY(method_declare(one->trial.method, e->all->trial.vit));
        trials[i] = one->trial;
        trials[i].vit = e->all->trial.vit;
        specs[i] = memory_spec(&one->with);
        specs[i].images = pack_images(e->pack, split_of(&one->with)).count;
    }
    return memory_show(trials, s, specs, e->count, document);
}

static int read_entries(struct entries *e, const struct settings *s)
{
    e->count = 1;
    e->all->with = *s;
    for (int i = 0; i < s->beside.count; i++) {
        struct entry *one = &e->all[e->count++]; /* counted first: what it holds is freed whatever comes */
        TRY(beside_read(&one->with, s, s->beside.items[i], &one->words));
    }
    for (uint32_t i = 0; i < e->count; i++)
        TRY(trial_method(&e->all[i].trial, &e->machine, &e->all[i].with, e->all[i].with.method));
    TRY(trial_pack(&e->pack, s));
    if (!s->final)
        TRY(pack_seal(e->pack));
    for (uint32_t i = 0; i < e->count; i++)
        TRY(recipe_check(&e->all[i].with.recipe, pack_images(e->pack, split_of(s)).count));
    return 0;
}

static int start(struct entries *e)
{
    if (e->count > 1)
        TRY(trial_host(&e->all->trial, &e->all->with));
    TRY(trial_start(&e->all->trial, &e->all->with, e->pack));
    for (uint32_t i = 1; i < e->count; i++)
        TRY(trial_join(&e->all[i].trial, &e->all[i].with, &e->all->trial));
    for (uint32_t i = 0; i < e->count && e->all->with.final; i++) /* before it costs time */
        TRY(record(&e->all[i].trial, &e->all[i].with));
    return 0;
}

static int describe_all(struct entries *e, struct json *document)
{
    if (e->count == 1) {
        TRY(describe(document, &e->all->trial, &e->all->with, &e->all->result));
        return judge(&e->all->trial, &e->all->with, document);
    }
    struct json *rows = json_set_array(document, "trials");
    for (uint32_t i = 0; i < e->count; i++) {
        struct entry *one = &e->all[i];
        struct json *row = json_append_object(rows);
        char seed[24];
        snprintf(seed, sizeof seed, "%" PRIu64, one->with.recipe.seed);
        TRY(describe(row, &one->trial, &one->with, &one->result));
        TRY(json_set_string(row, "seed", seed));
        TRY(json_set_number(row, "lr", (double)one->with.recipe.lr));
        TRY(json_set_string(row, "outcome", *one->result.diverged ? one->result.diverged : "done"));
        if (*one->result.diverged)
            TRY(json_set_string(row, "evaluated_on", "nothing: it diverged"));
        else
            TRY(judge(&one->trial, &one->with, row));
    }
    return 0;
}

static void preset(struct settings *s)
{
    s->method = "lora";
    s->training_split = 0;
}

static void close_entries(struct entries *e)
{
    for (uint32_t i = e->count; i > 0; i--) { /* the first one's backbone is the others' */
        struct entry *one = &e->all[i - 1];
        trial_finish(&one->trial);
        json_destroy(one->notes);
        mem_free(one->identity);
        mem_free(one->words);
    }
    pack_close(e->pack);
    machine_close(&e->machine);
}

static int run(const struct settings *s)
{
    struct entries e = {0};
    struct json *document = json_object();
    int rc;
    stop_watch();
    TRY_OUT(read_entries(&e, s));
    if (s->memory) {
        rc = only_memory(&e, document);
        goto out;
    }
    TRY_OUT(start(&e));
    TRY_OUT(train(&e));
    TRY_OUT(describe_all(&e, document));
    TRY_OUT(machine_check(&e.machine));
    if (s->json)
        rc = json_print(document);
    else if (e.count == 1)
        table_print_card(document, card);
    else
        table_print(json_get(document, "trials"), trial_columns);
out:
    close_entries(&e);
    json_destroy(document);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"method", 'M', ARGUMENT_TEXT, FIELD(method), 0, 0, NULL, "METHOD",
     "what to fine-tune with: name, name[option=value,...], or a stack name+name (`vitro plugins`)"},
    {"beside", 0, ARGUMENT_LIST, FIELD(beside), 0, 0, NULL, "TRIAL",
     "a further trial, trained at once with this one in one command buffer, to the bits it has alone: its "
     "method, and "
     "what else differs, as in \"lora[r=4] lr=3e-3 seed=2 save=b.safetensors\"; may be given several times "
     "(docs/packed.md)"},
    {"split", 0, ARGUMENT_CHOICE, FIELD(training_split), 0, 0, training_splits, "NAME",
     "`train`: train on train, and evaluate on val; `trainval`: train on both"},
    {"save", 'o', ARGUMENT_TEXT, FIELD(save), 0, 0, NULL, "FILE", "keep what was trained, for --load"},
    {"checkpoint", 'c', ARGUMENT_TEXT, FIELD(checkpoint), 0, 0, NULL, "FILE",
     "keep the state of the training there, and go on from it where it exists"},
    {"feature_cache", 0, ARGUMENT_WHOLE, FIELD(feature_cache), FEATURES_AUTO, 1 << 20, NULL, "MIB",
     "device memory for what the method leaves alike in every epoch, so that it is computed once; changes no "
     "result. -1: up to 1024 and a quarter of the device's; 0: none"},
    {"checkpoint_activations", 0, ARGUMENT_FLAG, FIELD(checkpoint_activations), 0, 0, NULL, NULL,
     "compute each block's forward part again in the backward pass instead of keeping it: less memory, more "
     "time, "
     "the same bits"},
    {"memory", 0, ARGUMENT_FLAG, FIELD(memory), 0, 0, NULL, NULL,
     "only say what the training would take of the device's memory, and for what (docs/memory.md)"},
    {"checkpoint_steps", 0, ARGUMENT_WHOLE, FIELD(checkpoint_steps), 0, 1e9, NULL, "N",
     "steps between checkpoints; 0: one at the end of each epoch"},
    {0}};
static const struct argument_group group = {"Training", rows};
static const struct argument_group *const groups[] = {
    &group,         &group_opening, &group_data, &group_model,   &group_recipe,
    &group_machine, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_train = {
    .name = "train",
    .summary = "fine-tune a model with a method on a data set",
    .synopsis = "--data DATA [--method METHOD] [--model FILE] [--save FILE]",
    .about =
        "Trains a method, and a new head, on a frozen model, and evaluates the result of the last epoch: on "
        "val, or with "
        "--final on the test split, which is sealed otherwise. "
        "The same command with the same seed gives the same bits. With --checkpoint a training that was "
        "interrupted, by Ctrl-C or worse, goes on where it was and ends in the bits of an uninterrupted one.",
    .examples =
        {"vitro train --data builtin:textures --method lora[r=8] --epochs 20 --save lora.safetensors",
         "vitro train --data eurosat-96.pack --model vit_tiny.safetensors --method lora+bitfit "
         "--split trainval --final",
         "vitro train --data builtin:textures --method lora --lr 1e-3 --beside \"lora lr=3e-3\" --beside "
         "\"bitfit lr=3e-3 seed=7 save=bitfit.safetensors\""},
    .groups = groups,
    .preset = preset,
    .run = run,
};
