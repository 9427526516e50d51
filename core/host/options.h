/* options.h - a plugin's options: from "r=8,alpha=16" into the plugin's own struct, and back. */
#ifndef VITRO_HOST_OPTIONS_H
#define VITRO_HOST_OPTIONS_H

#include <stddef.h>

#include "plugin.h"

/* Writes the defaults, then what `text` (may be empty) sets, into `self`. Refuses unknown, repeated,
 * malformed and out-of-range options by name. */
int options_parse(const struct plugin *p, const char *text, void *self);

/* "r=8,alpha=0,dropout=0.1": every option, so that reading it gives the same bytes. Writes at most
 * `size` bytes with a final 0, like snprintf, and returns the length it wants. */
size_t options_format(const struct plugin *p, const void *self, char *text, size_t size);

#endif
