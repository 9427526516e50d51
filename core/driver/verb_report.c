/* verb_report.c - `vitro report STUDY`: everything that is known of a study on one page. */
#include "report.h"
#include "study_source.h"
#include "study_view.h"

#include <stddef.h>
#include <stdio.h>

static int default_output(const struct settings *s, const struct json *analysis, char path[STORE_PATH])
{
    const char *name = view_text(json_get(analysis, "study"), "name");
    if (s->rest_count > 1)
        snprintf(path, STORE_PATH, "report.html");
    else
        snprintf(path, STORE_PATH, "%.3900s/studies/%.80s/report.html", s->store, name);
    return 0;
}

static int run(const struct settings *s)
{
    struct json *analysis = NULL;
    char path[STORE_PATH];
    TRY(view_build(&analysis, s));
    default_output(s, analysis, path);
    int rc = report_write(analysis, s->output ? s->output : path);
    if (rc == 0)
        printf("%s\n", s->output ? s->output : path);
    json_destroy(analysis);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"output", 'o', ARGUMENT_TEXT, FIELD(output), 0, 0, NULL, "FILE",
     "the page; else report.html in the study's folder of the store, or here for several studies"},
    {0}};
static const struct argument_group group = {"Report", rows};
static const struct argument_group *const groups[] = {&group, &group_view, &group_store, &group_general,
                                                      NULL};
const struct verb verb_report = {
    .name = "report",
    .summary = "everything that is known of a study, on one page",
    .synopsis = "STUDY [STUDY...] [--output FILE]",
    .about = "Writes one HTML file that needs nothing else: accuracy against parameters, the table with "
             "intervals, ranks, "
             "pairs, agreement with its controls, ensembles, calibration, tuning, cost, the ledger of test "
             "splits, and how to "
             "make each result again. It opens from disk, prints, and sorts and filters in the browser.",
    .examples = {"vitro report demo", "vitro report demo --output demo.html"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = -1,
    .rest_name = "STUDY",
    .run = run,
};
