/* analysis_accuracy.c - accuracy of every cell, of groups and overall, each with an interval, and the set of methods
 * that cannot be told from the best. A mean is there only where everything that it is the mean of is. */
#include "analysis_private.h"

#include "error.h"

/* Where method `method` stands among the resampled; negative when it is not complete there. */
static int64_t position(const struct resample *r, uint32_t method)
{
    for (uint32_t m = 0; m < r->methods; m++)
        if (r->method[m] == method)
            return m;
    return -1;
}

/* State and reason of a cell are those of its first seed that is not done. */
static int put_state(const struct analysis *a, struct json *cell, uint32_t method, uint32_t pack)
{
    const struct answers *s = &a->answers[pack];
    size_t row = answers_row(a, method, 0), end = row + a->panel->seed_count;
    while (row + 1 < end && s->state[row] == PANEL_DONE)
        row++;
    TRY(json_set_string(cell, "state", row < end ? panel_states[s->state[row]] : "missing"));
    return json_set_string(cell, "reason", row < end && s->state[row] != PANEL_DONE ? s->reason[row] : NULL);
}

static int put_choice(struct analysis *a, struct json *cell, uint32_t method, uint32_t pack)
{
    const struct panel_cell *c = panel_at(a->panel, method, pack);
    const struct panel_pack *p = &a->panel->packs[pack];
    const struct panel_trial *t =
        c->chosen >= 0 && (uint32_t)c->chosen < c->trial_count ? &c->trials[c->chosen] : NULL;
    double val = c->val_logits && p->val_labels
                     ? answers_accuracy(c->val_logits, p->val_labels, p->val_images, p->classes)
                     : NAN;
    TRY(json_set_string(cell, "chosen", t ? t->method : NULL));
    TRY(json_set_number(cell, "lr", t ? t->lr : NAN));
    TRY(json_set_number(cell, "decay", t ? t->decay : NAN));
    TRY(json_set_string(cell, "edges", c->edges));
    TRY(json_set_integer(cell, "ties", c->ties));
    TRY(json_set_number(cell, "val", val));
    if (t && isfinite(val) && isfinite(t->val_accuracy) && fabs(val - t->val_accuracy) > 1e-6)
        return analysis_flag(
            a, analysis_format(a, "%s on %s: its logits give %.2f %% on val, its record says %.2f %%",
                               a->panel->methods[method].name, p->name, 100 * val, 100 * t->val_accuracy));
    return 0;
}

static int put_cell(struct analysis *a, struct json *row, uint32_t method, uint32_t pack,
                    const struct resample *r)
{
    const struct answers *s = &a->answers[pack];
    int64_t at = position(r, method);
    struct interval none = {NAN, NAN};
    const double *seeds = s->accuracy + answers_row(a, method, 0);
    struct json *cell;
    TRY(analysis_object(&cell, row, NULL));
    TRY(json_set_number(cell, "mean", s->mean[method]));
    TRY(analysis_interval(cell, "low", "high", at < 0 ? none : r->interval[at]));
    TRY(json_set_number(cell, "deviation",
                        at < 0 || a->panel->seed_count < 2 ? NAN
                                                           : stats_deviation(seeds, a->panel->seed_count)));
    TRY(analysis_numbers(cell, "seeds", seeds, a->panel->seed_count));
    TRY(put_choice(a, cell, method, pack));
    return put_state(a, cell, method, pack);
}

static int put_best(struct analysis *a, struct json *parent, const char *key, const struct resample *r)
{
    uint32_t *best = arena_alloc(&a->memory, a->panel->method_count, sizeof *best);
    return best ? analysis_indices(parent, key, best, resample_best(a, r, best)) : ERR_MEMORY;
}

static int put_cells(struct analysis *a, struct json *section)
{
    const struct panel *panel = a->panel;
    struct resample *packs = arena_alloc(&a->memory, panel->pack_count, sizeof *packs);
    struct json *cells, *row, *best;
    if (!packs)
        return ERR_MEMORY;
    for (uint32_t pack = 0; pack < panel->pack_count; pack++)
        TRY(resample_run(a, &pack, 1, &packs[pack]));
    TRY(analysis_array(&cells, section, "cells"));
    for (uint32_t method = 0; method < panel->method_count; method++) {
        TRY(analysis_array(&row, cells, NULL));
        for (uint32_t pack = 0; pack < panel->pack_count; pack++)
            TRY(put_cell(a, row, method, pack, &packs[pack]));
    }
    TRY(analysis_array(&best, section, "best"));
    for (uint32_t pack = 0; pack < panel->pack_count; pack++)
        TRY(put_best(a, best, NULL, &packs[pack]));
    return 0;
}

/* `mean`, `low` and `high` of the resampled methods, null of the others. */
static int put_means(struct analysis *a, struct json *object, const char *mean, const struct resample *r)
{
    uint32_t methods = a->panel->method_count;
    double *values = arena_alloc(&a->memory, (size_t)3 * methods, sizeof *values);
    if (!values)
        return ERR_MEMORY;
    for (uint32_t m = 0; m < methods; m++) {
        int64_t at = position(r, m);
        values[m] = at < 0 ? NAN : r->mean[at];
        values[methods + m] = at < 0 ? NAN : r->interval[at].low;
        values[2 * methods + m] = at < 0 ? NAN : r->interval[at].high;
    }
    TRY(analysis_numbers(object, mean, values, methods));
    TRY(analysis_numbers(object, "low", values + methods, methods));
    return analysis_numbers(object, "high", values + 2 * (size_t)methods, methods);
}

static int put_groups(struct analysis *a, struct json *section)
{
    struct json *groups, *group;
    TRY(analysis_array(&groups, section, "groups"));
    for (uint32_t g = 0; g < a->group_count; g++) {
        struct resample r;
        TRY(resample_run(a, a->groups[g].packs, a->groups[g].count, &r));
        TRY(analysis_object(&group, groups, NULL));
        TRY(json_set_string(group, "name", a->groups[g].name));
        TRY(analysis_indices(group, "packs", a->groups[g].packs, a->groups[g].count));
        TRY(put_means(a, group, "means", &r));
        TRY(put_best(a, group, "best", &r));
    }
    return 0;
}

static double mean_of_groups(const struct analysis *a, uint32_t method)
{
    double sum = 0;
    for (uint32_t g = 0; g < a->group_count; g++) {
        double mean = 0;
        for (uint32_t i = 0; i < a->groups[g].count; i++)
            mean += a->answers[a->groups[g].packs[i]].mean[method];
        sum += mean / a->groups[g].count;
    }
    return a->group_count ? sum / a->group_count : NAN;
}

static int put_basis(struct analysis *a, struct json *overall)
{
    const struct group *g = &a->whole;
    uint32_t left_out = a->panel->pack_count - g->count;
    const char *text;
    if (g->count == 0)
        text = "no method has test results on any pack, so there is no mean";
    else
        text =
            analysis_format(a,
                            "the plain mean over %u pack%s of the mean over %u seed%s, of the %u of %u "
                            "methods that have all of it%s",
                            g->count, g->count == 1 ? "" : "s", a->panel->seed_count,
                            a->panel->seed_count == 1 ? "" : "s", a->overall.methods, a->panel->method_count,
                            left_out == 0 ? "" : "; packs that no method has finished are in no mean");
    return text ? json_set_string(overall, "basis", text) : ERR_MEMORY;
}

int analysis_accuracy(struct analysis *a)
{
    uint32_t methods = a->panel->method_count;
    double *means = arena_alloc(&a->memory, methods, sizeof *means);
    struct json *section, *overall;
    if (!means)
        return ERR_MEMORY;
    for (uint32_t m = 0; m < methods; m++)
        means[m] = mean_of_groups(a, m);
    TRY(analysis_object(&section, a->document, "accuracy"));
    TRY(put_cells(a, section));
    TRY(put_groups(a, section));
    TRY(analysis_object(&overall, section, "overall"));
    TRY(put_means(a, overall, "mean", &a->overall));
    TRY(analysis_numbers(overall, "mean_of_groups", means, methods));
    TRY(put_best(a, overall, "best", &a->overall));
    TRY(analysis_indices(overall, "packs", a->whole.packs, a->whole.count));
    return put_basis(a, overall);
}
