/* panel_maker.h - synthetic panels with planted accuracies and planted agreement, the same on every machine. An answer
 * is right where a normal number, partly shared by all methods, partly by the seeds of one, is below a threshold. */
#ifndef VITRO_TESTS_STUDY_PANEL_MAKER_H
#define VITRO_TESTS_STUDY_PANEL_MAKER_H

#include "memory.h"
#include "panel.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAKER_METHODS = 12, MAKER_TRIALS = 6 };

struct panel_plan {
    uint32_t methods, packs, seeds, val_images, test_images;
    int32_t classes;
    double accuracy[MAKER_METHODS];
    double pack_shift;    /* added to every accuracy for each pack after the first */
    double by_image;      /* share of variance that all methods have in common: hard images */
    double by_method;     /* share that the seeds of a method have in common */
    double run_deviation; /* of a run's own accuracy around the method's: luck of a seed */
    double same_mistake;  /* how often a wrong answer is the image's typical one rather than any */
    uint64_t seed;
};

struct made_panel {
    struct arena memory;
    struct panel panel;
    struct panel_method *methods;
    struct panel_pack *packs;
};

static inline char *maker_text(struct made_panel *made, const char *word, uint32_t number)
{
    char text[64];
    snprintf(text, sizeof text, "%s%u", word, number);
    return arena_string(&made->memory, text);
}

static inline void maker_id(char id[PANEL_ID], uint64_t number)
{
    for (int i = 0; i < 8; i++)
        snprintf(id + (size_t)i * 8, 9, "%08x", philox4x32(number, (uint64_t)i, 7).word[0]);
}

/* Where the normal distribution has the share `p` below. */
static inline double maker_quantile(double p)
{
    double low = -9, high = 9;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (0.5 * erfc(-middle / sqrt(2)) < p)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static inline int32_t *maker_labels(struct made_panel *made, const struct panel_plan *plan, const char *split,
                                    uint32_t images)
{
    struct rng r = rng_named(plan->seed, split);
    int32_t *labels = arena_alloc(&made->memory, images, sizeof *labels);
    for (uint32_t i = 0; labels && i < images; i++)
        labels[i] = (int32_t)rng_below(&r, (uint32_t)plan->classes);
    return labels;
}

static inline int32_t maker_answer(const struct panel_plan *plan, int right, int32_t label,
                                   struct rng *shared, struct rng *own)
{
    int32_t others = plan->classes - 1;
    int32_t typical = (int32_t)rng_below(shared, (uint32_t)others),
            any = (int32_t)rng_below(own, (uint32_t)others);
    int32_t step = rng_uniform(own) < plan->same_mistake ? typical : any;
    return right ? label : (label + 1 + step) % plan->classes;
}

/* Logits [images][classes]. `split` names what all methods share, `method` what the seeds of one do. */
static inline float *maker_logits(struct made_panel *made, const struct panel_plan *plan, const char *split,
                                  const char *method, const char *run, double accuracy, const int32_t *labels,
                                  uint32_t images)
{
    char hard[80];
    snprintf(hard, sizeof hard, "%s hard", split);
    struct rng shared = rng_named(plan->seed, hard), of_method = rng_named(plan->seed, method),
               own = rng_named(plan->seed, run);
    double rest = 1 - plan->by_image - plan->by_method, threshold = maker_quantile(accuracy);
    size_t classes = (size_t)plan->classes;
    float *logits = arena_alloc(&made->memory, images * classes, sizeof *logits);
    for (uint32_t i = 0; logits && i < images; i++) {
        double u = sqrt(plan->by_image) * rng_normal(&shared) +
                   sqrt(plan->by_method) * rng_normal(&of_method) + sqrt(rest) * rng_normal(&own);
        float *z = logits + i * classes, top = -1;
        int32_t answer = maker_answer(plan, u < threshold, labels[i], &shared, &own);
        for (size_t k = 0; k < classes; k++) {
            z[k] = (float)rng_uniform(&own);
            top = z[k] > top ? z[k] : top;
        }
        z[answer] = top + 0.2f + 3 * (float)fabs(u - threshold) * (u < threshold ? 1.0f : 0.6f);
    }
    return logits;
}

static inline double maker_accuracy(const struct panel_plan *plan, uint32_t method, uint32_t pack)
{
    double accuracy = plan->accuracy[method] + plan->pack_shift * pack;
    return accuracy < 0.02 ? 0.02 : accuracy > 0.98 ? 0.98 : accuracy;
}

static inline double maker_share(const struct panel_plan *plan, const float *logits, const int32_t *labels,
                                 uint32_t images)
{
    uint32_t right = 0;
    for (uint32_t i = 0; i < images; i++) {
        const float *z = logits + i * (size_t)plan->classes;
        int32_t best = 0;
        for (int32_t k = 1; k < plan->classes; k++)
            best = z[k] > z[best] ? k : best;
        right += best == labels[i];
    }
    return (double)right / images;
}

/* Six trials, of which one has the val logits; the others are worse by a few images. */
static inline void maker_tune(struct made_panel *made, const struct panel_plan *plan, uint32_t method,
                              uint32_t pack)
{
    struct panel_cell *cell = panel_at(&made->panel, method, pack);
    struct rng r = rng_named(plan->seed, maker_text(made, "tuning", method * 100 + pack));
    double best = maker_share(plan, cell->val_logits, made->packs[pack].val_labels, plan->val_images);
    cell->trials = arena_alloc(&made->memory, MAKER_TRIALS, sizeof *cell->trials);
    cell->trial_count = MAKER_TRIALS;
    cell->chosen = (int32_t)rng_below(&r, MAKER_TRIALS);
    for (uint32_t i = 0; i < MAKER_TRIALS; i++) {
        struct panel_trial *t = &cell->trials[i];
        double behind = floor((0.01 + 0.15 * rng_uniform(&r)) * plan->val_images) / plan->val_images;
        *t = (struct panel_trial){.method = made->methods[method].text,
                                  .lr = 1e-4 * pow(10, i % 3),
                                  .decay = i < 3 ? 1e-4 : 1e-3,
                                  .epochs = 8,
                                  .state = PANEL_DONE,
                                  .val_accuracy = i == (uint32_t)cell->chosen ? best : fmax(best - behind, 0),
                                  .seconds = 10 + 5 * rng_uniform(&r)};
        t->val_nll = 2.5 * (1 - t->val_accuracy) + 0.1;
        maker_id(t->id, plan->seed * 1000003 + (method * 100 + pack) * 100 + i);
    }
    int32_t rate = cell->chosen % 3;
    cell->edges = rate == 0 ? "lr at its lowest" : rate == 2 ? "lr at its highest" : "";
}

static inline void maker_cell(struct made_panel *made, const struct panel_plan *plan, uint32_t method,
                              uint32_t pack)
{
    struct panel_cell *cell = panel_at(&made->panel, method, pack);
    const struct panel_pack *p = &made->packs[pack];
    double accuracy = maker_accuracy(plan, method, pack);
    char split[64], shared[64], run[64];
    snprintf(split, sizeof split, "val %u", pack);
    snprintf(shared, sizeof shared, "val %u of %u", pack, method);
    snprintf(run, sizeof run, "val %u of %u once", pack, method);
    cell->val_logits =
        maker_logits(made, plan, split, shared, run, accuracy, p->val_labels, plan->val_images);
    cell->parameters = 5000 * ((int64_t)method + 1);
    cell->parameters_head = 64 * (int64_t)plan->classes;
    cell->runs = arena_alloc(&made->memory, plan->seeds, sizeof *cell->runs);
    snprintf(split, sizeof split, "test %u", pack);
    snprintf(shared, sizeof shared, "test %u of %u", pack, method);
    struct rng luck = rng_named(plan->seed, maker_text(made, "luck", method * 100 + pack));
    for (uint32_t s = 0; s < plan->seeds; s++) {
        double of_run = fmin(0.98, fmax(0.02, accuracy + plan->run_deviation * rng_normal(&luck)));
        snprintf(run, sizeof run, "test %u of %u with %u", pack, method, s);
        cell->runs[s] = (struct panel_run){.state = PANEL_DONE,
                                           .seconds = 20 + method + 0.5 * s,
                                           .images_a_second = 800 - 30.0 * method,
                                           .test_images_a_second = 2000 - 50.0 * method,
                                           .host_bytes = (200u + method) << 20,
                                           .device_bytes = (300u + 10 * method) << 20,
                                           .stored_bytes = 20000u * (method + 1),
                                           .device = "llvmpipe (Mesa 26.1.6)"};
        cell->runs[s].logits =
            maker_logits(made, plan, split, shared, run, of_run, p->test_labels, plan->test_images);
        maker_id(cell->runs[s].refit, plan->seed * 7919 + (method * 100 + pack) * 10 + s);
        maker_id(cell->runs[s].final, plan->seed * 104729 + (method * 100 + pack) * 10 + s);
    }
    maker_tune(made, plan, method, pack);
}

static inline void maker_packs(struct made_panel *made, const struct panel_plan *plan)
{
    static const char *const groups[] = {"natural", "specialised", "structured"};
    static const char *const names[] = {"textures", "cells", "count", "digits", "tissue", "distance"};
    made->packs = arena_alloc(&made->memory, plan->packs, sizeof *made->packs);
    for (uint32_t i = 0; i < plan->packs; i++) {
        char *fingerprint = arena_alloc(&made->memory, PANEL_ID, 1);
        const char *name = i < 6 ? names[i] : maker_text(made, "pack", i);
        maker_id(fingerprint, plan->seed * 31 + i);
        made->packs[i] = (struct panel_pack){.name = name,
                                             .task = name,
                                             .group = groups[i % 3],
                                             .fingerprint = fingerprint,
                                             .classes = plan->classes,
                                             .image = 48,
                                             .normalise = "half",
                                             .train_images = 500,
                                             .val_images = plan->val_images,
                                             .test_images = plan->test_images};
        made->packs[i].val_labels =
            maker_labels(made, plan, maker_text(made, "val labels", i), plan->val_images);
        made->packs[i].test_labels =
            maker_labels(made, plan, maker_text(made, "test labels", i), plan->test_images);
    }
}

static inline void maker_openings(struct made_panel *made, const struct panel_plan *plan)
{
    uint32_t count = 0;
    struct panel_opening *openings =
        arena_alloc(&made->memory, (size_t)plan->methods * plan->packs * plan->seeds, sizeof *openings);
    for (uint32_t m = 0; m < plan->methods; m++)
        for (uint32_t p = 0; p < plan->packs; p++)
            for (uint32_t s = 0; s < plan->seeds; s++) {
                openings[count] = (struct panel_opening){.when = "2026-11-23T06:41:03Z",
                                                         .method = made->methods[m].name,
                                                         .pack = made->packs[p].name,
                                                         .reason = "the study's plan",
                                                         .seed = made->panel.seeds[s]};
                memcpy(openings[count++].trial, panel_at(&made->panel, m, p)->runs[s].final, PANEL_ID);
            }
    made->panel.openings = openings;
    made->panel.opening_count = count;
}

/* Every cell done; a test changes what it is about. Freed with arena_finish(&made->memory). */
static inline void panel_make(struct made_panel *made, const struct panel_plan *plan)
{
    static const char *const names[MAKER_METHODS] = {"linear",      "bitfit", "ssf",     "lora",
                                                     "adaptformer", "vpt",    "fact",    "convpass",
                                                     "houlsby",     "norm",   "difffit", "full"};
    *made = (struct made_panel){0};
    made->methods = arena_alloc(&made->memory, plan->methods, sizeof *made->methods);
    uint64_t *seeds = arena_alloc(&made->memory, plan->seeds, sizeof *seeds);
    for (uint32_t m = 0; m < plan->methods; m++)
        made->methods[m] = (struct panel_method){.name = names[m],
                                                 .text = names[m],
                                                 .space = "lr 1e-4 1e-3 1e-2, decay 1e-4 1e-3",
                                                 .space_size = MAKER_TRIALS,
                                                 .budget = MAKER_TRIALS};
    for (uint32_t s = 0; s < plan->seeds; s++)
        seeds[s] = s;
    maker_packs(made, plan);
    made->panel = (struct panel){
        .study = "synthetic",
        .recipe_hash = "0000000000000000000000000000000000000000000000000000000000000000",
        .backbone = "vitro-micro",
        .backbone_hash = "1111111111111111111111111111111111111111111111111111111111111111",
        .strategy = "grid of 6 trials a method",
        .equal_budget = 1,
        .refit_on_trainval = 1,
        .method_count = plan->methods,
        .pack_count = plan->packs,
        .seed_count = plan->seeds,
        .methods = made->methods,
        .packs = made->packs,
        .seeds = seeds,
        .cells = arena_alloc(&made->memory, (size_t)plan->methods * plan->packs, sizeof(struct panel_cell)),
        .ledger_intact = 1,
    };
    for (uint32_t m = 0; m < plan->methods; m++)
        for (uint32_t p = 0; p < plan->packs; p++)
            maker_cell(made, plan, m, p);
    maker_openings(made, plan);
}

static inline void panel_spoil(struct made_panel *made, uint32_t method, uint32_t pack, uint32_t seed,
                               enum panel_state state, const char *reason)
{
    struct panel_run *run = &panel_at(&made->panel, method, pack)->runs[seed];
    *run = (struct panel_run){.state = state, .reason = reason};
}

/* As before `open`: the refits are trained, no test split has been looked at. */
static inline void panel_seal(struct made_panel *made)
{
    for (uint32_t p = 0; p < made->panel.pack_count; p++) {
        made->packs[p].test_labels = NULL;
        for (uint32_t m = 0; m < made->panel.method_count; m++)
            for (uint32_t s = 0; s < made->panel.seed_count; s++) {
                struct panel_run *run = &panel_at(&made->panel, m, p)->runs[s];
                run->state = PANEL_MISSING;
                run->reason = "the test split is sealed";
                run->logits = NULL;
                run->test_images_a_second = 0;
                run->final[0] = 0;
            }
    }
    made->panel.opening_count = 0;
}

#endif
