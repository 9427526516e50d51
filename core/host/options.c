/* options.c - see options.h. */
#include "options.h"

#include "error.h"
#include "nearest.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 64 }; /* a name or a value */

static void store(const vitro_option *o, void *self, double number)
{
    char *place = (char *)self + o->offset;
    float f = (float)number;
    int32_t i = o->type == VITRO_FLOAT ? 0 : (int32_t)number;
    memcpy(place, o->type == VITRO_FLOAT ? (const void *)&f : (const void *)&i, 4);
}

static double fetch(const vitro_option *o, const void *self)
{
    const char *place = (const char *)self + o->offset;
    float f;
    int32_t i;
    memcpy(&f, place, sizeof f);
    memcpy(&i, place, sizeof i);
    return o->type == VITRO_FLOAT ? (double)f : i;
}

static int unknown_option(const struct plugin *p, const char *name)
{
    struct nearest near = nearest_to(name);
    char hint[NEAREST_TEXT], list[256] = "";
    for (const vitro_option *o = p->options; o->name; o++) {
        size_t used = strlen(list);
        nearest_offer(&near, o->name);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", o->name);
    }
    if (!list[0])
        return fail(ERR_INPUT, "%s: unknown option %s; it has none", p->info.id, name);
    return fail(ERR_INPUT, "%s: unknown option %s%s (options: %s)", p->info.id, name,
                nearest_hint(&near, hint), list);
}

static int parse_name(const struct plugin *p, const vitro_option *o, const char *const *names,
                      const char *text, double *out)
{
    struct nearest near = nearest_to(text);
    char hint[NEAREST_TEXT], list[256] = "";
    for (int i = 0; names[i]; i++) {
        size_t used = strlen(list);
        if (!strcmp(names[i], text)) {
            *out = i;
            return 0;
        }
        nearest_offer(&near, names[i]);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", names[i]);
    }
    return fail(ERR_INPUT, "%s: option %s cannot be %s%s (it is one of %s)", p->info.id, o->name, text,
                nearest_hint(&near, hint), list);
}

static int parse_number(const struct plugin *p, const vitro_option *o, const char *text, double *out)
{
    char *end = NULL;
    errno = 0;
    *out = o->type == VITRO_INT ? (double)strtoll(text, &end, 10) : strtod(text, &end);
    if (end == text || *end || errno == ERANGE || !isfinite(*out))
        return fail(ERR_INPUT, "%s: option %s is \"%s\"; it must be %s", p->info.id, o->name, text,
                    o->type == VITRO_INT ? "a whole number" : "a number");
    if (*out < o->min || *out > o->max)
        return fail(ERR_INPUT, "%s: option %s is %s; it must be between %.9g and %.9g", p->info.id, o->name,
                    text, o->min, o->max);
    return 0;
}

static const char *const bool_names[] = {"false", "true", NULL};

static int set_option(const struct plugin *p, const char *name, const char *text, uint64_t *seen, void *self)
{
    double number = 0;
    const vitro_option *o = p->options;
    while (o->name && strcmp(o->name, name) != 0)
        o++;
    if (!o->name)
        return unknown_option(p, name);
    uint64_t bit = (uint64_t)1 << (o - p->options);
    if (*seen & bit)
        return fail(ERR_INPUT, "%s: option %s is given twice", p->info.id, name);
    *seen |= bit;
    if (o->type == VITRO_INT || o->type == VITRO_FLOAT)
        TRY(parse_number(p, o, text, &number));
    else
        TRY(parse_name(p, o, o->type == VITRO_BOOL ? bool_names : o->names, text, &number));
    store(o, self, number);
    return 0;
}

/* The text up to one of `stops`, copied; returns where it ended, or NULL when it is too long. */
static const char *take_piece(const char *text, const char *stops, char piece[PIECE])
{
    size_t n = strcspn(text, stops);
    if (n >= PIECE)
        return NULL;
    memcpy(piece, text, n);
    piece[n] = 0;
    return text + n;
}

int options_parse(const struct plugin *p, const char *text, void *self)
{
    uint64_t seen = 0;
    for (const vitro_option *o = p->options; o->name; o++)
        store(o, self, o->init);
    while (*text) {
        char name[PIECE], value[PIECE];
        const char *at = take_piece(text, "=,", name);
        if (!at || !name[0] || *at != '=')
            return fail(ERR_INPUT, "%s: \"%.40s\" is not of the form option=value", p->info.id, text);
        at = take_piece(at + 1, ",", value);
        if (!at)
            return fail(ERR_INPUT, "%s: the value of option %s is longer than %d letters", p->info.id, name,
                        PIECE - 1);
        TRY(set_option(p, name, value, &seen, self));
        text = *at ? at + 1 : at;
        if (*at && !*text)
            return fail(ERR_INPUT,
                        "%s: a comma ends the list of options; another must follow or the comma go",
                        p->info.id);
    }
    return 0;
}

/* As few digits as read back as the same float, but 10 rather than 1e+01. */
static void format_float(float f, char *text, size_t size)
{
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, size, "%.*g", digits, (double)f);
        if (strtof(text, NULL) == f)
            return;
    }
}

size_t options_format(const struct plugin *p, const void *self, char *text, size_t size)
{
    size_t used = 0;
    for (const vitro_option *o = p->options; o->name; o++) {
        char number[32] = "";
        const char *value = number;
        double now = fetch(o, self);
        if (o->type == VITRO_FLOAT)
            format_float((float)now, number, sizeof number);
        else if (o->type == VITRO_INT)
            snprintf(number, sizeof number, "%d", (int)now);
        else
            value = (o->type == VITRO_BOOL ? bool_names : o->names)[(int)now];
        int n = snprintf(used < size ? text + used : NULL, used < size ? size - used : 0, "%s%s=%s",
                         o == p->options ? "" : ",", o->name, value);
        used += n > 0 ? (size_t)n : 0;
    }
    if (size && !used)
        text[0] = 0;
    return used;
}
