/* verb_import.c - `vitro import ADAPTER`: an adapter of Hugging Face peft as a trained method. */
#include "driver.h"
#include "machine.h"
#include "memory.h"
#include "model_source.h"
#include "peft.h"
#include "table.h"
#include "trained.h"
#include "trial.h"

#include <stddef.h>
#include <string.h>

static const struct column card[] = {
    {"adapter", "adapter", FORM_TEXT}, {"type", "type", FORM_TEXT},
    {"names", "names of", FORM_TEXT},  {"head", "head", FORM_TEXT},
    {"method", "method", FORM_TEXT},   {"left", "not kept, of training", FORM_TEXT},
    {"file", "written to", FORM_TEXT}, {0}};

struct work {
    struct machine machine;
    struct trial trial;
    struct pack *pack;
    struct peft_adapter *adapter;
    struct trained_values values;
};

/* An adapter without a head was made for the model's own. */
static int take_head(struct work *w, const struct settings *s)
{
    const struct pack_info *info = pack_info(w->pack);
    struct vit *own = NULL;
    int rc;
    TRY(open_model_as_it_is(&own, s, info->size));
    if (own->shape.classes != info->class_count) {
        rc = fail(ERR_INPUT,
                  "%s has no head (modules_to_save), and the model's own has %d classes, the data %d; give "
                  "the model "
                  "that the adapter was used with",
                  s->rest[0], own->shape.classes, info->class_count);
        goto out;
    }
    for (size_t i = 0; i < w->values.count; i++)
        for (size_t k = 0; w->values.tensors[i].is_head && k < own->count; k++)
            if (!strcmp(own->tensors[k].name, w->values.tensors[i].name))
                memcpy(w->values.values[i], own->tensors[k].data,
                       (size_t)shape_count(own->tensors[k].shape) * sizeof(float));
    rc = 0;
out:
    vit_destroy(own);
    return rc;
}

static int open_adapter(struct work *w, const struct settings *s)
{
    struct trial *t = &w->trial;
    TRY(trial_pack(&w->pack, s));
    TRY(pack_seal(w->pack)); /* only the names of its classes are needed */
    t->pack = w->pack;
    const struct pack_info *info = pack_info(w->pack);
    TRY(open_model(&t->vit, s, info->size, info->class_count));
    TRY(peft_open(&w->adapter, s->rest[0], t->vit));
    TRY(trial_method(t, &w->machine, s, peft_method(w->adapter)));
    TRY(method_declare(t->method, t->vit));
    TRY(trained_values_create(&w->values, t->method, s->recipe.seed));
    TRY(peft_fill(w->adapter, t->method, w->values.values));
    return peft_has_head(w->adapter) || s->head ? 0 : take_head(w, s);
}

/* Beside what every trained method says: where it is from. */
static int save(struct work *w, const struct settings *s)
{
    enum { NOTE_LIMIT = 24 };
    struct json *notes = NULL;
    const char *lines[2 * NOTE_LIMIT + 1];
    size_t used = 0;
    int rc;
    TRY_OUT(trial_notes(&notes, &w->trial, s));
    TRY_OUT(json_set_string(notes, "imported", peft_type(w->adapter)));
    TRY_OUT(json_set_string(notes, "adapter_sha256", peft_hash(w->adapter)));
    for (const struct json *j = json_first(notes); j && used < 2 * NOTE_LIMIT; j = json_next(j)) {
        lines[used++] = json_key(j);
        lines[used++] = json_string(j);
    }
    lines[used] = NULL;
    const struct trained_place place = trained_values_place(&w->values);
    rc = trained_save(w->values.tensors, w->values.count, &place, 1, s->output, lines);
out:
    json_destroy(notes);
    return rc;
}

static int describe(const struct work *w, const struct settings *s)
{
    struct json *document = json_object();
    int rc;
    TRY_OUT(json_set_string(document, "adapter", s->rest[0]));
    TRY_OUT(json_set_string(document, "type", peft_type(w->adapter)));
    TRY_OUT(json_set_string(document, "names", peft_names[peft_names_of(w->adapter)]));
    TRY_OUT(json_set_string(document, "head",
                            peft_has_head(w->adapter) ? "the adapter's"
                            : s->head                 ? s->head
                                                      : "the model's own"));
    TRY_OUT(json_set_string(document, "method", method_text(w->trial.method)));
    if (*peft_left(w->adapter))
        TRY_OUT(json_set_string(document, "left", peft_left(w->adapter)));
    TRY_OUT(json_set_string(document, "file", s->output));
    if (s->json)
        rc = json_print(document);
    else
        table_print_card(document, card);
out:
    json_destroy(document);
    return rc;
}

static int run(const struct settings *s)
{
    struct work w = {0};
    int rc;
    if (!s->output || !s->data)
        return fail(ERR_USAGE,
                    "import needs --data DATA, whose classes the head's rows stand for in their order, and "
                    "--output FILE");
    TRY_OUT(open_adapter(&w, s));
    TRY_OUT(save(&w, s));
    rc = describe(&w, s);
out:
    trained_values_destroy(&w.values);
    peft_close(w.adapter);
    trial_finish(&w.trial);
    pack_close(w.pack);
    machine_close(&w.machine);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"output", 'o', ARGUMENT_TEXT, FIELD(output), 0, 0, NULL, "FILE",
     "the trained method, as `vitro train --save` writes them"},
    {"split", 0, ARGUMENT_CHOICE, FIELD(training_split), 0, 0, training_splits, "NAME",
     "which images of the data the adapter was trained on; of `trainval` val cannot judge it any more"},
    {0}};
static const struct argument_group group = {"Importing", rows};
static const struct argument_group *const groups[] = {
    &group, &group_data, &group_model, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_import = {
    .name = "import",
    .summary = "an adapter of Hugging Face peft as a trained method",
    .synopsis = "FOLDER --model FILE --data DATA --output FILE",
    .about =
        "Reads adapter_config.json and adapter_model.safetensors (or .bin, from which nothing is executed) "
        "as "
        "peft's "
        "save_pretrained writes them: LoRA, rsLoRA, DoRA, AdaLoRA, (IA)3, VeRA, LoHa, LoKr, OFT and BOFT, on "
        "timm's or Hugging Face's ViT, and makes of it the method that gives the same logits, for eval, "
        "predict, "
        "merge, "
        "robust and wise. Tensors that are missing, left over or misshapen and options that have no "
        "counterpart "
        "are refused by name (docs/adapters.md).",
    .examples =
        {"vitro import my-adapter --model vit-base/ --data eurosat-224.pack --output lora.safetensors",
         "vitro eval --load lora.safetensors"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "FOLDER",
    .run = run,
};
