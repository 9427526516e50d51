/* study_view.h - the analysis of the studies that a verb was given. */
#ifndef VITRO_DRIVER_STUDY_VIEW_H
#define VITRO_DRIVER_STUDY_VIEW_H

#include "driver.h"
#include "json.h"
#include "table.h"

/* The document of docs/analysis.md for the studies named by settings.rest, side by side where that is allowed, on the
 * backbone that --backbone names (else the first). The caller destroys it. */
int view_build(struct json **out, const struct settings *s);

/* For tables: an item of an array; NULL beyond its end. */
const struct json *view_at(const struct json *array, size_t index);
double view_number(const struct json *object, const char *key);    /* NaN: not there */
double view_item(const struct json *array, size_t index);          /* NaN: not there */
const char *view_text(const struct json *object, const char *key); /* "": not there */

int view_holds(const struct json *indices, size_t index); /* whether a list of indices has this one */

/* Badges that are not well and flags, one sentence a line. */
void view_print_warnings(const struct json *analysis);

/* compare's table (verb_compare.c) */
int compare_print(const struct json *analysis);

extern const struct argument_group group_view;

#endif
