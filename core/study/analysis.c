/* analysis.c - a panel turned into the document of docs/analysis.md: answers first, then the bootstrap that several
 * sections read, then section after section. */
#include "analysis_private.h"

#include "error.h"

#include <string.h>

const struct analysis_options analysis_default = {
    .replicates = 2000,
    .seed = 0,
    .level = 0.95,
    .ensemble_most = 5,
};

static int check(const struct panel *panel, const struct analysis_options *options)
{
    if (panel->method_count == 0 || panel->pack_count == 0 || panel->seed_count == 0)
        return fail(ERR_INPUT, "%s has %u methods, %u packs and %u seeds; an analysis needs one of each",
                    panel->study, panel->method_count, panel->pack_count, panel->seed_count);
    if (options->replicates == 0 || !(options->level > 0 && options->level < 1))
        return fail(ERR_INPUT,
                    "%zu replicates at level %g: at least one, and a level between 0 and 1, is needed",
                    options->replicates, options->level);
    return 0;
}

static int add_to_group(struct analysis *a, uint32_t pack)
{
    const char *name = a->panel->packs[pack].group;
    uint32_t g = 0;
    while (g < a->group_count && strcmp(a->groups[g].name, name) != 0)
        g++;
    if (g == a->group_count) {
        a->groups[g] =
            (struct group){name, arena_alloc(&a->memory, a->panel->pack_count, sizeof(uint32_t)), 0};
        if (!a->groups[g].packs)
            return ERR_MEMORY;
        a->group_count++;
    }
    a->groups[g].packs[a->groups[g].count++] = pack;
    return 0;
}

/* The basis of every mean: the packs that at least one method has completed. */
static int form_groups(struct analysis *a)
{
    uint32_t packs = a->panel->pack_count;
    a->groups = arena_alloc(&a->memory, packs, sizeof *a->groups);
    a->whole = (struct group){"all", arena_alloc(&a->memory, packs, sizeof(uint32_t)), 0};
    if (!a->groups || !a->whole.packs)
        return ERR_MEMORY;
    for (uint32_t pack = 0; pack < packs; pack++)
        if (a->answers[pack].completes) {
            a->whole.packs[a->whole.count++] = pack;
            TRY(add_to_group(a, pack));
        }
    return 0;
}

static int flag_cell(struct analysis *a, uint32_t method, uint32_t pack)
{
    const struct panel *panel = a->panel;
    const struct answers *s = &a->answers[pack];
    size_t row = answers_row(a, method, 0), end = row + panel->seed_count;
    while (row + 1 < end && s->state[row] == PANEL_DONE)
        row++;
    uint32_t seed = (uint32_t)(row - answers_row(a, method, 0));
    const char *reason = s->reason[row];
    return analysis_flag(
        a, analysis_format(
               a, "%s on %s, seed %llu, is %s%s%s: %s has no mean there, no overall mean and no overall rank",
               panel->methods[method].name, panel->packs[pack].name, (unsigned long long)panel->seeds[seed],
               panel_states[s->state[row]], reason && *reason ? ", " : "", reason ? reason : "",
               panel->methods[method].name));
}

static int flag(struct analysis *a)
{
    const struct panel *panel = a->panel;
    double pairs = 0.5 * panel->method_count * (panel->method_count - 1.0);
    for (uint32_t i = 0; i < panel->flag_count; i++)
        TRY(analysis_flag(a, panel->flags[i]));
    for (uint32_t pack = 0; a->whole.count && pack < panel->pack_count; pack++) {
        if (a->answers[pack].completes == 0)
            TRY(analysis_flag(a, analysis_format(a, "no method has finished %s, so it is in no mean",
                                                 panel->packs[pack].name)));
        else
            for (uint32_t method = 0; method < panel->method_count; method++)
                if (!a->answers[pack].complete[method])
                    TRY(flag_cell(a, method, pack));
    }
    if (2 * pairs / ((double)a->replicates + 1) >= 1 - a->options->level)
        return analysis_flag(
            a, analysis_format(a,
                               "%zu replicates cannot tell any of %.0f pairs apart after Holm's "
                               "correction; compare fewer methods",
                               a->replicates, pairs));
    return 0;
}

static int build(struct analysis *a)
{
    static int (*const sections[])(struct analysis *) = {
        analysis_packs,  analysis_methods,   analysis_accuracy,  analysis_ranks,
        analysis_pairs,  analysis_agreement, analysis_ensembles, analysis_calibration,
        analysis_tuning, analysis_shifts,    analysis_cost,      analysis_ledger,    analysis_results,
    };
    struct json *badges;
    a->replicates = resample_replicates(a);
    TRY(answers_read(a));
    TRY(form_groups(a));
    TRY(json_set_string(a->document, "schema", "vitro.analysis/1"));
    TRY(analysis_study(a));
    TRY(analysis_array(&badges, a->document, "badges"));
    TRY(analysis_array(&a->flags, a->document, "flags"));
    TRY(flag(a));
    TRY(analysis_badges(a, badges));
    TRY(resample_run(a, a->whole.packs, a->whole.count, &a->overall));
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        TRY(sections[i](a));
    return 0;
}

int analysis_build(struct json **out, const struct panel *panel, const struct analysis_options *options)
{
    struct analysis a = {.panel = panel, .options = options ? options : &analysis_default, .document = NULL};
    *out = NULL;
    TRY(check(panel, a.options));
    a.document = json_object();
    int rc = a.document ? build(&a) : ERR_MEMORY;
    arena_finish(&a.memory);
    if (rc < 0)
        json_destroy(a.document);
    else
        *out = a.document;
    return rc;
}
