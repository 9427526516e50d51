/* verb_study.c - `vitro study run|resume|status|plan|list`: studies, from recipes to results. */
#include "driver.h"

#include "clock.h"
#include "file.h"
#include "panel_load.h"
#include "plan.h"
#include "progress.h"
#include "shift_work.h"
#include "study_show.h"
#include "study_source.h"
#include "study_work.h"
#include "table.h"

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* --- run, resume */

static int open_recipe(struct study **out, struct store *store, const struct settings *s)
{
    struct study *recipe = NULL;
    if (!study_is_file(s->rest[1]))
        return study_open(out, store, s->rest[1]);
    TRY(study_read(&recipe, s->rest[1]));
    int rc = study_resolve(out, store, s, recipe);
    if (rc < 0)
        study_destroy(recipe);
    return rc < 0 ? fail_in(rc, "%s", s->rest[1]) : 0;
}

static int run_study(const struct settings *s)
{
    struct store *store = NULL;
    struct study *study = NULL;
    int rc;
    TRY_OUT(store_open(&store, s->store, 1));
    TRY_OUT(open_recipe(&study, store, s));
    TRY_OUT(shift_check(study, s));
    TRY_OUT(study_work(study, store, s));
    rc = s->final ? shift_follow(study, store, s) : 0;
out:
    study_destroy(study);
    store_close(store);
    return rc;
}

static int resume(const struct settings *s)
{
    if (study_is_file(s->rest[1]))
        return fail(ERR_USAGE,
                    "resume takes the name of a study; `vitro study run %s` goes on with a recipe's",
                    s->rest[1]);
    return run_study(s);
}

/* --- status, plan */

static int show_plan(const struct settings *s, struct study *study, struct store *store,
                     int (*print)(const struct json *document))
{
    struct plan *plan = NULL;
    struct json *document = json_object();
    int rc;
    rc = study_was_judged(study, store);
    TRY_OUT(rc);
    TRY_OUT(plan_create(&plan, study, store, s->final || rc));
    TRY_OUT(study_show(document, plan));
    rc = s->json ? json_print(document) : print(document);
out:
    json_destroy(document);
    plan_destroy(plan);
    return rc;
}

static int status(const struct settings *s)
{
    struct store *store = NULL;
    struct study *study = NULL;
    int rc;
    TRY_OUT(store_open(&store, s->store, 0));
    TRY_OUT(study_open(&study, store, s->rest[1]));
    rc = show_plan(s, study, store, study_print);
out:
    study_destroy(study);
    store_close(store);
    return rc;
}

/* Resolves the recipe, so that what `run` would refuse is refused here, and shows what it would do. */
static int plan(const struct settings *s)
{
    struct store *store = NULL;
    struct study *study = NULL;
    int rc;
    TRY_OUT(store_open(&store, s->store, 1));
    TRY_OUT(open_recipe(&study, store, s));
    rc = show_plan(s, study, store, study_print_plan);
out:
    study_destroy(study);
    store_close(store);
    return rc;
}

/* --- list */

static const struct column list_columns[] = {
    {"name", "study", FORM_TEXT},   {"methods", "methods", FORM_WHOLE}, {"packs", "packs", FORM_WHOLE},
    {"seeds", "seeds", FORM_WHOLE}, {"strategy", "tuning", FORM_TEXT},  {0}};

static int list_one(struct json *rows, const struct store *store, const char *name)
{
    struct study *study = NULL;
    char text[256];
    TRY(study_open(&study, store, name));
    struct json *row = json_append_object(rows);
    plan_strategy(study, text);
    int rc = json_set_string(row, "name", study->name);
    if (rc == 0)
        rc = json_set_integer(row, "methods", study->method_count);
    if (rc == 0)
        rc = json_set_integer(row, "packs", study->pack_count);
    if (rc == 0)
        rc = json_set_integer(row, "seeds", study->seed_count);
    if (rc == 0)
        rc = json_set_string(row, "strategy", text);
    study_destroy(study);
    return rc;
}

/* A folder alone may be what a program that was ended left. */
static int is_study(const struct store *store, const char *name)
{
    char path[STORE_PATH];
    return store_path(store, STORE_STUDY, name, "study.json", path) == 0 && file_exists(path);
}

static int list(const struct settings *s)
{
    struct store *store = NULL;
    struct json *document = json_object(), *rows = json_set_array(document, "studies");
    char path[STORE_PATH];
    DIR *folder = NULL;
    int rc;
    TRY_OUT(store_open(&store, s->store, 0));
    TRY_OUT(store_path(store, STORE_STUDY, "", NULL, path));
    folder = opendir(path);
    for (struct dirent *entry; folder && rc == 0 && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && is_study(store, entry->d_name) &&
            (rc = list_one(rows, store, entry->d_name)) == ERR_INPUT) {
            say("%s", error_text()); /* one that is damaged hides no other */
            rc = 0;
        }
    if (rc == 0 && s->json)
        rc = json_print(document);
    else if (rc == 0)
        table_print(rows, list_columns);
out:
    if (folder)
        closedir(folder);
    json_destroy(document);
    store_close(store);
    return rc;
}

/* --- the verb */

static const struct {
    const char *name;
    int arguments; /* beside the name */
    int (*run)(const struct settings *s);
} actions[] = {{"run", 1, run_study},
               {"resume", 1, resume},
               {"status", 1, status},
               {"plan", 1, plan},
               {"list", 0, list}};

static int run(const struct settings *s)
{
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(actions[i].name, s->rest[0]) != 0)
            continue;
        if (s->rest_count != 1 + actions[i].arguments)
            return fail(ERR_USAGE, "study %s takes %s", actions[i].name,
                        actions[i].arguments ? "one study: a recipe's file, or the name of one in the store"
                                             : "nothing more");
        return actions[i].run(s);
    }
    return fail(ERR_USAGE, "study has no \"%.40s\"; it has run, resume, status, plan and list", s->rest[0]);
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"jobs", 'j', ARGUMENT_WHOLE, FIELD(jobs), 0, CREW_MOST, NULL, "N",
     "workers at a time; 0: one a GPU, or as many as there are processors where the device is software"},
    {"packed", 0, ARGUMENT_TEXT, FIELD(packed), 0, 0, NULL, "K",
     "trials at most that a worker trains at once, in one command buffer with one copy of the backbone; changes no "
     "result (docs/packed.md). 1: each by itself; `auto`, which is usual: as many as pay"},
    {"final", 0, ARGUMENT_FLAG, FIELD(final), 0, 0, NULL, NULL,
     "when tuning is over, open each test split once a (method, pack, seed), and write that into the ledger"},
    {"again", 0, ARGUMENT_TEXT, FIELD(again), 0, 0, NULL, "REASON",
     "open test splits that were opened before for the same (method, pack, seed); the reason goes into the "
     "ledger and "
     "into every report"},
    {"replace", 0, ARGUMENT_FLAG, FIELD(replace), 0, 0, NULL, NULL,
     "go on with this recipe, plugins and data where the store's study of this name has others"},
    {"retry", 0, ARGUMENT_FLAG, FIELD(retry), 0, 0, NULL, NULL, "train once more what failed before"},
    {"feature_cache", 0, ARGUMENT_WHOLE, FIELD(feature_cache), -1, 1 << 20, NULL, "MIB",
     "device memory a worker for what a method leaves alike in every epoch; changes no result. -1: by "
     "itself; 0: none"},
    {"checkpoint_activations", 0, ARGUMENT_FLAG, FIELD(checkpoint_activations), 0, 0, NULL, NULL,
     "trials that compute activations again instead of keeping them: less memory, more time, the same "
     "results"},
    {0}};
static const struct argument_group group = {"Study", rows};
static const struct argument_group *const groups[] = {
    &group, &group_store, &group_machine, &group_plugins, &group_json, &group_general, NULL};
const struct verb verb_study = {
    .name = "study",
    .summary = "compare methods fairly: tune, train and judge many trials from one recipe",
    .synopsis = "run RECIPE | resume NAME | status NAME | plan RECIPE | list",
    .about = "Runs what a recipe (JSON, docs/recipes.md) describes: every method on every pack, tuned with "
             "the same budget on "
             "train and val, trained again with every seed on both, and with --final judged once on test. "
             "Each trial runs in "
             "a process of its own; one that crashes, hangs or eats memory costs only itself. Whatever is "
             "interrupted, by Ctrl-C "
             "or worse, goes on with the same command to the same results. `status` shows how far a study "
             "is, `plan` what a "
             "recipe would do.",
    .examples = {"vitro study run examples/recipes/halving.json --final", "vitro study status halving",
                 "vitro report halving"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 2,
    .rest_name = "run, resume, status, plan or list",
    .run = run,
};
