/* profile_view.c - see profile_view.h: dispatches in groups. */
#include "profile_view.h"

#include "error.h"
#include "memory.h"
#include "place.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const profile_bys[] = {"kernel", "op", "site", "place", "method", NULL};

enum { NAME = 192 };

struct group {
    char name[NAME];
    const char *phase; /* "": of all */
    uint32_t count;
    double ns, flops, bytes, ideal; /* ideal: ns at the ceiling */
};

static void name_group(struct group *g, const struct profile *p, uint32_t i, enum profile_by by)
{
    const struct run_time *t = &p->works[i];
    struct place place;
    int placed = place_read(t->place, &place);
    g->phase = by == BY_KERNEL ? "" : run_phases[t->phase];
    switch (by) {
    case BY_KERNEL: snprintf(g->name, NAME, "%s", t->kernel); break;
    case BY_OP: snprintf(g->name, NAME, "%s", t->label); break;
    case BY_METHOD: snprintf(g->name, NAME, "%s", p->owners[i]); break;
    case BY_SITE:
    case BY_PLACE:
        if (!placed || (place.site < 0 && place.block < 0))
            snprintf(g->name, NAME, "%s", p->owners[i]);
        else if (by == BY_PLACE && place.block >= 0)
            snprintf(g->name, NAME, "%s at %s of block %d", p->owners[i],
                     place.site < 0 ? "no site" : site_names[place.site], place.block);
        else
            snprintf(g->name, NAME, "%s at %s", p->owners[i],
                     place.site < 0 ? "no site" : site_names[place.site]);
        break;
    }
}

static void add(struct group *g, const struct group *more)
{
    g->count += more->count;
    g->ns += more->ns;
    g->flops += more->flops;
    g->bytes += more->bytes;
    g->ideal += more->ideal;
}

static int by_name(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->phase, y->phase);
}

static int by_time(const void *a, const void *b)
{
    const struct group *x = a, *y = b;
    return x->ns != y->ns ? (x->ns < y->ns ? 1 : -1) : by_name(a, b);
}

/* Sorted and summed up; returns how many are left. */
static uint32_t gather(struct group *groups, uint32_t count)
{
    uint32_t kept = 0;
    qsort(groups, count, sizeof *groups, by_name);
    for (uint32_t i = 0; i < count; i++)
        if (kept && by_name(&groups[kept - 1], &groups[i]) == 0)
            add(&groups[kept - 1], &groups[i]);
        else
            groups[kept++] = groups[i];
    qsort(groups, kept, sizeof *groups, by_time);
    return kept;
}

static int describe(struct json *row, const struct group *g, double all_ns)
{
    TRY(json_set_string(row, "name", g->name));
    if (*g->phase)
        TRY(json_set_string(row, "phase", g->phase));
    TRY(json_set_integer(row, "count", g->count));
    TRY(json_set_number(row, "seconds", g->ns * 1e-9));
    TRY(json_set_number(row, "share", all_ns > 0 ? g->ns / all_ns : 0));
    if (g->ns <= 0)
        return 0;
    if (g->flops > 0)
        TRY(json_set_number(row, "gflops", g->flops / g->ns));
    if (g->bytes > 0)
        TRY(json_set_number(row, "gbytes", g->bytes / g->ns));
    return json_set_number(row, "ceiling", g->ideal / g->ns);
}

int profile_rows(struct json *rows, const struct profile *p, const struct ceiling *c, enum profile_by by,
                 int top)
{
    int rc = 0;
    double all = 0;
    struct group *groups = mem_alloc(p->count, sizeof *groups);
    if (!groups)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct run_time *t = &p->works[i];
        double flops_ns = t->flops / c->flops * 1e9, bytes_ns = t->bytes / c->bytes * 1e9;
        groups[i] = (struct group){.count = 1, .ns = t->ns, .flops = t->flops, .bytes = t->bytes};
        groups[i].ideal = flops_ns > bytes_ns ? flops_ns : bytes_ns;
        name_group(&groups[i], p, i, by);
        all += t->ns;
    }
    uint32_t count = gather(groups, p->count), shown = (uint32_t)top;
    if (count > shown + 1) {
        for (uint32_t i = shown + 1; i < count; i++)
            add(&groups[shown], &groups[i]);
        snprintf(groups[shown].name, NAME, "%u others", count - shown);
        groups[shown].phase = "";
        count = shown + 1;
    }
    for (uint32_t i = 0; i < count && rc == 0; i++)
        rc = describe(json_append_object(rows), &groups[i], all);
    mem_free(groups);
    return rc;
}
