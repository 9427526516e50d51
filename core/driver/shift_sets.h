/* shift_sets.h - the sets of images that a trained method is judged on when data shifts: its own data as they are and
 * corrupted, and other data sets of the same classes. */
#ifndef VITRO_DRIVER_SHIFT_SETS_H
#define VITRO_DRIVER_SHIFT_SETS_H

#include "corrupt.h"
#include "driver.h"
#include "shift.h"
#include "study.h"

enum { WISHES_MOST = 256 };
struct shift_wish { /* a corruption, or a data set */
    struct corruption what;
    char name[64];
    const char *data; /* NULL: a corruption */
};
struct shift_wishes {
    struct shift_wish item[WISHES_MOST];
    uint32_t count;
    char *text; /* owned: what the items lend from */
};
/* Texts separated by commas: corruptions (all 15 at all severities), corruptions:3, fog, fog:3, or [NAME=]DATA. */
int shift_wishes_parse(struct shift_wishes *w, const char *text);
/* What the study's recipe names; all corruptions where it names nothing. */
int shift_wishes_of(struct shift_wishes *w, const struct study *study);
/* Refuses data sets that are not there or have other classes than the pack. */
int shift_wishes_check(const struct shift_wishes *w, const struct pack *pack,
                       const struct settings *settings);
void shift_wishes_finish(struct shift_wishes *w);

struct judged_set {
    const char *name, *fingerprint;
    enum shift_set_kind kind;
    struct corruption what;
    uint32_t count;
    const int32_t *labels;
    const unsigned char *rgb; /* NULL until shift_sets_pixels */
    unsigned char *only;      /* [classes] 1: may be answered; NULL: all */
};
struct shift_sets {
    const struct pack *pack; /* lent */
    enum pack_split split;
    uint64_t seed; /* of the corruptions */
    struct judged_set *sets;
    uint32_t count;
    struct pack *others[WISHES_MOST];
    uint32_t other_count;
    unsigned char **owned; /* corrupted pixels, by set */
    size_t held;
    struct arena arena;
};
/* The clean split first; with `val`, val second. A data set whose test split may not be opened (`split` is val) takes
 * part with its val images, or not at all. */
int shift_sets_open(struct shift_sets *s, const struct shift_wishes *wishes, const struct pack *pack,
                    enum pack_split split, int val, const struct settings *settings);
void shift_sets_close(struct shift_sets *s);
/* Corrupts them if need be; kept while there is room. */
int shift_sets_pixels(struct shift_sets *s, uint32_t k);

#endif
