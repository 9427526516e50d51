/* panel_join.c - two panels side by side, when they may be: see panel_load.h. */
#include "panel_private.h"

#include "error.h"
#include "shift.h"

#include <stdio.h>
#include <string.h>

static int check_backbones(const struct panel *a, const struct panel *b)
{
    if (strcmp(a->backbone_hash, b->backbone_hash) == 0) {
        if (a->heads == b->heads && a->act == b->act)
            return 0;
        return fail(ERR_INPUT,
                    "the studies %s and %s do not share a table: they read the backbone's weights with other "
                    "heads or another activation",
                    a->study, b->study);
    }
    return fail(ERR_INPUT,
                "the studies %s and %s do not share a table: their backbones differ (%s with the SHA-256 "
                "%.12s, %s with %.12s)",
                a->study, b->study, a->backbone, a->backbone_hash, b->backbone, b->backbone_hash);
}

static int check_seeds(const struct panel *a, const struct panel *b)
{
    int same = a->seed_count == b->seed_count;
    for (uint32_t i = 0; same && i < a->seed_count; i++)
        same = a->seeds[i] == b->seeds[i];
    return same ? 0
                : fail(ERR_INPUT,
                       "the studies %s and %s do not share a table: their seeds differ, so nothing can be "
                       "paired",
                       a->study, b->study);
}

/* Index in b of each of a's packs. */
static int match_packs(const struct panel *a, const struct panel *b, uint32_t *where)
{
    if (a->pack_count != b->pack_count)
        return fail(ERR_INPUT, "the studies %s and %s do not share a table: they have %u and %u packs",
                    a->study, b->study, a->pack_count, b->pack_count);
    for (uint32_t i = 0; i < a->pack_count; i++) {
        const struct panel_pack *p = &a->packs[i];
        uint32_t k = 0;
        while (k < b->pack_count && strcmp(b->packs[k].fingerprint, p->fingerprint) != 0)
            k++;
        if (k == b->pack_count)
            return fail(ERR_INPUT,
                        "the studies %s and %s do not share a table: nothing in %s has the fingerprint %.12s "
                        "of %s's pack %s "
                        "(other images, sizes, labels or normalisation)",
                        a->study, b->study, b->study, p->fingerprint, a->study, p->name);
        where[i] = k;
    }
    return 0;
}

static const char *joined_name(struct loaded *l, const struct panel *a, const struct panel *b,
                               const char *name)
{
    char text[192];
    for (uint32_t i = 0; i < a->method_count; i++)
        if (strcmp(a->methods[i].name, name) == 0) {
            snprintf(text, sizeof text, "%s (%s)", name, b->study);
            return arena_string(&l->arena, text);
        }
    return name;
}

/* --- answers under shift: those of the second where they were judged on what the first's were */

static const struct shift_run *find_like(const struct shift_run *runs, uint32_t count, enum shift_kind kind,
                                         uint32_t pack)
{
    for (uint32_t i = 0; i < count; i++)
        if (runs[i].kind == kind && runs[i].pack == pack)
            return &runs[i];
    return NULL;
}

static int join_shifts(struct loaded *l, const struct panel *a, const struct panel *b, const uint32_t *where)
{
    struct shift_run *runs =
        arena_alloc(&l->arena, (size_t)a->shift_count + b->shift_count + 1, sizeof *runs);
    uint32_t count = a->shift_count, left_out = 0;
    if (!runs)
        return ERR_MEMORY;
    for (uint32_t i = 0; i < a->shift_count; i++)
        runs[i] = a->shifts[i];
    for (uint32_t i = 0; i < b->shift_count; i++) {
        struct shift_run run = b->shifts[i];
        uint32_t pack = 0;
        while (pack < a->pack_count && where[pack] != run.pack)
            pack++;
        const struct shift_run *first = find_like(runs, count, run.kind, pack);
        if (pack == a->pack_count || (first && !shift_alike(first, &run))) {
            left_out++;
            continue;
        }
        run.pack = pack;
        run.method_index += a->method_count;
        runs[count++] = run;
    }
    l->panel.shifts = runs;
    l->panel.shift_count = count;
    if (left_out)
        loaded_flag(
            l,
            "%u answers under shift of %s are left out: they are to other images, or at other alphas, "
            "than those of %s",
            left_out, b->study, a->study);
    return 0;
}

static int join(struct loaded *l, const struct panel *a, const struct panel *b)
{
    const uint32_t count = a->method_count + b->method_count;
    uint32_t *where = arena_alloc(&l->arena, a->pack_count + 1, sizeof *where);
    struct panel_method *methods = arena_alloc(&l->arena, count, sizeof *methods);
    struct panel_cell *cells = arena_alloc(&l->arena, (size_t)count * a->pack_count, sizeof *cells);
    char name[192];
    if (!where || !methods || !cells)
        return ERR_MEMORY;
    TRY(check_backbones(a, b));
    TRY(check_seeds(a, b));
    TRY(match_packs(a, b, where));
    l->panel = *a;
    for (uint32_t m = 0; m < count; m++) {
        const int second = m >= a->method_count;
        methods[m] = second ? b->methods[m - a->method_count] : a->methods[m];
        if (second && !(methods[m].name = joined_name(l, a, b, methods[m].name)))
            return ERR_MEMORY;
        for (uint32_t k = 0; k < a->pack_count; k++)
            cells[(size_t)m * a->pack_count + k] =
                second ? *panel_at(b, m - a->method_count, where[k]) : *panel_at(a, m, k);
    }
    struct panel_pack *packs = arena_alloc(&l->arena, a->pack_count, sizeof *packs);
    snprintf(name, sizeof name, "%s + %s", a->study, b->study);
    l->panel.study = arena_string(&l->arena, name);
    if (!packs || !l->panel.study)
        return ERR_MEMORY;
    for (uint32_t k = 0; k < a->pack_count; k++) {
        packs[k] = a->packs[k];
        if (!packs[k].test_labels)
            packs[k].test_labels = b->packs[where[k]].test_labels;
        if (!packs[k].val_labels)
            packs[k].val_labels = b->packs[where[k]].val_labels;
    }
    l->panel.packs = packs;
    l->panel.methods = methods;
    l->panel.cells = cells;
    l->panel.method_count = count;
    TRY(join_shifts(l, a, b, where));
    for (uint32_t i = 0; i < b->flag_count; i++)
        loaded_flag(l, "%s", b->flags[i]);
    if (strcmp(a->strategy, b->strategy) != 0 || a->equal_budget != b->equal_budget) {
        l->panel.equal_budget = 0;
        loaded_flag(l, "the studies %s and %s were tuned differently: %s; %s", a->study, b->study,
                    a->strategy, b->strategy);
    }
    if (a->refit_on_trainval != b->refit_on_trainval)
        loaded_flag(l, "one of the studies %s and %s trains its finals on train alone", a->study, b->study);
    return l->failed;
}

int panel_join(struct loaded **out, const struct loaded *one, const struct loaded *other)
{
    *out = NULL;
    struct loaded *l = mem_alloc(1, sizeof *l);
    if (!l)
        return ERR_MEMORY;
    int rc = join(l, loaded_panel(one), loaded_panel(other));
    if (rc < 0) {
        loaded_destroy(l);
        return rc;
    }
    *out = l; /* lends from the two, which must outlive it */
    return 0;
}
