/* verb_compare.c - `vitro compare STUDY...`: which methods are better, as far as that is known. */
#include "study_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PACKS_MOST = 20, CELL = 64 };

/* "*74.2 [71.0 77.3]" */
static void share_text(double mean, double low, double high, int best, char text[CELL])
{
    if (isnan(mean))
        snprintf(text, CELL, " -");
    else
        snprintf(text, CELL, "%c%.1f [%.1f %.1f]", best ? '*' : ' ', 100 * mean, 100 * low, 100 * high);
}

static int fill_row(struct json *row, const struct json *analysis, size_t m)
{
    const struct json *accuracy = json_get(analysis, "accuracy"), *overall = json_get(accuracy, "overall");
    const struct json *method = view_at(json_get(analysis, "methods"), m),
                      *cells = view_at(json_get(accuracy, "cells"), m);
    char key[24], text[CELL];
    size_t k = 0;
    TRY(json_set_string(row, "method", view_text(method, "name")));
    TRY(json_set_number(row, "parameters", view_number(method, "parameters")));
    for (const struct json *cell = json_first(cells); cell; cell = json_next(cell), k++) {
        snprintf(key, sizeof key, "pack%zu", k);
        share_text(view_number(cell, "mean"), view_number(cell, "low"), view_number(cell, "high"),
                   view_holds(view_at(json_get(accuracy, "best"), k), m), text);
        if (isnan(view_number(cell, "mean")))
            snprintf(text, sizeof text, " %.60s", view_text(cell, "state"));
        TRY(json_set_string(row, key, text));
    }
    share_text(view_item(json_get(overall, "mean"), m), view_item(json_get(overall, "low"), m),
               view_item(json_get(overall, "high"), m), view_holds(json_get(overall, "best"), m), text);
    return json_set_string(row, "overall", text);
}

static void print_foot(const struct json *analysis)
{
    const struct json *study = json_get(analysis, "study");
    char text[512];
    snprintf(
        text, sizeof text,
        "%s on %s; %s; %zu seed%s. Accuracy on test in %%, with 95 %% intervals over seeds and images. * not "
        "distinguishable from the best of its column (paired bootstrap, Holm-adjusted, 5 %%).",
        view_text(study, "name"), view_text(json_get(study, "backbone"), "name"),
        view_text(study, "strategy"), json_count(json_get(study, "seeds")),
        json_count(json_get(study, "seeds")) == 1 ? "" : "s");
    putchar('\n');
    print_wrapped(text, 0, 0);
    view_print_warnings(analysis);
}

int compare_print(const struct json *analysis)
{
    const struct json *packs = json_get(analysis, "packs"), *methods = json_get(analysis, "methods");
    struct column columns[PACKS_MOST + 4] = {{"method", "method", FORM_TEXT},
                                             {"parameters", "parameters", FORM_WHOLE}};
    char keys[PACKS_MOST][24];
    struct json *rows = json_array();
    int count = 2, rc = 0;
    size_t k = 0;
    for (const struct json *p = json_first(packs); p && k < PACKS_MOST; p = json_next(p), k++) {
        snprintf(keys[k], sizeof keys[k], "pack%zu", k);
        columns[count++] = (struct column){keys[k], view_text(p, "name"), FORM_TEXT};
    }
    if (k > 1)
        columns[count++] = (struct column){"overall", "mean", FORM_TEXT};
    for (size_t m = 0; m < json_count(methods) && rc == 0; m++)
        rc = fill_row(json_append_object(rows), analysis, m);
    if (rc == 0) {
        table_print(rows, columns);
        print_foot(analysis);
        if (json_count(packs) > k)
            printf("%zu more packs are not shown here; --json, `vitro export` and `vitro report` have all.\n",
                   json_count(packs) - k);
    }
    json_destroy(rows);
    return rc;
}

static int run(const struct settings *s)
{
    struct json *analysis = NULL;
    TRY(view_build(&analysis, s));
    int rc = s->json ? json_print(json_get(analysis, "accuracy")) : compare_print(analysis);
    json_destroy(analysis);
    return rc;
}

static const struct argument_group *const groups[] = {&group_view, &group_store, &group_json, &group_general,
                                                      NULL};
const struct verb verb_compare = {
    .name = "compare",
    .summary = "which methods of a study are better, as far as that is known",
    .synopsis = "STUDY [STUDY...]",
    .about = "Prints accuracy on the test splits, method by pack, with intervals, and marks every method "
             "that cannot be told "
             "from the best instead of one winner. Several studies share a table only if backbone, data (by "
             "fingerprint) "
             "and seeds are the same; else it says what differs.",
    .examples = {"vitro compare demo", "vitro compare demo mine --store vitro-store"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = -1,
    .rest_name = "STUDY",
    .run = run,
};
