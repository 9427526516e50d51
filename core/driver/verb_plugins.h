/* verb_plugins.h - the parts of `vitro plugins`. */
#ifndef VITRO_DRIVER_VERB_PLUGINS_H
#define VITRO_DRIVER_VERB_PLUGINS_H

#include "driver.h"
#include "json.h"
#include "plugin.h"

enum { LOAD_SECONDS = 5, SHOW_SECONDS = 60 }; /* how long one plugin may take to load; to declare as well */

/* verb_plugins_card.c: what a loaded plugin says of itself, into `row`; and `vitro plugins METHOD`. */
int plugin_describe(struct json *row, const struct plugin *p);
int plugin_show(struct plugins *plugins, const struct settings *s);
/* verb_plugins_new.c: `vitro plugins new NAME`. */
int plugin_new(struct plugins *plugins, const struct settings *s);

#endif
