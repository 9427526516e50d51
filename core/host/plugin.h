/* plugin.h - plugins as files: where they are looked for, what they must be to be let in. */
#ifndef VITRO_HOST_PLUGIN_H
#define VITRO_HOST_PLUGIN_H

#include <stddef.h>
#include <vitro/method.h>

struct plugins; /* a search path and what was loaded; libraries are never closed */

/* Folders to look in, in this order: those of `first` (separated by colons, each must be there; NULL:
 * none), then those of VITRO_PLUGIN_PATH or, where that is not set, those of `defaults` (ended by NULL) that
 * exist. Nothing is loaded yet. */
int plugins_create_in(struct plugins **out, const char *first, const char *const *defaults);
int plugins_create(struct plugins **out, const char *const *defaults); /* first: none */
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

/* The folders, lent; returns how many. */
size_t plugins_folders(const struct plugins *p, const char *const **folders);

struct plugin_file { /* a candidate; strings live with the struct plugins */
    const char *path, *id;
};
/* Every file vitro_<id>.so of the folders, in order of folder and name; nothing is loaded. */
int plugins_files(struct plugins *p, const struct plugin_file **files, size_t *count);
/* Refuses the two files of one id by both names. */
int plugin_twin(const char *one, const char *other, const char *id);

struct plugin_card { /* one candidate; strings live with the struct plugins */
    const char *path;
    const struct plugin *plugin; /* NULL when refused */
    const char *refusal;         /* the sentence why, or NULL */
};
/* The same files, each loaded into this process or refused aloud. */
int plugins_list(struct plugins *p, const struct plugin_card **cards, size_t *count);

#endif
