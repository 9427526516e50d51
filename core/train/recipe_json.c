/* recipe_json.c - see recipe_json.h. */
#include "recipe_json.h"

#include "error.h"
#include "nearest.h"
#include "number.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* name, whole number or not, offset, least, most */
static const struct field {
    const char *name;
    int whole;
    size_t offset;
    double low, high;
} fields[] = {
#define X(name, init, low, high, help) {#name, 1, offsetof(struct recipe, name), low, high},
    RECIPE_WHOLE(X)
#undef X
#define X(name, init, low, high, help) \
    {#name, 0, offsetof(struct recipe, name), (double)(low), (double)(high)},
        RECIPE_REAL(X)
#undef X
};
enum { FIELDS = sizeof fields / sizeof *fields };

struct json *recipe_json(const struct recipe *r)
{
    char seed[24];
    struct json *j = json_object();
    int rc = j ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < FIELDS && rc == 0; i++) {
        const char *place = (const char *)r + fields[i].offset;
        int32_t whole;
        float real;
        memcpy(&whole, place, sizeof whole);
        memcpy(&real, place, sizeof real);
        rc = fields[i].whole ? json_set_integer(j, fields[i].name, whole)
                             : json_set_number(j, fields[i].name, float_brief(real));
    }
    snprintf(seed, sizeof seed, "%" PRIu64, r->seed);
    if (rc == 0)
        rc = json_set_string(j, "schedule", recipe_schedules[r->schedule]);
    if (rc == 0 && r->precision != NUMBER_FP32) /* fp32 is not said: recipes from before it was a choice */
        rc = json_set_string(j, "precision", number_names[r->precision]);
    if (rc == 0)
        rc = json_set_bool(j, "drop_last", r->drop_last);
    if (rc == 0)
        rc = json_set_string(j, "seed", seed);
    if (rc < 0) {
        json_destroy(j);
        return NULL;
    }
    return j;
}

static const struct field *find(const char *key)
{
    for (size_t i = 0; i < FIELDS; i++)
        if (strcmp(fields[i].name, key) == 0)
            return &fields[i];
    return NULL;
}

int recipe_has(const char *key)
{
    return find(key) != NULL;
}

static int set_number(struct recipe *r, const struct field *f, const struct json *value)
{
    double number;
    int64_t whole;
    if (json_number(value, &number) < 0 || (f->whole && json_integer(value, &whole) < 0))
        return fail(ERR_INPUT, "%s must be a %snumber", f->name, f->whole ? "whole " : "");
    const float x = (float)number;
    const double kept = f->whole ? number : (double)x; /* 0.9999 is above the float that stands for it */
    if (kept < f->low || kept > f->high)
        return fail(ERR_INPUT, "%s is %g; it must be between %g and %g", f->name, number, f->low, f->high);
    const int32_t w = f->whole ? (int32_t)number : 0;
    memcpy((char *)r + f->offset, f->whole ? (const void *)&w : (const void *)&x, 4);
    return 0;
}

static int set_schedule(struct recipe *r, const struct json *value)
{
    const char *name = json_string(value);
    for (int32_t i = 0; name && recipe_schedules[i]; i++)
        if (strcmp(recipe_schedules[i], name) == 0) {
            r->schedule = i;
            return 0;
        }
    return fail(ERR_INPUT, "schedule must be \"study\" or \"plain\"");
}

static int set_precision(struct recipe *r, const struct json *value)
{
    const char *name = json_string(value);
    for (int32_t i = 0; name && number_names[i]; i++)
        if (strcmp(number_names[i], name) == 0) {
            r->precision = i;
            return 0;
        }
    return fail(ERR_INPUT, "precision must be \"fp32\", \"fp16\" or \"bf16\"");
}

static int set_seed(struct recipe *r, const struct json *value)
{
    const char *text = json_string(value);
    int64_t whole;
    errno = 0;
    if (text && (!*text || text[strspn(text, "0123456789")]))
        return fail(ERR_INPUT, "seed is \"%.40s\"; it must be a whole number", text);
    if (text)
        r->seed = strtoull(text, NULL, 10);
    else if (json_integer(value, &whole) == 0 && whole >= 0)
        r->seed = (uint64_t)whole;
    else
        return fail(ERR_INPUT, "seed must be a whole number, or one written as a string");
    return errno == ERANGE ? fail(ERR_INPUT, "seed is %.40s; it must be below 2^64", text) : 0;
}

int recipe_set(struct recipe *r, const char *key, const struct json *value)
{
    const struct field *f = find(key);
    struct nearest near = nearest_to(key);
    char hint[NEAREST_TEXT];
    if (f)
        return set_number(r, f, value);
    if (strcmp(key, "schedule") == 0)
        return set_schedule(r, value);
    if (strcmp(key, "precision") == 0)
        return set_precision(r, value);
    if (strcmp(key, "seed") == 0)
        return set_seed(r, value);
    if (strcmp(key, "drop_last") == 0)
        return json_bool(value, &r->drop_last) == 0 ? 0 : fail(ERR_INPUT, "drop_last must be true or false");
    for (size_t i = 0; i < FIELDS; i++)
        nearest_offer(&near, fields[i].name);
    nearest_offer(&near, "schedule");
    nearest_offer(&near, "precision");
    nearest_offer(&near, "drop_last");
    nearest_offer(&near, "seed");
    return fail(ERR_INPUT, "a training has no \"%.40s\"%s", key, nearest_hint(&near, hint));
}

int recipe_read(struct recipe *r, const struct json *object)
{
    if (!json_is_object(object))
        return fail(ERR_INPUT, "a training must be a JSON object");
    for (const struct json *member = json_first(object); member; member = json_next(member)) {
        if (json_get(object, json_key(member)) != member)
            return fail(ERR_INPUT, "a training gives \"%.40s\" twice", json_key(member));
        TRY(recipe_set(r, json_key(member), member));
    }
    return 0;
}
