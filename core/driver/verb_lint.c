/* verb_lint.c - `vitro lint PLUGIN`: the judge. Each check is made in a child process, so that whatever the
 * plugin does costs a row of the table and not the program. */
#include "lint.h"

#include "driver.h"
#include "machine.h"
#include "progress.h"
#include "table.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct column columns[] = {{"check", "check", FORM_TEXT},
                                        {"result", "result", FORM_TEXT},
                                        {"seconds", "time", FORM_SECONDS},
                                        {"sentence", "", FORM_TEXT},
                                        {0}};
static const struct column list_columns[] = {{"check", "check", FORM_TEXT},
                                             {"proves", "it proves that", FORM_TEXT},
                                             {"needs", "after", FORM_TEXT},
                                             {0}};

struct report {
    struct json *rows;
    struct progress bar;
    int rc, done, counts[LINT_RESULTS];
};

static int describe(struct json *row, const struct lint_finding *f)
{
    TRY(json_set_string(row, "check", f->check->name));
    TRY(json_set_string(row, "result", lint_result_names[f->result]));
    TRY(json_set_number(row, "seconds", f->seconds));
    TRY(json_set_string(row, "sentence", f->text));
    return json_set_string(row, "proves", f->check->proves);
}

static void add_finding(void *context, const struct lint_finding *f)
{
    struct report *report = context;
    int rc = describe(json_append_object(report->rows), f);
    if (rc < 0)
        report->rc = rc;
    report->counts[f->result]++;
    progress_show(&report->bar, ++report->done, f->check->name);
}

static int list(const struct settings *s)
{
    struct json *document = json_object(), *rows = json_set_array(document, "checks");
    int rc = 0;
    for (size_t i = 0; i < lint_count() && rc == 0; i++) {
        const struct lint_check *check = lint_at(i);
        struct json *row = json_append_object(rows);
        rc = json_set_string(row, "check", check->name);
        if (rc == 0)
            rc = json_set_string(row, "proves", check->proves);
        if (rc == 0 && check->needs)
            rc = json_set_string(row, "needs", check->needs);
    }
    if (rc == 0 && s->json)
        rc = json_print(document);
    else if (rc == 0)
        table_print(rows, list_columns);
    json_destroy(document);
    return rc;
}

/* What did not simply pass, in full, one sentence a line. */
static void print_findings(const struct json *rows)
{
    for (const struct json *row = json_first(rows); row; row = json_next(row)) {
        const char *result = json_string(json_get(row, "result"));
        if (strcmp(result, "pass") != 0 && strcmp(result, "skip") != 0) {
            int column = printf("\n%s: %s:", result, json_string(json_get(row, "check")));
            putchar(' ');
            print_wrapped(json_string(json_get(row, "sentence")), column, 4);
        }
    }
}

static int finish(struct json *document, const struct report *r, const struct settings *s)
{
    char counts[96];
    int failed = r->counts[LINT_FAIL] + r->counts[LINT_CRASH];
    for (int i = 0; i < LINT_RESULTS; i++)
        TRY(json_set_integer(document, lint_result_names[i], r->counts[i]));
    if (s->json) {
        TRY(json_print(document));
    } else {
        table_print(r->rows, columns);
        print_findings(r->rows);
        snprintf(counts, sizeof counts, "%d passed, %d warnings, %d skipped, %d failed, %d crashed",
                 r->counts[LINT_PASS], r->counts[LINT_WARN], r->counts[LINT_SKIP], r->counts[LINT_FAIL],
                 r->counts[LINT_CRASH]);
        printf("\n%s; seed %llu\n", counts, (unsigned long long)s->recipe.seed);
    }
    return failed ? fail(ERR_CHECK, "lint: %d of %d checks of %.200s failed", failed, r->done, s->rest[0])
                  : 0;
}

static int judge(const struct settings *s)
{
    struct plugins *plugins = NULL;
    struct json *document = json_object();
    struct report report = {.rows = json_set_array(document, "checks")};
    char path[PATH_MAX] = "";
    int rc = open_plugins(&plugins, s);
    const struct lint_job job = {.plugins = plugins,
                                 .plugin = s->rest[0],
                                 .only = s->checks.items,
                                 .only_count = (size_t)s->checks.count,
                                 .seed = s->recipe.seed,
                                 .seconds = (double)s->timeout,
                                 .found = add_finding,
                                 .context = &report};
    progress_begin(&report.bar, "lint", NULL, s->checks.count ? s->checks.count : (int)lint_count());
    if (rc == 0)
        rc = lint_run(&job, path);
    progress_end(&report.bar);
    if (rc >= 0)
        rc = report.rc;
    if (rc == 0)
        rc = json_set_string(document, "plugin", s->rest[0]);
    if (rc == 0)
        rc = json_set_string(document, "path", path);
    if (rc == 0)
        rc = json_set_integer(document, "seed", (int64_t)s->recipe.seed);
    if (rc == 0)
        rc = finish(document, &report, s);
    plugins_destroy(plugins);
    json_destroy(document);
    return rc;
}

static int run(const struct settings *s)
{
    if (s->list)
        return list(s);
    if (!s->rest_count)
        return fail(ERR_USAGE, "lint: PLUGIN is missing; the usage is: vitro lint %s", verb_lint.synopsis);
    return judge(s);
}

static const struct argument rows[] = {
    {"check", 'c', ARGUMENT_LIST, offsetof(struct settings, checks), 0, 0, NULL, "NAME",
     "only this check and those that it needs; may be given several times"},
    {"list", 'l', ARGUMENT_FLAG, offsetof(struct settings, list), 0, 0, NULL, NULL,
     "print the checks and what each proves, and do nothing else"},
    {"timeout", 't', ARGUMENT_REAL, offsetof(struct settings, timeout), 0.1, 3600, NULL, "SECONDS",
     "a check that computes longer has failed, as has one that waits six times as long"},
    {"seed", 's', ARGUMENT_SEED, offsetof(struct settings, recipe.seed), 0, 0, NULL, "N",
     "of random options, weights and images: the same seed, the same findings"},
    {0}};
static const struct argument_group group = {"Judging", rows};
static const struct argument_group *const groups[] = {&group, &group_plugins, &group_json, &group_general,
                                                      NULL};

static void preset(struct settings *s)
{
    s->timeout = 10;
}

const struct verb verb_lint = {
    .name = "lint",
    .summary = "whether a plugin is right: some thirty checks, no device needed",
    .synopsis = "PLUGIN [--check NAME]... [--timeout SECONDS] [--seed N] [--json]",
    .about =
        "PLUGIN is a method's id or a plugin's path, with options if you like: lora[r=8]. Each check "
        "runs the plugin in a process of its own, with a limit on time and memory; arithmetic is judged in "
        "double on small networks. The results are pass, warn (nothing breaks, but have a look), skip (it "
        "does "
        "not apply, or what it needs failed), fail, and crash (the plugin ended the process; the sentence "
        "names "
        "the signal). Mend the first failure first: what depends on it was skipped. Exits 0 when nothing "
        "failed "
        "or crashed, 1 otherwise.",
    .examples = {"vitro lint lora", "vitro lint ./vitro_mine.so --check backward --seed 7"},
    .groups = groups,
    .rest_most = 1,
    .rest_name = "PLUGIN",
    .preset = preset,
    .run = run,
};
