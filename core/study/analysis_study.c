/* analysis_study.c - what was studied and how far to trust it: the study, its badges, packs and methods. */
#include "analysis_private.h"

#include "error.h"

#include <stdio.h>
#include <string.h>

enum { ENOUGH_SEEDS = 3 }; /* with fewer, a bootstrap over seeds has next to nothing to draw from */

/* Trials of the search and runs of the refit alike, by state. */
struct counts {
    int64_t total, of[PANEL_FAILED + 1];
    int64_t results, results_done; /* the runs alone */
};

static struct counts count_states(const struct analysis *a)
{
    const struct panel *panel = a->panel;
    struct counts counts = {0};
    for (uint32_t pack = 0; pack < panel->pack_count; pack++)
        for (uint32_t method = 0; method < panel->method_count; method++) {
            const struct panel_cell *cell = panel_at(panel, method, pack);
            for (uint32_t t = 0; t < cell->trial_count; t++, counts.total++)
                counts.of[cell->trials[t].state]++;
            for (uint32_t seed = 0; seed < panel->seed_count; seed++, counts.total++, counts.results++) {
                unsigned char state = a->answers[pack].state[answers_row(a, method, seed)];
                counts.of[state]++;
                counts.results_done += state == PANEL_DONE;
            }
        }
    return counts;
}

static int put_counts(const struct analysis *a, struct json *study)
{
    struct counts n = count_states(a);
    struct json *counts;
    TRY(analysis_object(&counts, study, "counts"));
    TRY(json_set_integer(counts, "trials", n.total));
    TRY(json_set_integer(counts, "done", n.of[PANEL_DONE]));
    TRY(json_set_integer(counts, "diverged", n.of[PANEL_DIVERGED]));
    TRY(json_set_integer(counts, "failed", n.of[PANEL_FAILED]));
    TRY(json_set_integer(counts, "missing", n.of[PANEL_MISSING]));
    TRY(json_set_integer(counts, "results", n.results));
    TRY(json_set_integer(counts, "results_done", n.results_done));
    return json_set_integer(counts, "openings", a->panel->opening_count);
}

int analysis_study(struct analysis *a)
{
    const struct panel *panel = a->panel;
    struct json *study, *backbone, *seeds;
    TRY(analysis_object(&study, a->document, "study"));
    TRY(json_set_string(study, "name", panel->study));
    TRY(json_set_string(study, "recipe", panel->recipe_hash));
    TRY(analysis_object(&backbone, study, "backbone"));
    TRY(json_set_string(backbone, "name", panel->backbone));
    TRY(json_set_string(backbone, "sha256", panel->backbone_hash));
    TRY(json_set_string(study, "strategy", panel->strategy));
    TRY(json_set_string(study, "refit", panel->refit_on_trainval ? "trainval" : "train"));
    TRY(json_set_string(study, "vitro", a->options->version));
    TRY(json_set_string(study, "created", a->options->created));
    TRY(analysis_array(&seeds, study, "seeds"));
    for (uint32_t s = 0; s < panel->seed_count; s++) {
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)panel->seeds[s]);
        TRY(json_append_string(seeds, text));
    }
    TRY(json_set_number(study, "level", a->options->level));
    TRY(json_set_integer(study, "replicates", (int64_t)a->replicates));
    return put_counts(a, study);
}

static int put_badge(struct json *badges, const char *id, int ok, const char *text)
{
    struct json *badge;
    if (!text)
        return ERR_MEMORY;
    TRY(analysis_object(&badge, badges, NULL));
    TRY(json_set_string(badge, "id", id));
    TRY(json_set_bool(badge, "ok", ok));
    return json_set_string(badge, "text", text);
}

static int badge_of_seal(struct analysis *a, struct json *badges, const struct counts *n)
{
    uint32_t again = 0, sealed = 0;
    for (uint32_t i = 0; i < a->panel->opening_count; i++)
        again += a->panel->openings[i].again != 0;
    for (uint32_t pack = 0; pack < a->panel->pack_count; pack++)
        sealed += !a->panel->packs[pack].test_labels;
    uint32_t first = a->panel->opening_count - again;
    if (sealed == a->panel->pack_count)
        return put_badge(badges, "sealed_test", 1,
                         "The test split is sealed: nothing here has looked at it.");
    if (again)
        return put_badge(
            badges, "sealed_test", 0,
            analysis_format(a,
                            "%u of %u openings of the test split were not the first of their method, "
                            "pack and seed.",
                            again, a->panel->opening_count));
    if (n->results_done > first)
        return put_badge(badges, "sealed_test", 0,
                         analysis_format(a, "%lld test results, but the ledger tells of %u openings only.",
                                         (long long)n->results_done, first));
    return put_badge(badges, "sealed_test", 1,
                     analysis_format(a,
                                     "The test split was opened once for each of %lld results, after tuning.",
                                     (long long)n->results_done));
}

static int badge_of_seeds(struct analysis *a, struct json *badges)
{
    uint32_t seeds = a->panel->seed_count;
    int ok = seeds >= ENOUGH_SEEDS;
    return put_badge(badges, "seeds", ok,
                     seeds == 1
                         ? "One seed: intervals know nothing of how much a second training would differ."
                         : analysis_format(a, "%u seeds%s.", seeds,
                                           ok ? "" : ": intervals underrate the differences between seeds"));
}

/* A pack without a fingerprint could be anything; one that is there twice would count twice in every mean. */
static int badge_of_fingerprints(struct analysis *a, struct json *badges)
{
    const struct panel_pack *packs = a->panel->packs;
    for (uint32_t i = 0; i < a->panel->pack_count; i++) {
        if (!packs[i].fingerprint || !*packs[i].fingerprint)
            return put_badge(badges, "one_fingerprint", 0,
                             analysis_format(a, "%s has no fingerprint.", packs[i].name));
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(packs[i].name, packs[j].name) == 0 ||
                strcmp(packs[i].fingerprint, packs[j].fingerprint) == 0)
                return put_badge(badges, "one_fingerprint", 0,
                                 analysis_format(a, "%s and %s share a name or a fingerprint.", packs[j].name,
                                                 packs[i].name));
    }
    return put_badge(badges, "one_fingerprint", 1,
                     "All methods saw the same images: one fingerprint a pack.");
}

int analysis_badges(struct analysis *a, struct json *badges)
{
    const struct panel *panel = a->panel;
    struct counts n = count_states(a);
    TRY(badge_of_seal(a, badges, &n));
    TRY(put_badge(badges, "equal_budget", panel->equal_budget != 0,
                  analysis_format(a, "%s: %s.",
                                  panel->equal_budget ? "Every method was tuned with the same budget"
                                                      : "Methods were tuned with different budgets",
                                  panel->strategy)));
    TRY(badge_of_seeds(a, badges));
    TRY(badge_of_fingerprints(a, badges));
    TRY(put_badge(badges, "complete", n.results_done == n.results,
                  analysis_format(a, "%lld of %lld test results are there.", (long long)n.results_done,
                                  (long long)n.results)));
    TRY(put_badge(badges, "ledger", panel->ledger_intact != 0,
                  panel->ledger_intact ? "The ledger of openings is unbroken."
                                       : "The ledger of openings was altered."));
    return put_badge(badges, "unedited", panel->flag_count == 0,
                     panel->flag_count
                         ? analysis_format(a, "%u warning%s came with the results; see the flags.",
                                           panel->flag_count, panel->flag_count == 1 ? "" : "s")
                         : "Every result reads as it was written.");
}

int analysis_packs(struct analysis *a)
{
    struct json *packs, *object;
    TRY(analysis_array(&packs, a->document, "packs"));
    for (uint32_t i = 0; i < a->panel->pack_count; i++) {
        const struct panel_pack *p = &a->panel->packs[i];
        TRY(analysis_object(&object, packs, NULL));
        TRY(json_set_string(object, "name", p->name));
        TRY(json_set_string(object, "task", p->task));
        TRY(json_set_string(object, "group", p->group));
        TRY(json_set_string(object, "fingerprint", p->fingerprint));
        TRY(json_set_integer(object, "classes", p->classes));
        TRY(json_set_integer(object, "image", p->image));
        TRY(json_set_string(object, "normalise", p->normalise));
        TRY(json_set_integer(object, "train", p->train_images));
        TRY(json_set_integer(object, "val", p->val_images));
        TRY(json_set_integer(object, "test", p->test_images));
        TRY(json_set_bool(object, "sealed", !p->test_labels));
    }
    return 0;
}

/* Over the packs for which a configuration was chosen. */
static int put_parameters(const struct analysis *a, struct json *object, uint32_t method)
{
    double sum = 0, head = 0, range[2] = {INFINITY, -INFINITY};
    uint32_t count = 0;
    for (uint32_t pack = 0; pack < a->panel->pack_count; pack++) {
        const struct panel_cell *cell = panel_at(a->panel, method, pack);
        if (cell->chosen < 0)
            continue;
        double parameters = (double)cell->parameters;
        sum += parameters;
        head += (double)cell->parameters_head;
        range[0] = fmin(range[0], parameters);
        range[1] = fmax(range[1], parameters);
        count++;
    }
    TRY(json_set_number(object, "parameters", count ? sum / count : NAN));
    TRY(json_set_number(object, "parameters_head", count ? head / count : NAN));
    return analysis_numbers(object, "parameters_range", range, 2);
}

int analysis_methods(struct analysis *a)
{
    struct json *methods, *object;
    TRY(analysis_array(&methods, a->document, "methods"));
    for (uint32_t i = 0; i < a->panel->method_count; i++) {
        const struct panel_method *m = &a->panel->methods[i];
        TRY(analysis_object(&object, methods, NULL));
        TRY(json_set_string(object, "name", m->name));
        TRY(json_set_string(object, "text", m->text));
        TRY(json_set_string(object, "space", m->space));
        TRY(json_set_number(object, "space_size", m->space_size));
        TRY(json_set_integer(object, "budget", m->budget));
        TRY(put_parameters(a, object, i));
    }
    return 0;
}
