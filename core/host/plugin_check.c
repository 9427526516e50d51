/* plugin_check.c - what a plugin's descriptor must be before any of its slots is believed. */
#include "plugin_private.h"

#include "error.h"

#include <math.h>
#include <string.h>

static int is_id(const char *id)
{
    size_t n = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n <= ID_LIMIT && !id[n];
}

/* Copies what both sides know and leaves the rest zero. */
static void copy_known(void *to, size_t to_size, const void *from, size_t from_size)
{
    memcpy(to, from, from_size < to_size ? from_size : to_size);
}

int plugin_check_head(const char *path, const void *symbol, vitro_plugin_info *info)
{
    uint32_t abi, size;
    const size_t least = offsetof(vitro_plugin_info, declare) + sizeof info->declare;
    memcpy(&abi, symbol, sizeof abi);
    memcpy(&size, (const char *)symbol + sizeof abi, sizeof size);
    if (abi >> 16 != VITRO_ABI_MAJOR || (abi & 0xffff) > VITRO_ABI_MINOR)
        return fail(ERR_PLUGIN, "%s: wants plugin ABI %u.%u, this host speaks %d.%d; rebuild one of the two",
                    path, abi >> 16, abi & 0xffff, VITRO_ABI_MAJOR, VITRO_ABI_MINOR);
    if (size < least)
        return fail(ERR_PLUGIN,
                    "%s: its descriptor has %u bytes, %zu are the least; rebuild it with VITRO_HEAD", path,
                    size, least);
    copy_known(info, sizeof *info, symbol, size);
    if (!info->id || !info->version || !info->declare)
        return fail(ERR_PLUGIN, "%s: its descriptor lacks the mandatory %s", path,
                    !info->id        ? "id"
                    : !info->version ? "version"
                                     : "declare");
    if (!is_id(info->id))
        return fail(ERR_PLUGIN, "%s: its id is not 1 to %d of a-z, 0-9 and _", path, ID_LIMIT);
    if (info->backward && !info->forward)
        return fail(ERR_PLUGIN, "%s: it has a backward but no forward", path);
    return 0;
}

static int check_range(const char *path, const vitro_option *o)
{
    double lo = o->min, hi = o->max;
    if (o->type == VITRO_ENUM) {
        lo = 0;
        hi = -1;
        for (int i = 0; o->names && o->names[i]; i++)
            hi = i;
    }
    if (!(o->init >= lo && o->init <= hi) || (o->type != VITRO_FLOAT && o->init != floor(o->init)))
        return fail(ERR_PLUGIN, "%s: the default %g of option %s is outside of %g to %g", path, o->init,
                    o->name, lo, hi);
    if (o->type != VITRO_FLOAT && (lo < INT32_MIN || hi > INT32_MAX))
        return fail(ERR_PLUGIN, "%s: the range of option %s does not fit into 32 bits", path, o->name);
    return 0;
}

static int check_option(const char *path, const vitro_plugin_info *info, const vitro_option *all, size_t i)
{
    const vitro_option *o = &all[i];
    if (!o->name[0] || strpbrk(o->name, "[]=,+ "))
        return fail(ERR_PLUGIN, "%s: option %zu has an empty name or one with a reserved sign", path, i + 1);
    for (size_t k = 0; k < i; k++)
        if (!strcmp(all[k].name, o->name))
            return fail(ERR_PLUGIN, "%s: option %s is listed twice", path, o->name);
    if (o->type > VITRO_ENUM)
        return fail(ERR_PLUGIN, "%s: option %s has the unknown type %u", path, o->name, o->type);
    if (o->offset % 4 || o->offset + (size_t)4 > info->self_size)
        return fail(ERR_PLUGIN, "%s: option %s at byte %u lies outside of the instance's %zu bytes", path,
                    o->name, o->offset, info->self_size);
    return check_range(path, o);
}

/* Copies the options, whose stride is the plugin's, into an array of today's. */
int plugin_copy_options(struct arena *arena, struct plugin *plugin)
{
    const vitro_plugin_info *info = &plugin->info;
    const char *path = plugin->path;
    const char *from = (const char *)info->options;
    const size_t least = offsetof(vitro_option, names) + sizeof(const char *const *);
    if (from && info->option_size < least)
        return fail(ERR_PLUGIN, "%s: its options have %u bytes each, %zu are the least", path,
                    info->option_size, least);
    vitro_option *all = arena_alloc(arena, OPTION_LIMIT + 1, sizeof *all);
    if (!all)
        return ERR_MEMORY;
    plugin->options = all;
    for (size_t i = 0; from; i++, from += info->option_size) {
        copy_known(&all[i], sizeof *all, from, info->option_size);
        if (!all[i].name)
            return 0;
        if (i == OPTION_LIMIT)
            return fail(ERR_PLUGIN, "%s: more than %d options", path, OPTION_LIMIT);
        TRY(check_option(path, info, all, i));
    }
    return 0;
}
