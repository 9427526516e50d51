/* verb_demo.c - `vitro demo`: a small study from nothing to a report: methods tuned with equal budgets on built-in
 * tasks, judged once on test splits that were sealed until then. */
#include "demo_recipe.h"
#include "model_source.h"
#include "plugin.h"
#include "progress.h"
#include "report.h"
#include "study_source.h"
#include "study_view.h"
#include "study_work.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static int make_study(struct study **out, struct store *store, const struct settings *s)
{
    struct json *recipe = NULL;
    struct study *parsed = NULL;
    TRY(demo_recipe(&recipe, s));
    int rc = study_parse(&parsed, recipe, "the demo's recipe");
    json_destroy(recipe);
    if (rc == 0)
        rc = study_resolve(out, store, s, parsed);
    if (rc < 0)
        study_destroy(parsed);
    return rc;
}

static int work(struct store *store, const struct settings *s)
{
    struct study *study = NULL;
    int rc = make_study(&study, store, s);
    if (rc == 0)
        rc = study_work(study, store, s);
    study_destroy(study);
    return rc;
}

/* The table, and the page with everything behind it. */
static int conclude(const struct settings *s)
{
    struct json *analysis = NULL;
    char path[STORE_PATH];
    TRY(view_build(&analysis, s));
    snprintf(path, sizeof path, "%s/studies/demo/report.html", s->store);
    int rc = report_write(analysis, path);
    if (rc == 0 && s->json)
        rc = json_print(analysis);
    else if (rc == 0)
        rc = compare_print(analysis);
    if (rc == 0 && !s->json)
        printf("\nreport: %s\n", path);
    json_destroy(analysis);
    return rc;
}

static int run(const struct settings *s)
{
    static const char *const name[] = {"demo"};
    struct settings with = *s;
    struct store *store = NULL;
    if (!s->model)
        TRY(bundled_missing());
    with.final = 1;
    with.replace = 1; /* the demo's options are its recipe: other options are another demo */
    with.again = "a demo with other options";
    with.rest = name;
    with.rest_count = 1;
    TRY(store_open(&store, s->store, 1));
    int rc = work(store, &with);
    store_close(store);
    return rc < 0 ? rc : conclude(&with);
}

static void preset(struct settings *s)
{
    s->tasks = "textures,cells,count";
    s->methods = "linear,bitfit,lora,adaptformer,vpt[prompts=5],full";
    s->images = 280;
    s->trials = 2;
    s->seeds = 2;
    s->recipe.batch = 32;
    s->recipe.epochs = 5;
    s->recipe.warmup = 1;
    s->recipe.schedule = SCHEDULE_PLAIN;
    s->recipe.drop_last = 0;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"tasks", 't', ARGUMENT_TEXT, FIELD(tasks), 0, 0, NULL, "NAMES",
     "built-in tasks (`vitro tasks`), separated by commas"},
    {"methods", 'M', ARGUMENT_TEXT, FIELD(methods), 0, 0, NULL, "METHODS",
     "methods, separated by commas, as in linear,lora[r=4]"},
    {"images", 0, ARGUMENT_WHOLE, FIELD(images), 10, 1e6, NULL, "N",
     "images of each task to train on: train and val together"},
    {"epochs", 'e', ARGUMENT_WHOLE, FIELD(recipe.epochs), 1, 100000, NULL, "N", "passes over the images"},
    {"trials", 0, ARGUMENT_WHOLE, FIELD(trials), 1, 1000, NULL, "N",
     "of tuning, for every method and task alike"},
    {"seeds", 0, ARGUMENT_WHOLE, FIELD(seeds), 1, 100, NULL, "N", "trainings of what was chosen"},
    {"jobs", 'j', ARGUMENT_WHOLE, FIELD(jobs), 0, CREW_MOST, NULL, "N",
     "workers at a time; 0: one a GPU, or as many as there are processors"},
    {0}};
static const struct argument_group group = {"What to run", rows};
static const struct argument_group *const groups[] = {&group,         &group_store,   &group_model,
                                                      &group_machine, &group_plugins, &group_view,
                                                      &group_json,    &group_general, NULL};
const struct verb verb_demo = {
    .name = "demo",
    .summary = "a small study from nothing to a report, in minutes",
    .synopsis = "[--tasks NAMES] [--methods METHODS] [--epochs N]",
    .about = "Compares six methods on three tasks that the program draws itself, as `vitro study run` does "
             "any recipe: each is "
             "tuned with the same budget, trained again with two seeds and judged once on a sealed test "
             "split; it ends with a table "
             "and a report. Model and tasks are stand-ins that need no download: they show that everything "
             "works, not which "
             "method is better on photographs. The same command goes on where it was interrupted.",
    .examples = {"vitro demo", "vitro demo --tasks distance,cells --methods linear,lora[r=4] --epochs 10"},
    .groups = groups,
    .preset = preset,
    .run = run,
};
