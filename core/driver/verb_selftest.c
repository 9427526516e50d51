/* verb_selftest.c - `vitro selftest`: every kernel on this device against the reference in double. */
#include "check.h"
#include "driver.h"
#include "machine.h"
#include "progress.h"
#include "table.h"

#include <stddef.h>
#include <stdio.h>

struct report {
    struct json *rows;
    struct progress bar;
    int rc, cases;
};

static const struct column columns[] = {{"case", "kernel", FORM_TEXT},
                                        {"passed", "result", FORM_PASS},
                                        {"error", "error", FORM_ERROR},
                                        {"tolerance", "allowed", FORM_ERROR},
                                        {"seconds", "time", FORM_SECONDS},
                                        {"gflops", "GFLOP/s", FORM_TENTHS},
                                        {"gbytes", "GB/s", FORM_TENTHS},
                                        {"reason", "", FORM_TEXT},
                                        {0}};

static int describe(struct json *row, const struct check_result *r)
{
    TRY(json_set_string(row, "case", r->name));
    TRY(json_set_bool(row, "passed", r->passed));
    if (r->rc < 0)
        return json_set_string(row, "reason", error_text());
    TRY(json_set_number(row, "error", r->error));
    TRY(json_set_number(row, "tolerance", r->tolerance));
    if (r->seconds > 0)
        TRY(json_set_number(row, "seconds", r->seconds));
    if (r->gflops > 0)
        TRY(json_set_number(row, "gflops", r->gflops));
    if (r->gbytes > 0)
        TRY(json_set_number(row, "gbytes", r->gbytes));
    return 0;
}

static void add_result(void *context, const struct check_result *r)
{
    struct report *report = context;
    int rc = describe(json_append_object(report->rows), r);
    if (rc < 0)
        report->rc = rc;
    progress_show(&report->bar, ++report->cases, r->name);
}

static int print(struct json *document, int failed, const struct report *report, const struct settings *s)
{
    TRY(json_set_integer(document, "failed", failed));
    if (s->json) {
        TRY(json_print(document));
    } else {
        struct column shown[sizeof columns / sizeof *columns];
        size_t count = 0;
        for (const struct column *c = columns; c->key; c++)
            if (failed || *c->heading) /* the reasons' column only where there are any */
                shown[count++] = *c;
        shown[count] = (struct column){0};
        table_print(report->rows, shown);
        printf("\n%d of %d passed\n", report->cases - failed, report->cases);
    }
    return failed ? fail(ERR_CHECK, "%d of %d kernels disagree with the reference on this device", failed,
                         report->cases)
                  : 0;
}

static int run(const struct settings *s)
{
    struct machine m = {0};
    struct json *document = json_object();
    struct report report = {.rows = json_set_array(document, "cases")};
    int rc = 0;
    TRY_OUT(machine_open(&m, s));
    TRY_OUT(json_set_string(document, "device", device_info(m.device)->name));
    progress_begin(&report.bar, "selftest", NULL, 0);
    int failed = check_ops(m.engine, s->filter, s->repeats, add_result, &report);
    int products = failed < 0 ? 0 : check_products(m.engine, s->filter, s->repeats, add_result, &report);
    int attention = failed < 0 || products < 0
                        ? 0
                        : check_attention(m.engine, s->filter, s->repeats, add_result, &report);
    progress_end(&report.bar);
    TRY_OUT(failed);
    TRY_OUT(products);
    TRY_OUT(attention);
    failed += products + attention;
    TRY_OUT(report.rc);
    TRY_OUT(machine_check(&m));
    if (report.cases == 0)
        rc =
            fail(ERR_USAGE, "selftest: no kernel's name contains \"%.80s\"; `vitro selftest` shows all names",
                 s->filter);
    else
        rc = print(document, failed, &report, s);
out:
    machine_close(&m);
    json_destroy(document);
    return rc;
}

static const struct argument rows[] = {{"filter", 'f', ARGUMENT_TEXT, offsetof(struct settings, filter), 0, 0,
                                        NULL, "TEXT", "only kernels whose name contains it"},
                                       {"repeats", 'r', ARGUMENT_WHOLE, offsetof(struct settings, repeats), 0,
                                        32, NULL, "N",
                                        "how often each is timed; the median is shown, 0 times nothing"},
                                       {0}};
static const struct argument_group group = {"Tests", rows};
static const struct argument_group *const groups[] = {&group, &group_machine, &group_json, &group_general,
                                                      NULL};
const struct verb verb_selftest = {
    .name = "selftest",
    .summary = "every kernel on this device against the reference",
    .synopsis = "[--device N] [--filter TEXT] [--json]",
    .about =
        "Runs every kernel on this device and holds its results against an interpreter that computes in "
        "double on the processor; matrix products by every tile that this device may take, and "
        "attention, in every precision. The error is the largest difference relative to the largest number. "
        "Exits 1 if a kernel disagrees.",
    .examples = {"vitro selftest", "vitro selftest --filter attention --repeats 20"},
    .groups = groups,
    .run = run,
};
