/* check_options.c - the table of options: what a user reads, and what a tuner may try. */
#include "lint_private.h"

#include "error.h"
#include "library.h"
#include "plugin_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD = 64 };

static int name_count(const vitro_option *o)
{
    int n = 0;
    while (o->names && o->names[n])
        n++;
    return n;
}

/* "" or what is wrong with a word that stands in name[option=value,...]. */
static const char *wrong_word(const char *word)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t n = strlen(word);
    if (!n)
        return "is empty";
    if (n >= WORD)
        return "is longer than 63 letters";
    return strspn(word, allowed) == n ? "" : "has a sign other than letters, digits, _ . and -";
}

static enum lint_result check_names(struct subject *s, const vitro_option *o)
{
    for (int i = 0; i < name_count(o); i++) {
        const char *wrong = wrong_word(o->names[i]);
        if (*wrong)
            return verdict(s, LINT_FAIL, "value %d of option %s %s: \"%.40s\"", i + 1, o->name, wrong,
                           o->names[i]);
        for (int k = 0; k < i; k++)
            if (!strcmp(o->names[i], o->names[k]))
                return verdict(s, LINT_FAIL, "value %s of option %s stands there twice", o->names[i],
                               o->name);
    }
    return LINT_PASS;
}

static enum lint_result check_range(struct subject *s, const vitro_option *o)
{
    if (o->type != VITRO_INT && o->type != VITRO_FLOAT)
        return LINT_PASS;
    if (!isfinite(o->min) || !isfinite(o->max) || !(o->min < o->max))
        return verdict(s, LINT_FAIL,
                       "the range of option %s is %g to %g; it must be finite and hold two values", o->name,
                       o->min, o->max);
    return LINT_PASS;
}

static int is_value(const vitro_option *o, const char *word)
{
    char *end;
    if (o->type == VITRO_BOOL)
        return !strcmp(word, "false") || !strcmp(word, "true");
    for (int i = 0; o->type == VITRO_ENUM && i < name_count(o); i++)
        if (!strcmp(o->names[i], word))
            return 1;
    if (o->type == VITRO_ENUM)
        return 0;
    double number = strtod(word, &end);
    return end != word && !*end && number >= o->min && number <= o->max &&
           (o->type == VITRO_FLOAT || number == floor(number));
}

static enum lint_result check_grid(struct subject *s, const vitro_option *o)
{
    const char *at = o->grid ? o->grid + strspn(o->grid, " ") : "";
    if (o->grid && !*at)
        return verdict(s, LINT_FAIL, "the grid of option %s is empty; NULL stands for the default alone",
                       o->name);
    while (*at) {
        char word[WORD];
        size_t n = strcspn(at, " ");
        snprintf(word, sizeof word, "%.*s", (int)n, at);
        if (!is_value(o, word))
            return verdict(s, LINT_FAIL,
                           "the grid \"%.80s\" of option %s holds %s, which it cannot be set to", o->grid,
                           o->name, word);
        at += n;
        at += strspn(at, " ");
    }
    return LINT_PASS;
}

static enum lint_result check_one(struct subject *s, const vitro_option *all, const vitro_option *o)
{
    const char *wrong = wrong_word(o->name);
    if (*wrong)
        return verdict(s, LINT_FAIL, "the name of option \"%.40s\" %s", o->name, wrong);
    if (!o->help || !o->help[strspn(o->help, " ")])
        return verdict(s, LINT_FAIL, "option %s has no help; say in a line what it does", o->name);
    for (const vitro_option *k = all; k < o; k++)
        if (k->offset == o->offset)
            return verdict(s, LINT_FAIL,
                           "options %s and %s are written to the same place, byte %u of the instance",
                           k->name, o->name, o->offset);
    enum lint_result r = check_range(s, o);
    r = r == LINT_PASS ? check_names(s, o) : r;
    return r == LINT_PASS ? check_grid(s, o) : r;
}

enum lint_result check_options(struct subject *s)
{
    struct plugin plugin = {.path = s->path};
    struct arena arena = {0}; /* ends with this process */
    const void *symbol;
    size_t count = 0;
    MUST(s, library_open(s->path, &symbol));
    MUST(s, plugin_check_head(s->path, symbol, &plugin.info));
    MUST(s, plugin_copy_options(&arena, &plugin));
    for (const vitro_option *o = plugin.options; o->name; o++, count++) {
        enum lint_result r = check_one(s, plugin.options, o);
        if (r != LINT_PASS)
            return r;
    }
    return verdict(s, LINT_PASS, count ? "%zu options" : "it has no options", count);
}
