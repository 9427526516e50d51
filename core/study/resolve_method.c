/* resolve_method.c - a method of a recipe: its plugins, every option spelt out, and the axes of its search. */
#include "resolve.h"

#include "budget.h"
#include "error.h"
#include "nearest.h"
#include "options.h"
#include "recipe_json.h"
#include "space.h"
#include "study_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where a recipe says nothing: what the learning rate is searched in, by how much of the network a method
 * trains. The study gives all the same two rates, which sit on opposite edges for the first two of these. */
static const struct family {
    const char *name;
    double low, high;    /* drawn at random, evenly in the logarithm */
    const char *grid[5]; /* or tried in turn */
} families[] = {
    {"head", 1e-3, 1e-1, {"0.001", "0.01", "0.1", NULL}},
    {"full", 1e-5, 1e-3, {"0.00003", "0.0001", "0.0003", "0.001", NULL}},
    {"peft", 3e-4, 3e-2, {"0.001", "0.003", "0.01", NULL}},
};
static const char *const decay_grid[] = {"0.0001", "0.001", NULL};

enum { GRID_LIMIT = 100000 };

struct work { /* while a method's axes are found */
    struct study *study;
    struct study_method *method;
    struct method *stack;
    const struct family *family;
};

static int add_axis(struct work *w, const struct study_axis *axis)
{
    if (w->method->axis_count == AXIS_LIMIT)
        return fail(ERR_INPUT, "it searches more than %d things; fix some of its options", AXIS_LIMIT);
    w->method->axes[w->method->axis_count++] = *axis;
    return 0;
}

static const char *keep(struct work *w, const char *text)
{
    return arena_string(&w->study->arena, text);
}

static int list_axis(struct work *w, struct study_axis *axis, const char *const *values, uint32_t count)
{
    axis->kind = AXIS_LIST;
    axis->values = arena_alloc(&w->study->arena, count, sizeof *axis->values);
    for (axis->count = 0; axis->values && axis->count < count; axis->count++)
        if (!(axis->values[axis->count] = keep(w, values[axis->count])))
            return ERR_MEMORY;
    return axis->values ? 0 : ERR_MEMORY;
}

static int read_range(const struct json *pair, struct study_axis *axis)
{
    const struct json *low = json_first(pair), *high = json_next(low);
    if (!json_is_array(pair) || json_count(pair) != 2 || json_number(low, &axis->low) < 0 ||
        json_number(high, &axis->high) < 0 || !(axis->low < axis->high) ||
        (axis->kind == AXIS_LOG_UNIFORM && axis->low <= 0))
        return fail(ERR_INPUT, "the range of %s must be two numbers, the lower first%s", axis->name,
                    axis->kind == AXIS_LOG_UNIFORM ? ", above 0" : "");
    return 0;
}

/* [1, 8] or {"uniform": [0, 1]} or {"log_uniform": [1e-4, 1e-2]} */
static int read_axis(struct work *w, const struct json *j, struct study_axis *axis)
{
    const struct json *log_range = json_get(j, "log_uniform"), *range = json_get(j, "uniform");
    if (json_is_object(j) && json_count(j) == 1 && (log_range || range)) {
        axis->kind = log_range ? AXIS_LOG_UNIFORM : AXIS_UNIFORM;
        return read_range(log_range ? log_range : range, axis);
    }
    const uint32_t count = json_is_array(j) ? (uint32_t)json_count(j) : 0;
    if (!count || count > 1000)
        return fail(ERR_INPUT,
                    "the search of %s must be a list of values, {\"log_uniform\": [LOW, HIGH]} or "
                    "{\"uniform\": [LOW, HIGH]}",
                    axis->name);
    axis->kind = AXIS_LIST;
    axis->values = arena_alloc(&w->study->arena, count, sizeof *axis->values);
    if (!axis->values)
        return ERR_MEMORY;
    for (const struct json *item = json_first(j); item; item = json_next(item)) {
        char *text = json_string(item) ? mem_string(json_string(item)) : json_text(item, 0);
        axis->values[axis->count] = text ? keep(w, text) : NULL;
        mem_free(text);
        if (!axis->values[axis->count])
            return ERR_MEMORY;
        if (strlen(axis->values[axis->count++]) >= VALUE_TEXT || json_is_array(item) || json_is_object(item))
            return fail(ERR_INPUT, "a value of %s is no short number or word", axis->name);
        for (uint32_t k = 0; k + 1 < axis->count; k++)
            if (strcmp(axis->values[k], axis->values[axis->count - 1]) == 0)
                return fail(ERR_INPUT, "the value %s of %s is given twice", axis->values[k], axis->name);
    }
    return 0;
}

/* --- axes of the training */

/* The recipe's word on a number of the training: the method's, else everyone's, which may tell families apart as
 * {"head": ..., "full": ..., "peft": ...}; NULL: none. */
static int training_search(const struct work *w, const char *name, const struct json **out)
{
    static const char *const names[] = {"head", "full", "peft", NULL};
    const struct json *own = json_get(w->method->search, name), *all = json_get(w->study->search, name);
    *out = own ? own : all;
    if (own || !json_is_object(all) || json_get(all, "log_uniform") || json_get(all, "uniform"))
        return 0;
    *out = json_get(all, w->family->name);
    return object_check(all, names, name);
}

static int default_axis(struct work *w, struct study_axis *axis)
{
    uint32_t count = 0;
    const int rate = strcmp(axis->name, "lr") == 0;
    const char *const *grid = rate ? w->family->grid : decay_grid;
    if (rate && w->study->tune.strategy != TUNE_GRID) {
        axis->kind = AXIS_LOG_UNIFORM;
        axis->low = w->family->low;
        axis->high = w->family->high;
        return 0;
    }
    while (grid[count])
        count++;
    return list_axis(w, axis, grid, count);
}

static int is_whole(const char *name)
{
#define X(field, init, low, high, help) \
    if (strcmp(name, #field) == 0)      \
        return 1;
    RECIPE_WHOLE(X)
#undef X
    return 0;
}

static int training_axis(struct work *w, const char *name)
{
    struct study_axis axis = {.name = keep(w, name), .part = -1};
    const struct json *j;
    TRY(training_search(w, name, &j));
    if (!axis.name)
        return ERR_MEMORY;
    if (j)
        TRY(read_axis(w, j, &axis));
    else if (w->study->tune.strategy == TUNE_NONE)
        return 0;
    else if (strcmp(name, "lr") == 0 || strcmp(name, "decay") == 0)
        TRY(default_axis(w, &axis));
    else
        return 0;
    if (axis.kind != AXIS_LIST && is_whole(name))
        return fail(ERR_INPUT, "%s takes no range; list its values", name);
    if (strcmp(name, "epochs") == 0 && w->study->tune.strategy == TUNE_HALVING)
        return fail(ERR_INPUT, "halving itself chooses the epochs; take \"epochs\" out of the search");
    return add_axis(w, &axis);
}

static int training_axes(struct work *w)
{
    static const char *const first[] = {"lr", "decay"};
    const struct json *const sources[] = {w->method->search, w->study->search};
    for (size_t i = 0; i < 2; i++)
        TRY(training_axis(w, first[i]));
    for (size_t k = 0; k < 2; k++)
        for (const struct json *member = json_first(sources[k]); member; member = json_next(member)) {
            const char *key = json_key(member);
            if (!recipe_has(key) || strcmp(key, "lr") == 0 || strcmp(key, "decay") == 0)
                continue;
            if (k == 0 || !json_get(w->method->search, key))
                TRY(training_axis(w, key));
        }
    return 0;
}

/* --- axes of the options */

/* Whether the recipe's text sets the option in piece `part` of the stack. */
static int is_fixed(const char *text, uint32_t part, const char *option)
{
    uint32_t at = 0;
    int depth = 0;
    const size_t length = strlen(option);
    for (const char *c = text; *c; c++) {
        depth += (*c == '[') - (*c == ']');
        if (*c == '+' && depth == 0)
            at++;
        else if (at == part && depth > 0 && (*c == '[' || *c == ',') && strncmp(c + 1, option, length) == 0 &&
                 c[1 + length] == '=')
            return 1;
    }
    return 0;
}

/* The recipe's own axis of an option: "r", or "lora.r" where several plugins of a stack have one. */
static const struct json *option_search(const struct work *w, const struct method_part *part,
                                        const char *option, char name[128])
{
    snprintf(name, 128, "%s.%s", part->name, option);
    const struct json *j = json_get(w->method->search, name);
    if (!j) {
        snprintf(name, 128, "%s", option);
        j = json_get(w->method->search, name);
    }
    if (!j && method_parts(w->stack) > 1)
        snprintf(name, 128, "%s.%s", part->name, option);
    return j;
}

static int grid_axis(struct work *w, struct study_axis *axis, const char *grid)
{
    const char *values[64];
    uint32_t count = 0;
    char *copy = arena_string(&w->study->arena, grid);
    if (!copy)
        return ERR_MEMORY;
    for (char *word = strtok(copy, " "); word && count < 64; word = strtok(NULL, " "))
        values[count++] = word;
    return list_axis(w, axis, values, count);
}

static int option_axis(struct work *w, uint32_t index, const struct method_part *part, const vitro_option *o)
{
    char name[128];
    const struct json *j = option_search(w, part, o->name, name);
    struct study_axis axis = {.name = keep(w, name), .part = (int32_t)index};
    const int fixed = is_fixed(w->method->text, index, o->name);
    if (!axis.name)
        return ERR_MEMORY;
    if (j && fixed)
        return fail(ERR_INPUT, "%s is fixed in \"%s\" and searched too", o->name, w->method->text);
    if (j)
        TRY(read_axis(w, j, &axis));
    else if (o->grid && !fixed && w->study->tune.strategy != TUNE_NONE)
        TRY(grid_axis(w, &axis, o->grid));
    else
        return 0;
    if (axis.kind != AXIS_LIST && o->type != VITRO_FLOAT)
        return fail(ERR_INPUT, "%s takes no range; list its values", name);
    return add_axis(w, &axis);
}

/* --- parts */

/* "lora[r=8,alpha=0]": the options of a spelt-out piece as name and value. */
static int split_options(struct work *w, const char *text, struct study_part *out)
{
    const char *open = strchr(text, '[');
    char *copy = arena_string(&w->study->arena, open ? open + 1 : "");
    if (!copy)
        return ERR_MEMORY;
    copy[strcspn(copy, "]")] = 0;
    for (const char *c = copy; *c; c++)
        out->count += *c == '=';
    out->options = arena_alloc(&w->study->arena, out->count + 1, sizeof *out->options);
    if (!out->options)
        return ERR_MEMORY;
    uint32_t i = 0;
    for (char *word = strtok(copy, ","); word && i < out->count; word = strtok(NULL, ","), i++) {
        char *equals = strchr(word, '=');
        *equals = 0;
        out->options[i] = (struct study_setting){word, equals + 1};
    }
    return 0;
}

static int resolve_part(struct work *w, uint32_t index)
{
    struct method_part part;
    struct study_part *out = &w->method->parts[index];
    char digest[HASH_TEXT];
    TRY(method_part(w->stack, index, &part));
    TRY(hash_file(part.plugin->path, digest));
    out->plugin = keep(w, part.plugin->info.id);
    out->path = keep(w, part.plugin->path);
    out->sha256 = keep(w, digest);
    if (!out->plugin || !out->path || !out->sha256)
        return ERR_MEMORY;
    TRY(split_options(w, part.text, out));
    for (const vitro_option *o = part.plugin->options; o->name; o++)
        TRY(option_axis(w, index, &part, o));
    return 0;
}

/* Whether the stack of the bare plugins has the option at the same value. */
static int is_default(const struct method *bare, uint32_t index, const struct study_setting *option)
{
    struct method_part part;
    char wanted[160];
    if (method_part(bare, index, &part) < 0)
        return 0;
    snprintf(wanted, sizeof wanted, "%s=%s", option->name, option->value);
    const size_t length = strlen(wanted);
    for (const char *at = strstr(part.text, wanted); at; at = strstr(at + 1, wanted))
        if (strchr("[,", at[-1]) && strchr(",]", at[length]))
            return 1;
    return 0;
}

static int name_plainly(struct work *w, const struct method *bare, char *text, size_t size)
{
    const struct study_method *m = w->method;
    size_t used = 0;
#define PUT(...) \
    (used += (size_t)snprintf(used < size ? text + used : NULL, used < size ? size - used : 0, __VA_ARGS__))
    for (uint32_t k = 0; k < m->part_count; k++) {
        int count = 0;
        PUT("%s%s", k ? "+" : "", m->parts[k].plugin);
        for (uint32_t i = 0; i < m->parts[k].count; i++)
            if (!is_default(bare, k, &m->parts[k].options[i]))
                PUT("%s%s=%s", count++ ? "," : "[", m->parts[k].options[i].name,
                    m->parts[k].options[i].value);
        if (count)
            PUT("]");
    }
#undef PUT
    return used < size ? 0 : fail(ERR_INPUT, "its text is longer than %zu letters", size);
}

static int find_plain(struct work *w, struct plugins *plugins, const struct vit *vit)
{
    char text[4096] = "";
    struct method *bare = NULL;
    for (uint32_t k = 0; k < w->method->part_count; k++) {
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", k ? "+" : "", w->method->parts[k].path);
    }
    int rc = method_create(&bare, plugins, text);
    if (rc == 0)
        rc = method_declare(bare, vit);
    if (rc == 0)
        rc = name_plainly(w, bare, text, sizeof text);
    method_destroy(bare);
    w->method->plain = rc == 0 ? keep(w, text) : NULL;
    return rc == 0 && !w->method->plain ? ERR_MEMORY : rc;
}

/* Every key of the method's search must have become an axis. */
static int check_search(struct work *w)
{
    for (const struct json *member = json_first(w->method->search); member; member = json_next(member)) {
        struct nearest near = nearest_to(json_key(member));
        char hint[NEAREST_TEXT];
        int known = 0;
        for (uint32_t i = 0; i < w->method->axis_count; i++) {
            const char *name = w->method->axes[i].name;
            known += strcmp(name, json_key(member)) == 0;
            nearest_offer(&near, name);
        }
        if (known > 1)
            return fail(ERR_INPUT,
                        "its search has \"%.40s\", which may be several things; write PLUGIN.%.40s",
                        json_key(member), json_key(member));
        if (!known)
            return fail(ERR_INPUT, "it has nothing called \"%.40s\" to search%s", json_key(member),
                        nearest_hint(&near, hint));
    }
    return 0;
}

/* Builds the stack at the first value of every axis, then at each other value: what a plugin refuses is told now. */
static int try_values(struct work *w, struct plugins *plugins)
{
    struct study_method *m = w->method;
    struct point p = {0};
    struct recipe training = w->study->training;
    for (uint32_t i = 0; i < m->axis_count; i++)
        snprintf(p.value[i], VALUE_TEXT, "%.*s", VALUE_TEXT - 1,
                 m->axes[i].kind == AXIS_LIST ? m->axes[i].values[0] : "");
    for (uint32_t i = 0; i < m->axis_count; i++)
        if (m->axes[i].kind != AXIS_LIST)
            snprintf(p.value[i], VALUE_TEXT, "%.9g", m->axes[i].low);
    for (uint32_t i = 0; i < m->axis_count; i++)
        for (uint32_t k = 0; k < (m->axes[i].kind == AXIS_LIST ? m->axes[i].count : 2); k++) {
            struct point q = p;
            char text[4096];
            struct method *method = NULL;
            if (m->axes[i].kind == AXIS_LIST)
                snprintf(q.value[i], VALUE_TEXT, "%s", m->axes[i].values[k]);
            else
                snprintf(q.value[i], VALUE_TEXT, "%.9g", k ? m->axes[i].high : m->axes[i].low);
            TRY(space_training(m, &q, &training));
            if (m->axes[i].part < 0)
                continue;
            if (space_method(m, &q, text, sizeof text) >= sizeof text)
                return fail(ERR_INPUT, "its text is longer than %zu letters", sizeof text);
            TRY(method_create(&method, plugins, text));
            method_destroy(method);
        }
    return 0;
}

static const struct family *family_of(const struct method *stack, const struct vit *vit)
{
    int64_t all = 0;
    for (size_t i = 0; i < vit->count; i++)
        all += shape_count(vit->tensors[i].shape);
    const int64_t trained = method_trainable(stack);
    return &families[trained == 0 ? 0 : 2 * trained > all ? 1 : 2];
}

static int resolve(struct work *w, struct plugins *plugins, const struct vit *vit)
{
    struct study_method *m = w->method;
    TRY(method_create(&w->stack, plugins, m->text));
    TRY(method_declare(w->stack, vit));
    w->family = family_of(w->stack, vit);
    m->part_count = (uint32_t)method_parts(w->stack);
    m->parts = arena_alloc(&w->study->arena, m->part_count, sizeof *m->parts);
    m->axes = arena_alloc(&w->study->arena, AXIS_LIMIT, sizeof *m->axes);
    if (!m->parts || !m->axes)
        return ERR_MEMORY;
    TRY(training_axes(w));
    for (uint32_t i = 0; i < m->part_count; i++)
        TRY(resolve_part(w, i));
    TRY(check_search(w));
    TRY(find_plain(w, plugins, vit));
    if (w->study->tune.strategy == TUNE_NONE && !(space_size(m) <= 1))
        return fail(
            ERR_INPUT,
            "nothing is tuned, but it is given more than one value to try; say tune: grid or random, or "
            "leave one value");
    if (w->study->tune.strategy == TUNE_GRID && !w->study->tune.trials && w->study->tune.seconds <= 0 &&
        !(space_size(m) <= GRID_LIMIT))
        return fail(
            ERR_INPUT,
            "a whole grid of it is %g points, at most %d can be tried; list few values instead of ranges, or "
            "give \"trials\"",
            space_size(m), GRID_LIMIT);
    TRY(try_values(w, plugins));
    return budget_draw(w->study, m);
}

int resolve_method(struct study *s, uint32_t index, struct plugins *plugins, const struct vit *vit)
{
    struct work w = {.study = s, .method = &s->methods[index]};
    int rc = resolve(&w, plugins, vit);
    method_destroy(w.stack);
    return rc < 0 ? fail_in(rc, "the method %s", s->methods[index].name) : 0;
}
