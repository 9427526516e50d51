/* recipe_json.h - a recipe as JSON: numbers as short as read back the same, the seed as a string. */
#ifndef VITRO_TRAIN_RECIPE_JSON_H
#define VITRO_TRAIN_RECIPE_JSON_H

#include "json.h"
#include "recipe.h"

struct json *recipe_json(const struct recipe *r); /* NULL when memory is out */

/* Sets the field `key`; refuses a key that is none, naming the nearest, and a value of another type or out
 * of range. */
int recipe_set(struct recipe *r, const char *key, const struct json *value);
/* Every member of an object; what it does not name stays. */
int recipe_read(struct recipe *r, const struct json *object);
/* Whether `key` is a number of the recipe. */
int recipe_has(const char *key);

#endif
