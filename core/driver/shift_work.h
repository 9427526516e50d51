/* shift_work.h - what `vitro robust` and `vitro wise` do: for a study of the store or for one trained method. */
#ifndef VITRO_DRIVER_SHIFT_WORK_H
#define VITRO_DRIVER_SHIFT_WORK_H

#include "driver.h"
#include "shift.h"
#include "store.h"
#include "study.h"
#include "way.h"

/* Judges what settings.rest names, keeps the answers in the store and prints the tables. */
int shift_work(const struct settings *s, enum shift_kind kind);
/* Judges every refit of the study; what was judged before is not judged again. The store is held for writing. One
 * method that cannot be judged hinders no other. */
int shift_study(const struct study *study, struct store *store, const struct settings *s,
                enum shift_kind kind);
/* `vitro study run`: refuses before any training what could not be judged on after it; and judges, after --final. */
int shift_check(const struct study *study, const struct settings *s);
int shift_follow(const struct study *study, struct store *store, const struct settings *s);

/* WISE: as the command line says, else as the recipe does, else as usual. `study` may be NULL. */
enum way_head shift_head(const struct settings *s, const struct study *study);
uint32_t shift_alphas(const struct settings *s, const struct study *study);

/* The tables of a document with `robustness` or `wise`, methods and packs (shift_print.c). */
int shift_print(const struct json *document, enum shift_kind kind);

extern const struct argument_group group_shift; /* --shifts, --corrupt-seed, --batch */

#endif
