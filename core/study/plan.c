/* plan.c - see plan.h. */
#include "plan.h"

#include "budget.h"
#include "error.h"
#include "memory.h"
#include "spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const stage_names[] = {"tune", "refit", "final", NULL};

/* --- trials */

static void trial_destroy(struct plan_trial *t)
{
    if (t)
        json_destroy(t->spec);
    mem_free(t);
}

static int make_trial(const struct plan *p, uint32_t cell, struct plan_trial t, const char *refit,
                      struct plan_trial **out)
{
    const struct plan_cell *c = &p->cells[cell];
    const struct study *s = p->study;
    struct plan_trial *made = mem_alloc(1, sizeof *made);
    const struct spec_of of = {.study = s,
                               .backbone = c->backbone,
                               .pack = c->pack,
                               .method = c->method,
                               .point = &c->points[t.point],
                               .stage = t.stage,
                               .seed = t.seed < 0 ? s->tune.seed : s->seeds[t.seed],
                               .epochs = t.epochs == s->training.epochs ? 0 : t.epochs,
                               .refit = refit};
    *out = NULL;
    if (!made)
        return ERR_MEMORY;
    *made = t;
    made->cell = cell;
    int rc = spec_build(&made->spec, &of);
    if (rc == 0)
        rc = trial_id(made->spec, made->id);
    if (rc == 0)
        rc = store_outcome(p->store, made->id, &made->outcome);
    if (rc < 0)
        trial_destroy(made);
    else
        *out = made;
    return rc;
}

static int add_tune(struct plan *p, uint32_t cell, int32_t point, int32_t rung)
{
    struct plan_cell *c = &p->cells[cell];
    const struct plan_trial t = {.stage = STAGE_TUNE,
                                 .seed = -1,
                                 .point = point,
                                 .rung = rung,
                                 .epochs = p->study->tune.strategy == TUNE_HALVING
                                               ? halving_epochs(p->study, rung)
                                               : p->study->training.epochs};
    struct plan_trial **grown =
        mem_grow(c->tune, c->tune_count, c->tune_count + 1, sizeof(struct plan_trial *));
    if (!grown)
        return ERR_MEMORY;
    c->tune = grown;
    TRY(make_trial(p, cell, t, NULL, &c->tune[c->tune_count]));
    c->tune_count++;
    return 0;
}

static int is_over(const struct plan_trial *t)
{
    return t->outcome.state != PANEL_MISSING;
}

/* Whether `a` is to be preferred: more right on val, then the lower loss there, then the earlier point. */
static int is_better(const struct plan_trial *a, const struct plan_trial *b)
{
    const struct outcome *x = &a->outcome, *y = &b->outcome;
    if (x->state != PANEL_DONE || y->state != PANEL_DONE)
        return x->state == PANEL_DONE;
    if (x->accuracy < y->accuracy || x->accuracy > y->accuracy)
        return x->accuracy > y->accuracy;
    if (x->nll < y->nll || x->nll > y->nll)
        return x->nll < y->nll;
    return a->point < b->point;
}

static int by_merit(const void *a, const void *b)
{
    const struct plan_trial *const *x = a, *const *y = b;
    return is_better(*x, *y) ? -1 : is_better(*y, *x);
}

/* --- what comes next in a cell */

/* The best of a finished rung go on, what failed never. Sets *more when there is another rung. */
static int next_rung(struct plan *p, uint32_t cell, int *more)
{
    struct plan_cell *c = &p->cells[cell];
    const struct study *s = p->study;
    *more = 0;
    if (s->tune.strategy != TUNE_HALVING || c->rung + 1 >= s->tune.rungs)
        return 0;
    const uint32_t keep = halving_keeps(s, c->point_count, c->rung + 1);
    struct plan_trial **order = mem_alloc(c->tune_count, sizeof(struct plan_trial *));
    uint32_t count = 0;
    int rc = order ? 0 : ERR_MEMORY;
    for (uint32_t i = 0; i < c->tune_count && order; i++)
        if (c->tune[i]->rung == c->rung && c->tune[i]->outcome.state == PANEL_DONE)
            order[count++] = c->tune[i];
    if (count) {
        qsort(order, count, sizeof *order, by_merit);
        c->rung++;
        *more = 1;
    }
    for (uint32_t i = 0; i < keep && i < count && rc == 0; i++)
        rc = add_tune(p, cell, order[i]->point, c->rung);
    mem_free(order);
    return rc;
}

/* Where only time limits the search: the next point, unless the time is spent. */
static int next_timed(struct plan *p, uint32_t cell, int *more)
{
    struct plan_cell *c = &p->cells[cell];
    double spent = 0;
    *more = 0;
    if (p->study->tune.seconds <= 0 || p->study->tune.strategy == TUNE_HALVING ||
        c->tune_count == c->point_count)
        return 0;
    for (uint32_t i = 0; i < c->tune_count; i++)
        spent += isfinite(c->tune[i]->outcome.seconds) ? c->tune[i]->outcome.seconds : 0;
    if (spent >= p->study->tune.seconds)
        return 0;
    *more = 1;
    return add_tune(p, cell, (int32_t)c->tune_count, 0);
}

static void choose(struct plan *p, struct plan_cell *c)
{
    c->tuned = 1;
    c->chosen = -1;
    c->ties = 0;
    for (uint32_t i = 0; i < c->tune_count; i++) {
        const struct plan_trial *t = c->tune[i];
        if (p->study->tune.strategy == TUNE_HALVING && t->rung != c->rung)
            continue; /* of a shorter training */
        if (t->outcome.state == PANEL_DONE && (c->chosen < 0 || is_better(t, c->tune[c->chosen])))
            c->chosen = (int32_t)i;
    }
    for (uint32_t i = 0; i < c->tune_count && c->chosen >= 0; i++) {
        const struct outcome *o = &c->tune[i]->outcome, *best = &c->tune[c->chosen]->outcome;
        c->ties += (int32_t)i != c->chosen && o->state == PANEL_DONE && c->tune[i]->rung == c->rung &&
                   fabs(o->accuracy - best->accuracy) < 1e-12;
    }
}

static int plan_finals(struct plan *p, uint32_t cell)
{
    struct plan_cell *c = &p->cells[cell];
    for (uint32_t k = 0; k < p->study->seed_count && p->final && p->study->packs[c->pack].count[2]; k++) {
        struct plan_trial t = *c->refit[k];
        t.stage = STAGE_FINAL;
        t.started = 0;
        if (!c->final[k] && c->refit[k]->outcome.state == PANEL_DONE)
            TRY(make_trial(p, cell, t, c->refit[k]->id, &c->final[k]));
    }
    return 0;
}

static int plan_refits(struct plan *p, uint32_t cell)
{
    struct plan_cell *c = &p->cells[cell];
    for (uint32_t k = 0; k < p->study->seed_count && c->chosen >= 0; k++) {
        const struct plan_trial t = {.stage = STAGE_REFIT,
                                     .seed = (int32_t)k,
                                     .point = c->tune[c->chosen]->point,
                                     .epochs = p->study->training.epochs};
        if (!c->refit[k])
            TRY(make_trial(p, cell, t, NULL, &c->refit[k]));
    }
    return c->chosen >= 0 ? plan_finals(p, cell) : 0;
}

static int advance(struct plan *p, uint32_t cell)
{
    struct plan_cell *c = &p->cells[cell];
    while (!c->tuned) {
        int more = 0;
        for (uint32_t i = 0; i < c->tune_count; i++)
            if (!is_over(c->tune[i]))
                return 0;
        TRY(next_rung(p, cell, &more));
        if (!more)
            TRY(next_timed(p, cell, &more));
        if (!more)
            choose(p, c);
    }
    return plan_refits(p, cell);
}

static int plan_cell(struct plan *p, uint32_t cell)
{
    struct plan_cell *c = &p->cells[cell];
    const struct study *s = p->study;
    const struct study_method *m = &s->methods[c->method];
    c->chosen = -1;
    c->points = mem_alloc(m->point_count, sizeof *c->points);
    c->refit = mem_alloc(s->seed_count, sizeof(struct plan_trial *));
    c->final = mem_alloc(s->seed_count, sizeof(struct plan_trial *));
    if (!c->points || !c->refit || !c->final)
        return ERR_MEMORY;
    budget_points(m, c->points);
    c->point_count = m->point_count;
    const int timed = s->tune.seconds > 0 && s->tune.strategy != TUNE_HALVING;
    for (uint32_t i = 0; i < (timed ? 1 : c->point_count); i++)
        TRY(add_tune(p, cell, (int32_t)i, 0));
    return advance(p, cell);
}

int plan_create(struct plan **out, const struct study *study, const struct store *store, int final)
{
    *out = NULL;
    struct plan *p = mem_alloc(1, sizeof *p);
    if (!p)
        return ERR_MEMORY;
    *p = (struct plan){.study = study, .store = store, .final = final};
    p->cell_count = study->backbone_count * study->pack_count * study->method_count;
    p->cells = mem_alloc(p->cell_count, sizeof *p->cells);
    int rc = p->cells ? 0 : ERR_MEMORY;
    uint32_t cell = 0;
    for (uint32_t b = 0; b < study->backbone_count && rc == 0; b++)
        for (uint32_t k = 0; k < study->pack_count && rc == 0; k++)
            for (uint32_t m = 0; m < study->method_count && rc == 0; m++, cell++) {
                p->cells[cell].backbone = b;
                p->cells[cell].pack = k;
                p->cells[cell].method = m;
                rc = plan_cell(p, cell);
            }
    if (rc < 0) {
        plan_destroy(p);
        return rc;
    }
    *out = p;
    return 0;
}

void plan_destroy(struct plan *p)
{
    if (!p)
        return;
    for (uint32_t i = 0; p->cells && i < p->cell_count; i++) {
        struct plan_cell *c = &p->cells[i];
        for (uint32_t k = 0; k < c->tune_count; k++)
            trial_destroy(c->tune[k]);
        for (uint32_t k = 0; k < p->study->seed_count; k++) {
            trial_destroy(c->refit ? c->refit[k] : NULL);
            trial_destroy(c->final ? c->final[k] : NULL);
        }
        mem_free(c->tune);
        mem_free(c->refit);
        mem_free(c->final);
        mem_free(c->points);
    }
    mem_free(p->cells);
    mem_free(p);
}

/* --- the run */

/* Calls visit for every planned trial until it gives other than 0, which it returns. */
static int each_trial(const struct plan *p, int (*visit)(void *context, struct plan_trial *t), void *context)
{
    int rc = 0;
    for (uint32_t i = 0; i < p->cell_count && rc == 0; i++) {
        struct plan_cell *c = &p->cells[i];
        for (uint32_t k = 0; k < c->tune_count && rc == 0; k++)
            rc = visit(context, c->tune[k]);
        for (uint32_t k = 0; k < p->study->seed_count && rc == 0; k++)
            rc = c->refit[k] ? visit(context, c->refit[k]) : 0;
        for (uint32_t k = 0; k < p->study->seed_count && rc == 0; k++)
            rc = c->final[k] ? visit(context, c->final[k]) : 0;
    }
    return rc;
}

static int is_twin(void *context, struct plan_trial *t)
{
    const struct plan_trial *one = context;
    return t != one && t->started && strcmp(t->id, one->id) == 0;
}

struct search { /* for a trial that can be begun */
    struct plan *plan;
    const struct plan_trial *beside; /* NULL: any */
    struct plan_trial *found;        /* the last */
    uint32_t count;
};
static int see_free(void *context, struct plan_trial *t)
{
    struct search *s = context;
    if (t->started || is_over(t) || each_trial(s->plan, is_twin, t))
        return 0; /* two methods of a recipe may be the same trial: it runs once */
    if (s->beside && (t->alone || s->beside->alone || !spec_can_share(s->beside->spec, t->spec)))
        return 0;
    s->found = t;
    s->count++;
    return 1;
}

static int count_free(void *context, struct plan_trial *t)
{
    see_free(context, t);
    return 0;
}

static int see_earliest(void *context, struct plan_trial *t)
{
    struct search *s = context;
    if (s->found && s->found->stage <= t->stage)
        return 0;
    return see_free(s, t) && t->stage == STAGE_TUNE; /* none is earlier */
}

static int is_done(const struct plan *p, const struct plan_cell *c)
{
    int done = c->tuned;
    for (uint32_t k = 0; k < p->study->seed_count && done && c->chosen >= 0; k++) {
        const struct plan_trial *refit = c->refit[k], *final = c->final[k];
        done = refit && is_over(refit) &&
               (!p->final || (final ? is_over(final) : refit->outcome.state != PANEL_DONE));
    }
    return done;
}

/* Few enough cells are left that workers may soon wait for the last one's trials, each of which waits for another. */
static int nears_its_end(const struct plan *p, uint32_t workers)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < p->cell_count; i++)
        left += !is_done(p, &p->cells[i]);
    return left <= 2 * workers;
}

struct plan_trial *plan_next(struct plan *p, uint32_t workers)
{
    struct search s = {.plan = p};
    each_trial(p, nears_its_end(p, workers) ? see_earliest : see_free, &s);
    if (s.found)
        s.found->started = 1;
    return s.found;
}

struct plan_trial *plan_next_beside(struct plan *p, const struct plan_trial *first)
{
    struct search s = {.plan = p, .beside = first};
    if (each_trial(p, see_free, &s))
        s.found->started = 1;
    return s.found;
}

uint32_t plan_count_beside(struct plan *p, const struct plan_trial *first)
{
    struct search s = {.plan = p, .beside = first};
    each_trial(p, count_free, &s);
    return s.count;
}

void plan_return(struct plan_trial *t)
{
    t->started = 0;
}

struct ending {
    struct plan *plan;
    const struct plan_trial *ended;
};
static int take_outcome(void *context, struct plan_trial *t)
{
    struct ending *e = context;
    if (is_over(t) || strcmp(t->id, e->ended->id) != 0)
        return 0;
    t->started = 0;
    return store_outcome(e->plan->store, t->id, &t->outcome);
}

int plan_done(struct plan *p, struct plan_trial *t)
{
    char id[HASH_TEXT];
    struct plan_trial ended = *t;
    struct ending e = {.plan = p, .ended = &ended};
    memcpy(id, t->id, sizeof id);
    t->started = 0;
    TRY(each_trial(p, take_outcome, &e));
    for (uint32_t i = 0; i < p->cell_count; i++)
        TRY(advance(p, i));
    return 0;
}

static double images_of(const struct plan *p, const struct plan_cell *c, const struct plan_trial *t)
{
    const uint32_t *count = p->study->packs[c->pack].count;
    if (t->stage == STAGE_FINAL)
        return count[2] / 3.0; /* forward only: a third of a step's arithmetic */
    return (double)t->epochs *
           (t->stage == STAGE_REFIT && p->study->refit_trainval ? count[0] + count[1] : count[0]);
}

struct counting {
    const struct plan *plan;
    struct plan_counts *counts;
};
static int count_trial(void *context, struct plan_trial *t)
{
    struct counting *x = context;
    struct plan_counts *c = x->counts;
    const double work = images_of(x->plan, &x->plan->cells[t->cell], t);
    c->planned[t->stage]++;
    c->work += work;
    if (!is_over(t))
        return 0;
    c->done[t->stage]++;
    c->work_done += work;
    c->diverged += t->outcome.state == PANEL_DIVERGED;
    c->edited += (uint32_t)t->outcome.edited;
    c->failed += t->outcome.state == PANEL_FAILED && !t->outcome.edited;
    c->seconds += isfinite(t->outcome.seconds) ? t->outcome.seconds : 0;
    return 0;
}

/* What a cell will plan once its tuning is over. */
static void foresee(const struct plan *p, const struct plan_cell *c, struct plan_counts *counts)
{
    const struct study *s = p->study;
    const uint32_t *images = s->packs[c->pack].count, seeds = s->seed_count;
    for (int32_t k = c->rung + 1; s->tune.strategy == TUNE_HALVING && !c->tuned && k < s->tune.rungs; k++) {
        const uint32_t points = halving_keeps(s, c->point_count, k);
        counts->planned[STAGE_TUNE] += points;
        counts->work += (double)points * halving_epochs(s, k) * images[0];
    }
    for (uint32_t k = 0; k < seeds && (!c->tuned || c->chosen >= 0); k++) {
        const int finals = p->final && images[2] > 0;
        if (!c->refit[k]) {
            counts->planned[STAGE_REFIT]++;
            counts->work += (double)s->training.epochs * (images[0] + (s->refit_trainval ? images[1] : 0));
        }
        if (finals && !c->final[k] && (!c->refit[k] || !is_over(c->refit[k]))) {
            counts->planned[STAGE_FINAL]++;
            counts->work += images[2] / 3.0;
        }
    }
}

void plan_count(const struct plan *p, struct plan_counts *c)
{
    struct counting x = {.plan = p, .counts = c};
    *c = (struct plan_counts){0};
    each_trial(p, count_trial, &x);
    for (uint32_t i = 0; i < p->cell_count; i++)
        foresee(p, &p->cells[i], c);
}

void plan_strategy(const struct study *s, char text[256])
{
    const struct study_tune *t = &s->tune;
    if (t->strategy == TUNE_NONE)
        snprintf(text, 256, "no tuning");
    else if (t->strategy == TUNE_HALVING)
        snprintf(
            text, 256,
            "successive halving, %d rungs of one in %d, a budget of %u whole trainings a method and pack",
            t->rungs, t->eta, t->trials);
    else if (t->trials)
        snprintf(text, 256, "%s, %u trials a method and pack", tune_strategies[t->strategy], t->trials);
    else if (t->seconds > 0)
        snprintf(text, 256, "%s, %g seconds of training a method and pack", tune_strategies[t->strategy],
                 t->seconds);
    else
        snprintf(text, 256, "%s, every point of each method's own grid", tune_strategies[t->strategy]);
}
