/* study_tuning.h - a study's own copy of the tuning: all its trials are computed by the same kernels, whatever the user
 * tunes while it runs or later. */
#ifndef VITRO_STUDY_STUDY_TUNING_H
#define VITRO_STUDY_STUDY_TUNING_H

#include "store.h"

/* When the study first runs: keeps the user's file, or that there is none. */
int study_tuning_keep(const struct store *store, const char *study, const char *users /* NULL: none */);
/* What the study's trials are told: the path of the copy, or "off". */
int study_tuning(const struct store *store, const char *study, char path[STORE_PATH]);

#endif
