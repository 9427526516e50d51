/* sets.c - see sets.h. */
#include "sets.h"

#include "error.h"
#include "memory.h"
#include "options.h"
#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RANDOM_SETS = 24, GRID_VALUES = 8 };

struct maker {
    struct sets *sets;
    const struct plugin *plugin;
    char *self; /* an instance's bytes, of which only the options matter */
};

static void store(const struct maker *m, const vitro_option *o, double number)
{
    float f = (float)number;
    int32_t i = o->type == VITRO_FLOAT ? 0 : (int32_t)number;
    memcpy(m->self + o->offset, o->type == VITRO_FLOAT ? (const void *)&f : (const void *)&i, 4);
}

static int parse_own(const struct maker *m, const struct subject *s)
{
    return options_parse(m->plugin, s->options, m->self);
}

/* Keeps the instance's options as a set, unless there is an equal one. */
static void keep(struct maker *m)
{
    struct sets *sets = m->sets;
    if (sets->count == SETS_MAX)
        return;
    char *text = sets->text[sets->count];
    if (options_format(m->plugin, m->self, text, SET_TEXT) >= SET_TEXT)
        return;
    for (size_t i = 0; i < sets->count; i++)
        if (!strcmp(sets->text[i], text))
            return;
    sets->count++;
}

static int name_count(const vitro_option *o)
{
    int n = 0;
    while (o->names && o->names[n])
        n++;
    return n;
}

static int is_choice(const vitro_option *o)
{
    return o->type == VITRO_ENUM || o->type == VITRO_BOOL;
}

static double least(const vitro_option *o)
{
    return is_choice(o) ? 0 : o->min;
}

static double most(const vitro_option *o)
{
    return o->type == VITRO_ENUM ? name_count(o) - 1 : o->type == VITRO_BOOL ? 1 : o->max;
}

static double number_of(const vitro_option *o, const char *word, size_t length)
{
    for (int i = 0; o->type == VITRO_ENUM && i < name_count(o); i++)
        if (strlen(o->names[i]) == length && !strncmp(o->names[i], word, length))
            return i;
    return o->type == VITRO_BOOL ? *word == 't' : o->type == VITRO_ENUM ? 0 : strtod(word, NULL);
}

/* A value that differs from the default by little, and from no effect at all: dropouts 0.3, ranks + 1. */
static double beside(const vitro_option *o)
{
    if (o->type == VITRO_FLOAT && o->min >= 0 && o->max <= 1)
        return o->min + 0.3 * (o->max - o->min);
    double step = o->type == VITRO_FLOAT ? 0.5 : 1;
    return o->init + step <= o->max ? o->init + step : o->init - step >= o->min ? o->init - step : o->init;
}

static int vary(struct maker *m, const struct subject *s, const vitro_option *o)
{
    const char *at = o->grid ? o->grid + strspn(o->grid, " ") : "";
    for (int i = 0; *at && i < GRID_VALUES; i++) {
        size_t n = strcspn(at, " ");
        TRY(parse_own(m, s));
        store(m, o, number_of(o, at, n));
        keep(m);
        at += n;
        at += strspn(at, " ");
    }
    if (!is_choice(o)) {
        TRY(parse_own(m, s));
        store(m, o, beside(o));
        keep(m);
    }
    for (int i = 0; is_choice(o) && i <= (int)most(o); i++) {
        TRY(parse_own(m, s));
        store(m, o, i);
        keep(m);
    }
    return 0;
}

/* Everything unlike the default at once. */
static int vary_all(struct maker *m, const struct subject *s)
{
    TRY(parse_own(m, s));
    for (const vitro_option *o = m->plugin->options; o->name; o++)
        store(m, o, !is_choice(o) ? beside(o) : o->init == most(o) ? 0 : most(o));
    keep(m);
    return 0;
}

static int go_to_an_end(struct maker *m, const struct subject *s, const vitro_option *only, int high)
{
    TRY(parse_own(m, s));
    for (const vitro_option *o = m->plugin->options; o->name; o++)
        if (!only || o == only)
            store(m, o, high ? most(o) : least(o));
    keep(m);
    return 0;
}

/* Uniform over the range; of wide ranges over the logarithm every other time, as small values matter. */
static double draw(struct rng *g, const vitro_option *o)
{
    double low = least(o), high = most(o), u = rng_uniform(g);
    double x = low + u * (high - low);
    if (low >= 0 && high > 100 && rng_below(g, 2))
        x = low + expm1(u * log1p(high - low));
    x = o->type == VITRO_FLOAT ? x : floor(x + 0.5);
    return x < low ? low : x > high ? high : x;
}

static int go_to_extremes(struct maker *m, const struct subject *s)
{
    struct rng g = rng_named(s->seed, "option sets");
    for (int high = 0; high < 2; high++) {
        TRY(go_to_an_end(m, s, NULL, high));
        for (const vitro_option *o = m->plugin->options; o->name; o++)
            TRY(go_to_an_end(m, s, o, high));
    }
    for (int i = 0; i < RANDOM_SETS && m->plugin->options->name; i++) {
        for (const vitro_option *o = m->plugin->options; o->name; o++)
            store(m, o, draw(&g, o));
        keep(m);
    }
    return 0;
}

int sets_make(struct sets *sets, struct subject *s, enum sets_kind kind)
{
    struct maker m = {.sets = sets};
    *sets = (struct sets){mem_alloc(SETS_MAX, SET_TEXT), 0};
    int rc = sets->text ? plugins_load(s->plugins, s->path, &m.plugin) : ERR_MEMORY;
    if (rc == 0 && !(m.self = mem_alloc(m.plugin->info.self_size + 1, 1)))
        rc = ERR_MEMORY;
    if (rc == 0)
        rc = parse_own(&m, s);
    if (rc == 0)
        keep(&m);
    for (const vitro_option *o = rc == 0 ? m.plugin->options : NULL; o && o->name && rc == 0; o++)
        rc = kind == SETS_USUAL || (kind == SETS_CHOICES && is_choice(o)) ? vary(&m, s, o) : 0;
    if (rc == 0 && kind == SETS_USUAL)
        rc = vary_all(&m, s);
    if (rc == 0 && kind == SETS_EXTREME)
        rc = go_to_extremes(&m, s);
    mem_free(m.self);
    if (rc < 0)
        sets_free(sets);
    return rc;
}

void sets_free(struct sets *sets)
{
    mem_free(sets->text);
    *sets = (struct sets){0};
}
