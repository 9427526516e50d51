/* verb_agree.c - `vitro agree STUDY`: how often methods give the same answer, beside two controls. */
#include "study_view.h"

#include <math.h>
#include <stdio.h>

static const struct column control_columns[] = {
    {"method", "method", FORM_TEXT},
    {"others", "with other methods", FORM_PERCENT},
    {"seeds", "with its other seeds", FORM_PERCENT},
    {"chance", "others, if errors were independent", FORM_PERCENT},
    {"kappa", "kappa with others", FORM_BRIEF},
    {"errors", "error consistency", FORM_BRIEF},
    {0}};

/* Mean of row m without the diagonal. */
static double mean_of_others(const struct json *matrix, size_t m)
{
    const struct json *row = view_at(matrix, m);
    double sum = 0;
    size_t count = 0, k = 0;
    for (const struct json *x = json_first(row); x; x = json_next(x), k++) {
        double number;
        if (k != m && json_number(x, &number) == 0) {
            sum += number;
            count++;
        }
    }
    return count ? sum / (double)count : (double)NAN;
}

static void percent(double share, char text[24])
{
    if (isnan(share)) /* one method, one seed or a sealed test split */
        snprintf(text, 24, "not known");
    else
        snprintf(text, 24, "%.1f %%", 100 * share);
}

static int print(const struct json *analysis)
{
    const struct json *methods = json_get(analysis, "methods"), *agreement = json_get(analysis, "agreement"),
                      *mean = json_get(agreement, "mean"), *summary = json_get(agreement, "summary");
    struct json *rows = json_array();
    int rc = 0;
    for (size_t m = 0; m < json_count(methods) && rc == 0; m++) {
        struct json *row = json_append_object(rows);
        rc = json_set_string(row, "method", view_text(view_at(methods, m), "name"));
        if (rc == 0)
            rc = json_set_number(row, "others", mean_of_others(json_get(mean, "same_label"), m));
        if (rc == 0)
            rc = json_set_number(row, "seeds", view_item(json_get(mean, "same_method"), m));
        if (rc == 0)
            rc = json_set_number(row, "chance", mean_of_others(json_get(mean, "independent_same_label"), m));
        if (rc == 0)
            rc = json_set_number(row, "kappa", mean_of_others(json_get(mean, "kappa"), m));
        if (rc == 0)
            rc = json_set_number(row, "errors", mean_of_others(json_get(mean, "error_consistency"), m));
    }
    if (rc == 0) {
        table_print(rows, control_columns);
        char between[24], within[24], independent[24];
        percent(view_number(summary, "between"), between);
        percent(view_number(summary, "within"), within);
        percent(view_number(summary, "independent"), independent);
        printf("\nSame label, mean over packs: %s between methods, %s between seeds of one method, "
               "%s if errors were independent.\n",
               between, within, independent);
        view_print_warnings(analysis);
    }
    json_destroy(rows);
    return rc;
}

static int run(const struct settings *s)
{
    struct json *analysis = NULL;
    TRY(view_build(&analysis, s));
    int rc = s->json ? json_print(json_get(analysis, "agreement")) : print(analysis);
    json_destroy(analysis);
    return rc;
}

static const struct argument_group *const groups[] = {&group_view, &group_store, &group_json, &group_general,
                                                      NULL};
const struct verb verb_agree = {
    .name = "agree",
    .summary = "how often methods give the same answers, beside two controls",
    .synopsis = "STUDY [STUDY...]",
    .about = "Methods of like accuracy may err on different images, and then an ensemble of them gains. This "
             "compares how "
             "often two methods give the same label with two controls: the same method trained with another "
             "seed, and what "
             "independent errors of the same accuracy would give. Matrices per pack are in --json and in the "
             "report.",
    .examples = {"vitro agree demo", "vitro agree demo --json"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = -1,
    .rest_name = "STUDY",
    .run = run,
};
