/* study_run.c - see study_run.h. */
#include "study_run.h"

#include "error.h"
#include "file.h"
#include "index.h"
#include "job.h"
#include "ledger.h"
#include "memory.h"
#include "packing.h"
#include "pool.h"
#include "study_tuning.h"
#include "tidy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CRASHES_MOST = 2, /* a crash may be chance; twice is the method's doing */
    LOSSES_MOST = 3,  /* of its device, each in a fresh process */
    KILLS_MOST = 25,  /* someone kills workers, or memory is short: not the trial's doing, up to a point */
    WORKERS_MOST = 256,
};
static const double tick_seconds = 0.5, grace_seconds = 20;

struct slot {
    struct plan_trial *trials[PACKED_MOST]; /* in one worker, the first `count` */
    uint32_t count;                         /* 0: free */
    double share;
    char note[96];
};

struct runner {
    const struct study_run_spec *spec;
    struct plan *plan;
    struct pool_spec crew;
    struct pool *pool;
    struct ledger *ledger;
    struct index *index;
    struct slot slots[WORKERS_MOST];
    struct study_slot *shown; /* room for the trials of all slots */
    struct packing packing;
    struct study_summary *summary;
    int stopping;
    char news[600];
};

static const struct study *study_of(const struct runner *r)
{
    return r->spec->study;
}

static int write_job(const struct runner *r, const struct plan_trial *t, int slot, char path[STORE_PATH])
{
    const struct store *store = r->spec->store;
    const struct plan_cell *c = &r->plan->cells[t->cell];
    const struct study *s = study_of(r);
    char out[STORE_PATH], checkpoint[STORE_PATH], ledger[STORE_PATH], refit[STORE_PATH] = "",
                                                                      tuning[STORE_PATH];
    const struct job job = {.spec = t->spec,
                            .backbone = &s->backbones[c->backbone],
                            .pack = &s->packs[c->pack],
                            .method = &s->methods[c->method],
                            .out = out,
                            .checkpoint = checkpoint,
                            .ledger = ledger,
                            .tuning = tuning,
                            .refit = t->stage == STAGE_FINAL ? refit : NULL,
                            .device = r->spec->devices[slot],
                            .feature_cache = r->spec->feature_cache,
                            .device_memory = r->spec->device_memory,
                            .checkpoint_activations = r->spec->checkpoint_activations};
    TRY(store_path(store, STORE_WORK, t->id, "out", out));
    TRY(store_path(store, STORE_WORK, t->id, "checkpoint", checkpoint));
    TRY(store_path(store, STORE_LEDGER, NULL, NULL, ledger));
    TRY(study_tuning(store, s->name, tuning));
    if (t->stage == STAGE_FINAL)
        TRY(store_path(store, STORE_RESULT, c->refit[t->seed]->id, "method.safetensors", refit));
    TRY(store_path(store, STORE_WORK, t->id, "job.json", path));
    return job_write(&job, path);
}

/* --- attempts: how often the trial was begun and ended how, beside its job */

enum mishap { CRASHES, KILLS, LOSSES, MISHAPS };
static const int mishaps_most[MISHAPS] = {CRASHES_MOST, KILLS_MOST, LOSSES_MOST};
struct attempts {
    int count[MISHAPS];
};

static struct attempts read_attempts(const struct runner *r, const char *id)
{
    char path[STORE_PATH], *text;
    size_t size;
    struct attempts a = {0};
    if (store_path(r->spec->store, STORE_WORK, id, "attempts", path) == 0 && file_exists(path) &&
        file_read(path, 256, &text, &size) == 0) {
        if (sscanf(text, "%d %d %d", &a.count[CRASHES], &a.count[KILLS], &a.count[LOSSES]) < 2)
            a = (struct attempts){0};
        mem_free(text);
    }
    return a;
}

static int write_attempts(const struct runner *r, const char *id, struct attempts a)
{
    char path[STORE_PATH], text[64];
    TRY(store_path(r->spec->store, STORE_WORK, id, "attempts", path));
    int length = snprintf(text, sizeof text, "%d %d %d\n", a.count[CRASHES], a.count[KILLS], a.count[LOSSES]);
    return file_write(path, text, (size_t)length);
}

/* --- starting */

/* The opening is on disk before the worker exists. 1: the ledger refuses it, which is told and not fatal. */
static int open_test(struct runner *r, const struct plan_trial *t)
{
    const struct plan_cell *c = &r->plan->cells[t->cell];
    const struct study *s = study_of(r);
    const struct ledger_line line = {.study = s->name,
                                     .method = s->methods[c->method].plain,
                                     .pack = s->packs[c->pack].name,
                                     .backbone = s->backbones[c->backbone].name,
                                     .test = s->packs[c->pack].split[2],
                                     .model = s->backbones[c->backbone].sha256,
                                     .seed = s->seeds[t->seed],
                                     .trial = t->id,
                                     .reason = r->spec->again ? r->spec->again : ""};
    int rc = ledger_append(r->ledger, &line);
    if (rc != ERR_INPUT)
        return rc;
    r->summary->refused++;
    snprintf(r->summary->refusal, sizeof r->summary->refusal, "%s", error_text());
    return 1;
}

static int prepare_trial(struct runner *r, struct plan_trial *t, int slot, char job[STORE_PATH])
{
    char folder[STORE_PATH], left[HASH_TEXT + 8];
    snprintf(left, sizeof left, "%s/out", t->id);
    TRY(store_remove(r->spec->store, STORE_WORK,
                     left)); /* of an attempt that was cut off; its checkpoint stays */
    TRY(store_path(r->spec->store, STORE_WORK, t->id, NULL, folder));
    TRY(file_make_folders(folder));
    return write_job(r, t, slot, job);
}

static int start(struct runner *r, const struct slot *with, int slot)
{
    char job[STORE_PATH], log[STORE_PATH];
    for (uint32_t i = with->count; i > 0; i--)
        TRY(prepare_trial(r, with->trials[i - 1], slot, job));
    if (with->count > 1)
        TRY(packing_write(r->spec->store, with->trials, with->count, job));
    TRY(store_path(r->spec->store, STORE_WORK, with->trials[0]->id, "log", log));
    const struct pool_job how = {
        .argument = job, .log = log, .tag = &r->slots[slot], .times = (int)with->count};
    r->slots[slot] = *with;
    int rc = pool_start(r->pool, &how);
    if (rc < 0)
        r->slots[slot].count = 0;
    return rc;
}

static int fill_slots(struct runner *r)
{
    for (int slot = 0; slot < r->spec->workers && !r->stopping; slot++) {
        while (!r->slots[slot].count) {
            struct slot next = {0};
            next.count =
                packing_next(r->plan, packing_size(&r->packing), (uint32_t)r->spec->workers, next.trials);
            if (!next.count)
                return 0;
            int refused = next.trials[0]->stage == STAGE_FINAL ? open_test(r, next.trials[0]) : 0;
            TRY(refused);
            if (refused)
                continue; /* it stays marked as started, so that it does not come again */
            TRY(start(r, &next, slot));
        }
    }
    return 0;
}

/* --- endings */

/* The result is in its place: into the index, and on with the plan. *training, unless NULL, grows by the seconds that the
 * trial trained and was judged. */
static int take_result(struct runner *r, struct plan_trial *t, double *training)
{
    char path[STORE_PATH];
    struct json *result = NULL, *run = NULL;
    TRY(store_path(r->spec->store, STORE_RESULT, t->id, "result.json", path));
    int rc = json_read_file(&result, path);
    if (rc == 0 && store_path(r->spec->store, STORE_RESULT, t->id, "run.json", path) == 0 &&
        file_exists(path))
        rc = json_read_file(&run, path);
    if (rc == 0 && r->index && index_put(r->index, result, run) < 0)
        snprintf(r->summary->index, sizeof r->summary->index, "%s", error_text());
    for (int i = 0; i < 2 && rc == 0 && training; i++) {
        double seconds;
        if (json_number(json_get(run, i ? "eval_seconds" : "seconds"), &seconds) == 0)
            *training += seconds;
    }
    json_destroy(result);
    json_destroy(run);
    return rc < 0 ? rc : plan_done(r->plan, t);
}

static int keep(struct runner *r, struct plan_trial *t, double *training)
{
    TRY(store_keep(r->spec->store, t->id));
    return take_result(r, t, training);
}

static int keep_failure(struct runner *r, struct plan_trial *t, const char *reason,
                        const struct pool_event *e)
{
    TRY(store_keep_failure(r->spec->store, t->spec, t->id, reason, e->seconds, e->peak_bytes));
    return take_result(r, t, NULL);
}

/* Whether the worker left a result of this trial: it writes result.json last. */
static int left_result(const struct runner *r, const struct plan_trial *t)
{
    char path[STORE_PATH];
    struct json *result = NULL;
    const char *id = NULL;
    if (store_path(r->spec->store, STORE_WORK, t->id, "out/result.json", path) == 0 && file_exists(path) &&
        json_read_file(&result, path) == 0)
        id = json_string(json_get(result, "id"));
    const int left = id && strcmp(id, t->id) == 0;
    json_destroy(result);
    return left;
}

/* Once is chance, often is the trial's doing. */
static int try_again(struct runner *r, struct plan_trial *t, const struct pool_event *e, enum mishap what,
                     const char **news)
{
    struct attempts a = read_attempts(r, t->id);
    if (++a.count[what] >= mishaps_most[what]) {
        *news = e->sentence;
        return keep_failure(r, t, e->sentence, e);
    }
    snprintf(r->news, sizeof r->news, "%s; it is tried once more", e->sentence);
    *news = r->news;
    TRY(write_attempts(r, t->id, a));
    plan_return(t);
    return 0;
}

/* It ended by itself: with a result, with a refusal that is the trial's own, because the machine is at fault, or
 * because a plugin ended the process. The program says why it gives up; a plugin that calls exit() does not. */
static int take_exit(struct runner *r, struct plan_trial *t, const struct pool_event *e, const char **news)
{
    static const char no_result[] = "it ended as if it were done, and left no result";
    if (e->status == 0 && left_result(r, t)) {
        double training = 0;
        TRY(keep(r, t, &training));
        if (t->stage != STAGE_FINAL)
            packing_learn(&r->packing, 1, e->seconds, training);
        return 0;
    }
    *news = e->status ? e->sentence : no_result;
    if (!e->spoke) { /* nothing of the trial's had begun */
        plan_return(t);
        return fail(ERR_INPUT, "a worker did not begin: %s", *news);
    }
    if (!e->gave_up)
        return keep_failure(r, t, *news, e);
    switch (-e->status) {
    case ERR_STOPPED:
        return try_again(r, t, e, KILLS, news); /* someone asked it to, and it was not the study */
    case ERR_LOST: return try_again(r, t, e, LOSSES, news);
    case ERR_MEMORY:
    case ERR_DEVICE:
    case ERR_INPUT:
    case ERR_PLUGIN: return keep_failure(r, t, e->sentence, e);
    default:
        *news = NULL;
        plan_return(t);
        return fail(e->status == -ERR_IO ? ERR_IO : ERR_INPUT,
                    "%s; what was done is kept, and the same command goes on from there", e->sentence);
    }
}

static int take_ending(struct runner *r, struct plan_trial *t, const struct pool_event *e, const char **news)
{
    switch (e->fate) {
    case POOL_EXITED: return take_exit(r, t, e, news);
    case POOL_STOPPED: plan_return(t); return 0;
    case POOL_CRASHED:
    case POOL_KILLED: return try_again(r, t, e, e->fate == POOL_CRASHED ? CRASHES : KILLS, news);
    default: *news = e->sentence; return keep_failure(r, t, e->sentence, e); /* hung, late, greedy */
    }
}

/* What of a pack came to a result is kept, also that it diverged; the rest is tried one by one, so that what is
 * stored of a trial that fails is what it does alone. Limits of memory and time are told apart: smaller packs may do. */
static int take_pack(struct runner *r, const struct slot *pack, const struct pool_event *e, const char **news)
{
    uint32_t missing = 0;
    double training = 0;
    int rc = 0;
    const int begun = e->spoke || e->fate != POOL_EXITED;
    for (uint32_t i = 0; i < pack->count; i++) {
        struct plan_trial *t = pack->trials[i];
        if (rc == 0 && left_result(r, t)) {
            rc = keep(r, t, &training);
            continue;
        }
        t->alone |= begun && e->fate != POOL_STOPPED;
        missing++;
        plan_return(t);
    }
    if (rc == 0 && !missing)
        packing_learn(&r->packing, pack->count, e->seconds, training);
    if (rc < 0 || !missing || e->fate == POOL_STOPPED)
        return rc;
    if (!begun)
        return fail(ERR_INPUT, "a worker did not begin: %s", e->sentence);
    if (e->fate == POOL_GREEDY || e->fate == POOL_LATE || (e->gave_up && -e->status == ERR_DEVICE))
        packing_shrink(&r->packing, pack->count);
    snprintf(r->news, sizeof r->news, "of %u packed trials %u came to no end: %.400s; each is tried alone",
             pack->count, missing, *e->sentence ? e->sentence : "they left no result");
    *news = r->news;
    return 0;
}

/* --- the loop */

/* How far a trial of the slot is. */
static void show_trial(struct runner *r, const struct slot *s, const struct plan_trial *t,
                       struct study_progress *p)
{
    const struct plan_cell *c = &r->plan->cells[t->cell];
    const struct study_pack *pack = &study_of(r)->packs[c->pack];
    const uint32_t images = pack->count[0] + (t->stage == STAGE_REFIT ? pack->count[1] : 0);
    r->shown[p->slot_count++] = (struct study_slot){.trial = t,
                                                    .method = study_of(r)->methods[c->method].name,
                                                    .pack = pack->name,
                                                    .share = s->share,
                                                    .note = s->note};
    if (t->stage != STAGE_FINAL)
        p->running += s->share * t->epochs * images;
}

static void report(struct runner *r, const char *news)
{
    struct study_progress p = {.plan = r->plan, .slots = r->shown, .news = news};
    if (!r->spec->report)
        return;
    plan_count(r->plan, &p.counts);
    for (int i = 0; i < r->spec->workers; i++)
        for (uint32_t k = 0; k < r->slots[i].count; k++)
            show_trial(r, &r->slots[i], r->slots[i].trials[k], &p);
    r->spec->report(r->spec->context, &p);
}

static int take_event(struct runner *r, const struct pool_event *e)
{
    struct slot *slot = e->tag, ended = *slot;
    const char *news = NULL;
    char sentence[768];
    if (e->kind == POOL_PROGRESS) {
        slot->share = e->share;
        snprintf(slot->note, sizeof slot->note, "%s", e->note);
        return 0;
    }
    const struct plan_cell *c = &r->plan->cells[ended.trials[0]->cell];
    *slot = (struct slot){0};
    int rc = ended.count > 1 ? take_pack(r, &ended, e, &news) : take_ending(r, ended.trials[0], e, &news);
    if (news) {
        snprintf(sentence, sizeof sentence, "%.60s on %.60s: %s", study_of(r)->methods[c->method].name,
                 study_of(r)->packs[c->pack].name, news);
        report(r, sentence);
    }
    return rc;
}

static int loop(struct runner *r)
{
    TRY(fill_slots(r));
    while (pool_running(r->pool) > 0) {
        struct pool_event event;
        int got = pool_wait(r->pool, tick_seconds, &event);
        TRY(got);
        if (got)
            TRY(take_event(r, &event));
        if (!r->stopping && r->spec->stop && r->spec->stop()) {
            r->stopping = 1;
            pool_stop(r->pool, grace_seconds);
        }
        TRY(fill_slots(r));
        report(r, NULL);
    }
    return r->stopping
               ? fail(ERR_STOPPED, "stopped; what was done is kept, and the same command goes on from there")
               : 0;
}

static int prepare(struct runner *r)
{
    char path[STORE_PATH];
    r->crew = (struct pool_spec){.workers = r->spec->workers,
                                 .command = r->spec->command,
                                 .environment = r->spec->environment,
                                 .stall_seconds = study_of(r)->stall_seconds,
                                 .limit_seconds = study_of(r)->trial_seconds,
                                 .memory_bytes = study_of(r)->memory_bytes};
    if (r->spec->workers < 1 || r->spec->workers > WORKERS_MOST)
        return fail(ERR_INPUT, "%d workers are asked for; there can be 1 to %d", r->spec->workers,
                    WORKERS_MOST);
    if (r->spec->packed < 0 || r->spec->packed > PACKED_MOST)
        return fail(ERR_INPUT, "%d packed trials are asked for; there can be 1 to %d", r->spec->packed,
                    PACKED_MOST);
    r->packing.most = (uint32_t)r->spec->packed;
    r->shown = mem_alloc((size_t)r->spec->workers * PACKED_MOST, sizeof *r->shown);
    if (!r->shown)
        return ERR_MEMORY;
    TRY(tidy_store(r->spec->store, study_of(r)->name));
    TRY(study_tuning_keep(r->spec->store, study_of(r)->name, r->spec->tuning));
    TRY(plan_create(&r->plan, r->spec->study, r->spec->store, r->spec->final));
    TRY(store_path(r->spec->store, STORE_LEDGER, NULL, NULL, path));
    TRY(ledger_open(&r->ledger, path));
    TRY(store_path(r->spec->store, STORE_INDEX, NULL, NULL, path));
    if (index_open(&r->index, path) < 0 ||
        tidy_index(r->spec->store, r->index) < 0) /* files are the truth: a study runs without its index */
        snprintf(r->summary->index, sizeof r->summary->index, "%s", error_text());
    return pool_create(&r->pool, &r->crew);
}

int study_run(const struct study_run_spec *spec, struct study_summary *out)
{
    struct runner *r = mem_alloc(1, sizeof *r);
    *out = (struct study_summary){0};
    if (!r)
        return ERR_MEMORY;
    r->spec = spec;
    r->summary = out;
    int rc = prepare(r);
    if (rc == 0)
        rc = loop(r);
    pool_destroy(r->pool);
    if (r->plan)
        plan_count(r->plan, &out->counts);
    index_close(r->index);
    ledger_close(r->ledger);
    plan_destroy(r->plan);
    mem_free(r->shown);
    mem_free(r);
    return rc;
}
