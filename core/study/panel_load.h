/* panel_load.h - a study's results as a panel. */
#ifndef VITRO_STUDY_PANEL_LOAD_H
#define VITRO_STUDY_PANEL_LOAD_H

#include "panel.h"
#include "store.h"
#include "study.h"

struct loaded; /* owns a panel and everything it lends */
/* The results of a study on one of its backbones; `final` 0 leaves the test split's out. What is missing, failed or
 * was edited is said, cell by cell. */
int panel_load(struct loaded **out, const struct study *study, const struct store *store, uint32_t backbone);
/* The methods of a second study beside those of the first. Refused where backbone, packs (their fingerprints) or seeds
 * are not the same. */
int panel_join(struct loaded **out, const struct loaded *one, const struct loaded *other);
const struct panel *loaded_panel(const struct loaded *l);
void loaded_destroy(struct loaded *l); /* NULL is fine */

/* 1 when the ledger has an opening of one of the study's test splits for one of its methods, else 0. */
int study_was_judged(const struct study *study, const struct store *store);

#endif
