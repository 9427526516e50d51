/* memory_view.h - what a training takes of the device's memory, as a table. */
#ifndef VITRO_DRIVER_MEMORY_VIEW_H
#define VITRO_DRIVER_MEMORY_VIEW_H

#include "foresee.h"
#include "trial.h"

/* What the settings say of it; the images are the caller's to fill in. */
struct foresee_spec memory_spec(const struct settings *s);
/* Foresees it for the trials' model and methods, which have no session yet, and prints it, by `document` with --json;
 * of several as of packed ones. */
int memory_show(const struct trial *trials, const struct settings *s, const struct foresee_spec *specs,
                uint32_t count, struct json *document);

#endif
