/* shift_print.c - robustness and alpha curves as tables. */
#include "shift_work.h"

#include "study_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CELL = 64 };

static const struct column robust_columns[] = {
    {"pack", "pack", FORM_TEXT},           {"method", "method", FORM_TEXT},
    {"clean", "clean", FORM_TEXT},         {"corrupted", "corrupted", FORM_TEXT},
    {"data", "other data", FORM_TEXT},     {"drop", "lost", FORM_TEXT},
    {"effective", "effective", FORM_TEXT}, {0}};
static const struct column wise_columns[] = {{"pack", "pack", FORM_TEXT},
                                             {"method", "method", FORM_TEXT},
                                             {"rule", "between", FORM_TEXT},
                                             {"ends", "clean 0 / 1", FORM_TEXT},
                                             {"shifted", "shifted 0 / 1", FORM_TEXT},
                                             {"best", "alpha", FORM_TEXT},
                                             {"best_id", "clean", FORM_TEXT},
                                             {"best_ood", "shifted", FORM_TEXT},
                                             {0}};

static void share_text(const struct json *j, const char *key, char text[CELL])
{
    char low[32], high[32];
    snprintf(low, sizeof low, "%s_low", key);
    snprintf(high, sizeof high, "%s_high", key);
    if (isnan(view_number(j, key)))
        snprintf(text, CELL, "-");
    else
        snprintf(text, CELL, "%.1f [%.1f %.1f]", 100 * view_number(j, key), 100 * view_number(j, low),
                 100 * view_number(j, high));
}

static int robust_row(struct json *row, const struct json *j)
{
    static const char *const keys[] = {"clean", "corrupted", "data", "drop"};
    char text[CELL];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        share_text(j, keys[i], text);
        TRY(json_set_string(row, keys[i], text));
    }
    snprintf(text, sizeof text, isnan(view_number(j, "effective")) ? "-" : "%+.1f",
             100 * view_number(j, "effective"));
    return json_set_string(row, "effective", text);
}

static void pair_text(const struct json *j, const char *key, size_t last, char text[CELL])
{
    const struct json *list = json_get(j, key);
    snprintf(text, CELL, "%.1f / %.1f", 100 * view_item(list, 0), 100 * view_item(list, last));
}

static void at_text(const struct json *j, const char *key, size_t at, char text[CELL])
{
    char name[16];
    double v[3];
    static const char *const tails[] = {"", "_low", "_high"};
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", key, tails[i]);
        v[i] = 100 * view_item(json_get(j, name), at);
    }
    snprintf(text, CELL, "%.1f [%.1f %.1f]", v[0], v[1], v[2]);
}

static int curve_row(struct json *row, const struct json *curve, const struct json *alphas, const char *rule)
{
    char text[CELL];
    const size_t last = json_count(alphas) - 1;
    const double best = view_number(curve, "best");
    TRY(json_set_string(row, "rule", rule));
    pair_text(curve, "id", last, text);
    TRY(json_set_string(row, "ends", text));
    pair_text(curve, "ood", last, text);
    TRY(json_set_string(row, "shifted", text));
    if (isnan(best))
        return json_set_string(row, "best", "-");
    snprintf(text, sizeof text, "%g", view_item(alphas, (size_t)best));
    TRY(json_set_string(row, "best", text));
    at_text(curve, "id", (size_t)best, text);
    TRY(json_set_string(row, "best_id", text));
    at_text(curve, "ood", (size_t)best, text);
    return json_set_string(row, "best_ood", text);
}

static int add_rows(struct json *rows, const struct json *document, const struct json *pack,
                    enum shift_kind kind)
{
    const char *task =
        view_text(view_at(json_get(document, "packs"), (size_t)view_number(pack, "pack")), "name");
    size_t m = 0;
    for (const struct json *j = json_first(json_get(pack, "methods")); j; j = json_next(j), m++) {
        const char *method = view_text(view_at(json_get(document, "methods"), m), "name");
        if (!json_is_object(j))
            continue;
        for (int control = 0; control < (kind == SHIFT_WISE ? 2 : 1); control++) {
            if (kind == SHIFT_WISE && !control && strcmp(view_text(j, "how"), "none") == 0)
                continue;
            struct json *row = json_append_object(rows);
            TRY(json_set_string(row, "pack", task));
            TRY(json_set_string(row, "method", method));
            TRY(kind == SHIFT_ROBUST ? robust_row(row, j)
                : control ? curve_row(row, json_get(j, "control"), json_get(pack, "alphas"), "answers")
                          : curve_row(row, j, json_get(pack, "alphas"), "weights"));
        }
    }
    return 0;
}

static void print_refusals(const struct json *pack)
{
    for (const struct json *j = json_first(json_get(pack, "methods")); j; j = json_next(j))
        if (json_is_object(j) && *view_text(j, "why")) {
            int column = printf("note: ");
            print_wrapped(view_text(j, "why"), column, column);
        }
}

static void print_foot(const struct json *pack, enum shift_kind kind)
{
    char text[700];
    const int test = strcmp(view_text(pack, "split"), "test") == 0;
    if (kind == SHIFT_ROBUST)
        snprintf(
            text, sizeof text,
            "Accuracy on %s images in %%, with 95 %% intervals over seeds and images: as they are, the mean "
            "over "
            "corrupted sets and over other data sets. lost: the share of the clean accuracy that is gone on "
            "shifted sets. effective: points above the line that the other methods make, on logit axes.",
            test ? "test" : "val");
    else
        snprintf(text, sizeof text,
                 "Accuracy on %s images in %%, clean and mean over shifted sets, at alpha 0 (the backbone) "
                 "and 1 (as "
                 "trained), and at the alpha that validation images chose%s. weights: WiSE; answers: the "
                 "control, the "
                 "probabilities of both models mixed.",
                 test ? "test" : "val", test ? "" : " (the same images: optimistic)");
    putchar('\n');
    print_wrapped(text, 0, 0);
}

int shift_print(const struct json *document, enum shift_kind kind)
{
    const struct json *section = json_get(document, kind == SHIFT_WISE ? "wise" : "robustness");
    struct json *rows = json_array();
    int rc = 0;
    for (const struct json *p = json_first(section); p && rc == 0; p = json_next(p))
        rc = add_rows(rows, document, p, kind);
    if (rc == 0 && json_count(section)) {
        table_print(rows, kind == SHIFT_WISE ? wise_columns : robust_columns);
        print_foot(json_first(section), kind);
        for (const struct json *p = json_first(section); p && kind == SHIFT_WISE; p = json_next(p))
            print_refusals(p);
    }
    json_destroy(rows);
    return rc;
}
