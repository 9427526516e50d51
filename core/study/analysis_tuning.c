/* analysis_tuning.c - the search for hyper-parameters of each cell: every trial, and what n of them are worth. */
#include "analysis_private.h"

#include "error.h"

static int put_trial(struct json *trials, const struct panel_trial *t, int chosen)
{
    struct json *object;
    TRY(analysis_object(&object, trials, NULL));
    TRY(json_set_string(object, "id", t->id));
    TRY(json_set_string(object, "method", t->method));
    TRY(json_set_number(object, "lr", t->lr));
    TRY(json_set_number(object, "decay", t->decay));
    TRY(json_set_integer(object, "epochs", t->epochs));
    TRY(json_set_string(object, "state", panel_states[t->state]));
    TRY(json_set_string(object, "reason", t->state == PANEL_DONE ? NULL : t->reason));
    TRY(json_set_number(object, "val", t->state == PANEL_DONE ? t->val_accuracy : NAN));
    TRY(json_set_number(object, "nll", t->state == PANEL_DONE ? t->val_nll : NAN));
    TRY(json_set_number(object, "seconds", t->seconds));
    return json_set_bool(object, "chosen", chosen);
}

static int32_t longest(const struct panel_cell *cell)
{
    int32_t epochs = 0;
    for (uint32_t i = 0; i < cell->trial_count; i++)
        if (cell->trials[i].state != PANEL_MISSING && cell->trials[i].epochs > epochs)
            epochs = cell->trials[i].epochs;
    return epochs;
}

/* Of the trials that ran in full: those that successive halving cut short were not scored alike. A trial that
 * diverged or failed was paid for and would never be chosen, so it counts with accuracy 0. */
static int put_expected_best(struct analysis *a, struct json *object, const struct panel_cell *cell)
{
    double *scores = arena_alloc(&a->memory, cell->trial_count, sizeof *scores);
    double *best = arena_alloc(&a->memory, cell->trial_count, sizeof *best);
    int32_t epochs = longest(cell);
    size_t count = 0;
    if (!scores || !best)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < cell->trial_count; i++) {
        const struct panel_trial *t = &cell->trials[i];
        if (t->state == PANEL_MISSING || t->epochs != epochs)
            continue;
        scores[count++] = t->state == PANEL_DONE && isfinite(t->val_accuracy) ? t->val_accuracy : 0;
    }
    if (count)
        TRY(stats_expected_best(scores, count, best));
    return analysis_numbers(object, "expected_best", best, count);
}

/* Other trials whose val accuracy is within one standard error of the chosen one's. */
static int64_t count_near(const struct panel_cell *cell, uint32_t val_images)
{
    int64_t near = 0;
    double best = cell->trials[cell->chosen].val_accuracy;
    double error = sqrt(best * (1 - best) / val_images);
    for (uint32_t i = 0; i < cell->trial_count; i++)
        near += i != (uint32_t)cell->chosen && cell->trials[i].state == PANEL_DONE &&
                cell->trials[i].val_accuracy >= best - error;
    return near;
}

static int put_cell(struct analysis *a, struct json *row, uint32_t method, uint32_t pack)
{
    const struct panel_cell *cell = panel_at(a->panel, method, pack);
    struct json *object, *trials;
    double seconds = 0;
    int chosen = cell->chosen >= 0 && (uint32_t)cell->chosen < cell->trial_count;
    TRY(analysis_object(&object, row, NULL));
    TRY(analysis_array(&trials, object, "trials"));
    for (uint32_t i = 0; i < cell->trial_count; i++) {
        TRY(put_trial(trials, &cell->trials[i], chosen && i == (uint32_t)cell->chosen));
        seconds += isfinite(cell->trials[i].seconds) ? cell->trials[i].seconds : 0;
    }
    TRY(put_expected_best(a, object, cell));
    TRY(json_set_number(object, "seconds", seconds));
    TRY(json_set_string(object, "edges", cell->edges));
    TRY(json_set_integer(object, "ties", cell->ties));
    return json_set_number(object, "near",
                           chosen ? (double)count_near(cell, a->panel->packs[pack].val_images) : NAN);
}

int analysis_tuning(struct analysis *a)
{
    struct json *section, *row;
    TRY(analysis_array(&section, a->document, "tuning"));
    for (uint32_t method = 0; method < a->panel->method_count; method++) {
        TRY(analysis_array(&row, section, NULL));
        for (uint32_t pack = 0; pack < a->panel->pack_count; pack++)
            TRY(put_cell(a, row, method, pack));
    }
    return 0;
}
