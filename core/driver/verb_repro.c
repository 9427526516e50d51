/* verb_repro.c - `vitro repro ID`: trains a stored result again and says whether its bytes come out the same. */
#include "clock.h"
#include "file.h"
#include "job.h"
#include "memory.h"
#include "plan.h"
#include "pool.h"
#include "progress.h"
#include "result_source.h"
#include "study_source.h"
#include "study_tuning.h"
#include "table.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const double tick_seconds = 0.5, grace_seconds = 20;
static const struct column columns[] = {{"file", "file", FORM_TEXT},     {"stage", "of", FORM_TEXT},
                                        {"stored", "stored", FORM_TEXT}, {"again", "again", FORM_TEXT},
                                        {"same", "the same", FORM_PASS}, {0}};

struct repro {
    const struct settings *settings;
    struct store *store;
    struct crew crew;
    struct study *study;
    struct job job;
    char folder[STORE_PATH]; /* where it is trained again */
    char name[HASH_TEXT + 32];
    struct json *rows;
    int differs;
};

/* Runs one job to its end. */
static int work(struct repro *r, const char *job, const char *log)
{
    struct pool *pool = NULL;
    struct progress bar;
    struct pool_event e = {0};
    const struct pool_spec spec = {.workers = 1, .command = r->crew.command};
    const struct pool_job how = {.argument = job, .log = log};
    int rc, asked = 0;
    TRY(pool_create(&pool, &spec));
    progress_begin(&bar, "training again", NULL, 1);
    rc = pool_start(pool, &how);
    while (rc >= 0 && pool_running(pool) > 0) {
        rc = pool_wait(pool, tick_seconds, &e);
        if (rc > 0 && e.kind == POOL_PROGRESS)
            progress_show(&bar, e.share, e.note);
        if (stop_wanted() && !asked++)
            pool_stop(pool, grace_seconds);
    }
    progress_end(&bar);
    pool_destroy(pool);
    if (rc < 0)
        return rc;
    if (asked)
        return fail(ERR_STOPPED, "stopped; the stored result is untouched");
    if (e.fate != POOL_EXITED || e.status != 0)
        return fail(ERR_CHECK, "it could not be trained again: %s", e.sentence);
    return 0;
}

static int compare_file(struct repro *r, const char *stage, const struct json *stored,
                        const struct json *again)
{
    struct json *row = json_append_object(r->rows);
    char digest[2][16];
    const char *a = json_string(json_get(stored, "sha256")), *b = json_string(json_get(again, "sha256"));
    const int same = a && b && strcmp(a, b) == 0;
    r->differs += !same;
    snprintf(digest[0], sizeof digest[0], "%.12s", a ? a : "-");
    snprintf(digest[1], sizeof digest[1], "%.12s", b ? b : "-");
    TRY(json_set_string(row, "file", json_key(stored)));
    TRY(json_set_string(row, "stage", stage));
    TRY(json_set_string(row, "stored", digest[0]));
    TRY(json_set_string(row, "again", digest[1]));
    return json_set_bool(row, "same", same);
}

static int path_in(const struct repro *r, const char *stage, const char *file, char path[STORE_PATH])
{
    return snprintf(path, STORE_PATH, "%.3800s/%s%s%s", r->folder, stage, *file ? "/" : "", file) < STORE_PATH
               ? 0
               : fail(ERR_INPUT, "the store's path is too long");
}

static int is_stage(const char *stage)
{
    for (const char *const *name = stage_names; stage && *name; name++)
        if (strcmp(*name, stage) == 0)
            return 1;
    return 0;
}

/* One stage: `refit` is the method file to judge, or NULL. */
static int again(struct repro *r, const struct json *result, const char *refit)
{
    char out[STORE_PATH], job[STORE_PATH], log[STORE_PATH], ledger[STORE_PATH], tuning[STORE_PATH],
        path[STORE_PATH];
    const struct json *spec = json_get(result, "spec"), *files = json_get(result, "files");
    const char *stage = json_string(json_get(spec, "stage"));
    struct json *fresh = NULL;
    if (!is_stage(stage)) /* it becomes a folder's name */
        return fail(ERR_INPUT, "the result's stage is \"%.40s\", which this program does not know",
                    stage ? stage : "");
    TRY(path_in(r, stage, "", out));
    TRY(path_in(r, "job.json", "", job));
    TRY(path_in(r, "log", "", log));
    TRY(store_path(r->store, STORE_LEDGER, NULL, NULL, ledger));
    TRY(study_tuning(r->store, r->study->name, tuning));
    struct job told = r->job;
    told.tuning = tuning;
    told.spec = spec;
    told.out = out;
    told.ledger = ledger;
    told.refit = refit;
    told.device = r->crew.devices[0];
    told.feature_cache = r->settings->feature_cache;
    told.device_memory = r->settings->device_memory;
    TRY(job_write(&told, job));
    TRY(work(r, job, log));
    TRY(path_in(r, stage, "result.json", path));
    TRY(json_read_file(&fresh, path));
    int rc = 0;
    for (const struct json *f = json_first(files); f && rc == 0; f = json_next(f))
        rc = compare_file(r, stage, f, json_get(json_get(fresh, "files"), json_key(f)));
    json_destroy(fresh);
    return rc;
}

/* A final is judged on a refit that is itself trained again. */
static int train_again(struct repro *r, const struct result_file *file)
{
    const struct json *spec = json_get(file->result, "spec");
    const char *refit = json_string(json_get(spec, "refit"));
    char path[STORE_PATH];
    struct result_file trained = {0};
    if (!refit)
        return again(r, file->result, NULL);
    int rc = result_open(&trained, r->store, refit);
    if (rc == 0)
        rc = again(r, trained.result, NULL);
    result_close(&trained);
    if (rc == 0)
        rc = path_in(r, "refit", "method.safetensors", path);
    return rc < 0 ? rc : again(r, file->result, path);
}

static int prepare(struct repro *r, const struct result_file *file)
{
    if (file->outcome.state != PANEL_DONE || file->outcome.edited)
        return fail(ERR_CHECK, "the result %.12s is %s: %s", file->id,
                    file->outcome.edited ? "not what was written" : panel_states[file->outcome.state],
                    file->outcome.reason);
    TRY(job_find(&r->job, &r->study, r->store, json_get(file->result, "spec")));
    snprintf(r->name, sizeof r->name, "repro-%s-%ld", file->id, (long)getpid()); /* two may run at once */
    TRY(store_remove(r->store, STORE_WORK, r->name));
    TRY(store_path(r->store, STORE_WORK, r->name, NULL, r->folder));
    return file_make_folders(r->folder);
}

static int print(const struct repro *r, const struct result_file *file, double seconds)
{
    if (r->settings->json) {
        struct json *j = json_object();
        int rc = json_set_string(j, "id", file->id);
        if (rc == 0)
            rc = json_set_bool(j, "same", !r->differs);
        if (rc == 0)
            rc = json_take(j, "files", json_copy(r->rows));
        if (rc == 0)
            rc = json_print(j);
        json_destroy(j);
        return rc;
    }
    table_print(r->rows, columns);
    printf("\n%.12s %s after %.0f s\n", file->id,
           r->differs ? "came out otherwise" : "came out bit-identical", seconds);
    return 0;
}

static int run(const struct settings *s)
{
    struct repro r = {.settings = s, .rows = json_array()};
    struct result_file file = {0};
    const double began = clock_seconds();
    stop_watch();
    int rc = store_open(&r.store, s->store, 0);
    if (rc == 0)
        rc = result_open(&file, r.store, s->rest[0]);
    if (rc == 0)
        rc = crew_find(&r.crew, s);
    if (rc == 0)
        rc = prepare(&r, &file);
    if (rc == 0)
        rc = train_again(&r, &file);
    if (rc == 0)
        rc = print(&r, &file, clock_seconds() - began);
    if (rc == 0 && r.differs)
        rc = fail(ERR_CHECK,
                  "%d file%s of %.12s came out otherwise: another device, driver or program made it, or it "
                  "was edited",
                  r.differs, r.differs == 1 ? "" : "s", file.id);
    if (r.name[0] && rc != ERR_CHECK)
        store_remove(r.store, STORE_WORK, r.name);
    result_close(&file);
    study_destroy(r.study);
    store_close(r.store);
    json_destroy(r.rows);
    return rc;
}

static const struct argument_group *const groups[] = {&group_store, &group_machine, &group_json,
                                                      &group_general, NULL};
const struct verb verb_repro = {
    .name = "repro",
    .summary = "train a stored result again and compare its bytes",
    .synopsis = "ID",
    .about = "Trains the trial of a stored result once more, from the recipe that it carries, and says file "
             "by file whether the "
             "same bytes came out. A result on a test split is trained and judged again. On the same device "
             "and driver they "
             "do; elsewhere rounding may differ.",
    .examples = {"vitro repro 3fa9c1"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "ID",
    .run = run,
};
