/* study_private.h - what the files of the study layer that read JSON share. */
#ifndef VITRO_STUDY_STUDY_PRIVATE_H
#define VITRO_STUDY_STUDY_PRIVATE_H

#include "json.h"

#define STUDY_RECIPE_SCHEMA "vitro.recipe/1"

/* Refuses an object's keys that are not in the list (ended by NULL), and one given twice; `what` begins the sentence. */
int object_check(const struct json *object, const char *const *keys, const char *what);

#endif
