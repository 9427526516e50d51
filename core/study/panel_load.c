/* panel_load.c - see panel_load.h: a study's plan, read as a panel. Everything it lends lies in one arena. */
#include "panel_load.h"

#include "error.h"
#include "ledger.h"
#include "panel_private.h"
#include "plan.h"
#include "recipe_json.h"
#include "shift_list.h"
#include "space.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *keep(struct loaded *l, const char *text)
{
    const char *kept = arena_string(&l->arena, text);
    if (!kept)
        l->failed = ERR_MEMORY;
    return kept ? kept : "";
}

void loaded_flag(struct loaded *l, const char *format, ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char **grown = arena_alloc(&l->arena, l->panel.flag_count + 1, sizeof *grown);
    if (!grown) {
        l->failed = ERR_MEMORY;
        return;
    }
    for (uint32_t i = 0; i < l->panel.flag_count; i++)
        grown[i] = l->panel.flags[i];
    grown[l->panel.flag_count] = keep(l, text);
    l->panel.flags = grown;
    l->panel.flag_count++;
}

/* Logits into the arena. A result whose images, classes or labels are not those that the pack's others have is left
 * out, with a flag: *out stays NULL. */
static int take_logits(struct loaded *l, const struct store *store, const char *id, uint32_t images,
                       int32_t classes, const int32_t **labels, const float **out)
{
    float *logits;
    int32_t *own, width;
    uint32_t count;
    TRY(store_logits(store, id, &logits, &own, &count, &width));
    float *kept = arena_alloc(&l->arena, (size_t)count * (size_t)width, sizeof *kept);
    int32_t *first = *labels ? NULL : arena_alloc(&l->arena, count, sizeof *first);
    const int rc = kept && (*labels || first) ? 0 : ERR_MEMORY;
    if (rc == 0 && (count != images || width != classes)) {
        loaded_flag(
            l,
            "the result %.12s is left out: it has logits of %u images and %d classes where the pack has %u "
            "and %d",
            id, count, width, images, classes);
    } else if (rc == 0 && *labels && memcmp(*labels, own, count * sizeof *own) != 0) {
        loaded_flag(l, "the result %.12s is left out: it has other labels than the pack's other results", id);
    } else if (rc == 0) {
        *out = memcpy(kept, logits, (size_t)count * (size_t)width * sizeof *kept);
        if (first)
            *labels = memcpy(first, own, count * sizeof *own);
    }
    mem_free(logits);
    mem_free(own);
    return rc;
}

static void take_state(struct loaded *l, const struct plan_trial *t, enum panel_state *state,
                       const char **reason)
{
    *state = t->outcome.state;
    *reason = keep(l, t->outcome.reason);
    if (t->outcome.edited)
        loaded_flag(l, "the result %.12s is left out: %s", t->id, t->outcome.reason);
}

static int take_trials(struct loaded *l, const struct plan *plan, const struct plan_cell *c,
                       struct panel_cell *out)
{
    const struct study *s = plan->study;
    const struct study_method *m = &s->methods[c->method];
    char text[4096];
    out->trials = arena_alloc(&l->arena, c->tune_count + 1, sizeof *out->trials);
    if (!out->trials)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < c->tune_count; i++) {
        const struct plan_trial *t = c->tune[i];
        struct panel_trial *o = &out->trials[i];
        struct recipe training = s->training;
        TRY(space_training(m, &c->points[t->point], &training));
        space_method(m, &c->points[t->point], text, sizeof text);
        memcpy(o->id, t->id, sizeof o->id);
        o->method = keep(l, text);
        o->lr = float_brief(training.lr);
        o->decay = float_brief(training.decay);
        o->epochs = t->epochs;
        o->val_accuracy = t->outcome.accuracy;
        o->val_nll = t->outcome.nll;
        o->seconds = t->outcome.seconds;
        take_state(l, t, &o->state, &o->reason);
    }
    out->trial_count = c->tune_count;
    return 0;
}

static int is_opened(const struct loaded *l, const char *id)
{
    for (uint32_t i = 0; i < l->panel.opening_count; i++)
        if (strcmp(l->panel.openings[i].trial, id) == 0)
            return 1;
    return 0;
}

static int take_run(struct loaded *l, const struct plan *plan, const struct plan_trial *refit,
                    const struct plan_trial *final, struct panel_pack *pack, struct panel_run *out)
{
    out->reason = "";
    if (!refit)
        return 0;
    memcpy(out->refit, refit->id, sizeof out->refit);
    take_state(l, refit, &out->state, &out->reason);
    out->seconds = refit->outcome.seconds;
    out->images_a_second = refit->outcome.images_a_second;
    out->host_bytes = refit->outcome.host_bytes;
    out->device_bytes = refit->outcome.device_bytes;
    out->stored_bytes = (uint64_t)refit->outcome.stored_bytes;
    out->device = keep(l, refit->outcome.device);
    if (out->state != PANEL_DONE)
        return 0;
    out->state = PANEL_MISSING;
    out->reason = "the test split is sealed";
    if (!final)
        return 0;
    if (final->outcome.state != PANEL_MISSING && !is_opened(l, final->id))
        loaded_flag(l,
                    "the test result %.12s stands in no line of the ledger: a line was taken out, or the "
                    "ledger itself",
                    final->id);
    memcpy(out->final, final->id, sizeof out->final);
    if (final->outcome.state != PANEL_MISSING)
        take_state(l, final, &out->state, &out->reason);
    out->test_images_a_second = final->outcome.eval_images_a_second;
    if (out->state != PANEL_DONE)
        return 0;
    TRY(take_logits(l, plan->store, final->id, pack->test_images, pack->classes, &pack->test_labels,
                    &out->logits));
    if (!out->logits) {
        out->state = PANEL_MISSING;
        out->reason = "its logits are not the pack's";
    }
    return 0;
}

static int take_cell(struct loaded *l, const struct plan *plan, const struct plan_cell *c)
{
    const struct study *s = plan->study;
    struct panel_pack *pack = &l->packs[c->pack];
    struct panel_cell *out = panel_at(&l->panel, c->method, c->pack);
    char text[SPACE_TEXT];
    out->chosen = c->chosen;
    out->ties = c->ties;
    out->edges = "";
    TRY(take_trials(l, plan, c, out));
    out->runs = arena_alloc(&l->arena, s->seed_count, sizeof *out->runs);
    if (!out->runs)
        return ERR_MEMORY;
    if (c->chosen >= 0) {
        const struct plan_trial *t = c->tune[c->chosen];
        space_edges(&s->methods[c->method], &c->points[t->point], text);
        out->edges = keep(l, text);
        out->parameters = t->outcome.parameters;
        out->parameters_head = t->outcome.parameters_head;
        TRY(take_logits(l, plan->store, t->id, pack->val_images, pack->classes, &pack->val_labels,
                        &out->val_logits));
    }
    for (uint32_t k = 0; k < s->seed_count; k++)
        TRY(take_run(l, plan, c->refit[k], c->final[k], pack, &out->runs[k]));
    return 0;
}

/* --- what does not depend on results */

static int take_methods(struct loaded *l, const struct study *s)
{
    struct panel_method *methods = arena_alloc(&l->arena, s->method_count, sizeof *methods);
    char text[SPACE_TEXT];
    if (!methods)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < s->method_count; i++) {
        const struct study_method *m = &s->methods[i];
        space_text(m, text);
        methods[i] = (struct panel_method){.name = keep(l, m->name),
                                           .text = keep(l, m->text),
                                           .space = keep(l, text),
                                           .space_size = space_size(m),
                                           .budget = s->tune.trials};
    }
    l->panel.methods = methods;
    l->panel.method_count = s->method_count;
    return 0;
}

static int take_packs(struct loaded *l, const struct study *s)
{
    l->packs = arena_alloc(&l->arena, s->pack_count, sizeof *l->packs);
    if (!l->packs)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < s->pack_count; i++) {
        const struct study_pack *p = &s->packs[i];
        l->packs[i] = (struct panel_pack){.name = keep(l, p->name),
                                          .task = keep(l, p->task),
                                          .group = keep(l, p->group),
                                          .fingerprint = keep(l, p->fingerprint),
                                          .classes = p->classes,
                                          .image = p->size,
                                          .normalise = keep(l, p->normalise),
                                          .train_images = p->count[0],
                                          .val_images = p->count[1],
                                          .test_images = p->count[2]};
    }
    l->panel.packs = l->packs;
    l->panel.pack_count = s->pack_count;
    return 0;
}

/* A budget is equal when every method may try as many trials and has as many to try. */
static int equal_budget(const struct study *s)
{
    if (s->tune.strategy == TUNE_NONE)
        return 1;
    for (uint32_t i = 0; i < s->method_count; i++) {
        const double size = space_size(&s->methods[i]);
        if (s->tune.trials ? size < s->tune.trials
                           : s->tune.seconds <= 0 && fabs(size - space_size(&s->methods[0])) > 0)
            return 0;
    }
    return 1;
}

/* Openings of these test splits on these weights, by whatever study: a look is a look. */
static int take_ledger(struct loaded *l, const struct study *s, const struct store *store, uint32_t backbone)
{
    char path[STORE_PATH];
    struct ledger *ledger = NULL;
    uint64_t at = 0;
    TRY(store_path(store, STORE_LEDGER, NULL, NULL, path));
    TRY(ledger_open(&ledger, path));
    struct panel_opening *openings = arena_alloc(&l->arena, ledger_count(ledger) + 1, sizeof *openings);
    uint32_t count = 0;
    for (size_t i = 0; openings && i < ledger_count(ledger); i++) {
        const struct ledger_line *line = ledger_at(ledger, i);
        int known = 0;
        for (uint32_t k = 0; k < s->pack_count; k++)
            known |= strcmp(s->packs[k].split[2], line->test) == 0;
        known |= strcmp(line->study, s->name) == 0; /* other data, and the packs' corrupted */
        if (!known || strcmp(line->model, s->backbones[backbone].sha256) != 0)
            continue;
        struct panel_opening *o = &openings[count++];
        *o = (struct panel_opening){.when = keep(l, line->when),
                                    .method = keep(l, line->method),
                                    .pack = keep(l, line->pack),
                                    .reason = keep(l, line->reason),
                                    .seed = line->seed,
                                    .again = line->reason[0] != 0};
        snprintf(o->trial, sizeof o->trial, "%s", line->trial);
    }
    l->panel.openings = openings;
    l->panel.opening_count = count;
    l->panel.ledger_intact = ledger_intact(ledger, &at);
    if (!l->panel.ledger_intact)
        loaded_flag(l, "the ledger was changed after it was written: line %llu does not fit the one before",
                    (unsigned long long)at);
    ledger_close(ledger);
    return openings ? 0 : ERR_MEMORY;
}

static int take_study(struct loaded *l, const struct study *s, const struct store *store, uint32_t backbone)
{
    char text[256];
    struct panel *p = &l->panel;
    uint64_t *seeds = arena_alloc(&l->arena, s->seed_count, sizeof *seeds);
    if (!seeds)
        return ERR_MEMORY;
    memcpy(seeds, s->seeds, s->seed_count * sizeof *seeds);
    plan_strategy(s, text);
    p->study = keep(l, s->name);
    p->recipe_hash = keep(l, s->hash);
    p->backbone = keep(l, s->backbones[backbone].name);
    p->backbone_hash = keep(l, s->backbones[backbone].sha256);
    p->heads = s->backbones[backbone].heads;
    p->act = s->backbones[backbone].act;
    p->strategy = keep(l, text);
    p->equal_budget = equal_budget(s);
    p->refit_on_trainval = s->refit_trainval;
    p->seeds = seeds;
    p->seed_count = s->seed_count;
    TRY(take_methods(l, s));
    TRY(take_packs(l, s));
    p->cells = arena_alloc(&l->arena, (size_t)s->method_count * s->pack_count, sizeof *p->cells);
    if (!p->cells)
        return ERR_MEMORY;
    return take_ledger(l, s, store, backbone);
}

static int concerns(const struct study *s, const struct ledger_line *line)
{
    int pack = 0, method = 0;
    for (uint32_t i = 0; i < s->pack_count; i++)
        pack |= strcmp(s->packs[i].split[2], line->test) == 0;
    for (uint32_t i = 0; i < s->method_count; i++)
        method |= strcmp(s->methods[i].plain, line->method) == 0;
    return pack && method;
}

int study_was_judged(const struct study *study, const struct store *store)
{
    char path[STORE_PATH];
    struct ledger *ledger = NULL;
    int judged = 0;
    TRY(store_path(store, STORE_LEDGER, NULL, NULL, path));
    TRY(ledger_open(&ledger, path));
    for (size_t i = 0; i < ledger_count(ledger); i++)
        judged |= concerns(study, ledger_at(ledger, i));
    ledger_close(ledger);
    return judged;
}

static int take_shifts(struct loaded *l, const struct study *s, const struct store *store, uint32_t backbone)
{
    struct shift_run *runs;
    const char *bad;
    TRY(shift_list_read(&runs, &l->panel.shift_count, &bad, &l->arena, store, s, backbone));
    l->panel.shifts = runs;
    if (bad)
        loaded_flag(l, "an answer under shift is left out: %s", bad);
    return 0;
}

int panel_load(struct loaded **out, const struct study *study, const struct store *store, uint32_t backbone)
{
    struct plan *plan = NULL;
    *out = NULL;
    struct loaded *l = mem_alloc(1, sizeof *l);
    if (!l)
        return ERR_MEMORY;
    int rc = take_study(l, study, store, backbone);
    if (rc == 0) /* with finals: a test result is seen even where the ledger is gone */
        rc = plan_create(&plan, study, store, 1);
    for (uint32_t i = 0; rc == 0 && i < plan->cell_count; i++)
        if (plan->cells[i].backbone == backbone)
            rc = take_cell(l, plan, &plan->cells[i]);
    plan_destroy(plan);
    if (rc == 0)
        rc = take_shifts(l, study, store, backbone);
    if (rc == 0)
        rc = l->failed;
    if (rc < 0) {
        loaded_destroy(l);
        return rc;
    }
    *out = l;
    return 0;
}

const struct panel *loaded_panel(const struct loaded *l)
{
    return &l->panel;
}

void loaded_destroy(struct loaded *l)
{
    if (!l)
        return;
    arena_finish(&l->arena);
    mem_free(l);
}
