/* plugin_path.c - where plugins are looked for, and which files there are candidates: those named
 * vitro_<id>.so. Nothing is loaded here. */
#include "plugin.h"

#include "error.h"
#include "memory.h"
#include "plugin_private.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PREFIX "vitro_"
#define SUFFIX ".so"

static int is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

int plugin_id_of(const char *path, char id[ID_LIMIT + 1])
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    size_t n = strlen(name), fixed = strlen(PREFIX) + strlen(SUFFIX);
    if (n <= fixed || n > fixed + ID_LIMIT || strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
        strcmp(name + n - strlen(SUFFIX), SUFFIX) != 0)
        return 0;
    memcpy(id, name + strlen(PREFIX), n - fixed);
    id[n - fixed] = 0;
    return 1;
}

/* Puts a folder at the end, unless it is there under any name. */
static int add_folder(struct plugins *p, const char *folder)
{
    char real[PATH_SIZE];
    if (strlen(folder) >= PATH_SIZE || !realpath(folder, real))
        snprintf(real, sizeof real, "%.*s", PATH_SIZE - 1, folder); /* named, though it is not there */
    for (size_t i = 0; i < p->folder_count; i++)
        if (!strcmp(p->folders[i], real))
            return 0;
    if (p->folder_count == FOLDER_LIMIT)
        return fail(ERR_INPUT, "more than %d folders of plugins", FOLDER_LIMIT);
    if (!(p->folders[p->folder_count] = arena_string(&p->arena, real)))
        return ERR_MEMORY;
    p->folder_count++;
    return 0;
}

/* Folders between colons, empty ones left out. With `demand` each must be there. */
static int add_folders(struct plugins *p, const char *list, int demand)
{
    char *copy = arena_string(&p->arena, list), *state = NULL;
    if (!copy)
        return ERR_MEMORY;
    for (char *part = strtok_r(copy, ":", &state); part; part = strtok_r(NULL, ":", &state)) {
        if (demand && !is_folder(part))
            return fail(ERR_INPUT, "there is no folder %.256s to look for plugins in", part);
        TRY(add_folder(p, part));
    }
    return 0;
}

static int add_all(struct plugins *p, const char *first, const char *const *defaults)
{
    const char *path = getenv("VITRO_PLUGIN_PATH");
    p->folders = arena_alloc(&p->arena, FOLDER_LIMIT, sizeof *p->folders);
    if (!p->folders)
        return ERR_MEMORY;
    if (first)
        TRY(add_folders(p, first, 1));
    if (path && *path)
        return add_folders(p, path, 0);
    for (; *defaults; defaults++)
        if (is_folder(*defaults))
            TRY(add_folder(p, *defaults));
    return 0;
}

int plugins_create_in(struct plugins **out, const char *first, const char *const *defaults)
{
    struct plugins *p = mem_alloc(1, sizeof *p);
    if (!p)
        return ERR_MEMORY;
    int rc = add_all(p, first, defaults);
    if (rc < 0) {
        plugins_destroy(p);
        return rc;
    }
    *out = p;
    return 0;
}

int plugins_create(struct plugins **out, const char *const *defaults)
{
    return plugins_create_in(out, NULL, defaults);
}

size_t plugins_folders(const struct plugins *p, const char *const **folders)
{
    *folders = p->folders;
    return p->folder_count;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_candidate(const struct dirent *entry)
{
    char id[ID_LIMIT + 1];
    return plugin_id_of(entry->d_name, id);
}

/* files[count ..] from one folder's entries, which are freed. */
static int add_files(struct plugins *p, const char *folder, struct dirent **entries, int n,
                     struct plugin_file *files, size_t *count)
{
    int rc = 0;
    for (int i = 0; i < n; i++) {
        char path[PATH_SIZE], id[ID_LIMIT + 1];
        if (rc == 0 && plugin_id_of(entries[i]->d_name, id) &&
            snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name) < PATH_SIZE) {
            struct plugin_file *file = &files[(*count)++];
            file->path = arena_string(&p->arena, path);
            file->id = arena_string(&p->arena, id);
            rc = file->path && file->id ? 0 : ERR_MEMORY;
        }
        free(entries[i]);
    }
    return rc;
}

int plugins_files(struct plugins *p, const struct plugin_file **out, size_t *count)
{
    struct plugin_file *files = NULL;
    *count = 0;
    for (size_t f = 0; f < p->folder_count; f++) {
        struct dirent **entries = NULL;
        int n = scandir(p->folders[f], &entries, is_candidate, by_name), rc = 0;
        struct plugin_file *more = n > 0 ? arena_alloc(&p->arena, *count + (size_t)n, sizeof *more) : NULL;
        if (more && *count)
            memcpy(more, files, *count * sizeof *more);
        if (more)
            rc = add_files(p, p->folders[f], entries, n, more, count);
        else
            for (int i = 0; i < n; i++)
                free(entries[i]);
        free(entries);
        if (rc < 0 || (n > 0 && !more))
            return ERR_MEMORY;
        files = n > 0 ? more : files;
    }
    *out = files;
    return 0;
}
