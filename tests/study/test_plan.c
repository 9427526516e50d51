/* test_plan.c - what a study wants next is a function of the recipe and of the results that are there: the right
 * trials, each once, in whatever order they end and however often the study is interrupted. */
#include "hand_store.h"
#include "plan.h"
#include "rng.h"

#include <math.h>

static struct store *store;
static struct study *study;
static struct plan *plan;

static int afresh(void **state)
{
    (void)state;
    return system("rm -rf st") == 0 ? store_open(&store, "st", 1) : -1;
}

static int done(void **state)
{
    (void)state;
    plan_destroy(plan);
    study_destroy(study);
    store_close(store);
    plan = NULL;
    study = NULL;
    return 0;
}

/* A recipe with these methods (in JSON), search and strategy; one pack, two seeds, 9 epochs. */
static void begin(const char *methods, const char *search, const char *tune, int final)
{
    char text[HAND_TEXT];
    snprintf(
        text, sizeof text,
        "{'schema': 'vitro.recipe/1', 'name': 'n', 'backbones': [{'model': 'bundled'}], 'packs': ['one'],"
        " 'methods': [%s], 'search': {%s}, 'tune': {%s}, 'seeds': [4, 5],"
        " 'training': {'epochs': 9, 'batch': 4, 'warmup': 3}}",
        methods, search, tune);
    must(hand_parse(&study, text));
    hand_resolve(study);
    must(plan_create(&plan, study, store, final));
}

static void replan(int final)
{
    plan_destroy(plan);
    must(plan_create(&plan, study, store, final));
}

static double lr_of(const struct plan_trial *t)
{
    double lr = 0;
    json_number(json_get(json_get(t->spec, "training"), "lr"), &lr);
    return lr;
}

static const char *word(const struct plan_trial *t, const char *key)
{
    return json_string(json_get(t->spec, key));
}

/* What a trial would give: more right with every step of lr until 0.03, the loss from the seed. */
static struct hand usual(const struct plan_trial *t)
{
    const double lr = lr_of(t);
    return (struct hand){PANEL_DONE, lr < 0.005 ? 3 : lr < 0.02 ? 4 : lr < 0.05 ? 6 : 5, 1, 2};
}

static void finish(struct plan_trial *t, struct hand h)
{
    hand_result(store, t->spec, t->id, h);
    must(plan_done(plan, t));
}

/* Runs all there is, one after the other; returns how many. */
static int run_all(struct hand (*outcome)(const struct plan_trial *t))
{
    int n = 0;
    for (struct plan_trial *t; (t = plan_next(plan, 1)) != NULL && n < 10000; n++)
        finish(t, outcome(t));
    return n;
}

#define LR3 "'lr': [0.001, 0.01, 0.03]"

static void without_tuning_there_is_one_trial_then_the_refits(void **state)
{
    (void)state;
    begin("'lora'", "", "", 0);
    struct plan_trial *t = plan_next(plan, 1);
    assert_non_null(t);
    assert_int_equal(t->stage, STAGE_TUNE);
    assert_string_equal(word(t, "stage"), "tune");
    assert_string_equal(word(t, "split"), "train");
    assert_string_equal(word(t, "method"), "lora[r=8]");
    assert_null(json_get(json_get(t->spec, "pack"), "test"));
    assert_null(plan_next(plan, 1)); /* the refits wait for it */
    finish(t, usual(t));
    for (int k = 0; k < 2; k++) {
        t = plan_next(plan, 1);
        assert_int_equal(t->stage, STAGE_REFIT);
        assert_string_equal(word(t, "split"), "trainval");
        assert_string_equal(json_string(json_get(json_get(t->spec, "training"), "seed")), k ? "5" : "4");
        assert_null(json_get(json_get(t->spec, "pack"), "test"));
    }
    assert_null(plan_next(plan, 1));
}

static void a_grid_is_all_of_its_points(void **state)
{
    (void)state;
    begin("'lora','bitfit'", LR3 ", 'decay': [0.1, 0.2]", "'strategy': 'grid'", 0);
    assert_int_equal(plan->cell_count, 2);
    assert_int_equal(plan->cells[0].tune_count, 6);
    assert_int_equal(run_all(usual), 2 * (6 + 2));
    assert_true(fabs(lr_of(plan->cells[0].refit[0]) - 0.03) < 1e-9);
}

/* Which cell and stage is begun after the first cell's search has ended. */
static struct plan_trial *after_a_search(uint32_t workers)
{
    for (int k = 0; k < 3; k++) {
        struct plan_trial *t = plan_next(plan, workers);
        assert_true(t->cell == 0 && t->stage == STAGE_TUNE);
        finish(t, usual(t));
    }
    return plan_next(plan, workers);
}

static void near_the_end_the_earliest_stage_comes_first(void **state)
{
    (void)state;
    begin("'lora','bitfit','linear'", LR3, "'strategy': 'grid'", 1);
    struct plan_trial *t = after_a_search(1); /* three cells are left to one worker */
    assert_true(t->cell == 0 && t->stage == STAGE_REFIT);
    while (t->cell == 0) {
        finish(t, usual(t));
        t = plan_next(plan, 1);
    }
    for (; t->cell == 1; t = plan_next(plan, 1)) { /* two */
        assert_int_equal(t->stage, STAGE_TUNE);
        finish(t, usual(t));
    }
    assert_true(t->cell == 2 && t->stage == STAGE_TUNE);
    done(NULL);
    afresh(NULL);
    begin("'lora','bitfit','linear'", LR3, "'strategy': 'grid'", 1);
    t = after_a_search(2);
    assert_true(t->cell == 1 && t->stage == STAGE_TUNE);
    plan_return(t);
    enum stage last = STAGE_TUNE;
    for (; (t = plan_next(plan, 2)) != NULL; last = t->stage) {
        assert_true(t->stage >= last);
        finish(t, usual(t));
    }
    assert_int_equal(last, STAGE_FINAL);
}

static void random_search_is_as_many_points_as_its_budget(void **state)
{
    (void)state;
    begin("'lora','bitfit'", "'lr': {'log_uniform': [0.001, 0.1]}", "'strategy': 'random', 'trials': 5", 0);
    assert_int_equal(plan->cells[0].tune_count, 5);
    assert_int_equal(run_all(usual), 2 * (5 + 2));
    for (uint32_t k = 0; k < 5; k++) /* the same of both methods */
        assert_true(fabs(lr_of(plan->cells[0].tune[k]) - lr_of(plan->cells[1].tune[k])) < 1e-12);
}

static void time_ends_a_search_and_resumes_it(void **state)
{
    (void)state;
    begin("'lora'", "'lr': {'log_uniform': [0.001, 0.1]}", "'strategy': 'random', 'seconds': 5", 0);
    for (int k = 0; k < 3; k++) { /* each takes two seconds: 2, 4, 6 */
        struct plan_trial *t = plan_next(plan, 1);
        assert_int_equal(t->stage, STAGE_TUNE);
        assert_null(plan_next(plan, 1)); /* who knows how long this one takes */
        finish(t, usual(t));
        replan(0);
    }
    assert_true(plan->cells[0].tuned);
    assert_int_equal(plan->cells[0].tune_count, 3);
    assert_int_equal(plan_next(plan, 1)->stage, STAGE_REFIT);
}

static void trials_may_end_a_timed_search_too(void **state)
{
    (void)state;
    begin("'lora'", LR3, "'strategy': 'random', 'trials': 2, 'seconds': 1000", 0);
    assert_int_equal(run_all(usual), 2 + 2);
    done(NULL);
    afresh(NULL);
    begin("'lora'", LR3, "'strategy': 'random', 'seconds': 1000", 0);
    assert_int_equal(run_all(usual), 3 + 2); /* it has no more points */
}

static void a_small_space_searched_by_time_is_not_walked_in_order(void **state)
{
    (void)state;
    begin("'lora'", "'lr': [0.001, 0.002, 0.004, 0.008], 'decay': [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]",
          "'strategy': 'random', 'seconds': 15", 0);
    run_all(usual);
    const struct plan_cell *c = &plan->cells[0];
    assert_int_equal(c->tune_count, 8);
    int of[4] = {0}; /* eight trials: each rate twice, rather than the first eight times */
    for (uint32_t k = 0; k < 8; k++)
        of[lround(log2(lr_of(c->tune[k]) / 0.001))]++;
    for (int i = 0; i < 4; i++)
        assert_int_equal(of[i], 2);
}

/* --- selection */

static void choose_of(const struct hand *h, uint32_t count)
{
    begin("'lora'", LR3, "'strategy': 'grid'", 0);
    assert_int_equal(plan->cells[0].tune_count, count);
    for (uint32_t i = 0; i < count; i++)
        hand_result(store, plan->cells[0].tune[i]->spec, plan->cells[0].tune[i]->id, h[i]);
    replan(0);
}

static void the_most_accurate_is_chosen(void **state)
{
    (void)state;
    choose_of((const struct hand[]){{PANEL_DONE, 3, 1, 1}, {PANEL_DONE, 6, 1, 1}, {PANEL_DONE, 5, 4, 1}}, 3);
    assert_int_equal(plan->cells[0].chosen, 1);
    assert_int_equal(plan->cells[0].ties, 0);
}

static void of_equals_the_one_of_lower_loss_is_chosen(void **state)
{
    (void)state;
    choose_of((const struct hand[]){{PANEL_DONE, 6, 1, 1}, {PANEL_DONE, 6, 1.5f, 1}, {PANEL_DONE, 5, 4, 1}},
              3);
    assert_int_equal(plan->cells[0].chosen, 1); /* 6 of 8: the loss falls until the margin is about 1.8 */
    assert_int_equal(plan->cells[0].ties, 1);
}

static void of_quite_equal_ones_the_first_is_chosen(void **state)
{
    (void)state;
    choose_of((const struct hand[]){{PANEL_DONE, 5, 1, 1}, {PANEL_DONE, 6, 1, 1}, {PANEL_DONE, 6, 1, 1}}, 3);
    assert_int_equal(plan->cells[0].chosen, 1);
    assert_int_equal(plan->cells[0].ties, 1);
}

static void what_failed_diverged_or_was_edited_is_never_chosen(void **state)
{
    (void)state;
    choose_of(
        (const struct hand[]){{PANEL_FAILED, 8, 4, 1}, {PANEL_DIVERGED, 8, 4, 1}, {PANEL_DONE, 0, 1, 1}}, 3);
    assert_int_equal(plan->cells[0].chosen, 2);
    struct plan_counts c;
    plan_count(plan, &c);
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.diverged, 1);
    char path[STORE_PATH];
    must(store_path(store, STORE_RESULT, plan->cells[0].tune[2]->id, "val.safetensors", path));
    hand_logits(path, HAND_VAL, 8, 4);
    replan(0);
    plan_count(plan, &c);
    assert_int_equal(c.edited, 1);
    assert_int_equal(c.failed, 1);
    assert_int_equal(plan->cells[0].chosen, -1);
}

static struct hand fails(const struct plan_trial *t)
{
    (void)t;
    return (struct hand){PANEL_FAILED, 0, 0, 1};
}

static void where_all_failed_nothing_is_refitted(void **state)
{
    (void)state;
    begin("'lora','bitfit'", LR3, "'strategy': 'grid'", 1);
    assert_int_equal(run_all(fails), 6);
    assert_true(plan->cells[0].tuned && plan->cells[0].chosen == -1);
    assert_null(plan->cells[0].refit[0]);
    struct plan_counts c;
    plan_count(plan, &c);
    assert_int_equal(c.failed, 6);
    assert_int_equal(c.planned[STAGE_REFIT], 0);
    assert_int_equal(c.planned[STAGE_FINAL], 0);
}

/* --- finals */

static void finals_come_only_when_asked_for(void **state)
{
    (void)state;
    begin("'lora'", LR3, "'strategy': 'grid'", 0);
    assert_int_equal(run_all(usual), 3 + 2);
    replan(1);
    for (int k = 0; k < 2; k++) {
        struct plan_trial *t = plan_next(plan, 1);
        assert_int_equal(t->stage, STAGE_FINAL);
        assert_string_equal(word(t, "refit"), plan->cells[0].refit[k]->id);
        assert_non_null(json_get(json_get(t->spec, "pack"), "test"));
        finish(t, usual(t));
    }
    assert_null(plan_next(plan, 1));
    replan(0);
    assert_null(plan->cells[0].final[0]);
    study->packs[0].count[2] = 0; /* a pack without a test split has none */
    replan(1);
    assert_null(plan->cells[0].final[0]);
}

static void a_refit_that_failed_has_no_final(void **state)
{
    (void)state;
    begin("'lora'", LR3, "'strategy': 'grid'", 1);
    for (struct plan_trial *t; (t = plan_next(plan, 1)) != NULL;)
        finish(t, t->stage == STAGE_REFIT && t->seed == 0 ? fails(t) : usual(t));
    assert_null(plan->cells[0].final[0]);
    assert_non_null(plan->cells[0].final[1]);
    assert_int_equal(plan->cells[0].final[1]->outcome.state, PANEL_DONE);
}

/* --- twins */

static void two_spellings_of_one_trial_run_once(void **state)
{
    (void)state;
    begin("'lora'", "'lr': [0.001, '1e-3', 0.01]", "'strategy': 'grid'", 0);
    const struct plan_cell *c = &plan->cells[0];
    assert_string_equal(c->tune[0]->id, c->tune[1]->id);
    struct plan_trial *first = plan_next(plan, 1), *second = plan_next(plan, 1);
    assert_ptr_equal(first, c->tune[0]);
    assert_ptr_equal(second, c->tune[2]);
    assert_null(plan_next(plan, 1));
    finish(first, usual(first));
    assert_int_equal(c->tune[1]->outcome.state, PANEL_DONE);
    assert_null(plan_next(plan, 1));
    finish(second, usual(second));
    assert_int_equal(plan_next(plan, 1)->stage, STAGE_REFIT);
}

static void a_trial_that_is_given_back_is_given_again(void **state)
{
    (void)state;
    begin("'lora'", LR3, "'strategy': 'grid'", 0);
    struct plan_trial *first = plan_next(plan, 1);
    plan_return(first);
    assert_ptr_equal(plan_next(plan, 1), first);
    must(plan_done(plan, first)); /* whoever says done without a result has done nothing */
    assert_ptr_equal(plan_next(plan, 1), first);
}

/* --- successive halving */

#define HALVING(trials) "'strategy': 'halving', 'eta': 3, 'rungs': 2, 'trials': " #trials

static double epochs_spent(void)
{
    double spent = 0;
    for (uint32_t i = 0; i < plan->cells[0].tune_count; i++)
        spent += plan->cells[0].tune[i]->epochs;
    return spent;
}

static void halving_keeps_the_best_and_its_budget(void **state)
{
    (void)state;
    begin("'lora'", "'lr': {'log_uniform': [0.001, 0.1]}", HALVING(4), 0);
    const struct plan_cell *c = &plan->cells[0];
    assert_int_equal(c->point_count, 6); /* 6 of 3 epochs and 2 of 9: 36 of 36 */
    assert_int_equal(c->tune_count, 6);
    const uint32_t right[6] = {2, 7, 1, 3, 6, 5};
    for (uint32_t k = 0; k < 6; k++) {
        struct plan_trial *t = plan_next(plan, 1);
        assert_int_equal(t->epochs, 3);
        double epochs, warmup;
        json_number(json_get(json_get(t->spec, "training"), "epochs"), &epochs);
        json_number(json_get(json_get(t->spec, "training"), "warmup"), &warmup);
        assert_true(epochs == 3 && warmup == 1);
        finish(t, (struct hand){PANEL_DONE, right[t->point], 1, 1});
    }
    assert_int_equal(c->tune_count, 8);
    assert_int_equal(c->tune[6]->point, 1);
    assert_int_equal(c->tune[7]->point, 4);
    assert_true(epochs_spent() <= 4 * 9);
    struct plan_trial *t = plan_next(plan, 1);
    assert_int_equal(t->epochs, 9);
    finish(t, (struct hand){PANEL_DONE, 4, 1, 1});
    t = plan_next(plan, 1);
    finish(t, (struct hand){PANEL_DONE, 5, 1, 1});
    assert_int_equal(c->chosen, 7); /* though 1 was better when it was short */
    assert_int_equal(c->ties, 0);
    assert_int_equal(plan_next(plan, 1)->point, 4);
}

static void halving_stays_within_every_budget(void **state)
{
    (void)state;
    for (int rungs = 2; rungs <= 3; rungs++)
        for (int eta = 2; eta <= 3; eta++)
            for (int trials = 3; trials < 40; trials += 6) {
                char tune[128];
                snprintf(tune, sizeof tune, "'strategy': 'halving', 'eta': %d, 'rungs': %d, 'trials': %d",
                         eta, rungs, trials);
                begin("'lora'", "'lr': {'log_uniform': [0.001, 0.1]}", tune, 0);
                struct plan_counts c;
                plan_count(plan, &c);
                run_all(usual);
                assert_true(epochs_spent() <= trials * 9);
                assert_int_equal(c.planned[STAGE_TUNE], plan->cells[0].tune_count); /* foreseen */
                int rung = 0;
                for (uint32_t i = 0; i < plan->cells[0].tune_count; i++) {
                    assert_in_range(plan->cells[0].tune[i]->rung, rung, rungs - 1);
                    rung = plan->cells[0].tune[i]->rung;
                }
                assert_int_equal(rung, rungs - 1);
                done(NULL);
                afresh(NULL);
            }
}

static struct hand fails_below(const struct plan_trial *t)
{
    return lr_of(t) < 0.02 ? fails(t) : usual(t);
}

static void halving_takes_no_failure_to_the_next_rung(void **state)
{
    (void)state;
    begin("'lora'", "'lr': [0.001, 0.002, 0.003, 0.004, 0.03]", HALVING(4), 0);
    run_all(fails_below);
    const struct plan_cell *c = &plan->cells[0];
    assert_int_equal(c->tune_count, 5 + 1);
    assert_true(lr_of(c->tune[5]) > 0.02);
    assert_int_equal(c->chosen, 5);
    done(NULL);
    afresh(NULL);
    begin("'lora'", "'lr': [0.001, 0.002, 0.003, 0.004, 0.03]", HALVING(4), 0);
    assert_int_equal(run_all(fails), 5);
    assert_int_equal(plan->cells[0].chosen, -1);
    assert_true(plan->cells[0].tuned);
}

static void halving_ranks_thousands_of_points(void **state)
{
    (void)state;
    enum { TRIALS = 1100 }; /* 1650 points of 3 epochs, 550 of 9 */
    begin("'lora'", "'lr': {'uniform': [0.001, 1]}",
          "'strategy': 'halving', 'eta': 3, 'rungs': 2, 'trials': 1100", 0);
    struct plan_cell *c = &plan->cells[0];
    const uint32_t first = c->tune_count;
    assert_int_equal(first, TRIALS * 3 / 2);
    for (uint32_t i = 0; i < first; i++) { /* the later the better */
        c->tune[i]->outcome.state = i + 1 < first ? PANEL_DONE : PANEL_MISSING;
        c->tune[i]->outcome.accuracy = i / 2000.0;
    }
    finish(c->tune[first - 1], (struct hand){PANEL_DONE, 8, 1, 1});
    assert_int_equal(c->tune_count, first + first / 3);
    for (uint32_t i = first; i < c->tune_count; i++)
        assert_int_equal(c->tune[i]->point, first - 1 - (i - first));
}

/* --- whatever happens in between */

static void assert_same_trial(const struct plan_trial *a, const struct plan_trial *b)
{
    assert_int_equal(a != NULL, b != NULL);
    if (!a)
        return;
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->stage, b->stage);
    assert_int_equal(a->point, b->point);
    assert_int_equal(a->rung, b->rung);
    assert_int_equal(a->seed, b->seed);
    assert_int_equal(a->outcome.state, b->outcome.state);
}

static void assert_same_plan(const struct plan *a, const struct plan *b)
{
    for (uint32_t i = 0; i < a->cell_count; i++) {
        const struct plan_cell *x = &a->cells[i], *y = &b->cells[i];
        assert_int_equal(x->tune_count, y->tune_count);
        for (uint32_t k = 0; k < x->tune_count; k++)
            assert_same_trial(x->tune[k], y->tune[k]);
        assert_int_equal(x->tuned, y->tuned);
        assert_int_equal(x->chosen, y->chosen);
        assert_int_equal(x->ties, y->ties);
        assert_int_equal(x->rung, y->rung);
        for (uint32_t k = 0; k < study->seed_count; k++) {
            assert_same_trial(x->refit[k], y->refit[k]);
            assert_same_trial(x->final[k], y->final[k]);
        }
    }
    struct plan_counts c, d;
    plan_count(a, &c);
    plan_count(b, &d);
    assert_memory_equal(c.planned, d.planned, sizeof c.planned);
    assert_memory_equal(c.done, d.done, sizeof c.done);
}

/* Of the trial alone, so that it is the same whenever it runs. */
static struct hand drawn(const struct plan_trial *t)
{
    struct rng g = rng_named(1, t->id);
    const uint32_t u = rng_below(&g, 10);
    return (struct hand){u == 0   ? PANEL_FAILED
                         : u == 1 ? PANEL_DIVERGED
                                  : PANEL_DONE,
                         rng_below(&g, 7), 1 + 0.25f * (float)rng_below(&g, 3), 1 + rng_below(&g, 3)};
}

/* Up to three trials run at once and end in any order; after each, the plan must be what the store alone gives. */
static void go_randomly(uint64_t seed, char last[HASH_TEXT])
{
    struct plan_trial *running[3] = {0};
    struct rng g = rng_named(seed, "order");
    for (int steps = 0; steps < 1000; steps++) {
        uint32_t busy = 0;
        for (int w = 0; w < 3; w++) {
            if (!running[w])
                running[w] = plan_next(plan, 3);
            busy += running[w] != NULL;
        }
        if (!busy)
            break;
        for (int w = 0; w < 3; w++)
            for (int v = 0; v < w; v++)
                if (running[w] && running[v])
                    assert_string_not_equal(running[w]->id, running[v]->id);
        uint32_t w = rng_below(&g, 3);
        while (!running[w])
            w = (w + 1) % 3;
        struct plan_trial *t = running[w];
        running[w] = NULL;
        finish(t, drawn(t));
        struct plan *fresh = NULL;
        must(plan_create(&fresh, study, store, 1));
        assert_same_plan(plan, fresh);
        if (rng_below(&g, 4) == 0) { /* interrupted: all that ran is lost */
            plan_destroy(plan);
            plan = fresh;
            memset(running, 0, sizeof running);
        } else {
            plan_destroy(fresh);
        }
    }
    struct hash *h = NULL;
    must(hash_begin(&h));
    for (uint32_t i = 0; i < plan->cell_count; i++)
        for (uint32_t k = 0; k < study->seed_count; k++) {
            const struct plan_cell *c = &plan->cells[i];
            hash_add(h, c->refit[k] ? c->refit[k]->id : "-", 1 + (c->refit[k] ? HASH_TEXT - 2 : 0));
            hash_add(h, c->final[k] ? c->final[k]->id : "-", 1 + (c->final[k] ? HASH_TEXT - 2 : 0));
        }
    must(hash_end(h, last));
}

static void the_plan_is_what_the_store_alone_gives_in_any_order(void **state)
{
    (void)state;
    static const char *const tunes[] = {
        "",
        "'strategy': 'grid'",
        "'strategy': 'grid', 'seconds': 6",
        "'strategy': 'random', 'trials': 4",
        "'strategy': 'random', 'seconds': 9",
        "'strategy': 'random', 'trials': 5, 'seconds': 6",
        "'strategy': 'halving', 'eta': 2, 'rungs': 3, 'trials': 5",
    };
    for (size_t i = 0; i < sizeof tunes / sizeof *tunes; i++) {
        char ends[4][HASH_TEXT];
        for (uint64_t seed = 0; seed < 4; seed++) {
            begin("'lora','bitfit'", i ? LR3 ", 'decay': [0.1, 0.2, 0.3]" : "", tunes[i], 1);
            go_randomly(seed, ends[seed]);
            assert_null(plan_next(plan, 1));
            assert_string_equal(ends[seed], ends[0]); /* the same end whatever the order */
            done(NULL);
            afresh(NULL);
        }
    }
}

/* So that a later program, which may draw others, finds the results of this one. */
static void a_study_read_back_is_planned_from_the_points_it_keeps(void **state)
{
    (void)state;
    struct study *back = NULL;
    char kept[4][HASH_TEXT];
    begin("'lora'", "'lr': {'log_uniform': [0.001, 0.1]}", "'strategy': 'random', 'trials': 4", 0);
    for (int k = 0; k < 4; k++)
        strcpy(kept[k], plan->cells[0].tune[k]->id);
    must(study_save(study, "study.json"));
    must(study_load(&back, "study.json"));
    back->methods[0].axes[0].high = 0.01; /* what would be drawn now is something else */
    plan_destroy(plan);
    study_destroy(study);
    study = back;
    must(plan_create(&plan, study, store, 0));
    assert_int_equal(plan->cells[0].tune_count, 4);
    for (int k = 0; k < 4; k++)
        assert_string_equal(plan->cells[0].tune[k]->id, kept[k]);
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    begin("'lora'", LR3, HALVING(4), 1);
    run_all(usual);
    plan_destroy(plan);
    plan = NULL;
    int rc = ERR_MEMORY;
    for (long after = 0; rc < 0; after += 1 + after / 16) {
        mem_fail_after(after);
        rc = plan_create(&plan, study, store, 1);
        mem_fail_after(-1);
        if (rc != 0 && rc != ERR_MEMORY)
            fail_msg("%s", error_text());
    }
}

static void the_strategy_is_told_in_a_line(void **state)
{
    (void)state;
    char text[256];
    begin("'lora'", LR3, HALVING(4), 0);
    plan_strategy(study, text);
    assert_string_equal(
        text, "successive halving, 2 rungs of one in 3, a budget of 4 whole trainings a method and pack");
    study->tune = (struct study_tune){.strategy = TUNE_RANDOM, .seconds = 90};
    plan_strategy(study, text);
    assert_string_equal(text, "random, 90 seconds of training a method and pack");
    study->tune = (struct study_tune){.strategy = TUNE_GRID};
    plan_strategy(study, text);
    assert_string_equal(text, "grid, every point of each method's own grid");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, afresh, done)
    const struct CMUnitTest tests[] = {
        T(without_tuning_there_is_one_trial_then_the_refits),
        T(a_grid_is_all_of_its_points),
        T(near_the_end_the_earliest_stage_comes_first),
        T(random_search_is_as_many_points_as_its_budget),
        T(time_ends_a_search_and_resumes_it),
        T(trials_may_end_a_timed_search_too),
        T(a_small_space_searched_by_time_is_not_walked_in_order),
        T(the_most_accurate_is_chosen),
        T(of_equals_the_one_of_lower_loss_is_chosen),
        T(of_quite_equal_ones_the_first_is_chosen),
        T(what_failed_diverged_or_was_edited_is_never_chosen),
        T(where_all_failed_nothing_is_refitted),
        T(finals_come_only_when_asked_for),
        T(a_refit_that_failed_has_no_final),
        T(two_spellings_of_one_trial_run_once),
        T(a_trial_that_is_given_back_is_given_again),
        T(halving_keeps_the_best_and_its_budget),
        T(halving_stays_within_every_budget),
        T(halving_takes_no_failure_to_the_next_rung),
        T(halving_ranks_thousands_of_points),
        T(the_plan_is_what_the_store_alone_gives_in_any_order),
        T(a_study_read_back_is_planned_from_the_points_it_keeps),
        T(running_out_of_memory_is_an_error_like_any_other),
        T(the_strategy_is_told_in_a_line),
    };
    return cmocka_run_group_tests(tests, hand_enter, hand_leave);
}
