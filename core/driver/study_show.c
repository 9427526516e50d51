/* study_show.c - see study_show.h. */
#include "study_show.h"

#include "error.h"
#include "ledger.h"
#include "shift_list.h"
#include "table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct column columns[] = {
    {"pack", "pack", FORM_TEXT},  {"method", "method", FORM_TEXT},    {"tune", "tuned", FORM_TEXT},
    {"val", "val", FORM_PERCENT}, {"chosen", "chosen", FORM_TEXT},    {"refit", "refit", FORM_TEXT},
    {"final", "test", FORM_TEXT}, {"seconds", "seconds", FORM_WHOLE}, {0}};
/* Lines of the ledger that were changed are told wherever somebody looks. */
static int show_ledger(struct json *document, const struct plan *plan)
{
    char path[STORE_PATH];
    struct ledger *ledger = NULL;
    uint64_t at = 0;
    TRY(store_path(plan->store, STORE_LEDGER, NULL, NULL, path));
    TRY(ledger_open(&ledger, path));
    const int intact = ledger_intact(ledger, &at);
    ledger_close(ledger);
    return intact ? 0 : json_set_integer(document, "ledger_breaks_at", (int64_t)at);
}

static const struct column method_columns[] = {
    {"name", "method", FORM_TEXT}, {"points", "points", FORM_WHOLE}, {"space", "searched", FORM_TEXT}, {0}};
static const struct column running_columns[] = {
    {"method", "running", FORM_TEXT}, {"pack", "on", FORM_TEXT}, {"stage", "stage", FORM_TEXT},
    {"share", "done", FORM_PERCENT},  {"note", "", FORM_TEXT},   {0}};

static int count_text(struct json *row, const char *key, struct plan_trial *const *trials, uint32_t count,
                      uint32_t of)
{
    char text[64];
    uint32_t done = 0, bad = 0;
    for (uint32_t i = 0; i < count; i++) {
        done += trials[i] && trials[i]->outcome.state == PANEL_DONE;
        bad += trials[i] && trials[i]->outcome.state > PANEL_DONE;
    }
    if (bad)
        snprintf(text, sizeof text, "%u/%u, %u lost", done, of, bad);
    else
        snprintf(text, sizeof text, "%u/%u", done, of);
    return json_set_string(row, key, text);
}

/* What the chosen point sets: "lr 0.003, decay 0.0001, r 8". */
static void chosen_text(const struct study_method *m, const struct point *p, char text[SPACE_TEXT])
{
    size_t used = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < m->axis_count && used < SPACE_TEXT; i++)
        used += (size_t)snprintf(text + used, SPACE_TEXT - used, "%s%s %s", i ? ", " : "", m->axes[i].name,
                                 p->value[i]);
}

static double spent(const struct plan_cell *c, uint32_t seeds)
{
    double sum = 0;
    for (uint32_t i = 0; i < c->tune_count; i++)
        sum += isfinite(c->tune[i]->outcome.seconds) ? c->tune[i]->outcome.seconds : 0;
    for (uint32_t i = 0; i < seeds; i++)
        sum += c->refit[i] && isfinite(c->refit[i]->outcome.seconds) ? c->refit[i]->outcome.seconds : 0;
    return sum;
}

static int show_cell(struct json *row, const struct plan *plan, const struct plan_cell *c)
{
    const struct study *s = plan->study;
    char text[SPACE_TEXT];
    TRY(json_set_string(row, "backbone", s->backbones[c->backbone].name));
    TRY(json_set_string(row, "pack", s->packs[c->pack].name));
    TRY(json_set_string(row, "method", s->methods[c->method].name));
    TRY(count_text(row, "tune", c->tune, c->tune_count, c->tune_count));
    TRY(count_text(row, "refit", c->refit, s->seed_count, s->seed_count));
    TRY(count_text(row, "final", c->final, s->seed_count, s->seed_count));
    TRY(json_set_number(row, "seconds", spent(c, s->seed_count)));
    if (c->chosen < 0)
        return 0;
    TRY(json_set_number(row, "val", c->tune[c->chosen]->outcome.accuracy));
    chosen_text(&s->methods[c->method], &c->points[c->tune[c->chosen]->point], text);
    return json_set_string(row, "chosen", text);
}

static int add_loss(struct json *list, const struct plan *plan, const struct plan_trial *t)
{
    const struct plan_cell *c = &plan->cells[t->cell];
    if (t->outcome.state <= PANEL_DONE && !t->outcome.edited)
        return 0;
    struct json *row = json_append_object(list);
    TRY(json_set_string(row, "id", t->id));
    TRY(json_set_string(row, "stage", stage_names[t->stage]));
    TRY(json_set_string(row, "method", plan->study->methods[c->method].name));
    TRY(json_set_string(row, "pack", plan->study->packs[c->pack].name));
    TRY(json_set_string(row, "state", t->outcome.edited ? "edited" : panel_states[t->outcome.state]));
    return json_set_string(row, "reason", t->outcome.reason);
}

static int show_losses(struct json *document, const struct plan *plan)
{
    struct json *list = json_set_array(document, "lost");
    for (uint32_t i = 0; i < plan->cell_count; i++) {
        const struct plan_cell *c = &plan->cells[i];
        for (uint32_t k = 0; k < c->tune_count; k++)
            TRY(add_loss(list, plan, c->tune[k]));
        for (uint32_t k = 0; k < plan->study->seed_count; k++) {
            if (c->refit[k])
                TRY(add_loss(list, plan, c->refit[k]));
            if (c->final[k])
                TRY(add_loss(list, plan, c->final[k]));
        }
    }
    return 0;
}

/* What the running program last wrote, unless it is gone. */
static int show_running(struct json *document, const struct plan *plan)
{
    char path[STORE_PATH];
    struct json *live = NULL;
    TRY(store_path(plan->store, STORE_STUDY, plan->study->name, "progress.json", path));
    if (!store_is_busy(plan->store) || json_read_file(&live, path) < 0)
        return 0; /* nobody runs it */
    return json_take(document, "live", live);
}

/* What each method searches, and how many points of that are tried first. */
static int show_methods(struct json *document, const struct plan *plan)
{
    struct json *rows = json_set_array(document, "methods");
    char text[SPACE_TEXT];
    for (uint32_t i = 0; i < plan->study->method_count; i++) {
        const struct study_method *m = &plan->study->methods[i];
        struct json *row = json_append_object(rows);
        space_text(m, text);
        TRY(json_set_string(row, "name", m->name));
        TRY(json_set_string(row, "method", m->text));
        TRY(json_set_string(row, "space", text));
        TRY(json_set_number(row, "space_size", space_size(m)));
        for (uint32_t k = 0; k < plan->cell_count; k++)
            if (plan->cells[k].method == i)
                TRY(json_set_integer(row, "points", plan->cells[k].point_count));
    }
    return 0;
}

/* What --final goes on with after the finals. */
static int show_shifts(struct json *document, const struct plan *plan)
{
    struct plan_counts c;
    uint32_t count;
    if (plan->study->shift_count == 0)
        return 0;
    plan_count(plan, &c);
    struct json *shifts = json_object();
    TRY(json_take(document, "shifts", shifts));
    TRY(json_set_integer(shifts, "planned", c.planned[STAGE_FINAL]));
    TRY(shift_list_count(plan->store, plan->study, SHIFT_ROBUST, &count));
    TRY(json_set_integer(shifts, "robust", count));
    TRY(shift_list_count(plan->store, plan->study, SHIFT_WISE, &count));
    return plan->study->wise.wanted || count ? json_set_integer(shifts, "wise", count) : 0;
}

int study_show(struct json *document, const struct plan *plan)
{
    struct plan_counts c;
    char text[256];
    plan_count(plan, &c);
    plan_strategy(plan->study, text);
    TRY(json_set_string(document, "study", plan->study->name));
    TRY(json_set_string(document, "recipe", plan->study->hash));
    TRY(json_set_string(document, "strategy", text));
    struct json *counts = json_object();
    TRY(json_take(document, "trials", counts));
    for (int k = 0; k < STAGE_COUNT; k++) {
        struct json *stage = json_object();
        TRY(json_take(counts, stage_names[k], stage));
        TRY(json_set_integer(stage, "done", c.done[k]));
        TRY(json_set_integer(stage, "planned", c.planned[k]));
    }
    TRY(json_set_integer(document, "diverged", c.diverged));
    TRY(json_set_integer(document, "failed", c.failed));
    TRY(json_set_integer(document, "edited", c.edited));
    TRY(json_set_number(document, "training_seconds", c.seconds));
    TRY(json_set_number(document, "share", c.work > 0 ? c.work_done / c.work : 1));
    TRY(show_methods(document, plan));
    struct json *rows = json_set_array(document, "cells");
    for (uint32_t i = 0; i < plan->cell_count; i++)
        TRY(show_cell(json_append_object(rows), plan, &plan->cells[i]));
    TRY(show_losses(document, plan));
    TRY(show_shifts(document, plan));
    TRY(show_ledger(document, plan));
    return show_running(document, plan);
}

static double number_of(const struct json *object, const char *key)
{
    double value = 0;
    json_number(json_get(object, key), &value);
    return value;
}

static void print_live(const struct json *live)
{
    const double left = number_of(live, "seconds_left");
    printf("\nrunning for %.0f s as process %.0f, %.1f %% done", number_of(live, "seconds"),
           number_of(live, "pid"), 100 * number_of(live, "share"));
    if (left >= 0)
        printf(", about %.0f min left", left / 60);
    printf("\n");
    if (json_count(json_get(live, "running")))
        table_print(json_get(live, "running"), running_columns);
}

int study_print(const struct json *document)
{
    const struct json *trials = json_get(document, "trials"), *live = json_get(document, "live");
    table_print(json_get(document, "cells"), columns);
    printf("\n%s: %s; %.1f %% of the work done (", json_string(json_get(document, "study")),
           json_string(json_get(document, "strategy")), 100 * number_of(document, "share"));
    for (int k = 0; k < STAGE_COUNT; k++) {
        const struct json *stage = json_get(trials, stage_names[k]);
        printf("%s%s %.0f of %.0f", k ? ", " : "", stage_names[k], number_of(stage, "done"),
               number_of(stage, "planned"));
    }
    printf("), %.0f s of training\n", number_of(document, "training_seconds"));
    const struct json *shifts = json_get(document, "shifts");
    if (shifts && number_of(shifts, "planned") > 0) {
        printf("under shift: %.0f of %.0f judged as trained", number_of(shifts, "robust"),
               number_of(shifts, "planned"));
        if (json_get(shifts, "wise"))
            printf(", %.0f on their way from the backbone", number_of(shifts, "wise"));
        printf("\n");
    }
    for (const struct json *row = json_first(json_get(document, "lost")); row; row = json_next(row)) {
        char text[1024];
        snprintf(text, sizeof text, "%s: %s of %s on %s (%.12s): %s", json_string(json_get(row, "state")),
                 json_string(json_get(row, "stage")), json_string(json_get(row, "method")),
                 json_string(json_get(row, "pack")), json_string(json_get(row, "id")),
                 json_string(json_get(row, "reason")));
        text_tame(text); /* a plugin may have said anything */
        printf("%s\n", text);
    }
    if (json_get(document, "ledger_breaks_at"))
        printf("the ledger was changed after it was written: line %.0f does not fit the one before\n",
               number_of(document, "ledger_breaks_at"));
    if (live)
        print_live(live);
    return 0;
}

int study_print_plan(const struct json *document)
{
    table_print(json_get(document, "methods"), method_columns);
    printf("\n");
    return study_print(document);
}
