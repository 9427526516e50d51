/* arguments.c - see arguments.h. Options may stand before, between and after the other arguments; "--"
 * ends them. Values follow as "--name value", "--name=value", "-n value" or "-nvalue". */
#include "arguments.h"

#include "error.h"
#include "nearest.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 80 }; /* letters of a wrong value that a sentence repeats */

const char *argument_name(const struct argument *a, char text[ARGUMENT_TEXT_SIZE])
{
    snprintf(text, ARGUMENT_TEXT_SIZE, "--%s", a->name);
    for (char *c = text; *c; c++)
        if (*c == '_')
            *c = '-';
    return text;
}

/* Whether `typed`, of that length and without its dashes, is the option's name. */
static int is_name(const struct argument *a, const char *typed, size_t length)
{
    char name[ARGUMENT_TEXT_SIZE];
    argument_name(a, name);
    return strlen(name + 2) == length && strncmp(name + 2, typed, length) == 0;
}

static const struct argument *find_long(const struct argument_group *const *groups, const char *typed,
                                        size_t length)
{
    for (; *groups; groups++)
        for (const struct argument *a = (*groups)->rows; a->name; a++)
            if (is_name(a, typed, length))
                return a;
    return NULL;
}

static const struct argument *find_short(const struct argument_group *const *groups, char letter)
{
    for (; *groups; groups++)
        for (const struct argument *a = (*groups)->rows; a->name; a++)
            if (a->letter == letter)
                return a;
    return NULL;
}

static int refuse_unknown(const struct argument_group *const *groups, const char *typed, int code)
{
    char hint[NEAREST_TEXT], names[64][ARGUMENT_TEXT_SIZE];
    size_t count = 0;
    char word[ARGUMENT_TEXT_SIZE];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(typed, "="), typed);
    struct nearest n = nearest_to(word);
    for (; *groups; groups++)
        for (const struct argument *a = (*groups)->rows; a->name && count < 64; a++)
            nearest_offer(&n, argument_name(a, names[count++]));
    return fail(code, "there is no option %.*s%s", SHOWN, word, nearest_hint(&n, hint));
}

static int refuse_range(const struct argument *a, const char *name, const char *value, int code)
{
    return fail(code, "option %s is \"%.*s\"; it must be a %s between %g and %g", name, SHOWN, value,
                a->kind == ARGUMENT_WHOLE ? "whole number" : "number", a->low, a->high);
}

static int read_number(const struct argument *a, const char *name, const char *value, void *field, int code)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end || !(number >= a->low && number <= a->high))
        return refuse_range(a, name, value, code);
    if (a->kind == ARGUMENT_REAL) {
        *(float *)field = (float)number;
        return 0;
    }
    if (floor(number) != number)
        return refuse_range(a, name, value, code);
    *(int32_t *)field = (int32_t)number;
    return 0;
}

static int read_seed(const char *name, const char *value, void *field, int code)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno)
        return fail(code, "option %s is \"%.*s\"; it must be a whole number from 0 to 2^64 - 1", name, SHOWN,
                    value);
    *(uint64_t *)field = number;
    return 0;
}

static int read_choice(const struct argument *a, const char *name, const char *value, void *field, int code)
{
    char all[256] = "";
    for (int32_t i = 0; a->choices[i]; i++) {
        size_t used = strlen(all);
        if (strcmp(a->choices[i], value) == 0) {
            *(int32_t *)field = i;
            return 0;
        }
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", a->choices[i]);
    }
    return fail(code, "option %s is \"%.*s\"; it can be %s", name, SHOWN, value, all);
}

static int add_value(const char *name, const char *value, struct argument_list *list, int code)
{
    if (!*value)
        return fail(code, "option %s is empty; it needs a value", name);
    if (list->count == ARGUMENT_LIST_MAX)
        return fail(code, "option %s is given more than %d times", name, ARGUMENT_LIST_MAX);
    list->items[list->count++] = value;
    return 0;
}

static int read_value(const struct argument *a, const char *value, void *out, int code)
{
    char name[ARGUMENT_TEXT_SIZE];
    void *field = (char *)out + a->offset;
    argument_name(a, name);
    switch (a->kind) {
    case ARGUMENT_FLAG: *(int *)field = 1; return 0;
    case ARGUMENT_WHOLE:
    case ARGUMENT_REAL: return read_number(a, name, value, field, code);
    case ARGUMENT_SEED: return read_seed(name, value, field, code);
    case ARGUMENT_CHOICE: return read_choice(a, name, value, field, code);
    case ARGUMENT_TEXT:
        if (!*value)
            return fail(code, "option %s is empty; it needs a value", name);
        *(const char **)field = value;
        return 0;
    case ARGUMENT_LIST: return add_value(name, value, field, code);
    }
    return 0;
}

/* The option at argv[0], whose value may be in argv[1]; returns how many of argv it took. */
static int read_option(const struct argument_group *const *groups, int count, char **argv, void *out,
                       int code)
{
    const char *typed = argv[0], *value = NULL;
    const struct argument *a;
    char name[ARGUMENT_TEXT_SIZE];
    if (typed[1] == '-') {
        size_t length = strcspn(typed + 2, "=");
        a = find_long(groups, typed + 2, length);
        value = typed[2 + length] ? typed + 2 + length + 1 : NULL;
    } else {
        a = find_short(groups, typed[1]);
        value = typed[2] ? typed + 2 : NULL;
    }
    if (!a)
        return refuse_unknown(groups, typed, code);
    if (a->kind == ARGUMENT_FLAG) {
        if (value)
            return fail(code, "option %s takes no value, but \"%.*s\" was given", argument_name(a, name),
                        SHOWN, value);
        TRY(read_value(a, "", out, code));
        return 1;
    }
    if (!value && count < 2)
        return fail(code, "option %s needs a value: %s", argument_name(a, name), a->value);
    TRY(read_value(a, value ? value : argv[1], out, code));
    return value ? 1 : 2;
}

int arguments_read(const struct argument_group *const *groups, int count, char **argv, void *out,
                   struct argument_rest *rest, int code)
{
    int options = 1;
    for (int i = 0; i < count;) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = 0;
            i++;
        } else if (!options || argv[i][0] != '-' || !argv[i][1]) {
            rest->items[rest->count++] = argv[i++];
        } else {
            int took = read_option(groups, count - i, argv + i, out, code);
            TRY(took);
            i += took;
        }
    }
    return 0;
}
