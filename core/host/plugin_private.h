/* plugin_private.h - what the files of this folder share about loaded plugins. */
#ifndef VITRO_HOST_PLUGIN_PRIVATE_H
#define VITRO_HOST_PLUGIN_PRIVATE_H

#include "memory.h"
#include "plugin.h"

enum { ID_LIMIT = 31, OPTION_LIMIT = 64, FOLDER_LIMIT = 64, PATH_SIZE = 4096 };

struct loaded {
    struct plugin plugin;
    char *real; /* without links: the same file under two names is one plugin */
    struct loaded *next;
};

struct plugins {
    struct arena arena;
    const char **folders; /* without links, each once */
    size_t folder_count;
    struct loaded *loaded;
    plugins_log log;
    void *log_context;
};

/* The id in ".../vitro_<id>.so", or 0 when the name is not of that form. */
int plugin_id_of(const char *path, char id[ID_LIMIT + 1]);

/* A plugin's log line, on its way to plugins_set_log's function. */
void plugins_say(const struct plugins *p, int level, const char *id, const char *text);

/* Looks at the version before all else, then copies what both sides know into `info`. */
int plugin_check_head(const char *path, const void *symbol, vitro_plugin_info *info);
/* Checks the options and copies them, whose stride is the plugin's, into an array of today's. */
int plugin_copy_options(struct arena *arena, struct plugin *plugin);

#endif
