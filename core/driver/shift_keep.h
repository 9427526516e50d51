/* shift_keep.h - one trained method judged under shift: written into the ledger before, kept in the store after. */
#ifndef VITRO_DRIVER_SHIFT_KEEP_H
#define VITRO_DRIVER_SHIFT_KEEP_H

#include "ledger.h"
#include "shift_judge.h"
#include "store.h"

/* Judges the subject unless the store has its answers; `id` names them. The line's test and pack are filled in. */
int shift_keep(const struct store *store, const struct judging *j, const struct subject *subject,
               struct ledger_line *line, const char *pack, char id[HASH_TEXT], struct progress *bar);

#endif
