/* shift_work.c - see shift_work.h. */
#include "shift_work.h"

#include "ledger.h"
#include "opening.h"
#include "progress.h"
#include "shift_keep.h"
#include "study_source.h"
#include "study_view.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* --- what is asked for, by the command line or else by the recipe */

enum way_head shift_head(const struct settings *s, const struct study *study)
{
    return s->way_head > 0 ? (enum way_head)(s->way_head - 1)
           : study         ? (enum way_head)study->wise.head
                           : WAY_PROBE;
}

uint32_t shift_alphas(const struct settings *s, const struct study *study)
{
    return (uint32_t)(s->alphas ? s->alphas : study ? study->wise.alphas : STUDY_ALPHAS);
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
                              .head = shift_head(s, NULL),
                              .alpha_count = shift_alphas(s, NULL)};
    const struct subject subject = {
        .file = s->rest[0], .name = f.method, .refit = "", .probe = s->probe, .with = with};
    struct ledger_line line = {.study = "",
                               .method = name,
                               .backbone = f.model,
                               .model = f.model_sha256,
                               .seed = f.seed,
                               .reason = s->again ? s->again : ""};
    progress_begin(&bar, shift_kinds[kind], NULL, sets.count);
    rc = shift_keep(store, &j, &subject, &line, pack_info(pack)->task, id, &bar);
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
