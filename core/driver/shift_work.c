/* shift_work.c - see shift_work.h. */
#include "shift_work.h"

#include "file.h"
#include "ledger.h"
#include "opening.h"
#include "plan.h"
#include "progress.h"
#include "shift_judge.h"
#include "shift_list.h"
#include "study_source.h"
#include "study_view.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* --- the ledger: corrupted images of a test split are one look at it, whatever the corruptions are */

static int record_one(struct ledger *ledger, struct ledger_line *line, const char *pack, const char *test)
{
    line->pack = pack;
    line->test = test;
    return ledger_append(ledger, line);
}

static int corrupted_test(const char *test, char digest[HASH_TEXT])
{
    char text[160];
    snprintf(text, sizeof text, "vitro corrupted test 1\n%s\n", test);
    return hash_bytes(text, strlen(text), digest);
}

/* On disk before any of these images is shown to the method. */
static int record(const struct store *store, const struct judging *j, struct ledger_line *line,
                  const char *pack)
{
    const struct shift_sets *sets = j->sets;
    const char *test = pack_info(sets->pack)->split_fingerprint[PACK_TEST];
    char path[STORE_PATH], method[256], name[160], digest[HASH_TEXT];
    struct ledger *ledger = NULL;
    int corrupted = 0;
    if (sets->split != PACK_TEST)
        return 0;
    if (j->kind == SHIFT_WISE) { /* another method: it has an alpha */
        snprintf(method, sizeof method, "%.200s, wise", line->method);
        line->method = method;
    }
    TRY(store_path(store, STORE_LEDGER, NULL, NULL, path));
    TRY(ledger_open(&ledger, path));
    int rc = j->kind == SHIFT_WISE ? record_one(ledger, line, pack, test) : 0;
    for (uint32_t k = 0; k < sets->count && rc == 0; k++) {
        const struct judged_set *set = &sets->sets[k];
        if (set->kind == SET_DATA)
            rc = record_one(ledger, line, set->name, set->fingerprint);
        corrupted |= set->kind == SET_CORRUPTION;
    }
    snprintf(name, sizeof name, "%.120s, corrupted", pack);
    if (rc == 0 && corrupted)
        rc = corrupted_test(test, digest);
    if (rc == 0 && corrupted)
        rc = record_one(ledger, line, name, digest);
    ledger_close(ledger);
    return rc;
}

/* --- one subject: judged, or found judged */

static int judge_and_keep(const struct store *store, const struct judging *j, const struct subject *subject,
                          struct ledger_line *line, const char *pack, char id[HASH_TEXT],
                          struct progress *bar)
{
    char folder[STORE_PATH], result[STORE_PATH];
    struct json *spec = NULL;
    struct arena arena = {0};
    struct shift_run run;
    const double before = bar->done;
    TRY(shift_spec(&spec, j, subject));
    int rc = trial_id(spec, id);
    if (rc == 0)
        rc = store_path(store, STORE_SHIFT, id, NULL, folder);
    if (rc == 0)
        rc = store_path(store, STORE_SHIFT, id, "result.json", result);
    if (rc == 0 && !file_exists(result)) {
        line->trial = id;
        rc = record(store, j, line, pack);
        if (rc == 0)
            rc = shift_judge(&run, &arena, j, subject, bar);
        if (rc == 0)
            rc = shift_write(&run, spec, folder);
    }
    progress_show(bar, before + j->sets->count, "");
    json_destroy(spec);
    arena_finish(&arena);
    return rc;
}

/* --- a study */

struct round {
    const struct study *study;
    struct store *store;
    const struct settings *settings;
    enum shift_kind kind;
    struct plan *plan;
    struct machine machine;
    struct progress bar;
    struct arena arena;
    struct shift_entry *entries;
    uint32_t count;
    uint64_t random_seed;
};

static const struct plan_cell *find_cell(const struct round *r, uint32_t backbone, uint32_t pack,
                                         uint32_t method)
{
    for (uint32_t i = 0; i < r->plan->cell_count; i++) {
        const struct plan_cell *c = &r->plan->cells[i];
        if (c->backbone == backbone && c->pack == pack && c->method == method)
            return c;
    }
    return NULL;
}

static int is_there(const struct plan_trial *t)
{
    return t && t->outcome.state == PANEL_DONE && !t->outcome.edited;
}

/* The linear probe of the same backbone, pack and seed, whose head alpha 0 has. */
static const struct plan_trial *find_probe(const struct round *r, uint32_t backbone, uint32_t pack,
                                           uint32_t seed)
{
    for (uint32_t m = 0; m < r->study->method_count; m++) {
        const struct plan_cell *c = find_cell(r, backbone, pack, m);
        if (strcmp(r->study->methods[m].text, "linear") == 0 && c && is_there(c->refit[seed]))
            return c->refit[seed];
    }
    return NULL;
}

/* The plugins' folders, in front of those that are looked through anyway; their files must be the study's. */
static int add_plugins(const struct study_method *m, struct settings *with, struct arena *arena)
{
    for (uint32_t i = 0; i < m->part_count; i++) {
        char digest[HASH_TEXT], *folder = arena_string(arena, m->parts[i].path);
        if (!folder)
            return ERR_MEMORY;
        TRY(hash_file(folder, digest));
        if (strcmp(digest, m->parts[i].sha256) != 0)
            return fail(ERR_INPUT, "the plugin %s (%s) is not the one that the study was trained with",
                        m->parts[i].plugin, folder);
        char *slash = strrchr(folder, '/');
        int known = !slash;
        if (slash)
            *slash = 0;
        for (int k = 0; k < with->plugin_path.count; k++)
            known |= strcmp(with->plugin_path.items[k], folder) == 0;
        if (!known && with->plugin_path.count < ARGUMENT_LIST_MAX)
            with->plugin_path.items[with->plugin_path.count++] = folder;
    }
    return 0;
}

static int settings_of(struct round *r, uint32_t backbone, uint32_t pack, struct settings *with)
{
    const struct study_backbone *b = &r->study->backbones[backbone];
    *with = *r->settings;
    with->model = b->model;
    with->heads = b->heads;
    with->random = b->random;
    with->image = r->study->packs[pack].size;
    with->data = r->study->packs[pack].file;
    with->corrupt = NULL;
    with->other_data = 0;
    with->recipe.batch = r->study->training.batch;
    if (b->random && sscanf(b->sha256, "random-%" SCNu64, &r->random_seed) == 1)
        with->random_seed = &r->random_seed;
    for (uint32_t m = 0; m < r->study->method_count; m++)
        TRY(add_plugins(&r->study->methods[m], with, &r->arena));
    return 0;
}

static int judge_seed(struct round *r, const struct judging *j, const struct plan_cell *c, uint32_t seed,
                      const struct settings *with)
{
    const struct study_method *m = &r->study->methods[c->method];
    const struct plan_trial *refit = c->refit[seed], *probe = find_probe(r, c->backbone, c->pack, seed);
    char file[STORE_PATH], probe_file[STORE_PATH] = "", id[HASH_TEXT];
    TRY(store_path(r->store, STORE_RESULT, refit->id, "method.safetensors", file));
    if (probe)
        TRY(store_path(r->store, STORE_RESULT, probe->id, "method.safetensors", probe_file));
    const struct subject subject = {
        .file = file, .name = m->name, .refit = refit->id, .probe = probe ? probe_file : NULL, .with = *with};
    struct ledger_line line = {.study = r->study->name,
                               .method = m->plain,
                               .backbone = r->study->backbones[c->backbone].name,
                               .model = r->study->backbones[c->backbone].sha256,
                               .seed = r->study->seeds[seed],
                               .reason = r->settings->again ? r->settings->again : ""};
    TRY(judge_and_keep(r->store, j, &subject, &line, r->study->packs[c->pack].name, id, &r->bar));
    r->entries[r->count++] = (struct shift_entry){.backbone = line.backbone,
                                                  .pack = r->study->packs[c->pack].name,
                                                  .method = m->name,
                                                  .seed = line.seed,
                                                  .id = arena_string(&r->arena, id)};
    return 0;
}

/* Whether the seed takes part: trained, and with --final judged on the clean test split before. */
static int takes_part(const struct round *r, const struct plan_cell *c, uint32_t seed)
{
    return c && is_there(c->refit[seed]) && (!r->settings->final || is_there(c->final[seed]));
}

static int judge_pack(struct round *r, const struct shift_wishes *wishes, uint32_t backbone,
                      uint32_t pack_index)
{
    struct settings with;
    struct pack *pack = NULL;
    struct shift_sets sets = {0};
    const enum pack_split split = r->settings->final ? PACK_TEST : PACK_VAL;
    struct judging j = {.machine = &r->machine,
                        .sets = &sets,
                        .study = r->study,
                        .kind = r->kind,
                        .head = (enum way_head)r->settings->way_head,
                        .alpha_count = (uint32_t)r->settings->alphas};
    int rc = settings_of(r, backbone, pack_index, &with);
    if (rc == 0)
        rc = r->settings->final ? pack_open(&pack, with.data) : pack_open_sealed(&pack, with.data);
    if (rc == 0)
        rc = shift_sets_open(&sets, wishes, pack, split, r->kind == SHIFT_WISE && r->settings->final, &with);
    for (uint32_t m = 0; m < r->study->method_count && rc == 0; m++)
        for (uint32_t k = 0; k < r->study->seed_count && rc == 0; k++) {
            const struct plan_cell *c = find_cell(r, backbone, pack_index, m);
            if (takes_part(r, c, k))
                rc = judge_seed(r, &j, c, k, &with);
        }
    shift_sets_close(&sets);
    pack_close(pack);
    return rc;
}

static int check_study(const struct study *study, const struct settings *s)
{
    if (!s->final && study->refit_trainval)
        return fail(
            ERR_USAGE,
            "%s trained on its val images too (refit trainval), so that only test images can judge: say "
            "--final, once it was judged with `vitro study run --final`",
            study->name);
    return 0;
}

/* How many refits will be judged, for the bar and the list. */
static uint32_t count_parts(const struct round *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->plan->cell_count; i++)
        for (uint32_t k = 0; k < r->study->seed_count; k++)
            n += (uint32_t)takes_part(r, &r->plan->cells[i], k);
    return n;
}

int shift_study(const struct study *study, struct store *store, const struct settings *s,
                enum shift_kind kind)
{
    struct round r = {.study = study, .store = store, .settings = s, .kind = kind};
    struct shift_wishes wishes;
    TRY(check_study(study, s));
    int rc = s->shifts ? shift_wishes_parse(&wishes, s->shifts) : shift_wishes_of(&wishes, study);
    if (rc == 0)
        rc = plan_create(&r.plan, study, store, s->final);
    const uint32_t parts = rc == 0 ? count_parts(&r) : 0;
    if (rc == 0 && parts == 0)
        rc = fail(ERR_INPUT, "%s has nothing to judge: `vitro study run%s` comes first", study->name,
                  s->final ? " --final" : "");
    if (rc == 0 && !(r.entries = arena_alloc(&r.arena, parts, sizeof *r.entries)))
        rc = ERR_MEMORY;
    progress_begin(&r.bar, shift_kinds[kind], NULL,
                   (double)parts * (wishes.count + 1 + (kind == SHIFT_WISE && s->final)));
    for (uint32_t b = 0; b < study->backbone_count && rc == 0; b++)
        for (uint32_t p = 0; p < study->pack_count && rc == 0; p++)
            rc = judge_pack(&r, &wishes, b, p);
    progress_end(&r.bar);
    if (rc == 0)
        rc = machine_check(&r.machine);
    if (rc == 0)
        rc = shift_list_write(store, study, kind, r.entries, r.count);
    machine_close(&r.machine);
    plan_destroy(r.plan);
    shift_wishes_finish(&wishes);
    arena_finish(&r.arena);
    return rc;
}

/* --- one trained method */

static int open_own_data(struct pack **pack, const struct settings *s, const struct method_file *f,
                         struct settings *with)
{
    *with = *s;
    with->load = s->rest[0];
    method_file_settings(f, with);
    if (!with->data)
        with->data = f->data;
    if (!with->normalise)
        with->normalise = f->normalise;
    TRY(trial_pack(pack, with));
    TRY(method_file_check_data(f, with, pack_info(*pack)));
    if (!s->final && strcmp(f->split, "train") != 0)
        return fail(
            ERR_USAGE,
            "%s was trained on its val images too, so that only test images can judge: say --final, or train "
            "with --split train",
            s->rest[0]);
    return s->final ? 0 : pack_seal(*pack);
}

/* A document like an analysis's, of one method and one pack. */
static int describe(struct json **out, struct shift_run *run, const char *method,
                    const struct pack_info *info, const struct settings *s)
{
    const struct shift_options o = {.replicates = (size_t)s->replicates, .level = 0.95};
    struct json *list = NULL;
    *out = json_object();
    list = json_set_array(*out, "methods");
    TRY(json_set_string(json_append_object(list), "name", method));
    list = json_set_array(*out, "packs");
    TRY(json_set_string(json_append_object(list), "name", info->task));
    return shift_describe(*out, run, 1, 1, &o);
}

static int work_file(const struct settings *s, enum shift_kind kind)
{
    struct settings with;
    struct method_file f = {0};
    struct store *store = NULL;
    struct pack *pack = NULL;
    struct shift_sets sets = {0};
    struct shift_wishes wishes = {0};
    struct machine machine = {0};
    struct arena arena = {0};
    struct progress bar = {0};
    struct shift_run run;
    struct json *document = NULL;
    char id[HASH_TEXT], folder[STORE_PATH], name[160];
    int rc;
    TRY_OUT(method_file_open(&f, s->rest[0]));
    TRY_OUT(shift_wishes_parse(&wishes, s->shifts ? s->shifts : "corruptions"));
    TRY_OUT(store_open(&store, s->store, 1));
    TRY_OUT(open_own_data(&pack, s, &f, &with));
    TRY_OUT(shift_sets_open(&sets, &wishes, pack, s->final ? PACK_TEST : PACK_VAL,
                            kind == SHIFT_WISE && s->final, &with));
    opening_method_name(f.method, name);
    const struct judging j = {.machine = &machine,
                              .sets = &sets,
                              .kind = kind,
                              .head = (enum way_head)s->way_head,
                              .alpha_count = (uint32_t)s->alphas};
    const struct subject subject = {
        .file = s->rest[0], .name = f.method, .refit = "", .probe = s->probe, .with = with};
    struct ledger_line line = {.study = "",
                               .method = name,
                               .backbone = f.model,
                               .model = f.model_sha256,
                               .seed = f.seed,
                               .reason = s->again ? s->again : ""};
    progress_begin(&bar, shift_kinds[kind], NULL, sets.count);
    rc = judge_and_keep(store, &j, &subject, &line, pack_info(pack)->task, id, &bar);
    progress_end(&bar);
    TRY_OUT(rc);
    TRY_OUT(machine_check(&machine));
    TRY_OUT(store_path(store, STORE_SHIFT, id, NULL, folder));
    TRY_OUT(shift_read(&run, &arena, folder));
    TRY_OUT(describe(&document, &run, f.method, pack_info(pack), s));
    rc = s->json ? json_print(json_get(document, kind == SHIFT_WISE ? "wise" : "robustness"))
                 : shift_print(document, kind);
out:
    json_destroy(document);
    arena_finish(&arena);
    machine_close(&machine);
    shift_sets_close(&sets);
    shift_wishes_finish(&wishes);
    pack_close(pack);
    store_close(store);
    method_file_close(&f);
    return rc;
}

/* --- both */

static int work_study(const struct settings *s, enum shift_kind kind)
{
    struct store *store = NULL;
    struct study *study = NULL;
    struct json *document = NULL;
    int rc = store_open(&store, s->store, 1);
    if (rc == 0)
        rc = study_open(&study, store, s->rest[0]);
    if (rc == 0)
        rc = shift_study(study, store, s, kind);
    study_destroy(study);
    store_close(store);
    TRY(rc);
    TRY(view_build(&document, s));
    rc = s->json ? json_print(json_get(document, kind == SHIFT_WISE ? "wise" : "robustness"))
                 : shift_print(document, kind);
    json_destroy(document);
    return rc;
}

int shift_work(const struct settings *s, enum shift_kind kind)
{
    const size_t length = strlen(s->rest[0]);
    static const char ending[] = ".safetensors";
    const int is_method =
        length > sizeof ending && strcmp(s->rest[0] + length - (sizeof ending - 1), ending) == 0;
    stop_watch();
    return is_method ? work_file(s, kind) : work_study(s, kind);
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"shifts", 0, ARGUMENT_TEXT, FIELD(shifts), 0, 0, NULL, "LIST",
     "what to judge on, separated by commas: corruptions (all 15 at 5 severities), corruptions:3, fog, "
     "fog:3, or "
     "[NAME=]DATA of the same classes; else what the study's recipe says, else corruptions"},
    {"corrupt_seed", 0, ARGUMENT_SEED, FIELD(corrupt_seed), 0, 0, NULL, "N", "of the corruptions' noise"},
    {0}};
const struct argument_group group_shift = {"Shifts", rows};
