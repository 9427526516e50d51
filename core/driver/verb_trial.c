/* verb_trial.c - `vitro trial JOB`: one trial of a study, or several that share a command buffer, in a process of its
 * own. `vitro study run` starts it; it is not in the program's help. A job says what the trial is (docs/store.md) and
 * where things lie; the result goes to a folder, which the study takes over when this process has ended. */
#include "worker.h"

#include "file.h"
#include "memory.h"

#include <string.h>

/* The paths of the jobs: the file itself, or those that it lists. */
static int read_paths(const char *path, struct json **list, const struct json **paths, uint32_t *count)
{
    *paths = NULL;
    *count = 1;
    TRY(json_read_file(list, path));
    if (strcmp(worker_text(*list, "schema"), "vitro.packed/1") != 0)
        return 0;
    *paths = json_get(*list, "jobs");
    *count = (uint32_t)json_count(*paths);
    for (const struct json *p = json_first(*paths); p; p = json_next(p))
        if (!json_string(p))
            *count = 0;
    return *count ? 0
                  : fail(ERR_CHECK, "the list of jobs %s cannot be read; `vitro study run` writes it", path);
}

/* The first opens the plugins for all: from the folders of all. */
static void join_plugin_paths(struct workplace *at)
{
    struct argument_list *all = &at->workers->with.plugin_path;
    for (uint32_t i = 1; i < at->count; i++) {
        const struct argument_list *its = &at->workers[i].with.plugin_path;
        for (int k = 0; k < its->count; k++) {
            int known = 0;
            for (int n = 0; n < all->count; n++)
                known |= strcmp(all->items[n], its->items[k]) == 0;
            if (!known && all->count < ARGUMENT_LIST_MAX)
                all->items[all->count++] = its->items[k];
        }
    }
}

static int read_jobs(struct workplace *at, const char *path, const struct settings *s, struct json **list)
{
    const struct json *paths;
    TRY(read_paths(path, list, &paths, &at->count));
    at->workers = mem_alloc(at->count, sizeof *at->workers);
    if (!at->workers)
        return ERR_MEMORY;
    const struct json *p = json_first(paths);
    for (uint32_t i = 0; i < at->count; i++, p = p ? json_next(p) : NULL) {
        at->workers[i].at = at;
        TRY(worker_read(&at->workers[i], p ? json_string(p) : path, s));
        if (at->count > 1 && at->workers[i].final)
            return fail(ERR_CHECK, "the list of jobs %s holds a final trial, which is judged by itself",
                        path);
    }
    join_plugin_paths(at);
    return 0;
}

static int train(struct workplace *at)
{
    struct session **sessions = mem_alloc(at->count, sizeof(struct session *));
    struct train_spec *specs = mem_alloc(at->count, sizeof *specs);
    struct train_result *results = mem_alloc(at->count, sizeof *results);
    int rc = sessions && specs && results ? 0 : ERR_MEMORY;
    for (uint32_t i = 0; i < at->count && rc == 0; i++) {
        sessions[i] = at->workers[i].trial.session;
        rc = worker_training(&at->workers[i], &specs[i]);
    }
    if (rc == 0)
        rc = session_train_packed(sessions, specs, at->count, RUN_AS_PAYS, results);
    for (uint32_t i = 0; i < at->count && results; i++)
        at->workers[i].trained = results[i];
    mem_free(sessions);
    mem_free(specs);
    mem_free(results);
    return rc;
}

static int work(struct workplace *at)
{
    for (uint32_t i = 0; i < at->count; i++) {
        TRY(worker_begin(&at->workers[i]));
        TRY(file_make_folders(at->workers[i].out));
    }
    if (!at->workers->final)
        TRY(train(at));
    for (uint32_t i = 0; i < at->count; i++)
        TRY(worker_finish(&at->workers[i]));
    return 0;
}

static int run(const struct settings *s)
{
    struct workplace at = {0};
    struct json *list = NULL;
    stop_watch();
    int rc = read_jobs(&at, s->rest[0], s, &list);
    if (rc == 0) {
        tell("progress 0"); /* it has begun: from here on plugins may do what they like */
        rc = work(&at);
    }
    if (rc < 0)
        tell("failed %s", error_text()); /* before anything is torn down, and where no log may be writable */
    for (uint32_t i = at.workers ? at.count : 0; i > 0; i--) /* the first one's backbone is the others' */
        worker_close(&at.workers[i - 1]);
    pack_close(at.pack);
    machine_close(&at.machine);
    mem_free(at.workers);
    json_destroy(list);
    return rc;
}

static const struct argument_group *const groups[] = {&group_machine, &group_plugins, &group_general, NULL};
const struct verb verb_trial = {
    .name = "trial",
    .summary = NULL, /* hidden: a study's worker */
    .synopsis = "JOB",
    .about = "Runs one trial of a study, as the file JOB describes it, or the several whose jobs it lists, "
             "and writes each "
             "result to the folder that its job names. "
             "`vitro study run` starts this in processes of its own; there is no need to type it.",
    .groups = groups,
    .rest_least = 1,
    .rest_most = 1,
    .rest_name = "JOB",
    .run = run,
};
