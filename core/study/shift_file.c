/* shift_file.c - answers under shift in files: result.json says what was judged, answers.safetensors holds the labels
 * given. */
#include "shift.h"

#include "error.h"
#include "file.h"
#include "safetensors.h"
#include "store.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const shift_kinds[] = {"robust", "wise", NULL};
const char *const shift_set_kinds[] = {"clean", "val", "corruption", "data", NULL};

static const char schema[] = "vitro.shift/1", result_name[] = "result.json",
                  answers_name[] = "answers.safetensors";
enum { SET_LIMIT = 4096, ALPHA_LIMIT = 1001, ITEM_NAME = 24, PATH = 4096 };

static int path_of(const char *folder, const char *file, char path[PATH])
{
    return snprintf(path, PATH, "%s/%s", folder, file) < PATH
               ? 0
               : fail(ERR_INPUT, "the path of %s is too long", file);
}

/* --- writing */

static int write_answers(const struct shift_run *run, const char *path, struct arena *arena)
{
    const size_t most = 3 * (size_t)run->set_count;
    struct safetensors_item *items = arena_alloc(arena, most + 1, sizeof *items);
    char(*names)[ITEM_NAME] = arena_alloc(arena, most + 1, sizeof *names);
    size_t n = 0;
    if (!items || !names)
        return ERR_MEMORY;
    for (uint32_t k = 0; k < run->set_count; k++) {
        const struct shift_set *s = &run->sets[k];
        const struct {
            const char *name;
            const int32_t *data;
            int rank;
        } rows[] = {{"labels", s->labels, 1}, {"answers", s->answers, 2}, {"control", s->control, 2}};
        for (size_t i = 0; i < 3; i++) {
            if (!rows[i].data)
                continue;
            snprintf(names[n], ITEM_NAME, "%s.%u", rows[i].name, k);
            items[n] = (struct safetensors_item){
                .name = names[n], .type = SAFETENSORS_I32, .rank = rows[i].rank, .data = rows[i].data};
            items[n].dim[0] = rows[i].rank == 1 ? s->images : run->alpha_count;
            items[n].dim[1] = s->images;
            n++;
        }
    }
    return safetensors_write(path, items, n, NULL, 0);
}

static int put_sets(struct json *j, const struct shift_run *run)
{
    struct json *sets = json_array(), *alphas = json_array();
    int rc = json_take(j, "sets", sets);
    TRY(json_take(j, "alphas", alphas));
    TRY(rc);
    for (uint32_t k = 0; k < run->set_count; k++) {
        struct json *set = json_object();
        TRY(json_append_take(sets, set));
        TRY(json_set_string(set, "name", run->sets[k].name));
        TRY(json_set_string(set, "kind", shift_set_kinds[run->sets[k].kind]));
        TRY(json_set_integer(set, "images", run->sets[k].images));
    }
    for (uint32_t i = 0; i < run->alpha_count; i++)
        TRY(json_append_number(alphas, run->alphas[i]));
    return 0;
}

static int put_result(struct json *j, const struct shift_run *run, const struct json *spec,
                      const char *digest)
{
    char id[HASH_TEXT];
    TRY(trial_id(spec, id));
    TRY(json_set_string(j, "schema", schema));
    TRY(json_set_string(j, "id", id));
    TRY(json_take(j, "spec", json_copy(spec)));
    TRY(json_set_string(j, "kind", shift_kinds[run->kind]));
    TRY(json_set_string(j, "method", run->method));
    TRY(json_set_string(j, "split", run->split));
    TRY(json_set_string(j, "how", run->how));
    TRY(json_set_string(j, "why", run->why));
    TRY(json_set_string(j, "head", run->head));
    TRY(json_set_bool(j, "val_is_trained_on", run->val_is_trained_on));
    TRY(json_set_number(j, "anchor_off", run->anchor_off));
    TRY(json_set_number(j, "tuned_off", run->tuned_off));
    TRY(put_sets(j, run));
    return json_set_string(j, "answers_sha256", digest);
}

int shift_write(const struct shift_run *run, const struct json *spec, const char *folder)
{
    char path[PATH], digest[HASH_TEXT];
    struct arena arena = {0};
    struct json *j = json_object();
    int rc = file_make_folders(folder);
    if (rc == 0)
        rc = path_of(folder, answers_name, path);
    if (rc == 0)
        rc = write_answers(run, path, &arena);
    if (rc == 0)
        rc = hash_file(path, digest);
    if (rc == 0)
        rc = put_result(j, run, spec, digest);
    if (rc == 0)
        rc = path_of(folder, result_name, path);
    if (rc == 0)
        rc = json_write_file(j, path); /* last: without it there is no result */
    json_destroy(j);
    arena_finish(&arena);
    return rc;
}

/* --- reading */

static int damaged(const char *what)
{
    return fail(ERR_INPUT, "its %s does not fit what was written; remove the folder and judge again", what);
}

static int take_text(struct arena *arena, const struct json *j, const char *key, const char **out)
{
    const char *text = json_string(json_get(j, key));
    if (!text)
        return damaged(key);
    *out = arena_string(arena, text);
    return *out ? 0 : ERR_MEMORY;
}

static int find_name(const char *const *names, const char *text)
{
    for (int i = 0; text && names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return -1;
}

static int take_numbers(struct arena *arena, const struct safetensors *f, const char *what, uint32_t k,
                        size_t count, const int32_t **out)
{
    char name[ITEM_NAME];
    snprintf(name, sizeof name, "%s.%u", what, k);
    *out = NULL;
    if (strcmp(what, "control") == 0 && !safetensors_find(f, name))
        return 0;
    int32_t *data = arena_alloc(arena, count + 1, sizeof *data);
    *out = data;
    return data ? safetensors_need(f, name, SAFETENSORS_I32, count, data) : ERR_MEMORY;
}

static int take_set(struct shift_run *run, struct arena *arena, const struct json *j, const struct json *spec,
                    const struct safetensors *f, uint32_t k, struct shift_set *s)
{
    int64_t images;
    const int kind = find_name(shift_set_kinds, json_string(json_get(j, "kind")));
    TRY(take_text(arena, j, "name", &s->name));
    TRY(take_text(arena, spec, "fingerprint", &s->fingerprint));
    if (kind < 0 || json_integer(json_get(j, "images"), &images) < 0 || images < 1 || images > INT32_MAX)
        return damaged("list of sets");
    s->kind = (enum shift_set_kind)kind;
    s->images = (uint32_t)images;
    const size_t all = (size_t)images * run->alpha_count;
    TRY(take_numbers(arena, f, "labels", k, s->images, &s->labels));
    TRY(take_numbers(arena, f, "answers", k, all, &s->answers));
    return take_numbers(arena, f, "control", k, all, &s->control);
}

static int take_alphas(struct shift_run *run, struct arena *arena, const struct json *list)
{
    const size_t count = json_count(list);
    double *alphas = arena_alloc(arena, count + 1, sizeof *alphas);
    if (!alphas)
        return ERR_MEMORY;
    if (!json_is_array(list) || count == 0 || count > ALPHA_LIMIT)
        return damaged("list of alphas");
    for (const struct json *a = json_first(list); a; a = json_next(a))
        if (json_number(a, &alphas[run->alpha_count++]) < 0)
            return damaged("list of alphas");
    run->alphas = alphas;
    return 0;
}

static int take_result(struct shift_run *run, struct arena *arena, const struct json *j, const char *folder)
{
    char path[PATH], digest[HASH_TEXT];
    const char *kept = json_string(json_get(j, "answers_sha256")), *name = json_string(json_get(j, "schema"));
    const struct json *sets = json_get(j, "sets");
    struct safetensors *f = NULL;
    const int kind = find_name(shift_kinds, json_string(json_get(j, "kind")));
    if (!name || strcmp(name, schema) != 0 || kind < 0 || !json_is_array(sets) ||
        json_count(sets) > SET_LIMIT)
        return damaged("description");
    run->kind = (enum shift_kind)kind;
    TRY(take_text(arena, j, "id", &run->id));
    TRY(take_text(arena, j, "method", &run->method));
    TRY(take_text(arena, j, "split", &run->split));
    TRY(take_text(arena, j, "how", &run->how));
    TRY(take_text(arena, j, "why", &run->why));
    TRY(take_text(arena, j, "head", &run->head));
    json_bool(json_get(j, "val_is_trained_on"), &run->val_is_trained_on);
    if (json_number(json_get(j, "anchor_off"), &run->anchor_off) < 0)
        run->anchor_off = NAN;
    if (json_number(json_get(j, "tuned_off"), &run->tuned_off) < 0)
        run->tuned_off = NAN;
    TRY(trial_id(json_get(j, "spec"), digest));
    if (strcmp(digest, run->id) != 0)
        return damaged("id");
    TRY(take_alphas(run, arena, json_get(j, "alphas")));
    TRY(path_of(folder, answers_name, path));
    TRY(hash_file(path, digest));
    if (!kept || strcmp(kept, digest) != 0)
        return damaged("file of answers");
    struct shift_set *list = arena_alloc(arena, json_count(sets) + 1, sizeof *list);
    if (!list)
        return ERR_MEMORY;
    run->sets = list;
    TRY(safetensors_open(&f, path));
    int rc = 0;
    const struct json *spec = json_first(json_get(json_get(j, "spec"), "sets"));
    for (const struct json *s = json_first(sets); s && rc == 0; s = json_next(s), run->set_count++) {
        rc = take_set(run, arena, s, spec, f, run->set_count, &list[run->set_count]);
        spec = spec ? json_next(spec) : NULL;
    }
    safetensors_close(f);
    return rc;
}

int shift_read(struct shift_run *out, struct arena *arena, const char *folder)
{
    char path[PATH];
    struct json *j = NULL;
    *out = (struct shift_run){0};
    TRY(path_of(folder, result_name, path));
    TRY(json_read_file(&j, path));
    int rc = take_result(out, arena, j, folder);
    json_destroy(j);
    return rc < 0 ? fail_in(rc, "%s", folder) : 0;
}

int shift_alike(const struct shift_run *a, const struct shift_run *b)
{
    int alike =
        a->set_count == b->set_count && a->alpha_count == b->alpha_count && strcmp(a->split, b->split) == 0;
    for (uint32_t k = 0; alike && k < a->alpha_count; k++)
        alike = !(a->alphas[k] < b->alphas[k]) && !(a->alphas[k] > b->alphas[k]);
    for (uint32_t k = 0; alike && k < a->set_count; k++)
        alike = strcmp(a->sets[k].name, b->sets[k].name) == 0 &&
                strcmp(a->sets[k].fingerprint, b->sets[k].fingerprint) == 0;
    return alike;
}
