/* dataset.h - a data set in any layout that is read, as lists. The layouts are the table of dataset.c and that of
 * docs/data.md. */
#ifndef VITRO_DATA_DATASET_H
#define VITRO_DATA_DATASET_H

#include "folders.h"

/* Finds the layout and reads it; `spec` may be NULL. `found` gets a sentence that says what was found. The source must
 * outlive the lists. */
int dataset_read(struct lists *out, const struct source *s, const struct folders_spec *spec,
                 char found[FOUND_TEXT]);

#endif
