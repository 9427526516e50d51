/* beside.h - what `vitro train --beside` says: a further trial, trained in the same command buffer. */
#ifndef VITRO_DRIVER_BESIDE_H
#define VITRO_DRIVER_BESIDE_H

#include "driver.h"

/* "METHOD [OPTION=VALUE ...]": the settings of `s`, with that method and those options instead. *words is what they are
 * lent from, freed by the caller (mem_free). Nothing is saved but where the text says so. */
int beside_read(struct settings *out, const struct settings *s, const char *text, char **words);

#endif
