/* plugin.h - plugins as files: where they are looked for, what they must be to be let in. */
#ifndef VITRO_HOST_PLUGIN_H
#define VITRO_HOST_PLUGIN_H

#include <stddef.h>
#include <vitro/method.h>

struct plugins; /* a search path and what was loaded; libraries are never closed */

/* Folders to look in: VITRO_PLUGIN_PATH (separated by colons) if set, else the first of `defaults`
 * (ended by NULL) that exists. Nothing is loaded yet. */
int plugins_create(struct plugins **out, const char *const *defaults);
void plugins_destroy(struct plugins *p); /* NULL is fine; what is loaded stays loaded */

/* Where plugins' log lines go: level 0 error, 1 warning, 2 information, 3 debug. Called from any
 * thread. NULL: nowhere. */
typedef void (*plugins_log)(void *context, int level, const char *id, const char *text);
void plugins_set_log(struct plugins *p, plugins_log log, void *context);

struct plugin { /* a plugin that passed all checks; lives with the struct plugins */
    const char *path;
    vitro_plugin_info info;      /* a copy: slots that the plugin is too old to know are NULL */
    const vitro_option *options; /* copies, of today's size, ended by a NULL name; never NULL */
};

/* `name` is an id, looked for as vitro_<id>.so, or a path (it contains '/' or ends in ".so"). */
int plugins_load(struct plugins *p, const char *name, const struct plugin **out);

struct plugin_card { /* one candidate; strings live with the struct plugins */
    const char *path;
    const struct plugin *plugin; /* NULL when refused */
    const char *refusal;         /* the sentence why, or NULL */
};
/* Every file vitro_*.so of the search path, in order of folder and name, loaded or refused aloud. */
int plugins_list(struct plugins *p, const struct plugin_card **cards, size_t *count);

#endif
