/* plugin.c - see plugin.h. No plugin code runs here: a descriptor is data, and it is checked before
 * any of its slots is believed. */
#include "plugin.h"

#include "error.h"
#include "library.h"
#include "memory.h"
#include "nearest.h"
#include "plugin_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

int plugin_twin(const char *one, const char *other, const char *id)
{
    return fail(ERR_PLUGIN, "%s and %s are both the plugin %s; remove one of the two", one, other, id);
}

static int is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static int open_library(const char *path, const void **symbol)
{
    if (!is_file(path))
        return fail(ERR_INPUT, "%s: there is no such plugin file", path);
    return library_open(path, symbol);
}

/* `id`, when known from the file's name, must be the card's. */
static int check_name(const struct plugin *plugin, const char *id)
{
    if (id && strcmp(id, plugin->info.id) != 0)
        return fail(ERR_PLUGIN, "%s: says its id is %s; the file must be named vitro_%s.so", plugin->path,
                    plugin->info.id, plugin->info.id);
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
            return plugin_twin(k->real, real, l->plugin.info.id);
    l->next = p->loaded;
    p->loaded = l;
    *out = &l->plugin;
    return 0;
}

static int unknown_id(struct plugins *p, const char *id, const struct plugin_file *files, size_t count)
{
    struct nearest near = nearest_to(id);
    char hint[NEAREST_TEXT], more[64] = "";
    for (size_t i = 0; i < count; i++)
        nearest_offer(&near, files[i].id);
    nearest_hint(&near, hint);
    if (!p->folder_count)
        return fail(ERR_INPUT, "no plugin %.64s: there is no plugin folder; set VITRO_PLUGIN_PATH", id);
    if (p->folder_count > 1)
        snprintf(more, sizeof more, " and %zu more folder%s", p->folder_count - 1,
                 p->folder_count > 2 ? "s" : "");
    return fail(ERR_INPUT, "no plugin %.64s in %.256s%s%s", id, p->folders[0], more, hint);
}

static int load_id(struct plugins *p, const char *id, const struct plugin **out)
{
    const struct plugin_file *files;
    size_t count;
    const char *found = NULL;
    TRY(plugins_files(p, &files, &count));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(files[i].id, id) != 0)
            continue;
        if (found)
            return plugin_twin(found, files[i].path, id);
        found = files[i].path;
    }
    return found ? load_file(p, found, id, out) : unknown_id(p, id, files, count);
}

int plugins_load(struct plugins *p, const char *name, const struct plugin **out)
{
    size_t n = strlen(name), suffix = strlen(".so");
    int is_path = strchr(name, '/') || (n > suffix && !strcmp(name + n - suffix, ".so"));
    return is_path ? load_file(p, name, NULL, out) : load_id(p, name, out);
}

int plugins_list(struct plugins *p, const struct plugin_card **cards, size_t *count)
{
    const struct plugin_file *files;
    TRY(plugins_files(p, &files, count));
    struct plugin_card *made = arena_alloc(&p->arena, *count, sizeof *made);
    if (!made)
        return ERR_MEMORY;
    for (size_t i = 0; i < *count; i++) {
        made[i].path = files[i].path;
        if (load_file(p, files[i].path, files[i].id, &made[i].plugin) < 0 &&
            !(made[i].refusal = arena_string(&p->arena, error_text())))
            return ERR_MEMORY;
    }
    *cards = made;
    return 0;
}
