/* verb_train.c - `vitro train`: fine-tunes a model with a method, says how good it became, keeps it. */
#include "driver.h"
#include "machine.h"
#include "memory_view.h"
#include "model_source.h"
#include "number.h"
#include "opening.h"
#include "progress.h"
#include "table.h"
#include "trial.h"

#include <stddef.h>

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

static int train(struct trial *t, const struct settings *s, struct train_result *result)
{
    const enum pack_split on = s->training_split ? PACK_TRAINVAL : PACK_TRAIN;
    const uint32_t images = pack_images(t->pack, on).count;
    struct json *notes = NULL;
    struct progress progress = {0};
    struct trial_bar bar = {
        .progress = &progress, .name = "", .batch = s->recipe.batch, .verbose = s->verbose};
    int rc;
    TRY_OUT(trial_notes(&notes, t, s));
    progress_begin(&progress, "training", "images",
                   (double)recipe_steps(&s->recipe, images) * s->recipe.epochs * s->recipe.batch);
    rc = trial_train(t, s, on, notes, &bar, result);
    progress_end(&progress);
    if (rc == 0 && s->save)
        rc = method_file_save(t->session, s->save, notes);
out:
    json_destroy(notes);
    return rc;
}

/* Without training, nor a session: what does not fit is told too. */
static int only_memory(struct trial *t, const struct settings *s, const struct pack *pack, struct json *document)
{
    const struct pack_info *info = pack_info(pack);
    struct foresee_spec spec = memory_spec(s);
    spec.images = pack_images(pack, s->training_split ? PACK_TRAINVAL : PACK_TRAIN).count;
    TRY(trial_model(t, s, info->size, info->class_count));
    TRY(machine_open(t->machine, s));
    return memory_show(t, s, &spec, document);
}

static void preset(struct settings *s)
{
    s->method = "lora";
    s->training_split = 0;
}

static int run(const struct settings *s)
{
    struct machine machine = {0};
    struct trial t = {0};
    struct pack *pack = NULL;
    struct train_result result;
    struct json *document = json_object();
    int rc;
    stop_watch();
    TRY_OUT(trial_method(&t, &machine, s, s->method));
    TRY_OUT(trial_pack(&pack, s));
    if (!s->final)
        TRY_OUT(pack_seal(pack));
    TRY_OUT(
        recipe_check(&s->recipe, pack_images(pack, s->training_split ? PACK_TRAINVAL : PACK_TRAIN).count));
    if (s->memory) {
        rc = only_memory(&t, s, pack, document);
        goto out;
    }
    TRY_OUT(trial_start(&t, s, pack));
    if (s->final) /* before it costs time */
        TRY_OUT(record(&t, s));
    TRY_OUT(train(&t, s, &result));
    TRY_OUT(describe(document, &t, s, &result));
    TRY_OUT(judge(&t, s, document));
    TRY_OUT(machine_check(&machine));
    if (s->json)
        rc = json_print(document);
    else
        table_print_card(document, card);
out:
    trial_finish(&t);
    pack_close(pack);
    machine_close(&machine);
    json_destroy(document);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"method", 'M', ARGUMENT_TEXT, FIELD(method), 0, 0, NULL, "METHOD",
     "what to fine-tune with: name, name[option=value,...], or a stack name+name (`vitro plugins`)"},
    {"split", 0, ARGUMENT_CHOICE, FIELD(training_split), 0, 0, training_splits, "NAME",
     "`train`: train on train, and evaluate on val; `trainval`: train on both"},
    {"save", 'o', ARGUMENT_TEXT, FIELD(save), 0, 0, NULL, "FILE", "keep what was trained, for --load"},
    {"checkpoint", 'c', ARGUMENT_TEXT, FIELD(checkpoint), 0, 0, NULL, "FILE",
     "keep the state of the training there, and go on from it where it exists"},
    {"feature_cache", 0, ARGUMENT_WHOLE, FIELD(feature_cache), FEATURES_AUTO, 1 << 20, NULL, "MIB",
     "device memory for what the method leaves alike in every epoch, so that it is computed once; changes no "
     "result. -1: up to 1024 and a quarter of the device's; 0: none"},
    {"checkpoint_activations", 0, ARGUMENT_FLAG, FIELD(checkpoint_activations), 0, 0, NULL, NULL,
     "compute each block's forward part again in the backward pass instead of keeping it: less memory, more time, "
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
    .examples = {"vitro train --data builtin:textures --method lora[r=8] --epochs 20 --save lora.safetensors",
                 "vitro train --data eurosat-96.pack --model vit_tiny.safetensors --method lora+bitfit "
                 "--split trainval --final"},
    .groups = groups,
    .preset = preset,
    .run = run,
};
