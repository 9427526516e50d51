/* verb_show.c - `vitro show ID`: a stored result, read back and checked. */
#include "result_source.h"
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct column card[] = {{"id", "result", FORM_TEXT},
                                     {"stage", "stage", FORM_TEXT},
                                     {"name", "method", FORM_TEXT},
                                     {"method", "  in full", FORM_TEXT},
                                     {"backbone", "backbone", FORM_TEXT},
                                     {"pack", "pack", FORM_TEXT},
                                     {"split", "trained on", FORM_TEXT},
                                     {"training", "training", FORM_TEXT},
                                     {"outcome", "outcome", FORM_TEXT},
                                     {"reason", "  reason", FORM_TEXT},
                                     {"accuracy", "accuracy", FORM_PERCENT},
                                     {"nll", "loss on the same images", FORM_BRIEF},
                                     {"images", "  images", FORM_WHOLE},
                                     {"parameters", "trainable parameters", FORM_WHOLE},
                                     {"parameters_head", "  and of the head", FORM_WHOLE},
                                     {"seconds", "training took", FORM_SECONDS},
                                     {"began", "begun", FORM_TEXT},
                                     {"device", "on", FORM_TEXT},
                                     {"host_bytes", "peak memory", FORM_BYTES},
                                     {"checked", "files and accuracy", FORM_TEXT},
                                     {0}};

static const char *text_of(const struct json *object, const char *key)
{
    const char *text = json_string(json_get(object, key));
    return text ? text : "";
}

static void training_text(const struct json *training, char text[256])
{
    double epochs = 0, batch = 0, lr = 0, decay = 0;
    json_number(json_get(training, "epochs"), &epochs);
    json_number(json_get(training, "batch"), &batch);
    json_number(json_get(training, "lr"), &lr);
    json_number(json_get(training, "decay"), &decay);
    snprintf(text, 256, "%g epochs of batches of %g, lr %g, decay %g, schedule %.20s, seed %.20s", epochs,
             batch, lr, decay, text_of(training, "schedule"), text_of(training, "seed"));
}

static int describe(struct json *j, const struct result_file *r)
{
    const struct json *spec = json_get(r->result, "spec");
    const struct outcome *o = &r->outcome;
    char training[256];
    training_text(json_get(spec, "training"), training);
    TRY(json_set_string(j, "id", r->id));
    TRY(json_set_string(j, "stage", text_of(spec, "stage")));
    TRY(json_set_string(j, "name", text_of(spec, "name")));
    TRY(json_set_string(j, "method", text_of(spec, "method")));
    TRY(json_set_string(j, "backbone", text_of(json_get(spec, "backbone"), "name")));
    TRY(json_set_string(j, "pack", text_of(json_get(spec, "pack"), "name")));
    TRY(json_set_string(j, "split", text_of(spec, "split")));
    TRY(json_set_string(j, "training", training));
    TRY(json_set_string(j, "outcome", text_of(r->result, "outcome")));
    if (*text_of(r->result, "reason"))
        TRY(json_set_string(j, "reason", text_of(r->result, "reason")));
    if (!isnan(o->accuracy)) {
        TRY(json_set_number(j, "accuracy", o->accuracy));
        TRY(json_set_number(j, "nll", o->nll));
        TRY(json_set_integer(j, "images", o->images));
    }
    TRY(json_set_integer(j, "parameters", o->parameters));
    TRY(json_set_integer(j, "parameters_head", o->parameters_head));
    TRY(json_set_number(j, "seconds", o->seconds));
    TRY(json_set_string(j, "began", text_of(r->run, "began")));
    TRY(json_set_string(j, "device", o->device));
    TRY(json_set_integer(j, "host_bytes", (int64_t)o->host_bytes));
    return json_set_string(j, "checked", o->edited ? o->reason : "as they were written");
}

static int print(const struct settings *s, const struct result_file *r)
{
    struct json *j = json_object();
    int rc = describe(j, r);
    if (rc == 0 && s->json)
        rc = json_take(j, "result", json_copy(r->result));
    if (rc == 0 && s->json && r->run)
        rc = json_take(j, "run", json_copy(r->run));
    if (rc == 0 && s->json)
        rc = json_print(j);
    else if (rc == 0)
        table_print_card(j, card);
    json_destroy(j);
    return rc;
}

static int run(const struct settings *s)
{
    struct store *store = NULL;
    struct result_file r = {0};
    int rc = store_open(&store, s->store, 0);
    if (rc == 0)
        rc = result_open(&r, store, s->rest[0]);
    if (rc == 0)
        rc = print(s, &r);
    if (rc == 0 && r.outcome.edited)
        rc = fail(ERR_CHECK, "the result %.12s is not what was written: %s", r.id, r.outcome.reason);
    result_close(&r);
    store_close(store);
    return rc;
}

static const struct argument_group *const groups[] = {&group_store, &group_json, &group_general, NULL};
const struct verb verb_show = {
    .name = "show",
    .summary = "one stored result, checked",
    .synopsis = "ID",
    .about = "Shows what a result's trial was and what came out. Its files are compared with their hashes, "
             "and the accuracy is "
             "computed from the stored logits, not believed.",
    .examples = {"vitro show 3fa9c1"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "ID",
    .run = run,
};
