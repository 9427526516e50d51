/* plugin_private.h - what the files of this folder share about loaded plugins. */
#ifndef VITRO_HOST_PLUGIN_PRIVATE_H
#define VITRO_HOST_PLUGIN_PRIVATE_H

#include "plugin.h"

/* A plugin's log line, on its way to plugins_set_log's function. */
void plugins_say(const struct plugins *p, int level, const char *id, const char *text);

#endif
