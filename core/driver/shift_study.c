/* shift_study.c - a study's refits judged under shift: by `vitro robust` and `vitro wise`, and by `vitro study run
 * --final` where the recipe says so. */
#include "shift_work.h"

#include "data_source.h"
#include "plan.h"
#include "progress.h"
#include "shift_keep.h"
#include "shift_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    uint32_t count, lost; /* judged; what could not be */
    uint64_t random_seed;
    char why[512]; /* the first of the lost */
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
    with->act = b->act;
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
    TRY(shift_keep(r->store, j, &subject, &line, r->study->packs[c->pack].name, id, &r->bar));
    r->entries[r->count] = (struct shift_entry){.backbone = line.backbone,
                                                .pack = r->study->packs[c->pack].name,
                                                .method = m->name,
                                                .seed = line.seed,
                                                .id = arena_string(&r->arena, id)};
    if (!r->entries[r->count].id)
        return ERR_MEMORY;
    r->count++;
    return shift_list_write(r->store, r->study, r->kind, r->entries, r->count); /* what is there is shown */
}

/* What is one method's own fault costs this method alone. */
static int go_on(struct round *r, int rc)
{
    if (rc != ERR_INPUT && rc != ERR_PLUGIN && rc != ERR_MEMORY)
        return rc;
    if (r->lost++ == 0)
        snprintf(r->why, sizeof r->why, "%s", error_text());
    progress_end(&r->bar);
    say("%s", error_text());
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
    struct anchors anchors = {0};
    const enum pack_split split = r->settings->final ? PACK_TEST : PACK_VAL;
    struct judging j = {.machine = &r->machine,
                        .sets = &sets,
                        .study = r->study,
                        .kind = r->kind,
                        .head = shift_head(r->settings, r->study),
                        .alpha_count = shift_alphas(r->settings, r->study),
                        .anchors = &anchors};
    int rc = settings_of(r, backbone, pack_index, &with);
    if (rc == 0)
        rc = r->settings->final ? pack_open(&pack, with.data) : pack_open_sealed(&pack, with.data);
    if (rc == 0)
        rc = shift_sets_open(&sets, wishes, pack, split, r->kind == SHIFT_WISE && r->settings->final, &with);
    for (uint32_t k = 0; k < r->study->seed_count && rc == 0; k++) /* a seed's methods share their anchor */
        for (uint32_t m = 0; m < r->study->method_count && rc == 0; m++) {
            const struct plan_cell *c = find_cell(r, backbone, pack_index, m);
            if (takes_part(r, c, k))
                rc = go_on(r, judge_seed(r, &j, c, k, &with));
        }
    anchors_finish(&anchors);
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
        rc = fail(ERR_INPUT,
                  "%s has nothing to judge: no method is trained%s; `vitro study run%s` does that, and "
                  "`vitro study status` says what became of it",
                  study->name, s->final ? " and judged on test" : "", s->final ? " --final" : "");
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
    if (rc == 0 && r.lost)
        rc =
            fail(ERR_CHECK, "%u of %u trained methods were not judged under shift: %s", r.lost, parts, r.why);
    machine_close(&r.machine);
    plan_destroy(r.plan);
    shift_wishes_finish(&wishes);
    arena_finish(&r.arena);
    return rc;
}

/* --- as part of a study's run */

static int check_pack(const struct study *study, uint32_t index, const struct shift_wishes *wishes,
                      const struct settings *s)
{
    struct settings with = *s;
    struct pack *pack = NULL;
    with.data = study->packs[index].file;
    with.image = study->packs[index].size;
    TRY(pack_open_sealed(&pack, with.data));
    int rc = shift_wishes_check(wishes, pack, &with);
    pack_close(pack);
    return rc;
}

int shift_check(const struct study *study, const struct settings *s)
{
    struct shift_wishes wishes;
    if (study->shift_count == 0)
        return 0;
    int rc = shift_wishes_of(&wishes, study);
    for (uint32_t p = 0; p < study->pack_count && rc == 0; p++)
        rc = check_pack(study, p, &wishes, s);
    shift_wishes_finish(&wishes);
    return rc < 0 ? fail_in(rc, "the shifts of the recipe") : 0;
}

int shift_follow(const struct study *study, struct store *store, const struct settings *s)
{
    if (study->shift_count == 0)
        return 0;
    const int rc = shift_study(study, store, s, SHIFT_ROBUST);
    if (!study->wise.wanted || (rc < 0 && rc != ERR_CHECK))
        return rc;
    char lost[256]; /* a method that could not be judged hinders no other, here neither */
    snprintf(lost, sizeof lost, "%s", rc < 0 ? error_text() : "");
    TRY(shift_study(study, store, s, SHIFT_WISE));
    return rc < 0 ? fail(rc, "%s", lost) : 0;
}
