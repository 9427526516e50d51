/* export_adapter.c - see export_adapter.h. Needs no device. */
#include "export_adapter.h"

#include "method_file.h"
#include "model_source.h"
#include "peft.h"
#include "table.h"
#include "trained.h"
#include "trial.h"

static const struct column card[] = {{"method", "method", FORM_TEXT},
                                     {"folder", "written to", FORM_TEXT},
                                     {"names", "names of", FORM_TEXT},
                                     {0}};

/* The file's tensors on the model they were trained on. */
static int open_trained(struct trial *t, struct machine *machine, const struct settings *s,
                        const struct method_file *f, struct trained_values *values)
{
    TRY(trial_method(t, machine, s, f->method));
    TRY(trial_model(t, s, s->image, (int)json_count(f->names)));
    TRY(method_file_check_model(f, s, t->vit));
    TRY(trained_values_create(values, t->method, s->recipe.seed));
    const struct trained_place place = trained_values_place(values);
    return trained_load(values->tensors, values->count, &place, s->load);
}

static int describe(const struct trial *t, const struct settings *s)
{
    struct json *document = json_object();
    int rc;
    TRY_OUT(json_set_string(document, "method", method_text(t->method)));
    TRY_OUT(json_set_string(document, "folder", s->peft));
    TRY_OUT(json_set_string(document, "names", peft_names[s->names]));
    if (s->json)
        rc = json_print(document);
    else
        table_print_card(document, card);
out:
    json_destroy(document);
    return rc;
}

static int export_with(const struct settings *s, const struct method_file *f)
{
    struct machine machine = {0};
    struct trial t = {0};
    struct trained_values values = {0};
    int rc;
    TRY_OUT(open_trained(&t, &machine, s, f, &values));
    TRY_OUT(peft_export(t.method, t.vit, (const float *const *)values.values, (enum peft_names)s->names,
                        s->base, s->peft));
    rc = describe(&t, s);
out:
    trained_values_destroy(&values);
    trial_finish(&t);
    machine_close(&machine);
    return rc;
}

int export_adapter(const struct settings *s)
{
    struct settings with = *s;
    struct method_file f = {0};
    if (s->rest_count != 1)
        return fail(ERR_USAGE, "export --peft takes one METHODFILE, as `vitro train --save` writes it");
    with.load = s->rest[0];
    TRY(method_file_open(&f, with.load));
    method_file_settings(&f, &with);
    int rc = export_with(&with, &f);
    method_file_close(&f);
    return rc;
}
