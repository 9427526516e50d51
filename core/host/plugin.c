/* plugin.c - see plugin.h. No plugin code runs here: a descriptor is data, and it is checked before
 * any of its slots is believed. */
#include "plugin.h"

#include "error.h"
#include "memory.h"
#include "nearest.h"
#include "plugin_private.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_SIZE = 4096 };
#define PREFIX "vitro_"
#define SUFFIX ".so"

struct loaded {
    struct plugin plugin;
    char *real; /* without links: the same file under two names is one plugin */
    struct loaded *next;
};

struct plugins {
    struct arena arena;
    const char **folders;
    size_t folder_count;
    struct loaded *loaded;
    struct plugin_card *cards;
    plugins_log log;
    void *log_context;
};

static int is_folder(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static int is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

/* One slot per colon, empty parts left out. */
static int split_path(struct plugins *p, const char *path)
{
    size_t room = 2;
    for (const char *c = path; *c; c++)
        room += *c == ':';
    char *copy = arena_string(&p->arena, path);
    p->folders = arena_alloc(&p->arena, room, sizeof *p->folders);
    if (!copy || !p->folders)
        return ERR_MEMORY;
    char *state = NULL;
    for (char *part = strtok_r(copy, ":", &state); part; part = strtok_r(NULL, ":", &state))
        p->folders[p->folder_count++] = part;
    return 0;
}

int plugins_create(struct plugins **out, const char *const *defaults)
{
    struct plugins *p = mem_alloc(1, sizeof *p);
    if (!p)
        return ERR_MEMORY;
    const char *path = getenv("VITRO_PLUGIN_PATH");
    for (; (!path || !*path) && *defaults; defaults++)
        if (is_folder(*defaults))
            path = *defaults;
    int rc = split_path(p, path ? path : "");
    if (rc < 0) {
        plugins_destroy(p);
        return rc;
    }
    *out = p;
    return 0;
}

void plugins_destroy(struct plugins *p)
{
    if (!p)
        return;
    arena_finish(&p->arena);
    mem_free(p);
}

void plugins_set_log(struct plugins *p, plugins_log log, void *context)
{
    p->log = log;
    p->log_context = context;
}

void plugins_say(const struct plugins *p, int level, const char *id, const char *text)
{
    if (p->log)
        p->log(p->log_context, level, id, text ? text : "");
}

/* The id in ".../vitro_<id>.so", or 0 when the name is not of that form. */
static int id_of_file(const char *path, char id[ID_LIMIT + 1])
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

static int open_library(const char *path, const void **symbol)
{
    if (!is_file(path))
        return fail(ERR_INPUT, "%s: there is no such plugin file", path);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return fail(ERR_PLUGIN, "%s: cannot be loaded: %.300s", path, dlerror());
    *symbol = dlsym(library, "vitro_plugin"); /* the library stays open for good */
    if (!*symbol)
        return fail(ERR_PLUGIN, "%s: it exports no vitro_plugin, so it is not a plugin", path);
    return 0;
}

/* `id`, when known from the file's name, must be the card's. */
static int check_name(const struct plugin *plugin, const char *id)
{
    if (id && strcmp(id, plugin->info.id) != 0)
        return fail(ERR_PLUGIN, "%s: says its id is %s; the file must be named " PREFIX "%s" SUFFIX,
                    plugin->path, plugin->info.id, plugin->info.id);
    return 0;
}

/* Loads the file, or finds it loaded. */
static int load_file(struct plugins *p, const char *path, const char *id, const struct plugin **out)
{
    char real[PATH_SIZE];
    if (strlen(path) >= PATH_SIZE || !realpath(path, real))
        return fail(ERR_INPUT, "%.256s: there is no such plugin file", path);
    for (struct loaded *l = p->loaded; l; l = l->next)
        if (!strcmp(l->real, real)) {
            *out = &l->plugin;
            return check_name(*out, id);
        }
    const void *symbol = NULL;
    TRY(open_library(real, &symbol));
    struct loaded *l = arena_alloc(&p->arena, 1, sizeof *l);
    if (!l || !(l->real = arena_string(&p->arena, real)))
        return ERR_MEMORY;
    l->plugin.path = l->real;
    TRY(plugin_check_head(real, symbol, &l->plugin.info));
    TRY(check_name(&l->plugin, id));
    TRY(plugin_copy_options(&p->arena, &l->plugin));
    for (struct loaded *k = p->loaded; k; k = k->next)
        if (!strcmp(k->plugin.info.id, l->plugin.info.id))
            return fail(ERR_PLUGIN, "%s and %s are both the plugin %s; remove one of the two", k->real, real,
                        l->plugin.info.id);
    l->next = p->loaded;
    p->loaded = l;
    *out = &l->plugin;
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_candidate(const struct dirent *entry)
{
    char id[ID_LIMIT + 1];
    return id_of_file(entry->d_name, id);
}

/* All candidates of the search path as cards that are not loaded yet. */
static int find_candidates(struct plugins *p, struct plugin_card **cards, size_t *count)
{
    *cards = NULL;
    *count = 0;
    for (size_t f = 0; f < p->folder_count; f++) {
        struct dirent **entries = NULL;
        int n = scandir(p->folders[f], &entries, is_candidate, by_name);
        struct plugin_card *more = n > 0 ? arena_alloc(&p->arena, *count + (size_t)n, sizeof *more) : NULL;
        if (more && *count)
            memcpy(more, *cards, *count * sizeof *more);
        for (int i = 0; i < n; i++) {
            char path[PATH_SIZE];
            if (more && snprintf(path, sizeof path, "%s/%s", p->folders[f], entries[i]->d_name) < PATH_SIZE)
                more[(*count)++].path = arena_string(&p->arena, path);
            free(entries[i]);
        }
        free(entries);
        if (n > 0 && !more)
            return ERR_MEMORY;
        *cards = n > 0 ? more : *cards;
    }
    return 0;
}

static int unknown_id(struct plugins *p, const char *id, const struct plugin_card *cards, size_t count)
{
    struct nearest near = nearest_to(id);
    char candidate[64][ID_LIMIT + 1], hint[NEAREST_TEXT];
    for (size_t i = 0; i < count && i < 64; i++)
        if (id_of_file(cards[i].path, candidate[i]))
            nearest_offer(&near, candidate[i]);
    nearest_hint(&near, hint);
    if (!p->folder_count)
        return fail(ERR_INPUT, "no plugin %.64s: there is no plugin folder; set VITRO_PLUGIN_PATH", id);
    return fail(ERR_INPUT, "no plugin %.64s in %.256s%s%s", id, p->folders[0],
                p->folder_count > 1 ? " and the other folders of VITRO_PLUGIN_PATH" : "", hint);
}

static int load_id(struct plugins *p, const char *id, const struct plugin **out)
{
    struct plugin_card *cards;
    size_t count;
    const char *found = NULL;
    char candidate[ID_LIMIT + 1];
    TRY(find_candidates(p, &cards, &count));
    for (size_t i = 0; i < count; i++) {
        if (!cards[i].path)
            return ERR_MEMORY;
        if (!id_of_file(cards[i].path, candidate) || strcmp(candidate, id) != 0)
            continue;
        if (found)
            return fail(ERR_PLUGIN, "%s and %s are both the plugin %s; remove one of the two", found,
                        cards[i].path, id);
        found = cards[i].path;
    }
    return found ? load_file(p, found, id, out) : unknown_id(p, id, cards, count);
}

int plugins_load(struct plugins *p, const char *name, const struct plugin **out)
{
    size_t n = strlen(name), suffix = strlen(SUFFIX);
    int is_path = strchr(name, '/') || (n > suffix && !strcmp(name + n - suffix, SUFFIX));
    return is_path ? load_file(p, name, NULL, out) : load_id(p, name, out);
}

int plugins_list(struct plugins *p, const struct plugin_card **cards, size_t *count)
{
    TRY(find_candidates(p, &p->cards, count));
    for (size_t i = 0; i < *count; i++) {
        char id[ID_LIMIT + 1];
        struct plugin_card *card = &p->cards[i];
        if (!card->path)
            return ERR_MEMORY;
        int rc = id_of_file(card->path, id) ? load_file(p, card->path, id, &card->plugin) : ERR_PLUGIN;
        if (rc < 0)
            card->refusal = arena_string(&p->arena, error_text());
    }
    *cards = p->cards;
    return 0;
}
