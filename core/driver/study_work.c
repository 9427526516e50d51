/* study_work.c - see study_work.h. */
#include "study_work.h"

#include "clock.h"
#include "file.h"
#include "json.h"
#include "memory.h"
#include "packing.h"
#include "progress.h"
#include "study_run.h"
#include "study_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double file_seconds = 2, line_seconds = 60;

struct show {
    const struct study *study;
    const struct store *store;
    const struct settings *settings;
    struct progress bar;
    double first; /* work that was done before */
    double filed, lined, began;
    int begun;
};

static double left_seconds(const struct show *w, const struct study_progress *p)
{
    const double gained = p->counts.work_done + p->running - w->first, spent = clock_seconds() - w->began;
    return gained > 0 && spent > 5 ? spent * (p->counts.work - p->counts.work_done - p->running) / gained
                                   : -1;
}

static int fill_file(struct json *j, const struct show *w, const struct study_progress *p)
{
    struct json *rows = json_array();
    TRY(json_take(j, "running", rows));
    TRY(json_set_integer(j, "pid", getpid()));
    TRY(json_set_number(j, "share",
                        p->counts.work > 0 ? (p->counts.work_done + p->running) / p->counts.work : 1));
    TRY(json_set_number(j, "seconds_left", left_seconds(w, p)));
    TRY(json_set_number(j, "seconds", clock_seconds() - w->began));
    for (int i = 0; i < p->slot_count; i++) {
        const struct study_slot *slot = &p->slots[i];
        struct json *row = json_object();
        TRY(json_append_take(rows, row));
        TRY(json_set_string(row, "method", slot->method));
        TRY(json_set_string(row, "pack", slot->pack));
        TRY(json_set_string(row, "stage", stage_names[slot->trial->stage]));
        TRY(json_set_number(row, "share", slot->share));
        TRY(json_set_string(row, "note", slot->note));
        TRY(json_set_string(row, "id", slot->trial->id));
    }
    return 0;
}

/* What `vitro study status` of another terminal reads. That it cannot be written stops nothing. */
static void write_file(struct show *w, const struct study_progress *p)
{
    char path[STORE_PATH];
    struct json *j = json_object();
    w->filed = clock_seconds();
    if (fill_file(j, w, p) == 0 &&
        store_path(w->store, STORE_STUDY, w->study->name, "progress.json", path) == 0)
        json_write_file(j, path);
    json_destroy(j);
}

static void note_text(const struct study_progress *p, char note[256])
{
    const struct plan_counts *c = &p->counts;
    int used = snprintf(note, 256, "tune %u/%u, refit %u/%u", c->done[STAGE_TUNE], c->planned[STAGE_TUNE],
                        c->done[STAGE_REFIT], c->planned[STAGE_REFIT]);
    if (c->planned[STAGE_FINAL])
        used += snprintf(note + used, 256 - (size_t)used, ", final %u/%u", c->done[STAGE_FINAL],
                         c->planned[STAGE_FINAL]);
    if (p->slot_count)
        snprintf(note + used, 256 - (size_t)used, "  %.40s on %.40s %s", p->slots[0].method, p->slots[0].pack,
                 p->slots[0].note);
}

static void show(void *context, const struct study_progress *p)
{
    struct show *w = context;
    char note[256];
    const double now = clock_seconds();
    if (!w->begun) {
        w->begun = 1;
        w->first = p->counts.work_done;
        progress_begin(&w->bar, w->study->name, NULL, p->counts.work);
        w->bar.began_at = w->first;
    }
    if (p->news) {
        const int shown = w->bar.shown;
        progress_end(&w->bar);
        say("%s", p->news);
        w->bar.shown = shown;
    }
    w->bar.total = p->counts.work;
    note_text(p, note);
    progress_show(&w->bar, p->counts.work_done + p->running, note);
    if (now - w->filed > file_seconds)
        write_file(w, p);
    if (!w->bar.shown && w->settings->verbose && now - w->lined > line_seconds) {
        w->lined = now;
        say("%s: %.0f %%, %s", w->study->name, 100 * p->counts.work_done / p->counts.work, note);
    }
}

/* What ended badly before, so that it is trained once more. */
static int forget_failures(const struct study *study, struct store *store, int final)
{
    struct plan *plan = NULL;
    TRY(plan_create(&plan, study, store, final));
    int rc = 0;
    for (uint32_t i = 0; i < plan->cell_count && rc == 0; i++) {
        const struct plan_cell *c = &plan->cells[i];
        for (uint32_t k = 0; k < c->tune_count + 2 * study->seed_count && rc == 0; k++) {
            const uint32_t seed = (k - c->tune_count) % study->seed_count;
            const struct plan_trial *t = k < c->tune_count                       ? c->tune[k]
                                         : k < c->tune_count + study->seed_count ? c->refit[seed]
                                                                                 : c->final[seed];
            if (t && t->outcome.state == PANEL_FAILED)
                rc = store_remove(store, STORE_RESULT, t->id);
        }
    }
    plan_destroy(plan);
    return rc;
}

static void tell(const struct study_summary *sum, const struct study *study, double seconds, int final)
{
    const struct plan_counts *c = &sum->counts;
    say("%s: %u tuning trials, %u refits and %u test evaluations are there after %.0f s of work here (%.0f s "
        "of training in "
        "all); %u diverged, %u failed",
        study->name, c->done[STAGE_TUNE], c->done[STAGE_REFIT], c->done[STAGE_FINAL], seconds, c->seconds,
        c->diverged, c->failed);
    if (c->edited)
        say("%u results do not fit what was written and are left out; `vitro study status %s` names them",
            c->edited, study->name);
    if (!final)
        say("the test splits are still sealed; --final opens each once");
}

/* --packed */
static int read_packed(const struct settings *s, int *packed)
{
    char *end;
    *packed = 0;
    if (!s->packed || strcmp(s->packed, "auto") == 0)
        return 0;
    const long number = strtol(s->packed, &end, 10);
    if (*end || end == s->packed || number < 1 || number > PACKED_MOST)
        return fail(ERR_USAGE, "option --packed is \"%.40s\"; it can be auto or a whole number from 1 to %d",
                    s->packed, PACKED_MOST);
    *packed = (int)number;
    return 0;
}

int study_work(const struct study *study, struct store *store, const struct settings *s)
{
    struct crew crew;
    char path[STORE_PATH];
    int packed;
    TRY(read_packed(s, &packed));
    TRY(crew_find(&crew, s));
    if (s->retry)
        TRY(forget_failures(study, store, s->final));
    struct show w = {.study = study, .store = store, .settings = s, .began = clock_seconds()};
    const struct study_run_spec spec = {.study = study,
                                        .store = store,
                                        .final = s->final,
                                        .again = s->again,
                                        .workers = crew.workers,
                                        .packed = packed,
                                        .devices = crew.devices,
                                        .command = crew.command,
                                        .environment = crew.environment,
                                        .feature_cache = s->feature_cache,
                                        .device_memory = s->device_memory,
                                        .checkpoint_activations = s->checkpoint_activations,
                                        .tuning = *crew.tuning ? crew.tuning : NULL,
                                        .report = show,
                                        .stop = stop_wanted,
                                        .context = &w};
    struct study_summary sum;
    stop_watch();
    if (s->verbose)
        say("%s", crew.text);
    int rc = study_run(&spec, &sum);
    progress_end(&w.bar);
    if (store_path(store, STORE_STUDY, study->name, "progress.json", path) == 0)
        unlink(path);
    if (*sum.index && rc == 0) /* else what ended it is to be read, and the next start mends the index */
        say("%s", sum.index);
    if (rc == 0)
        tell(&sum, study, clock_seconds() - w.began, s->final);
    if (rc == 0 && sum.refused)
        rc = fail(ERR_CHECK, "%u test splits were not opened: %s", sum.refused, sum.refusal);
    return rc;
}
