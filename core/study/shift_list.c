/* shift_list.c - see shift_list.h. */
#include "shift_list.h"

#include "error.h"
#include "file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] = "vitro.shifts/1", file_name[] = "shifts.json";
enum { RUN_LIMIT = 100000, SEED_TEXT = 24 };

static int put_entry(struct json *list, const struct shift_entry *e)
{
    char seed[SEED_TEXT];
    struct json *j = json_object();
    TRY(json_append_take(list, j));
    snprintf(seed, sizeof seed, "%" PRIu64, e->seed);
    TRY(json_set_string(j, "backbone", e->backbone));
    TRY(json_set_string(j, "pack", e->pack));
    TRY(json_set_string(j, "method", e->method));
    TRY(json_set_string(j, "seed", seed));
    return json_set_string(j, "id", e->id);
}

static int put_list(struct json *j, const struct json *before, enum shift_kind kind,
                    const struct shift_entry *entries, uint32_t count)
{
    TRY(json_set_string(j, "schema", schema));
    for (int k = 0; shift_kinds[k]; k++) {
        const struct json *old = json_get(before, shift_kinds[k]);
        struct json *list = k == (int)kind || !json_is_array(old) ? json_array() : json_copy(old);
        TRY(json_take(j, shift_kinds[k], list));
        for (uint32_t i = 0; k == (int)kind && i < count; i++)
            TRY(put_entry(list, &entries[i]));
    }
    return 0;
}

int shift_list_write(const struct store *store, const struct study *study, enum shift_kind kind,
                     const struct shift_entry *entries, uint32_t count)
{
    char path[STORE_PATH];
    struct json *before = NULL, *j = json_object();
    int rc = store_path(store, STORE_STUDY, study->name, file_name, path);
    if (rc == 0 && file_exists(path))
        rc = json_read_file(&before, path);
    if (rc == 0)
        rc = put_list(j, before, kind, entries, count);
    if (rc == 0)
        rc = json_write_file(j, path);
    json_destroy(before);
    json_destroy(j);
    return rc;
}

int shift_list_count(const struct store *store, const struct study *study, enum shift_kind kind,
                     uint32_t *count)
{
    char path[STORE_PATH];
    struct json *j = NULL;
    *count = 0;
    TRY(store_path(store, STORE_STUDY, study->name, file_name, path));
    if (!file_exists(path))
        return 0;
    TRY(json_read_file(&j, path));
    *count = (uint32_t)json_count(json_get(j, shift_kinds[kind]));
    json_destroy(j);
    return 0;
}

static int says(const struct json *j, const char *key, const char *wanted)
{
    const char *text = json_string(json_get(j, key));
    return text && strcmp(text, wanted) == 0;
}

/* Where the entry belongs; 0: nowhere in this study, as its recipe has changed. */
static int place(const struct json *j, const struct study *s, struct shift_run *run)
{
    const char *seed = json_string(json_get(j, "seed"));
    int found = 0;
    for (uint32_t i = 0; i < s->pack_count; i++)
        if (says(j, "pack", s->packs[i].name)) {
            run->pack = i;
            found |= 1;
        }
    for (uint32_t i = 0; i < s->method_count; i++)
        if (says(j, "method", s->methods[i].name)) {
            run->method_index = i;
            found |= 2;
        }
    for (uint32_t i = 0; seed && i < s->seed_count; i++)
        if (strtoull(seed, NULL, 10) == s->seeds[i]) {
            run->seed = i;
            found |= 4;
        }
    return found == 7;
}

static int read_one(struct shift_run *run, struct arena *arena, const struct store *store,
                    const struct json *j)
{
    char path[STORE_PATH];
    const char *id = json_string(json_get(j, "id"));
    if (!id || strlen(id) != HASH_TEXT - 1 || strspn(id, "0123456789abcdef") != HASH_TEXT - 1)
        return fail(ERR_INPUT, "an entry has no id");
    TRY(store_path(store, STORE_SHIFT, id, NULL, path));
    TRY(shift_read(run, arena, path));
    return strcmp(run->id, id) == 0 ? 0 : fail(ERR_INPUT, "%s holds another result", path);
}

static int read_list(struct shift_run *runs, uint32_t *count, const char **bad, struct arena *arena,
                     const struct store *store, const struct study *study, uint32_t backbone,
                     const struct json *list)
{
    for (const struct json *e = json_first(list); e && *count < RUN_LIMIT; e = json_next(e)) {
        struct shift_run where = {0}, *run = &runs[*count];
        if (!says(e, "backbone", study->backbones[backbone].name) || !place(e, study, &where))
            continue;
        const int rc = read_one(run, arena, store, e);
        if (rc == ERR_MEMORY)
            return rc;
        if (rc < 0) {
            *bad = arena_string(arena, error_text());
            continue;
        }
        run->pack = where.pack;
        run->method_index = where.method_index;
        run->seed = where.seed;
        ++*count;
    }
    return 0;
}

int shift_list_read(struct shift_run **runs, uint32_t *count, const char **bad, struct arena *arena,
                    const struct store *store, const struct study *study, uint32_t backbone)
{
    char path[STORE_PATH];
    struct json *j = NULL;
    *runs = NULL;
    *count = 0;
    *bad = NULL;
    TRY(store_path(store, STORE_STUDY, study->name, file_name, path));
    if (!file_exists(path))
        return 0;
    TRY(json_read_file(&j, path));
    size_t room = 1;
    for (int k = 0; shift_kinds[k]; k++)
        room += json_count(json_get(j, shift_kinds[k]));
    *runs = arena_alloc(arena, room, sizeof **runs);
    int rc = *runs ? 0 : ERR_MEMORY;
    for (int k = 0; shift_kinds[k] && rc == 0; k++)
        rc = read_list(*runs, count, bad, arena, store, study, backbone, json_get(j, shift_kinds[k]));
    json_destroy(j);
    return rc;
}
