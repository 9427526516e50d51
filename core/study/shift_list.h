/* shift_list.h - which answers under shift a study has: studies/NAME/shifts.json, and what it names. */
#ifndef VITRO_STUDY_SHIFT_LIST_H
#define VITRO_STUDY_SHIFT_LIST_H

#include "shift.h"
#include "store.h"
#include "study.h"

struct shift_entry { /* names as the study has them */
    const char *backbone, *pack, *method;
    uint64_t seed;
    const char *id;
};
/* Puts these in place of the study's list of this kind; the other kind's stays. */
int shift_list_write(const struct store *store, const struct study *study, enum shift_kind kind,
                     const struct shift_entry *entries, uint32_t count);

/* How many the study has of a kind. */
int shift_list_count(const struct store *store, const struct study *study, enum shift_kind kind,
                     uint32_t *count);

/* All runs of both kinds on one backbone, in the arena. One that does not read as it was written is left out, and
 * `bad` gets a sentence (NULL: none). */
int shift_list_read(struct shift_run **runs, uint32_t *count, const char **bad, struct arena *arena,
                    const struct store *store, const struct study *study, uint32_t backbone);

#endif
