/* demo_recipe.h - the recipe that `vitro demo` runs, made of its options. */
#ifndef VITRO_DRIVER_DEMO_RECIPE_H
#define VITRO_DRIVER_DEMO_RECIPE_H

#include "driver.h"
#include "json.h"

/* A recipe (docs/recipes.md) as JSON; the caller destroys it. */
int demo_recipe(struct json **out, const struct settings *s);

#endif
