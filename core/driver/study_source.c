/* study_source.c - see study_source.h. */
#include "study_source.h"

#include "data_source.h"
#include "file.h"
#include "machine.h"
#include "memory.h"
#include "model_source.h"
#include "resolve.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int study_is_file(const char *argument)
{
    const size_t length = strlen(argument);
    return strchr(argument, '/') != NULL || (length > 5 && strcmp(argument + length - 5, ".json") == 0);
}

/* --- packs: what is no pack's file yet becomes one in the store */

static int is_pack_file(const struct settings *with)
{
    int size = 0;
    return data_size(with, &size) == 0 && size > 0;
}

static int absolute(const char *path, char out[STORE_PATH])
{
    char *full = realpath(path, NULL);
    if (!full || strlen(full) >= STORE_PATH) {
        free(full);
        return fail(ERR_IO, "%s cannot be found", path);
    }
    snprintf(out, STORE_PATH, "%s", full);
    free(full);
    return 0;
}

static int place_pack(struct pack *pack, struct store *store, const struct settings *with,
                      char file[STORE_PATH])
{
    char folder[STORE_PATH];
    if (is_pack_file(with))
        return absolute(with->data, file);
    TRY(store_path(store, STORE_PACK, pack_info(pack)->fingerprint, NULL, file));
    snprintf(folder, sizeof folder, "%s", file);
    *strrchr(folder, '/') = 0;
    TRY(file_make_folders(folder));
    if (!file_exists(file))
        TRY(pack_save(pack, file));
    char full[STORE_PATH];
    TRY(absolute(file, full));
    memcpy(file, full, STORE_PATH);
    return 0;
}

static int resolve_one_pack(struct study *study, uint32_t index, struct store *store,
                            const struct settings *s, int native)
{
    const struct study_pack *p = &study->packs[index];
    struct settings with = *s;
    struct pack *pack = NULL;
    char file[STORE_PATH];
    int size = p->image;
    with.data = p->data;
    with.normalise = p->normalise;
    int rc = size ? 0 : data_size(&with, &size);
    if (rc == 0)
        rc = open_data(&pack, &with, size ? size : native);
    if (rc == 0)
        rc = place_pack(pack, store, &with, file);
    if (rc == 0)
        rc = resolve_pack(study, index, pack_info(pack), file);
    pack_close(pack);
    return rc < 0 ? fail_in(rc, "the pack %s", p->name) : 0;
}

/* --- weights and plugins */

static int make_absolute(struct study *study, const char **path)
{
    char file[STORE_PATH];
    TRY(absolute(*path, file));
    *path = arena_string(&study->arena, file);
    return *path ? 0 : ERR_MEMORY;
}

static int resolve_one_backbone(struct study *study, uint32_t index, const struct settings *s,
                                struct vit **vit)
{
    struct study_backbone *b = &study->backbones[index];
    struct settings with = *s;
    with.model = b->model;
    with.head = b->head;
    with.heads = b->heads;
    with.act = b->act;
    with.random = b->random;
    with.recipe.seed = study->tune.seed;
    if (strcmp(b->model, bundled_name) != 0)
        TRY(make_absolute(study, &b->model));
    if (b->head)
        TRY(make_absolute(study, &b->head));
    TRY(open_model(vit, &with, 0, b->head ? 0 : 2));
    return resolve_backbone(study, index, *vit);
}

static int resolve_all(struct study *study, struct store *store, const struct settings *s)
{
    struct vit *first = NULL, *vit = NULL;
    struct plugins *plugins = NULL;
    int rc = open_plugins(&plugins, s);
    for (uint32_t i = 0; i < study->backbone_count && rc == 0; i++) {
        rc = resolve_one_backbone(study, i, s, i ? &vit : &first);
        vit_destroy(vit);
        vit = NULL;
    }
    for (uint32_t i = 0; i < study->method_count && rc == 0; i++) /* before the packs, which take longer */
        rc = resolve_method(study, i, plugins, first);
    for (uint32_t i = 0; i < study->pack_count && rc == 0; i++)
        rc = resolve_one_pack(study, i, store, s, first->shape.image);
    vit_destroy(first);
    plugins_destroy(plugins);
    study->resolved = rc == 0;
    return rc;
}

/* --- what the store has under the name */

static int same_file(const char *one, const char *other)
{
    char *a = NULL, *b = NULL;
    size_t x, y;
    int same = file_read(one, 256 << 20, &a, &x) == 0 && file_read(other, 256 << 20, &b, &y) == 0 && x == y &&
               memcmp(a, b, x) == 0;
    mem_free(a);
    mem_free(b);
    return same;
}

static int difference(const struct study *now, const struct study *then, const char *store)
{
    if (strcmp(now->hash, then->hash) != 0)
        return fail(ERR_INPUT,
                    "the store %s has a study %s with another recipe; give this one another name, or say "
                    "--replace to go on "
                    "with the new one (results that both share stay)",
                    store, now->name);
    for (uint32_t i = 0; i < now->method_count; i++)
        for (uint32_t k = 0; k < now->methods[i].part_count && k < then->methods[i].part_count; k++)
            if (strcmp(now->methods[i].parts[k].sha256, then->methods[i].parts[k].sha256) != 0)
                return fail(ERR_INPUT,
                            "the plugin %s has changed since the study %s began; say --replace to train its "
                            "method anew "
                            "(other results stay), or build the old one again",
                            now->methods[i].parts[k].plugin, now->name);
    return fail(
        ERR_INPUT,
        "weights, data or a plugin's options have changed since the study %s began; say --replace to go on "
        "with the new ones",
        now->name);
}

static int keep_study(const struct study *study, struct store *store, const struct settings *s)
{
    char folder[STORE_PATH], path[STORE_PATH], fresh[STORE_PATH];
    struct study *then = NULL;
    TRY(store_path(store, STORE_STUDY, study->name, NULL, folder));
    TRY(store_path(store, STORE_STUDY, study->name, "study.json", path));
    TRY(store_path(store, STORE_STUDY, study->name, "study.new.json", fresh));
    TRY(file_make_folders(folder));
    TRY(study_save(study, fresh));
    int rc = 0;
    if (file_exists(path) && !same_file(path, fresh) && !s->replace && (rc = study_load(&then, path)) == 0)
        rc = difference(study, then, store_folder(store));
    study_destroy(then);
    if (rc == 0 && rename(fresh, path) < 0)
        rc = fail(ERR_IO, "%s cannot be written", path);
    if (rc < 0)
        unlink(fresh);
    TRY(rc);
    TRY(store_path(store, STORE_STUDY, study->name, "recipe.json", path));
    return json_write_file(study->document, path);
}

int study_resolve(struct study **out, struct store *store, const struct settings *s, struct study *recipe)
{
    *out = NULL;
    TRY(resolve_all(recipe, store, s));
    TRY(keep_study(recipe, store, s));
    *out = recipe;
    return 0;
}

int study_open(struct study **out, const struct store *store, const char *argument)
{
    char path[STORE_PATH];
    struct study *recipe = NULL;
    const char *name = argument;
    *out = NULL;
    if (study_is_file(argument)) {
        TRY(study_read(&recipe, argument));
        name = recipe->name;
    }
    int rc = store_path(store, STORE_STUDY, name, "study.json", path);
    if (rc == 0 && !file_exists(path))
        rc = fail(ERR_INPUT,
                  "the store %s has no study %.80s; `vitro study list` names those it has, `vitro study run` "
                  "makes one",
                  store_folder(store), name);
    if (rc == 0)
        rc = study_load(out, path);
    if (rc == 0 && recipe && strcmp(recipe->hash, (*out)->hash) != 0) {
        rc = fail(ERR_INPUT, "%s was changed since the study %s ran; run it, or ask for %s by name", argument,
                  recipe->name, recipe->name);
        study_destroy(*out);
        *out = NULL;
    }
    study_destroy(recipe);
    return rc;
}
