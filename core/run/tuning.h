/* tuning.h - what a tuner found to be fastest for an engine's products and passes of attention, in a file.
 *
 * A file holds for one device, one version of its driver and one set of shaders; one of another is not used. It lies in
 * the user's cache folder, whole or not at all. */
#ifndef VITRO_RUN_TUNING_H
#define VITRO_RUN_TUNING_H

#include "device.h"
#include "products.h"

struct tuning;

/* Where the device's file is: below the user's cache folder. */
int tuning_path(const struct device_info *d, char *out, size_t size);
/* The file's choices: *out, or NULL with the reason in error_text() when it is not there, not one, or another's.
 * Negative only when memory is out. */
int tuning_read(struct tuning **out, const struct engine *e, const char *path);
void tuning_destroy(struct tuning *t); /* NULL is fine; the engine must be gone, or told of another */
/* The engine takes its choices from then on; NULL: from the ladder alone. */
void tuning_use(const struct tuning *t, struct engine *e);
const char *tuning_hash(const struct tuning *t); /* of what it says; "" for NULL */

struct tuning_row { /* one product, or pass; lent for the call of the report */
    const char *product;
    char first[LADDER_TEXT], best[LADDER_TEXT]; /* the ladder's own choice, and the fastest */
    uint32_t candidates;
    double first_seconds, best_seconds;
};
/* Times the choices that each product of the engine has (products_candidates), and writes the fastest to the file, with
 * what was there before. `report` returns other than 0 to stop, and then nothing is written. */
int tuning_make(struct engine *e, const char *path, int repeats,
                int (*report)(void *context, const struct tuning_row *row), void *context);

#endif
