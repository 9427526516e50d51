/* verb_eval.c - `vitro eval`: how often a trained method, or a model with its own head, is right. */
#include "driver.h"
#include "machine.h"
#include "model_source.h"
#include "number.h"
#include "opening.h"
#include "progress.h"
#include "table.h"
#include "trial.h"

#include <stddef.h>
#include <string.h>

static const struct column card[] = {{"method", "method", FORM_TEXT},
                                     {"model", "model", FORM_TEXT},
                                     {"task", "task", FORM_TEXT},
                                     {"split", "evaluated on", FORM_TEXT},
                                     {"images", "images", FORM_WHOLE},
                                     {"right", "right", FORM_WHOLE},
                                     {"accuracy", "accuracy", FORM_PERCENT},
                                     {"seconds", "time", FORM_SECONDS},
                                     {"images_a_second", "images/s", FORM_TENTHS},
                                     {0}};

static int describe(struct json *j, const struct trial *t, const struct settings *s, const struct accuracy *a)
{
    TRY(json_set_string(j, "method", method_text(t->method)));
    TRY(json_set_string(j, "model", s->model ? s->model : bundled_name));
    TRY(json_set_string(j, "task", pack_info(t->pack)->task));
    TRY(json_set_string(j, "fingerprint", pack_info(t->pack)->fingerprint));
    TRY(json_set_string(j, "split", s->final ? "test" : "val"));
    TRY(json_set_integer(j, "images", a->images));
    TRY(json_set_integer(j, "right", a->right));
    TRY(json_set_number(j, "accuracy", a->share));
    TRY(json_set_number(j, "seconds", a->seconds));
    return json_set_number(j, "images_a_second", a->seconds > 0 ? a->images / a->seconds : 0);
}

/* A model with its own head: its classes must be the data's. */
static int open_model_alone(struct trial *t, struct machine *machine, const struct settings *s,
                            struct pack **pack)
{
    TRY(trial_method(t, machine, s, "linear"));
    TRY(trial_pack(pack, s));
    const struct pack_info *info = pack_info(*pack);
    t->pack = *pack;
    TRY(trial_model(t, s, info->size, 0));
    if (t->vit->shape.classes != info->class_count)
        return fail(ERR_INPUT,
                    "the model's head has %d classes, the data %d; train a method and give it to --load",
                    t->vit->shape.classes, info->class_count);
    return trial_session(t, s, info->mean, info->deviation);
}

/* A trained method on its own data, or with --other-data on data of the same classes. */
static int open_trained(struct trial *t, struct machine *machine, const struct settings *s,
                        const struct method_file *f, struct pack **pack)
{
    TRY(trial_method(t, machine, s, f->method));
    TRY(trial_pack(pack, s));
    const struct pack_info *info = pack_info(*pack);
    t->pack = *pack;
    TRY(method_file_check_data(f, s, info));
    TRY(trial_model(t, s, info->size, info->class_count));
    TRY(method_file_check_model(f, s, t->vit));
    TRY(trial_session(t, s, info->mean, info->deviation));
    return session_load(t->session, s->load);
}

/* What is judged, for the ledger: the training that the file's notes describe, as `vitro train` names it; else the model
 * alone. */
static int record(const struct trial *t, const struct settings *s, const struct method_file *f)
{
    const char *fingerprint = pack_info(t->pack)->fingerprint;
    struct json *what = json_object();
    int rc = f ? 0 : json_set_string(what, "model_sha256", t->vit->source_hash);
#define X(key, meaning) \
    if (rc == 0 && f)   \
        rc = json_set_string(what, #key, f->key);
    METHOD_FILE_NOTES(X)
#undef X
    if (rc == 0)
        rc = json_set_string(what, "model", "");
    if (rc == 0 && f && f->head)
        rc = json_set_string(what, "head", "");
    if (rc == 0 && f && f->act)
        rc = json_set_string(what, "act", f->act);
    if (rc == 0) /* on the data of the training the trial is that training's */
        rc = json_set_string(what, "data", f && strcmp(f->fingerprint, fingerprint) == 0 ? "" : fingerprint);
    if (rc == 0)
        rc = opening_record(t, s, what);
    json_destroy(what);
    return rc;
}

static int evaluate(const struct settings *s, const struct method_file *f)
{
    struct machine machine = {0};
    struct trial t = {0};
    struct pack *pack = NULL;
    struct accuracy accuracy;
    struct json *document = json_object();
    int rc;
    TRY_OUT(f ? open_trained(&t, &machine, s, f, &pack) : open_model_alone(&t, &machine, s, &pack));
    TRY_OUT(s->final ? record(&t, s, f) : pack_seal(pack));
    TRY_OUT(trial_evaluate(&t, s, s->final ? PACK_TEST : PACK_VAL, &accuracy));
    TRY_OUT(machine_check(&machine));
    TRY_OUT(describe(document, &t, s, &accuracy));
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

static int run(const struct settings *s)
{
    struct settings with = *s;
    struct method_file f = {0};
    stop_watch();
    if (!s->load) {
        with.recipe.precision = s->eval_precision ? s->eval_precision - 1 : NUMBER_FP32;
        return evaluate(&with, NULL);
    }
    TRY(method_file_open(&f, s->load));
    method_file_settings(&f, &with);
    if (s->eval_precision)
        with.recipe.precision = s->eval_precision - 1;
    if (!with.data)
        with.data = f.data;
    int rc = evaluate(&with, &f);
    method_file_close(&f);
    return rc;
}

/* "trained", then number_names */
static const char *const eval_precisions[] = {"trained", "fp32", "fp16", "bf16", NULL};
_Static_assert(sizeof eval_precisions / sizeof *eval_precisions == NUMBER_COUNT + 2, "a name for each");

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"load", 'l', ARGUMENT_TEXT, FIELD(load), 0, 0, NULL, "FILE",
     "a method that `vitro train --save` wrote; without it the model's own head is evaluated"},
    {"other_data", 0, ARGUMENT_FLAG, FIELD(other_data), 0, 0, NULL, NULL,
     "evaluate on data other than what the method was trained on; the classes must be the same"},
    {"batch", 0, ARGUMENT_WHOLE, FIELD(recipe.batch), 1, 4096, NULL, "N", "images a step"},
    {"precision", 0, ARGUMENT_CHOICE, FIELD(eval_precision), 0, 0, eval_precisions, "NAME",
     "what the operands of matrix products are rounded to: as trained, or else this"},
    {0}};
static const struct argument_group group = {"Evaluation", rows};
static const struct argument_group *const groups[] = {&group,       &group_opening, &group_data,
                                                      &group_model, &group_machine, &group_plugins,
                                                      &group_json,  &group_general, NULL};
const struct verb verb_eval = {
    .name = "eval",
    .summary = "how often a trained method is right",
    .synopsis = "--load FILE [--data DATA] [--final]",
    .about = "Rebuilds a trained method from its file and counts on how many images of val, or with --final "
             "of test, its "
             "likeliest class is the label. The file knows the model, the data, the image side and the "
             "normalisation that it was trained "
             "with; another model or other data is refused.",
    .examples = {"vitro eval --load lora.safetensors",
                 "vitro eval --load lora.safetensors --data eurosat-96.pack"},
    .groups = groups,
    .run = run,
};
