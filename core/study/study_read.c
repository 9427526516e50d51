/* study_read.c - a recipe's JSON into a struct study, strictly: what is not known is refused. */
#include "study.h"

#include "activation.h"
#include "error.h"
#include "file.h"
#include "nearest.h"
#include "recipe_json.h"
#include "study_private.h"
#include "way_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_LIMIT = 256 };

const char *const tune_strategies[] = {"none", "grid", "random", "halving", NULL};

int object_check(const struct json *object, const char *const *keys, const char *what)
{
    if (!json_is_object(object))
        return fail(ERR_INPUT, "%s must be a JSON object", what);
    for (const struct json *member = json_first(object); member; member = json_next(member)) {
        const char *key = json_key(member);
        struct nearest near = nearest_to(key);
        char hint[NEAREST_TEXT], list[320] = "";
        int known = 0;
        for (int i = 0; keys[i]; i++) {
            size_t used = strlen(list);
            known |= strcmp(keys[i], key) == 0;
            nearest_offer(&near, keys[i]);
            snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", keys[i]);
        }
        if (!known)
            return fail(ERR_INPUT, "%s has no \"%.40s\"%s (it has %s)", what, key, nearest_hint(&near, hint),
                        list);
        for (const struct json *other = json_first(object); other != member; other = json_next(other))
            if (strcmp(json_key(other), key) == 0)
                return fail(ERR_INPUT, "%s gives \"%.40s\" twice", what, key);
    }
    return 0;
}

/* A string that may be left out: *out is then what it was. */
static int read_text(struct study *s, const struct json *object, const char *key, const char **out)
{
    const struct json *value = json_get(object, key);
    if (!value)
        return 0;
    if (!json_string(value))
        return fail(ERR_INPUT, "\"%s\" must be a string", key);
    *out = arena_string(&s->arena, json_string(value));
    return *out ? 0 : ERR_MEMORY;
}

static int read_whole(const struct json *object, const char *key, int64_t low, int64_t high, int64_t *out)
{
    const struct json *value = json_get(object, key);
    if (!value)
        return 0;
    if (json_integer(value, out) < 0 || *out < low || *out > high)
        return fail(ERR_INPUT, "\"%s\" must be a whole number between %lld and %lld", key, (long long)low,
                    (long long)high);
    return 0;
}

static int read_positive(const struct json *object, const char *key, double *out)
{
    const struct json *value = json_get(object, key);
    if (!value)
        return 0;
    if (json_number(value, out) < 0 || *out < 0)
        return fail(ERR_INPUT, "\"%s\" must be a number that is not negative", key);
    return 0;
}

static int read_flag(const struct json *object, const char *key, int *out)
{
    const struct json *value = json_get(object, key);
    if (value && json_bool(value, out) < 0)
        return fail(ERR_INPUT, "\"%s\" must be true or false", key);
    return 0;
}

static int read_choice(const struct json *object, const char *key, const char *const *names, int32_t *out)
{
    const struct json *value = json_get(object, key);
    const char *text = json_string(value);
    char list[128] = "";
    if (!value)
        return 0;
    for (int32_t i = 0; names[i]; i++) {
        size_t used = strlen(list);
        if (text && strcmp(names[i], text) == 0) {
            *out = i;
            return 0;
        }
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", names[i]);
    }
    return fail(ERR_INPUT, "\"%s\" must be one of %s", key, list);
}

/* Names become folders, columns and words of sentences. */
static int check_name(const char *name, const char *what)
{
    size_t length = name ? strlen(name) : 0;
    if (length == 0 || length >= STUDY_NAME || name[0] == '.' || name[0] == '-')
        return fail(
            ERR_INPUT,
            "%s needs a \"name\" of 1 to %d letters that begins with a letter or digit, not \"%.70s\"", what,
            STUDY_NAME - 1, name ? name : "");
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < ' ')
            return fail(ERR_INPUT, "%s has byte %d in its name; give it another \"name\"", what, *c);
        else if (strchr("/\\\"<>|*?:", *c))
            return fail(ERR_INPUT,
                        "%s is called \"%.60s\", which has a character that file names cannot have; give it "
                        "another \"name\"",
                        what, name);
    return 0;
}

static int list_of(const struct json *object, const char *key, const struct json **list, uint32_t *count)
{
    *list = json_get(object, key);
    size_t n = json_is_array(*list) ? json_count(*list) : 0;
    if (n == 0 || n > LIST_LIMIT)
        return fail(ERR_INPUT, "\"%s\" must be a list of 1 to %d", key, LIST_LIMIT);
    *count = (uint32_t)n;
    return 0;
}

static int read_backbone(struct study *s, const struct json *j, struct study_backbone *b)
{
    static const char *const keys[] = {"name", "model", "head", "heads", "act", "random", NULL};
    int64_t heads = 0;
    TRY(object_check(j, keys, "a backbone"));
    TRY(read_text(s, j, "name", &b->name));
    TRY(read_text(s, j, "model", &b->model));
    TRY(read_text(s, j, "head", &b->head));
    TRY(read_whole(j, "heads", 0, 1024, &heads));
    TRY(read_choice(j, "act", vit_activations, &b->act));
    TRY(read_flag(j, "random", &b->random));
    b->heads = (int32_t)heads;
    if (!b->model)
        return fail(ERR_INPUT, "a backbone lacks \"model\": a file of weights, or \"bundled\"");
    if (!b->name)
        b->name = b->model;
    return check_name(b->name, "a backbone");
}

/* "builtin:count:8/2/10" is called count, "sets/eurosat.tar" eurosat. */
static const char *data_name(struct study *s, const char *data)
{
    const char *start = strncmp(data, "builtin:", 8) == 0 ? data + 8
                        : strrchr(data, '/')              ? strrchr(data, '/') + 1
                                                          : data;
    char *name = arena_string(&s->arena, start);
    if (name && name[0])
        name[strcspn(name, ":.")] = 0;
    return name;
}

static int read_pack(struct study *s, const struct json *j, struct study_pack *p)
{
    static const char *const keys[] = {"name", "data", "normalise", "group", "image", NULL};
    int64_t image = 0;
    if (json_string(j)) {
        p->data = arena_string(&s->arena, json_string(j));
    } else {
        TRY(object_check(j, keys, "a pack"));
        TRY(read_text(s, j, "name", &p->name));
        TRY(read_text(s, j, "data", &p->data));
        TRY(read_text(s, j, "normalise", &p->normalise));
        TRY(read_text(s, j, "group", &p->group));
        TRY(read_whole(j, "image", 0, 1024, &image));
        p->image = (int32_t)image;
    }
    if (!p->data)
        return fail(ERR_INPUT, "a pack lacks \"data\": a pack's file, a folder or archive, or builtin:NAME");
    if (!p->name && !(p->name = data_name(s, p->data)))
        return ERR_MEMORY;
    return check_name(p->name, "a pack");
}

static int read_method(struct study *s, const struct json *j, struct study_method *m)
{
    static const char *const keys[] = {"name", "method", "search", NULL};
    if (json_string(j)) {
        m->text = arena_string(&s->arena, json_string(j));
    } else {
        TRY(object_check(j, keys, "a method"));
        TRY(read_text(s, j, "name", &m->name));
        TRY(read_text(s, j, "method", &m->text));
        m->search = json_get(j, "search");
        if (m->search && !json_is_object(m->search))
            return fail(ERR_INPUT, "a method's \"search\" must be a JSON object");
    }
    if (!m->text)
        return fail(ERR_INPUT, "a method lacks \"method\": what `vitro train --method` takes");
    if (!m->name)
        m->name = m->text;
    return check_name(m->name, "a method");
}

static int read_seeds(struct study *s, const struct json *recipe)
{
    const struct json *list, *item;
    struct recipe r = recipe_default;
    TRY(list_of(recipe, "seeds", &list, &s->seed_count));
    s->seeds = arena_alloc(&s->arena, s->seed_count, sizeof *s->seeds);
    if (!s->seeds)
        return ERR_MEMORY;
    item = json_first(list);
    for (uint32_t i = 0; i < s->seed_count; i++, item = json_next(item)) {
        TRY(recipe_set(&r, "seed", item));
        s->seeds[i] = r.seed;
        for (uint32_t k = 0; k < i; k++)
            if (s->seeds[k] == r.seed)
                return fail(ERR_INPUT, "the seed %llu is given twice", (unsigned long long)r.seed);
    }
    return 0;
}

/* "fog:3", "corruptions" or a data set: a string, or {"name", "data"}. */
static int read_shift(struct study *s, const struct json *j, struct study_shift *shift)
{
    static const char *const keys[] = {"name", "data", NULL};
    if (json_string(j)) {
        shift->name = arena_string(&s->arena, json_string(j));
        return shift->name ? 0 : ERR_MEMORY;
    }
    TRY(object_check(j, keys, "a shift"));
    TRY(read_text(s, j, "name", &shift->name));
    TRY(read_text(s, j, "data", &shift->data));
    if (!shift->data)
        return fail(ERR_INPUT,
                    "a shift is a corruption (\"fog:3\") or has \"data\": what `vitro eval --data` takes");
    if (!shift->name && !(shift->name = data_name(s, shift->data)))
        return ERR_MEMORY;
    return check_name(shift->name, "a shift");
}

static int read_shifts(struct study *s, const struct json *recipe)
{
    const struct json *list;
    if (!json_get(recipe, "shifts"))
        return 0;
    TRY(list_of(recipe, "shifts", &list, &s->shift_count));
    s->shifts = arena_alloc(&s->arena, s->shift_count, sizeof *s->shifts);
    if (!s->shifts)
        return ERR_MEMORY;
    const struct json *item = json_first(list);
    for (uint32_t i = 0; i < s->shift_count; i++, item = json_next(item))
        TRY(read_shift(s, item, &s->shifts[i]));
    return 0;
}

static int read_wise(struct study *s, const struct json *recipe)
{
    static const char *const keys[] = {"alphas", "head", NULL};
    const struct json *j = json_get(recipe, "wise");
    int64_t alphas = STUDY_ALPHAS;
    s->wise = (struct study_wise){.wanted = j != NULL, .alphas = STUDY_ALPHAS, .head = WAY_PROBE};
    if (!j)
        return 0;
    TRY(object_check(j, keys, "\"wise\""));
    TRY(read_whole(j, "alphas", 2, 101, &alphas));
    TRY(read_choice(j, "head", way_heads, &s->wise.head));
    s->wise.alphas = (int32_t)alphas;
    return s->shift_count ? 0
                          : fail(ERR_INPUT, "\"wise\" needs \"shifts\": what it weighs clean images against");
}

static int read_tune(struct study *s, const struct json *recipe)
{
    static const char *const keys[] = {"strategy", "trials", "seconds", "seed", "eta", "rungs", NULL};
    const struct json *j = json_get(recipe, "tune");
    int64_t trials = 0, seed = 0, eta = 3, rungs = 2;
    s->tune = (struct study_tune){.strategy = TUNE_NONE, .eta = 3, .rungs = 2};
    if (!j)
        return 0;
    TRY(object_check(j, keys, "\"tune\""));
    TRY(read_choice(j, "strategy", tune_strategies, &s->tune.strategy));
    TRY(read_whole(j, "trials", 1, 100000, &trials));
    TRY(read_whole(j, "seed", 0, 1LL << 53, &seed));
    TRY(read_whole(j, "eta", 2, 16, &eta));
    TRY(read_whole(j, "rungs", 2, 8, &rungs));
    TRY(read_positive(j, "seconds", &s->tune.seconds));
    s->tune.trials = (uint32_t)trials;
    s->tune.seed = (uint64_t)seed;
    s->tune.eta = (int32_t)eta;
    s->tune.rungs = (int32_t)rungs;
    if (s->tune.strategy == TUNE_RANDOM && !trials && s->tune.seconds <= 0)
        return fail(ERR_INPUT,
                    "tuning at random needs a budget: \"trials\" or \"seconds\", the same for every method");
    if (s->tune.strategy == TUNE_HALVING && (!trials || s->tune.seconds > 0))
        return fail(ERR_INPUT,
                    "successive halving needs its budget as \"trials\" (whole trainings a method)");
    if (s->tune.strategy == TUNE_NONE && (trials || s->tune.seconds > 0))
        return fail(ERR_INPUT, "a budget is given, but the strategy is none; say grid, random or halving");
    return 0;
}

static int read_limits(struct study *s, const struct json *recipe)
{
    static const char *const keys[] = {"trial_seconds", "stall_seconds", "memory_mib", NULL};
    const struct json *j = json_get(recipe, "limits");
    int64_t memory = 0;
    s->stall_seconds = 600;
    if (!j)
        return 0;
    TRY(object_check(j, keys, "\"limits\""));
    TRY(read_positive(j, "trial_seconds", &s->trial_seconds));
    TRY(read_positive(j, "stall_seconds", &s->stall_seconds));
    TRY(read_whole(j, "memory_mib", 0, 1LL << 30, &memory));
    s->memory_bytes = (uint64_t)memory << 20;
    return 0;
}

#define READ_LIST(s, recipe, key, field, read)                                                            \
    do {                                                                                                  \
        const struct json *list_, *item_;                                                                 \
        TRY(list_of(recipe, key, &list_, &(s)->field##_count));                                           \
        (s)->field##s = arena_alloc(&(s)->arena, (s)->field##_count, sizeof *(s)->field##s);              \
        if (!(s)->field##s)                                                                               \
            return ERR_MEMORY;                                                                            \
        item_ = json_first(list_);                                                                        \
        for (uint32_t i_ = 0; i_ < (s)->field##_count; i_++, item_ = json_next(item_)) {                  \
            TRY(read(s, item_, &(s)->field##s[i_]));                                                      \
            for (uint32_t k_ = 0; k_ < i_; k_++)                                                          \
                if (strcmp((s)->field##s[k_].name, (s)->field##s[i_].name) == 0)                          \
                    return fail(ERR_INPUT, "two of \"" key "\" are called %s; give one another \"name\"", \
                                (s)->field##s[i_].name);                                                  \
        }                                                                                                 \
    } while (0)

static int read_lists(struct study *s, const struct json *recipe)
{
    READ_LIST(s, recipe, "backbones", backbone, read_backbone);
    READ_LIST(s, recipe, "packs", pack, read_pack);
    READ_LIST(s, recipe, "methods", method, read_method);
    return read_seeds(s, recipe);
}
#undef READ_LIST

/* For every method: what all of them have, numbers of the training. */
static int read_search(struct study *s, const struct json *recipe)
{
    s->search = json_get(recipe, "search");
    if (s->search && !json_is_object(s->search))
        return fail(ERR_INPUT, "\"search\" must be a JSON object");
    for (const struct json *member = json_first(s->search); member; member = json_next(member))
        if (!recipe_has(json_key(member)))
            return fail(ERR_INPUT,
                        "\"search\" has \"%.40s\", which is no number of the training (lr, decay ...); an "
                        "option is searched in the \"search\" of its method",
                        json_key(member));
    return 0;
}

/* The budget must hold one point's rungs, each of which trains longer than the one before. */
static int check_halving(const struct study *s)
{
    int64_t shortest = 1;
    if (s->tune.strategy != TUNE_HALVING)
        return 0;
    for (int32_t k = 1; k < s->tune.rungs; k++)
        shortest *= s->tune.eta;
    if (s->tune.trials < 2)
        return fail(
            ERR_INPUT,
            "successive halving needs a budget of at least 2 \"trials\": one point's rungs cost more than "
            "one training");
    if (s->training.epochs < shortest)
        return fail(
            ERR_INPUT,
            "halving in %d rungs of one in %d needs at least %lld epochs, not %d; give more \"epochs\" or "
            "fewer \"rungs\"",
            s->tune.rungs, s->tune.eta, (long long)shortest, s->training.epochs);
    return 0;
}

/* No object anywhere in a recipe may give a key twice: which one is meant? */
static int check_twice(const struct json *j)
{
    for (const struct json *k = json_first(j); k; k = json_next(k)) {
        if (json_is_object(j) && json_get(j, json_key(k)) != k)
            return fail(ERR_INPUT, "it gives \"%.40s\" twice in one object", json_key(k));
        TRY(check_twice(k));
    }
    return 0;
}

static int read_recipe(struct study *s, const struct json *recipe)
{
    static const char *const keys[] = {"schema",   "name",   "about",  "backbones", "packs",
                                       "methods",  "search", "tune",   "refit",     "seeds",
                                       "training", "limits", "shifts", "wise",      NULL};
    static const char *const refits[] = {"train", "trainval", NULL};
    const char *schema = NULL;
    TRY(object_check(recipe, keys, "the recipe"));
    TRY(read_text(s, recipe, "schema", &schema));
    if (!schema || strcmp(schema, STUDY_RECIPE_SCHEMA) != 0)
        return fail(ERR_INPUT, "its \"schema\" must be \"%s\"", STUDY_RECIPE_SCHEMA);
    TRY(read_text(s, recipe, "name", &s->name));
    TRY(check_name(s->name, "the study"));
    TRY(read_text(s, recipe, "about", &s->about));
    TRY(read_lists(s, recipe));
    TRY(read_shifts(s, recipe));
    TRY(read_wise(s, recipe));
    TRY(read_tune(s, recipe));
    TRY(read_limits(s, recipe));
    TRY(read_choice(recipe, "refit", refits, &s->refit_trainval));
    TRY(read_search(s, recipe));
    if (json_get(recipe, "training"))
        TRY(recipe_read(&s->training, json_get(recipe, "training")));
    if (json_get(json_get(recipe, "training"), "seed"))
        return fail(ERR_INPUT, "a study's seeds are its \"seeds\"; take \"seed\" out of \"training\"");
    TRY(check_twice(recipe));
    TRY(check_halving(s));
    return recipe_check(&s->training, (uint32_t)s->training.batch);
}

int study_parse(struct study **out, const struct json *recipe, const char *what)
{
    *out = NULL;
    if (!recipe)
        return fail(ERR_INPUT, "%s holds no recipe", what);
    struct study *s = mem_alloc(1, sizeof *s);
    if (!s)
        return ERR_MEMORY;
    s->training = recipe_default;
    s->refit_trainval = 1;
    s->document = json_copy(recipe);
    int rc = s->document ? read_recipe(s, s->document) : ERR_MEMORY;
    char *text = rc == 0 ? json_canonical(s->document) : NULL;
    if (rc == 0)
        rc = text ? hash_bytes(text, strlen(text), s->hash) : ERR_MEMORY;
    mem_free(text);
    if (rc < 0) {
        study_destroy(s);
        return fail_in(rc, "%s", what);
    }
    *out = s;
    return 0;
}

int study_read(struct study **out, const char *path)
{
    struct json *recipe = NULL;
    *out = NULL;
    TRY(json_read_file(&recipe, path));
    int rc = study_parse(out, recipe, path);
    json_destroy(recipe);
    return rc;
}

void study_destroy(struct study *s)
{
    if (!s)
        return;
    json_destroy(s->document);
    arena_finish(&s->arena);
    mem_free(s);
}
