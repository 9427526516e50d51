/* result_source.h - a stored result that a verb is given by the first digits of its id. */
#ifndef VITRO_DRIVER_RESULT_SOURCE_H
#define VITRO_DRIVER_RESULT_SOURCE_H

#include "driver.h"
#include "json.h"
#include "store.h"

struct result_file { /* a zeroed one is closed */
    char id[HASH_TEXT];
    struct json *result, *run; /* run may be NULL */
    struct outcome outcome;    /* checked, see store.h */
};
int result_open(struct result_file *r, const struct store *store, const char *prefix);
void result_close(struct result_file *r);

#endif
