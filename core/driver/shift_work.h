/* shift_work.h - what `vitro robust` and `vitro wise` do: for a study of the store or for one trained method. */
#ifndef VITRO_DRIVER_SHIFT_WORK_H
#define VITRO_DRIVER_SHIFT_WORK_H

#include "driver.h"
#include "shift.h"
#include "store.h"
#include "study.h"

/* Judges what settings.rest names, keeps the answers in the store and prints the tables. */
int shift_work(const struct settings *s, enum shift_kind kind);
/* Judges every refit of the study; what was judged before is not judged again. The store is held for writing. */
int shift_study(const struct study *study, struct store *store, const struct settings *s,
                enum shift_kind kind);

/* The tables of a document with `robustness` or `wise`, methods and packs (shift_print.c). */
int shift_print(const struct json *document, enum shift_kind kind);

extern const struct argument_group group_shift; /* --shifts, --corrupt-seed, --batch */

#endif
