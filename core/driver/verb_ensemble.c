/* verb_ensemble.c - `vitro ensemble STUDY`: what methods gain together, over the one that validation would choose. */
#include "study_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct column columns[] = {{"pack", "pack", FORM_TEXT},
                                        {"kind", "ensemble", FORM_TEXT},
                                        {"rule", "rule", FORM_TEXT},
                                        {"accuracy", "accuracy", FORM_PERCENT},
                                        {"gain", "gain", FORM_TEXT},
                                        {"members", "members", FORM_TEXT},
                                        {0}};

static void members_text(const struct json *analysis, const struct json *indices, char text[256])
{
    size_t used = 0;
    text[0] = 0;
    for (const struct json *i = json_first(indices); i && used < 200; i = json_next(i)) {
        int64_t index = 0;
        json_integer(i, &index);
        used += (size_t)snprintf(text + used, 256 - used, "%s%.60s", used ? ", " : "",
                                 view_text(view_at(json_get(analysis, "methods"), (size_t)index), "name"));
    }
}

static int add_row(struct json *rows, const struct json *analysis, const struct json *pack,
                   const struct json *e)
{
    char text[256];
    struct json *row = json_append_object(rows);
    const double index = view_number(pack, "pack");
    const struct json *named = isnan(index) ? NULL : view_at(json_get(analysis, "packs"), (size_t)index);
    TRY(json_set_string(row, "pack", view_text(named, "name")));
    TRY(json_set_string(row, "kind", view_text(e, "kind")));
    TRY(json_set_string(row, "rule", view_text(e, "rule")));
    TRY(json_set_number(row, "accuracy", view_number(e, "accuracy")));
    if (isnan(view_number(e, "gain_over_val_single"))) /* no method has answers on val to be chosen by */
        snprintf(text, sizeof text, "-");
    else
        snprintf(text, sizeof text, "%+.1f [%+.1f %+.1f]", 100 * view_number(e, "gain_over_val_single"),
                 100 * view_number(e, "gain_low"), 100 * view_number(e, "gain_high"));
    TRY(json_set_string(row, "gain", text));
    members_text(analysis, json_get(e, "members"), text);
    return json_set_string(row, "members", text);
}

static int print(const struct json *analysis)
{
    const struct json *ensembles = json_get(analysis, "ensembles");
    struct json *rows = json_array();
    int rc = 0;
    for (const struct json *p = json_first(json_get(ensembles, "packs")); p && rc == 0; p = json_next(p))
        for (const struct json *e = json_first(json_get(p, "rows")); e && rc == 0; e = json_next(e))
            if (strcmp(view_text(e, "rule"), "logits") != 0) /* near the probabilities' row; in --json */
                rc = add_row(rows, analysis, p, e);
    if (rc == 0) {
        table_print(rows, columns);
        putchar('\n');
        print_wrapped("Gains are over the single method that validation would choose, in points, with 95 % "
                      "intervals over "
                      "images. `seeds` are the control: one method, trained with several seeds. `greedy` and "
                      "`pair` are "
                      "chosen on validation alone.",
                      0, 0);
        view_print_warnings(analysis);
    }
    json_destroy(rows);
    return rc;
}

static int run(const struct settings *s)
{
    struct json *analysis = NULL;
    TRY(view_build(&analysis, s));
    int rc = s->json ? json_print(json_get(analysis, "ensembles")) : print(analysis);
    json_destroy(analysis);
    return rc;
}

static const struct argument_group *const groups[] = {&group_view, &group_store, &group_json, &group_general,
                                                      NULL};
const struct verb verb_ensemble = {
    .name = "ensemble",
    .summary = "what methods gain together",
    .synopsis = "STUDY [STUDY...]",
    .about = "Joins the stored answers of a study's methods, by mean of logits or probabilities or by vote, "
             "and compares them "
             "with the single method that validation would choose, and with an ensemble of the same method's "
             "seeds. Nothing "
             "is trained again.",
    .examples = {"vitro ensemble demo"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = -1,
    .rest_name = "STUDY",
    .run = run,
};
