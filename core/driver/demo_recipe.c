/* demo_recipe.c - see demo_recipe.h. */
#include "demo_recipe.h"

#include "builtin.h"
#include "memory.h"
#include "model_source.h"
#include "recipe_json.h"
#include "table.h"

#include <stdio.h>
#include <string.h>

enum { PIECE = 160, TEST_IMAGES = 500 };

/* Calls take for each piece between commas outside of brackets. */
static int each_piece(const char *text, int (*take)(void *context, const char *piece), void *context)
{
    char piece[PIECE];
    size_t used = 0;
    int depth = 0;
    for (const char *c = text;; c++) {
        depth += (*c == '[') - (*c == ']');
        if (*c && (*c != ',' || depth > 0)) {
            if (used + 1 >= sizeof piece)
                return fail(ERR_USAGE, "\"%.40s...\" is too long for a name", piece);
            piece[used++] = *c;
            continue;
        }
        piece[used] = 0;
        if (used)
            TRY(take(context, piece));
        used = 0;
        if (!*c)
            return 0;
    }
}

struct packs {
    struct json *list;
    int32_t images;
};

static int add_pack(void *context, const char *task)
{
    const struct packs *p = context;
    const struct builtin_task *found;
    char data[PIECE + 64];
    const int val = p->images / 5; /* shares as in VTAB-1K */
    TRY(builtin_find(&found, task));
    snprintf(data, sizeof data, "builtin:%s:%d/%d/%d", task, p->images - val, val, TEST_IMAGES);
    return json_append_string(p->list, data);
}

static int add_method(void *context, const char *method)
{
    return json_append_string(context, method);
}

static int range(struct json *families, const char *family, double low, double high)
{
    struct json *axis = json_object(), *pair = json_array();
    TRY(json_take(families, family, axis));
    TRY(json_take(axis, "log_uniform", pair));
    TRY(json_append_number(pair, low));
    return json_append_number(pair, high);
}

/* Learning rates that suit the small model that comes with the program: higher ones than a large model's. */
static int fill_search(struct json *search)
{
    struct json *rates = json_object(), *decay = json_array();
    TRY(json_take(search, "lr", rates));
    TRY(range(rates, "head", 3e-3, 1e-1));
    TRY(range(rates, "peft", 1e-3, 3e-2));
    TRY(range(rates, "full", 1e-4, 3e-3));
    TRY(json_take(search, "decay", decay));
    return json_append_number(decay, 1e-4);
}

static int fill_tune(struct json *tune, const struct settings *s)
{
    TRY(json_set_string(tune, "strategy", "random"));
    return json_set_integer(tune, "trials", s->trials);
}

static int fill_training(struct json *training, const struct recipe *r)
{
    TRY(json_set_integer(training, "epochs", r->epochs));
    TRY(json_set_integer(training, "warmup", r->warmup));
    TRY(json_set_integer(training, "batch", r->batch));
    TRY(json_set_string(training, "schedule", recipe_schedules[r->schedule]));
    return json_set_bool(training, "drop_last", r->drop_last);
}

static int fill_backbone(struct json *list, const struct settings *s)
{
    struct json *backbone = json_append_object(list);
    TRY(json_set_string(backbone, "name", s->model ? "given" : "vitro-micro"));
    TRY(json_set_string(backbone, "model", s->model ? s->model : bundled_name));
    if (s->heads)
        TRY(json_set_integer(backbone, "heads", s->heads));
    if (s->act)
        TRY(json_set_string(backbone, "act", vit_activations[s->act]));
    return s->random ? json_set_bool(backbone, "random", 1) : 0;
}

static int fill(struct json *j, const struct settings *s)
{
    struct packs packs = {.images = s->images};
    struct json *part;
    TRY(json_set_string(j, "schema", "vitro.recipe/1"));
    TRY(json_set_string(j, "name", "demo"));
    TRY(json_set_string(
        j, "about", "methods on built-in tasks: shows that everything works, not which method is better"));
    TRY(json_take(j, "backbones", part = json_array()));
    TRY(fill_backbone(part, s));
    TRY(json_take(j, "packs", packs.list = json_array()));
    TRY(each_piece(s->tasks, add_pack, &packs));
    TRY(json_take(j, "methods", part = json_array()));
    TRY(each_piece(s->methods, add_method, part));
    TRY(json_take(j, "search", part = json_object()));
    TRY(fill_search(part));
    TRY(json_take(j, "tune", part = json_object()));
    TRY(fill_tune(part, s));
    TRY(json_take(j, "seeds", part = json_array()));
    for (int32_t i = 0; i < s->seeds; i++)
        TRY(json_append_number(part, i));
    TRY(json_take(j, "training", part = json_object()));
    return fill_training(part, &s->recipe);
}

int demo_recipe(struct json **out, const struct settings *s)
{
    *out = json_object();
    int rc = *out ? fill(*out, s) : ERR_MEMORY;
    if (rc < 0) {
        json_destroy(*out);
        *out = NULL;
    }
    return rc;
}
