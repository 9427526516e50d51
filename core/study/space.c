/* space.c - see space.h. */
#include "space.h"

#include "error.h"
#include "recipe_json.h"
#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 8 }; /* points drawn together when only time limits them */

double space_size(const struct study_method *m)
{
    double size = 1;
    for (uint32_t i = 0; i < m->axis_count; i++)
        size *= m->axes[i].kind == AXIS_LIST ? m->axes[i].count : (double)INFINITY;
    return size;
}

/* The point of number `index` in the order of a grid: the last axis moves fastest. */
static void grid_point(const struct study_method *m, uint64_t index, struct point *out)
{
    for (uint32_t i = m->axis_count; i-- > 0;) {
        const struct study_axis *a = &m->axes[i];
        snprintf(out->value[i], VALUE_TEXT, "%s", a->values[index % a->count]);
        index /= a->count;
    }
}

/* A value at u in [0, 1) of a range, of three digits, so that it can be read and typed. */
static void range_value(const struct study_axis *a, double u, char text[VALUE_TEXT])
{
    const double value =
        a->kind == AXIS_UNIFORM ? a->low + u * (a->high - a->low) : a->low * pow(a->high / a->low, u);
    snprintf(text, VALUE_TEXT, "%.3g", value);
    snprintf(text, VALUE_TEXT, "%.9g", fmin(fmax(strtod(text, NULL), a->low), a->high));
}

/* --- points of lists, as the indices of their values */

struct draw {
    uint32_t value[AXIS_LIMIT];
};

static uint64_t place_of(const struct study_method *m, const struct draw *d)
{
    uint64_t index = 0;
    for (uint32_t i = 0; i < m->axis_count; i++)
        index = index * m->axes[i].count + d->value[i];
    return index;
}

static void exchange(struct draw *a, struct draw *b, uint32_t axis)
{
    const uint32_t value = a->value[axis];
    a->value[axis] = b->value[axis];
    b->value[axis] = value;
}

/* Exchanges a value of `a` for one of `b` unless that makes more doubles than there were. */
static void try_exchange(const struct study_method *m, uint32_t *used, struct draw *a, struct draw *b,
                         uint32_t axis)
{
    const uint64_t from[2] = {place_of(m, a), place_of(m, b)};
    const int before = (used[from[0]] > 1) + (used[from[1]] > 1);
    exchange(a, b, axis);
    const uint64_t to[2] = {place_of(m, a), place_of(m, b)};
    used[from[0]]--, used[from[1]]--;
    used[to[0]]++, used[to[1]]++;
    if ((used[to[0]] > 1) + (used[to[1]] > 1) <= before)
        return;
    used[to[0]]--, used[to[1]]--;
    used[from[0]]++, used[from[1]]++;
    exchange(a, b, axis);
}

/* No point of a block may be there twice, nor in an earlier block: `used` counts them. Exchanging values between two
 * points leaves each value used as often as before; what chance does not part so becomes the next that is free. */
static void part_doubles(const struct study_method *m, struct rng *g, uint32_t *used, struct draw *draws,
                         uint32_t count)
{
    const uint64_t size = (uint64_t)space_size(m);
    for (uint32_t k = 0; k < count; k++)
        used[place_of(m, &draws[k])]++;
    for (int pass = 0, doubles = 1; pass < 200 && doubles; pass++) {
        doubles = 0;
        for (uint32_t k = 0; k < count; k++)
            for (int try = 0; try < 16 && used[place_of(m, &draws[k])] > 1; try++) {
                doubles = 1;
                try_exchange(m, used, &draws[k], &draws[rng_below(g, count)], rng_below(g, m->axis_count));
            }
    }
    for (uint32_t k = 0; k < count; k++) {
        uint64_t at = place_of(m, &draws[k]);
        if (used[at] < 2)
            continue;
        used[at]--;
        at = rng_u32(g) % size;
        while (used[at])
            at = (at + 1) % size;
        used[at]++;
        for (uint32_t i = m->axis_count; i-- > 0; at /= m->axes[i].count)
            draws[k].value[i] = (uint32_t)(at % m->axes[i].count);
    }
}

/* `count` points in which each axis takes each of `count` equal shares once, a list each value as often as any other
 * or once more. `used`: of the points of a finite space, how often each was drawn; NULL: not counted. */
static int draw_block(const struct study_method *m, uint64_t seed, uint32_t block, uint32_t count,
                      uint32_t *used, struct point *out)
{
    char purpose[128];
    uint32_t *turn = mem_alloc(count, sizeof *turn);
    struct draw *draws = mem_alloc(count, sizeof *draws);
    for (uint32_t i = 0; i < m->axis_count && turn && draws; i++) {
        const struct study_axis *a = &m->axes[i];
        snprintf(purpose, sizeof purpose, "search %.80s %u", a->name, block);
        struct rng g = rng_named(seed, purpose);
        const double shift = rng_uniform(&g);
        for (uint32_t k = 0; k < count; k++)
            turn[k] = k;
        rng_shuffle(&g, turn, count);
        for (uint32_t k = 0; k < count; k++)
            if (a->kind == AXIS_LIST)
                draws[k].value[i] = (uint32_t)((turn[k] + shift) * a->count / count);
            else
                range_value(a, (turn[k] + rng_uniform(&g)) / count, out[k].value[i]);
    }
    snprintf(purpose, sizeof purpose, "search doubles %u", block);
    struct rng g = rng_named(seed, purpose);
    if (used && turn && draws && m->axis_count)
        part_doubles(m, &g, used, draws, count);
    for (uint32_t i = 0; i < m->axis_count && turn && draws; i++)
        for (uint32_t k = 0; k < count && m->axes[i].kind == AXIS_LIST; k++)
            snprintf(out[k].value[i], VALUE_TEXT, "%s", m->axes[i].values[draws[k].value[i]]);
    const int rc = turn && draws ? 0 : ERR_MEMORY;
    mem_free(turn);
    mem_free(draws);
    return rc;
}

/* In one block where the budget is known; else in small ones, each as even, the earlier the same however many follow. */
static int draw(const struct study_method *m, const struct study_tune *tune, uint32_t count,
                struct point *out)
{
    const double size = space_size(m);
    uint32_t *used = size < 1e7 ? mem_alloc((size_t)size, sizeof *used) : NULL;
    struct point *room = mem_alloc(count + BLOCK, sizeof *room);
    int rc = (size < 1e7 && !used) || !room ? ERR_MEMORY : 0;
    for (uint32_t at = 0, block = 0; at < count && rc == 0; block++) {
        const double left = size - at;
        const uint32_t n = tune->trials ? count : left < BLOCK ? (uint32_t)left : BLOCK;
        rc = draw_block(m, tune->seed, block, n, used, room);
        for (uint32_t k = 0; k < n && at < count && rc == 0; k++)
            out[at++] = room[k];
    }
    mem_free(used);
    mem_free(room);
    return rc;
}

int64_t space_points(const struct study_method *m, const struct study_tune *tune, uint32_t count,
                     struct point *out)
{
    const double size = space_size(m);
    const int timed = !tune->trials && tune->seconds > 0 && tune->strategy != TUNE_NONE,
              whole = !tune->trials && tune->strategy == TUNE_GRID && !timed;
    if (whole || (size <= count && !timed)) {
        count = size < count ? (uint32_t)size : count;
        for (uint32_t k = 0; k < count; k++)
            grid_point(m, k, &out[k]);
        return count;
    }
    count = size < count ? (uint32_t)size : count;
    TRY(draw(m, tune, count, out));
    return count;
}

static int is_number(const char *text)
{
    char *end;
    strtod(text, &end);
    return end != text && *end == 0;
}

/* -1 at the lowest value, 1 at the highest, 0 between them or where there is no order. */
static int edge_of(const struct study_axis *a, const char *text)
{
    const double value = strtod(text, NULL);
    double low = a->low, high = a->high;
    if (a->kind == AXIS_LIST) {
        if (a->count < 2)
            return 0;
        low = (double)INFINITY, high = -low;
        for (uint32_t i = 0; i < a->count; i++) {
            if (!is_number(a->values[i]))
                return 0;
            low = fmin(low, strtod(a->values[i], NULL));
            high = fmax(high, strtod(a->values[i], NULL));
        }
        return value <= low ? -1 : value >= high;
    }
    /* of a range, its outermost tenth: the ends themselves are never drawn */
    const double u =
        a->kind == AXIS_UNIFORM ? (value - low) / (high - low) : log(value / low) / log(high / low);
    return u < 0.1 ? -1 : u > 0.9;
}

void space_edges(const struct study_method *m, const struct point *p, char text[SPACE_TEXT])
{
    size_t used = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < m->axis_count; i++) {
        const int edge = edge_of(&m->axes[i], p->value[i]);
        if (edge && used < SPACE_TEXT)
            used += (size_t)snprintf(text + used, SPACE_TEXT - used, "%s%s at its %s", used ? ", " : "",
                                     m->axes[i].name, edge < 0 ? "lowest" : "highest");
    }
}

void space_text(const struct study_method *m, char text[SPACE_TEXT])
{
    size_t used = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < m->axis_count; i++) {
        const struct study_axis *a = &m->axes[i];
        char values[256] = "";
        if (a->kind != AXIS_LIST)
            snprintf(values, sizeof values, " %g .. %g%s", a->low, a->high,
                     a->kind == AXIS_LOG_UNIFORM ? " (log)" : "");
        for (uint32_t k = 0; k < a->count && a->kind == AXIS_LIST; k++) {
            size_t at = strlen(values);
            snprintf(values + at, sizeof values - at, " %s", a->values[k]);
        }
        if (used < SPACE_TEXT)
            used +=
                (size_t)snprintf(text + used, SPACE_TEXT - used, "%s%s%s", used ? ", " : "", a->name, values);
    }
    if (!used)
        snprintf(text, SPACE_TEXT, "nothing: its defaults");
}

static const char *chosen(const struct study_method *m, const struct point *p, uint32_t part,
                          const struct study_setting *option)
{
    for (uint32_t i = 0; i < m->axis_count; i++) {
        const char *name = strrchr(m->axes[i].name, '.');
        if (m->axes[i].part == (int32_t)part && strcmp(name ? name + 1 : m->axes[i].name, option->name) == 0)
            return p->value[i];
    }
    return option->value;
}

size_t space_method(const struct study_method *m, const struct point *p, char *text, size_t size)
{
    size_t used = 0;
#define PUT(...) \
    (used += (size_t)snprintf(used < size ? text + used : NULL, used < size ? size - used : 0, __VA_ARGS__))
    for (uint32_t k = 0; k < m->part_count; k++) {
        const struct study_part *part = &m->parts[k];
        PUT("%s%s", k ? "+" : "", part->plugin);
        for (uint32_t i = 0; i < part->count; i++)
            PUT("%s%s=%s", i ? "," : "[", part->options[i].name, chosen(m, p, k, &part->options[i]));
        if (part->count)
            PUT("]");
    }
#undef PUT
    return used;
}

int space_training(const struct study_method *m, const struct point *p, struct recipe *r)
{
    for (uint32_t i = 0; i < m->axis_count; i++) {
        struct json *value = NULL;
        if (m->axes[i].part >= 0)
            continue;
        TRY(json_parse(&value, p->value[i], strlen(p->value[i]), m->axes[i].name));
        int rc = recipe_set(r, m->axes[i].name, value);
        json_destroy(value);
        TRY(rc);
    }
    return 0;
}
