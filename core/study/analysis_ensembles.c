/* analysis_ensembles.c - what joining answers gains, over the method that validation would have chosen, and over as
 * many seeds of that one method, the control for "different methods complement each other". */
#include "analysis_ensembles.h"

#include "error.h"

#include <string.h>

static const struct gain no_gain = {NAN, {NAN, NAN}};

/* Kinds over methods take seed s of each, and are averaged over s. */
static int define(struct analysis *a, struct plan *plan)
{
    uint32_t seeds = a->panel->seed_count;
    plan->rows = arena_alloc(&a->memory, (size_t)(KIND_SEEDS + seeds) * RULE_COUNT, sizeof *plan->rows);
    if (!plan->rows)
        return ERR_MEMORY;
    for (int kind = KIND_ALL; kind <= KIND_PAIR; kind++)
        for (int rule = 0; rule < RULE_COUNT; rule++)
            plan->rows[plan->count++] = (struct definition){(enum kind)kind, (enum rule)rule, 0};
    for (uint32_t size = 2; size <= seeds; size++)
        for (int rule = 0; rule < RULE_COUNT; rule++)
            plan->rows[plan->count++] = (struct definition){KIND_SEEDS, (enum rule)rule, size};
    return 0;
}

static int prepare(struct analysis *a, struct work *w, const struct plan *plan, struct arena *scratch)
{
    const struct answers *s = &a->answers[w->pack];
    uint32_t methods = a->panel->method_count, seeds = a->panel->seed_count, count = 0;
    w->complete = arena_alloc(&a->memory, methods, sizeof *w->complete);
    w->outcomes = arena_alloc(&a->memory, plan->count, sizeof *w->outcomes);
    w->size_accuracy = arena_alloc(&a->memory, methods, sizeof *w->size_accuracy);
    w->right = arena_alloc(scratch, (size_t)(plan->count + 1) * seeds, s->images);
    w->members = arena_alloc(scratch, methods > seeds ? methods : seeds, sizeof *w->members);
    w->scratch = arena_alloc(scratch, (size_t)s->classes, 2 * sizeof *w->scratch);
    if (!w->complete || !w->outcomes || !w->size_accuracy || !w->right || !w->members || !w->scratch)
        return ERR_MEMORY;
    w->best = -1;
    w->worst = 2;
    for (uint32_t m = 0; m < methods; m++) {
        if (!s->complete[m])
            continue;
        if (s->mean[m] > w->best) {
            w->best = s->mean[m];
            w->best_single = m;
        }
        w->worst = fmin(w->worst, s->mean[m]);
        w->mean += s->mean[m] / s->completes;
        w->complete[count++] = m;
    }
    return ensemble_select(a, w->pack, &w->chosen);
}

static struct member member_of(const struct analysis *a, uint32_t pack, uint32_t method, uint32_t seed)
{
    const struct answers *s = &a->answers[pack];
    size_t at = answers_row(a, method, seed) * s->images;
    return (struct member){analysis_run(a, method, pack, seed)->logits, s->label + at, s->confidence + at};
}

static void answer(const struct analysis *a, const struct work *w, enum rule rule, uint32_t count,
                   unsigned char *right)
{
    const struct answers *s = &a->answers[w->pack];
    const int32_t *labels = a->panel->packs[w->pack].test_labels;
    for (uint32_t i = 0; i < s->images; i++)
        right[i] = ensemble_answer(rule, w->members, count, i, s->classes, w->scratch) == labels[i];
}

static double share(const unsigned char *right, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += right[i];
    return (double)sum / (double)count;
}

/* [seed][image] of seed s of every member */
static void join_methods(const struct analysis *a, struct work *w, enum rule rule, const uint32_t *methods,
                         uint32_t count, unsigned char *right)
{
    for (uint32_t seed = 0; seed < a->panel->seed_count; seed++) {
        for (uint32_t i = 0; i < count; i++)
            w->members[i] = member_of(a, w->pack, methods[i], seed);
        answer(a, w, rule, count, right + (size_t)seed * a->answers[w->pack].images);
    }
}

/* [seed][image] of seeds s, s + 1, ... of one method, round the list; all of them are one ensemble, not several. */
static void join_seeds(const struct analysis *a, struct work *w, enum rule rule, uint32_t size,
                       unsigned char *right)
{
    uint32_t seeds = a->panel->seed_count, images = a->answers[w->pack].images;
    for (uint32_t seed = 0; seed < seeds; seed++) {
        for (uint32_t i = 0; i < size; i++)
            w->members[i] = member_of(a, w->pack, w->chosen.single, (seed + i) % seeds);
        if (size == seeds && seed > 0)
            memcpy(right + (size_t)seed * images, right, images);
        else
            answer(a, w, rule, size, right + (size_t)seed * images);
    }
}

/* Which methods a row joins; 0 when this pack cannot have it. */
static int choose(const struct work *w, const struct definition *d, uint32_t completes, struct outcome *o)
{
    const struct selection *c = &w->chosen;
    o->members = d->kind == KIND_ALL      ? w->complete
                 : d->kind == KIND_GREEDY ? c->path
                 : d->kind == KIND_PAIR   ? c->pair
                                          : &c->single;
    o->member_count = d->kind == KIND_ALL      ? completes
                      : d->kind == KIND_GREEDY ? c->greedy
                      : d->kind == KIND_PAIR   ? 2
                                               : 1;
    o->size = d->kind == KIND_SEEDS ? d->size : o->member_count;
    switch (d->kind) {
    case KIND_ALL: return completes >= 2;
    case KIND_PAIR:
    case KIND_GREEDY: return c->candidates >= 2 && o->member_count > 0;
    case KIND_SEEDS: return c->candidates >= 1;
    }
    return 0;
}

static void join(struct analysis *a, struct work *w, const struct plan *plan)
{
    const struct answers *s = &a->answers[w->pack];
    size_t size = (size_t)a->panel->seed_count * s->images;
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct definition *d = &plan->rows[i];
        struct outcome *o = &w->outcomes[i];
        o->there = choose(w, d, s->completes, o);
        if (!o->there)
            continue;
        if (d->kind == KIND_SEEDS)
            join_seeds(a, w, d->rule, d->size, w->right + i * size);
        else
            join_methods(a, w, d->rule, o->members, o->member_count, w->right + i * size);
        o->accuracy = share(w->right + i * size, size);
        o->over_best = o->accuracy - w->best;
    }
    if (w->chosen.candidates)
        memcpy(w->right + plan->count * size, s->right + answers_row(a, w->chosen.single, 0) * s->images,
               size);
}

/* The row of as many seeds of one method, as far as there are seeds. */
static uint32_t row_of_seeds(const struct plan *plan, enum rule rule, uint32_t size)
{
    uint32_t found = plan->count;
    for (uint32_t i = 0; i < plan->count; i++)
        if (plan->rows[i].kind == KIND_SEEDS && plan->rows[i].rule == rule && plan->rows[i].size <= size)
            found = i;
    return found;
}

static struct gain gain_over(const struct analysis *a, const double *scores, uint32_t rows, uint32_t row,
                             uint32_t reference, double value, double *column)
{
    struct gain gain = {.value = value};
    for (size_t r = 0; r < a->options->replicates; r++)
        column[r] = scores[r * rows + row] - scores[r * rows + reference];
    gain.interval = stats_percentile(column, a->options->replicates, a->options->level, NULL);
    return gain;
}

static void judge(const struct analysis *a, struct work *w, const struct plan *plan, const double *scores,
                  double *column)
{
    uint32_t rows = plan->count + 1;
    double single = w->chosen.candidates ? a->answers[w->pack].mean[w->chosen.single] : NAN;
    for (uint32_t i = 0; i < plan->count; i++) {
        struct outcome *o = &w->outcomes[i];
        o->over_single = o->over_seeds = no_gain;
        if (!o->there)
            continue;
        for (size_t r = 0; r < a->options->replicates; r++)
            column[r] = scores[r * rows + i];
        o->interval = stats_percentile(column, a->options->replicates, a->options->level, NULL);
        if (w->chosen.candidates)
            o->over_single = gain_over(a, scores, rows, i, plan->count, o->accuracy - single, column);
        uint32_t control = row_of_seeds(plan, plan->rows[i].rule, o->size);
        if (plan->rows[i].kind != KIND_SEEDS && control < plan->count && w->outcomes[control].there)
            o->over_seeds =
                gain_over(a, scores, rows, i, control, o->accuracy - w->outcomes[control].accuracy, column);
    }
}

/* Over images alone: members, and the seeds that were run, are what they are. */
static int resample(struct analysis *a, struct work *w, const struct plan *plan, struct arena *scratch)
{
    struct bootstrap_task task = {.images = a->answers[w->pack].images, .right = w->right};
    struct bootstrap b = {.methods = plan->count + 1,
                          .seeds = a->panel->seed_count,
                          .tasks = 1,
                          .task = &task,
                          .levels = BOOTSTRAP_IMAGES,
                          .replicates = a->options->replicates,
                          .seed = a->options->seed};
    double *scores = arena_alloc(scratch, b.replicates * b.methods, sizeof *scores);
    double *column = arena_alloc(scratch, b.replicates, sizeof *column);
    if (!scores || !column)
        return ERR_MEMORY;
    TRY(stats_bootstrap(&b, scores));
    judge(a, w, plan, scores, column);
    return 0;
}

static void measure_sizes(struct analysis *a, struct work *w)
{
    size_t size = (size_t)a->panel->seed_count * a->answers[w->pack].images;
    for (uint32_t k = 0; k < w->chosen.steps; k++) { /* rows of `right` are done with */
        join_methods(a, w, RULE_PROBABILITIES, w->chosen.path, k + 1, w->right);
        w->size_accuracy[k] = share(w->right, size);
    }
}

static int work_on(struct analysis *a, struct work *w, const struct plan *plan)
{
    struct arena scratch = {0};
    int rc = prepare(a, w, plan, &scratch);
    if (rc == 0) {
        join(a, w, plan);
        rc = resample(a, w, plan, &scratch);
    }
    if (rc == 0)
        measure_sizes(a, w);
    arena_finish(&scratch);
    return rc;
}

int analysis_ensembles(struct analysis *a)
{
    struct work *works = arena_alloc(&a->memory, a->whole.count, sizeof *works);
    struct plan plan = {0};
    struct json *section, *packs, *means;
    if (!works)
        return ERR_MEMORY;
    TRY(define(a, &plan));
    TRY(analysis_object(&section, a->document, "ensembles"));
    TRY(analysis_array(&packs, section, "packs"));
    for (uint32_t i = 0; i < a->whole.count; i++) {
        works[i].pack = a->whole.packs[i];
        TRY(work_on(a, &works[i], &plan));
        TRY(ensemble_put_pack(a, packs, &works[i], &plan));
    }
    TRY(analysis_array(&means, section, "mean"));
    for (uint32_t row = 0; row < plan.count; row++)
        TRY(ensemble_put_mean(a, means, works, row, &plan.rows[row]));
    return ensemble_put_size_curve(a, section, works);
}
