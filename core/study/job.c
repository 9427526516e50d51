/* job.c - see job.h. */
#include "job.h"

#include "error.h"
#include "file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static int add_folders(struct json *places, const struct study_method *m)
{
    struct json *folders = json_array();
    TRY(json_take(places, "plugins", folders));
    for (uint32_t i = 0; i < m->part_count; i++) {
        char folder[STORE_PATH];
        int known = 0;
        snprintf(folder, sizeof folder, "%s", m->parts[i].path);
        char *slash = strrchr(folder, '/');
        if (!slash)
            continue;
        *slash = 0;
        for (const struct json *f = json_first(folders); f; f = json_next(f))
            known |= strcmp(json_string(f), folder) == 0;
        if (!known)
            TRY(json_append_string(folders, folder));
    }
    return 0;
}

static int fill(struct json *j, const struct job *job)
{
    struct json *places = json_object();
    TRY(json_take(j, "places", places));
    TRY(json_set_string(j, "schema", "vitro.job/1"));
    TRY(json_take(j, "spec", json_copy(job->spec)));
    TRY(json_set_string(j, "out", job->out));
    TRY(json_set_string(places, "model", job->backbone->model));
    if (job->backbone->head)
        TRY(json_set_string(places, "head", job->backbone->head));
    TRY(json_set_bool(places, "random", job->backbone->random));
    TRY(json_set_string(places, "pack", job->pack->file));
    TRY(json_set_integer(places, "device", job->device));
    TRY(json_set_integer(places, "feature_cache", job->feature_cache));
    TRY(json_set_integer(places, "device_memory", job->device_memory));
    TRY(json_set_bool(places, "checkpoint_activations", job->checkpoint_activations));
    TRY(json_set_string(places, "tuning", job->tuning));
    if (job->checkpoint)
        TRY(json_set_string(places, "checkpoint", job->checkpoint));
    TRY(json_set_string(places, "ledger", job->ledger));
    if (job->refit)
        TRY(json_set_string(places, "refit", job->refit));
    return add_folders(places, job->method);
}

int job_write(const struct job *job, const char *path)
{
    struct json *j = json_object();
    int rc = fill(j, job);
    if (rc == 0)
        rc = json_write_file(j, path);
    json_destroy(j);
    return rc;
}

static int says(const struct json *object, const char *key, const char *wanted)
{
    const char *text = json_string(json_get(object, key));
    return text && strcmp(text, wanted) == 0;
}

/* Whether the method is made of exactly the plugins that the trial names, by their files' hashes. */
static int has_plugins(const struct study_method *m, const struct json *plugins)
{
    int all = 1;
    for (uint32_t i = 0; i < m->part_count; i++)
        all &= says(plugins, m->parts[i].plugin, m->parts[i].sha256);
    return all && m->part_count >= json_count(plugins);
}

static int find_in(struct job *job, const struct study *s, const struct json *spec)
{
    const struct json *backbone = json_get(spec, "backbone"), *pack = json_get(spec, "pack");
    job->backbone = NULL;
    job->pack = NULL;
    job->method = NULL;
    for (uint32_t i = 0; i < s->backbone_count; i++)
        if (says(backbone, "sha256", s->backbones[i].sha256))
            job->backbone = &s->backbones[i];
    for (uint32_t i = 0; i < s->pack_count; i++)
        if (says(pack, "train", s->packs[i].split[0]) && says(pack, "val", s->packs[i].split[1]) &&
            says(pack, "normalise", s->packs[i].normalise))
            job->pack = &s->packs[i];
    for (uint32_t i = 0; i < s->method_count; i++)
        if (has_plugins(&s->methods[i], json_get(spec, "plugins")))
            job->method = &s->methods[i];
    return job->backbone && job->pack && job->method;
}

int job_find(struct job *job, struct study **study, const struct store *store, const struct json *spec)
{
    char path[STORE_PATH];
    *study = NULL;
    TRY(store_path(store, STORE_STUDY, "", NULL, path));
    DIR *folder = opendir(path);
    int found = 0;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' ||
            store_path(store, STORE_STUDY, entry->d_name, "study.json", path) < 0 ||
            study_load(study, path) < 0)
            continue;
        found = find_in(job, *study, spec);
        if (!found) {
            study_destroy(*study);
            *study = NULL;
        }
    }
    if (folder)
        closedir(folder);
    return found ? 0
                 : fail(ERR_INPUT,
                        "no study of the store %s knows the backbone, the data and the plugins of this "
                        "result, so that "
                        "it is not known where they lie",
                        store_folder(store));
}
