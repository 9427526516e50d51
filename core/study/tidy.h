/* tidy.h - what an end without warning (a kill, a power cut) leaves in a store, taken away when a study begins. */
#ifndef VITRO_STUDY_TIDY_H
#define VITRO_STUDY_TIDY_H

#include "index.h"
#include "store.h"

/* Takes away the work of trials whose results are in their place, and files that were never finished. The store is
 * open for writing, so that nobody is at any of it. */
int tidy_store(struct store *s, const char *study);
/* Brings the index up to the results: one may have come into its place without a row, or been taken away. */
int tidy_index(const struct store *s, struct index *x);

#endif
