/* opening.h - a test split opened by hand, outside of a study: written into the store's ledger like any other. */
#ifndef VITRO_DRIVER_OPENING_H
#define VITRO_DRIVER_OPENING_H

#include "driver.h"
#include "trial.h"

/* Records that the trial's test split is opened. `what` is everything that makes the trial what it is: the same
 * again adds nothing; another one of the same method, data, weights and seed is refused without --again REASON. */
int opening_record(const struct trial *t, const struct settings *s, const struct json *what);

/* "lora[r=8]+bitfit" is the method lora+bitfit in the ledger, as a recipe would call it. */
void opening_method_name(const char *method, char name[160]);

extern const struct argument_group group_opening; /* --final, --again, --store */

#endif
