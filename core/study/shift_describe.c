/* shift_describe.c - runs under shift as the members `robustness` and `wise` of the analysis document. */
#include "shift.h"

#include "error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SEEDS_MOST = 64 };

struct cell { /* the runs of one method on one pack, one a seed */
    const struct shift_run *runs[SEEDS_MOST];
    uint32_t count;
};

static struct cell find_cell(const struct shift_run *runs, uint32_t count, enum shift_kind kind,
                             uint32_t pack, uint32_t method)
{
    struct cell c = {.count = 0};
    for (uint32_t i = 0; i < count && c.count < SEEDS_MOST; i++)
        if (runs[i].kind == kind && runs[i].pack == pack && runs[i].method_index == method)
            c.runs[c.count++] = &runs[i];
    return c;
}

static struct json *hang_array(struct json *object, const char *key)
{
    struct json *array = json_array();
    return json_take(object, key, array) < 0 ? NULL : array;
}

/* --- sums over sets */

static uint32_t find_set(const struct shift_run *run, enum shift_set_kind kind)
{
    uint32_t k = 0;
    while (k < run->set_count && run->sets[k].kind != kind)
        k++;
    return k;
}

static uint32_t count_sets(const struct shift_run *run, unsigned kinds)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < run->set_count; k++)
        n += (kinds >> run->sets[k].kind) & 1;
    return n;
}

static const unsigned shifted = 1u << SET_CORRUPTION | 1u << SET_DATA;

/* The mean over the sets of these kinds; with `drop`, over the clean accuracy. NaN where there are none. */
static int estimate_mean(const struct cell *c, uint32_t alpha, unsigned kinds, int drop,
                         const struct shift_options *o, struct shift_estimate *out)
{
    const struct shift_run *run = c->runs[0];
    struct arena arena = {0};
    const uint32_t n = count_sets(run, kinds), clean = find_set(run, SET_CLEAN);
    *out = (struct shift_estimate){NAN, NAN, NAN};
    if (n == 0 || (drop && clean == run->set_count))
        return 0;
    struct shift_part *parts = arena_alloc(&arena, n + 1, sizeof *parts);
    uint32_t used = 0;
    if (!parts)
        return ERR_MEMORY;
    for (uint32_t k = 0; k < run->set_count; k++)
        if ((kinds >> run->sets[k].kind) & 1)
            parts[used++] = (struct shift_part){.set = k, .over = 1.0 / n};
    if (drop)
        parts[used++] = (struct shift_part){.set = clean, .under = 1};
    int rc = shift_estimate(c->runs, c->count, alpha, parts, used, o, out);
    arena_finish(&arena);
    return rc;
}

static int put_estimate(struct json *j, const char *key, struct shift_estimate e)
{
    char name[64];
    TRY(json_set_number(j, key, e.mean));
    snprintf(name, sizeof name, "%s_low", key);
    TRY(json_set_number(j, name, e.low));
    snprintf(name, sizeof name, "%s_high", key);
    return json_set_number(j, name, e.high);
}

static int append_estimate(struct json *const arrays[3], struct shift_estimate e)
{
    TRY(json_append_number(arrays[0], e.mean));
    TRY(json_append_number(arrays[1], e.low));
    return json_append_number(arrays[2], e.high);
}

static int hang_three(struct json *j, const char *key, struct json *arrays[3])
{
    static const char *const tails[3] = {"", "_low", "_high"};
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", key, tails[i]);
        arrays[i] = hang_array(j, name);
        if (!arrays[i])
            return ERR_MEMORY;
    }
    return 0;
}

/* --- accuracies under shift */

static int put_sets(struct json *j, const struct shift_run *run)
{
    struct json *sets = hang_array(j, "sets");
    for (uint32_t k = 0; k < run->set_count; k++) {
        const struct shift_set *s = &run->sets[k];
        const char *colon = s->kind == SET_CORRUPTION ? strchr(s->name, ':') : NULL;
        struct json *set = json_object();
        char name[64];
        TRY(json_append_take(sets, set));
        TRY(json_set_string(set, "name", s->name));
        TRY(json_set_string(set, "kind", shift_set_kinds[s->kind]));
        TRY(json_set_integer(set, "images", s->images));
        if (!colon)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)(colon - s->name), s->name);
        TRY(json_set_string(set, "corruption", name));
        TRY(json_set_integer(set, "severity", colon[1] - '0'));
    }
    return 0;
}

static int put_robust(struct json *j, const struct cell *c, const struct shift_options *o)
{
    const struct shift_run *run = c->runs[0];
    struct json *three[3];
    struct shift_estimate e;
    TRY(json_set_integer(j, "seeds", c->count));
    TRY(hang_three(j, "accuracy", three));
    for (uint32_t k = 0; k < run->set_count; k++) {
        const struct shift_part one = {.set = k, .over = 1};
        TRY(shift_estimate(c->runs, c->count, 0, &one, 1, o, &e));
        TRY(append_estimate(three, e));
    }
    static const struct {
        const char *key;
        unsigned kinds;
    } means[] = {{"clean", 1u << SET_CLEAN},
                 {"corrupted", 1u << SET_CORRUPTION},
                 {"data", 1u << SET_DATA},
                 {"shifted", 1u << SET_CORRUPTION | 1u << SET_DATA}};
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) {
        TRY(estimate_mean(c, 0, means[i].kinds, 0, o, &e));
        TRY(put_estimate(j, means[i].key, e));
    }
    TRY(estimate_mean(c, 0, shifted, 1, o, &e)); /* what is lost: 1 minus what is kept */
    return put_estimate(j, "drop", (struct shift_estimate){1 - e.mean, 1 - e.high, 1 - e.low});
}

/* Every method's distance from the line through the others. */
static int put_effective(struct json *list, uint32_t methods)
{
    struct arena arena = {0};
    double *x = arena_alloc(&arena, methods + 1, sizeof *x), *y = arena_alloc(&arena, methods + 1, sizeof *y);
    struct json **rows = arena_alloc(&arena, methods + 1, sizeof *rows);
    uint32_t m = 0;
    int rc = x && y && rows ? 0 : ERR_MEMORY;
    for (const struct json *j = json_first(list); j && rc == 0; j = json_next(j), m++) {
        x[m] = y[m] = NAN;
        if (json_is_object(j)) {
            if (json_number(json_get(j, "clean"), &x[m]) < 0 ||
                json_number(json_get(j, "shifted"), &y[m]) < 0)
                x[m] = NAN;
            rows[m] = (struct json *)(uintptr_t)j; /* of the list, which is ours */
        }
    }
    for (m = 0; m < methods && rc == 0; m++)
        if (rows[m])
            rc = json_set_number(rows[m], "effective", shift_effective(x, y, methods, m));
    arena_finish(&arena);
    return rc;
}

/* --- alpha curves */

/* The first of the best by validation accuracy; -1: none may be chosen. */
static int best_alpha(const struct shift_run *run, const double *val)
{
    int best = -1;
    if (run->val_is_trained_on)
        return -1;
    for (uint32_t a = 0; a < run->alpha_count; a++)
        if (isfinite(val[a]) && (best < 0 || val[a] > val[best] + 1e-12))
            best = (int)a;
    return best;
}

static int put_curve(struct json *j, const struct cell *c, const struct shift_options *o)
{
    const struct shift_run *run = c->runs[0];
    struct json *id[3], *ood[3], *val = hang_array(j, "val");
    struct shift_estimate e;
    const int own_val = strcmp(run->split, "val") == 0;
    double by_val[1024];
    TRY(hang_three(j, "id", id));
    TRY(hang_three(j, "ood", ood));
    for (uint32_t a = 0; a < run->alpha_count; a++) {
        TRY(estimate_mean(c, a, 1u << SET_CLEAN, 0, o, &e));
        TRY(append_estimate(id, e));
        TRY(estimate_mean(c, a, shifted, 0, o, &e));
        TRY(append_estimate(ood, e));
        TRY(estimate_mean(c, a, 1u << SET_VAL, 0, o, &e));
        if (own_val) /* judged on val: it chooses from the very numbers that are shown */
            TRY(estimate_mean(c, a, 1u << SET_CLEAN, 0, o, &e));
        by_val[a] = e.mean;
        TRY(json_append_number(val, e.mean));
    }
    const int best = best_alpha(run, by_val);
    return json_set_number(j, "best", best < 0 ? (double)NAN : best);
}

static int put_wise(struct json *j, const struct cell *c, const struct shift_options *o)
{
    const struct shift_run *run = c->runs[0];
    struct json *control = json_object();
    struct shift_options mixed = *o;
    double off[2] = {(double)NAN, (double)NAN}; /* not measured, or no way */
    int rc = json_take(j, "control", control);
    mixed.control = 1;
    TRY(rc);
    for (uint32_t i = 0; i < c->count; i++) { /* fmax leaves out NaN */
        off[0] = fmax(off[0], c->runs[i]->anchor_off);
        off[1] = fmax(off[1], c->runs[i]->tuned_off);
    }
    TRY(json_set_integer(j, "seeds", c->count));
    TRY(json_set_string(j, "how", run->how));
    TRY(json_set_string(j, "why", run->why));
    TRY(json_set_string(j, "head", run->head));
    TRY(json_set_bool(j, "val_is_trained_on", run->val_is_trained_on));
    const int has_way = strcmp(run->how, "none") != 0;
    TRY(json_set_number(j, "anchor_off", off[0]));
    TRY(json_set_number(j, "tuned_off", off[1]));
    if (has_way)
        TRY(put_curve(j, c, o));
    return put_curve(control, c, &mixed);
}

/* --- both */

static int put_pack(struct json *section, const struct shift_run *runs, uint32_t count, enum shift_kind kind,
                    uint32_t pack, uint32_t methods, const struct shift_options *o)
{
    struct json *j = NULL, *list = NULL;
    for (uint32_t m = 0; m < methods; m++) {
        const struct cell c = find_cell(runs, count, kind, pack, m);
        if (c.count && !j) {
            struct json *alphas;
            j = json_object();
            TRY(json_append_take(section, j));
            TRY(json_set_integer(j, "pack", pack));
            TRY(json_set_string(j, "split", c.runs[0]->split));
            TRY(put_sets(j, c.runs[0]));
            alphas = hang_array(j, "alphas");
            for (uint32_t a = 0; a < c.runs[0]->alpha_count; a++)
                TRY(json_append_number(alphas, c.runs[0]->alphas[a]));
            list = hang_array(j, "methods");
            for (uint32_t before = 0; before < m; before++)
                TRY(json_append_number(list, NAN));
        }
        if (!j)
            continue;
        if (!c.count) {
            TRY(json_append_number(list, NAN));
            continue;
        }
        struct json *row = json_object();
        TRY(json_append_take(list, row));
        TRY(kind == SHIFT_ROBUST ? put_robust(row, &c, o) : put_wise(row, &c, o));
    }
    return list && kind == SHIFT_ROBUST ? put_effective(list, methods) : 0;
}

int shift_describe(struct json *document, const struct shift_run *runs, uint32_t count, uint32_t methods,
                   const struct shift_options *o)
{
    uint32_t packs = 0;
    struct json *section[2] = {hang_array(document, "robustness"), hang_array(document, "wise")};
    for (uint32_t i = 0; i < count; i++)
        packs = runs[i].pack >= packs ? runs[i].pack + 1 : packs;
    for (int kind = 0; kind < 2; kind++)
        for (uint32_t p = 0; p < packs; p++)
            TRY(put_pack(section[kind], runs, count, (enum shift_kind)kind, p, methods, o));
    return 0;
}
