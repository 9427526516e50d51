/* ladder.c - see ladder.h: the table of tiles, what each needs, and a model of what each costs. */
#include "ladder.h"

#include "engine.h"
#include "error.h"
#include "memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const rung_names[] = {
#define X(NAME, name, words) #name,
    RUNGS(X)
#undef X
};

/* name, rung, rows, columns, depth, m, n, invocations, buffers: see struct tile */
const struct tile ladder_tiles[] = {
    {"tiled 64x64", RUNG_TILED, 64, 64, 16, 4, 4, 256, 1},
    {"cpu", RUNG_CPU, 0, 0, 0, 0, 0, 0, 0},
    {0},
};
enum { TILES = sizeof ladder_tiles / sizeof *ladder_tiles - 1, SPLITS_MAX = 64 };
_Static_assert(TILES <= 64, "a bit for each tile");

struct fixed { /* a choice that was set */
    struct fixed *next;
    struct product product;
    struct ladder_choice choice;
};
struct ladder {
    struct fixed *fixed;
    uint64_t forbidden; /* bit i: ladder_tiles[i] */
    int only;           /* enum rung, or RUNG_COUNT */
};

static int rung_by_name(const char *name, size_t length)
{
    for (int i = 0; i < RUNG_COUNT; i++)
        if (strlen(rung_names[i]) == length && !memcmp(rung_names[i], name, length))
            return i;
    return -1;
}

int ladder_create(struct ladder **out)
{
    const char *asked = getenv("VITRO_LADDER");
    int only = asked && *asked ? rung_by_name(asked, strlen(asked)) : RUNG_COUNT;
    if (only < 0)
        return fail(
            ERR_INPUT,
            "the environment's VITRO_LADDER is '%.40s'; it must be workgroup, subgroup, packed, tiled "
            "or cpu",
            asked);
    struct ladder *l = mem_alloc(1, sizeof *l);
    if (!l)
        return ERR_MEMORY;
    l->only = only;
    *out = l;
    return 0;
}

void ladder_destroy(struct ladder *l)
{
    for (struct fixed *f = l ? l->fixed : NULL, *next; f; f = next) {
        next = f->next;
        mem_free(f);
    }
    mem_free(l);
}

void ladder_only(struct engine *e, enum rung rung)
{
    engine_ladder(e)->only = rung;
}

void ladder_forbid(struct engine *e, const struct tile *tile)
{
    engine_ladder(e)->forbidden |= 1ull << (tile - ladder_tiles);
}

static int same_product(const struct product *a, const struct product *b)
{
    return a->batches == b->batches && a->m == b->m && a->n == b->n && a->k == b->k && a->a_t == b->a_t &&
           a->b_t == b->b_t && a->a_batched == b->a_batched && a->b_batched == b->b_batched &&
           a->number == b->number;
}

int ladder_suits(const struct engine *e, const struct tile *tile, const struct product *product)
{
    (void)product;
    const struct device_info *info = device_info(engine_device(e));
    if (tile->rung == RUNG_CPU)
        return 1;
    return tile->invocations <= info->max_invocations;
}

static int allowed(const struct engine *e, const struct tile *tile, const struct product *product)
{
    return !(engine_ladder(e)->forbidden >> (tile - ladder_tiles) & 1) && ladder_suits(e, tile, product);
}

/* The rungs to take from: the device's style, or only one where any of its tiles suits. */
static int wanted(const struct engine *e, const struct product *product, enum rung rung)
{
    int only = engine_ladder(e)->only;
    for (int i = 0; i < TILES && only != RUNG_COUNT; i++)
        if ((int)ladder_tiles[i].rung == only && allowed(e, &ladder_tiles[i], product))
            return (int)rung == only;
    return engine_cpu_style(e) ? rung == RUNG_CPU : rung != RUNG_CPU;
}

/* A model of the time that a choice takes, in multiply-adds of one compute unit: waves of workgroups, each
 * with its share of k. A tile of r x c numbers brings r + c in for r c products, so small tiles wait for
 * memory; splits are written and read once more. It only has to order the choices. */
static double cost(const struct engine *e, const struct ladder_choice *c, const struct product *p)
{
    enum { UNITS_GUESS = 32, GROUPS_A_UNIT = 2 };
    const double traffic = 24, start = 4096, number = 8; /* in multiply-adds: of a number brought in; of a
                                                             workgroup's start; of a split's number */
    const struct tile *t = c->tile;
    if (t->rung == RUNG_CPU)
        return 0;
    uint32_t units = device_info(engine_device(e))->compute_units;
    units = units ? units : UNITS_GUESS;
    double slots = GROUPS_A_UNIT * (double)units;
    double groups = ceil(p->m / (double)t->rows) * ceil(p->n / (double)t->columns) * p->batches * c->splits;
    double steps = ceil(p->k / (double)c->splits / t->depth) * t->depth;
    double each = steps * (t->rows * (double)t->columns + traffic * (t->rows + t->columns)) + start;
    double extra = c->splits > 1 ? number * c->splits * p->m * (double)p->n * p->batches / units : 0;
    return ceil(groups / slots) * each + extra;
}

struct priced {
    struct ladder_choice choice;
    double cost;
};

static int by_rung_and_cost(const void *a, const void *b)
{
    const struct priced *x = a, *y = b;
    if (x->choice.tile->rung != y->choice.tile->rung)
        return x->choice.tile->rung < y->choice.tile->rung ? -1 : 1;
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return x->choice.splits < y->choice.splits ? -1 : x->choice.splits > y->choice.splits;
}

/* Whether k may be cut in so many parts: each has some slices of the tile's depth left. */
static int may_split(const struct tile *t, const struct product *p, uint32_t splits)
{
    enum { SLICES_LEAST = 8 };
    return splits == 1 || (t->rung != RUNG_CPU && p->k / splits >= SLICES_LEAST * t->depth);
}

uint32_t ladder_candidates(const struct engine *e, const struct product *product, struct ladder_choice *out,
                           uint32_t room)
{
    struct priced all[TILES * 7]; /* seven powers of two up to SPLITS_MAX */
    uint32_t count = 0;
    for (int i = 0; i < TILES; i++) {
        const struct tile *t = &ladder_tiles[i];
        if (!wanted(e, product, t->rung) || !allowed(e, t, product))
            continue;
        for (uint32_t splits = 1; splits <= 1 && may_split(t, product, splits); splits *= 2) {
            struct ladder_choice c = {t, splits};
            all[count++] = (struct priced){c, cost(e, &c, product)};
        }
    }
    if (!count) /* all forbidden: the plainest there is, on which everything else was checked */
        all[count++] = (struct priced){{&ladder_tiles[TILES - (engine_cpu_style(e) ? 1 : 2)], 1}, 0};
    qsort(all, count, sizeof *all, by_rung_and_cost);
    for (uint32_t i = 0; i < count && i < room; i++)
        out[i] = all[i].choice;
    return count < room ? count : room;
}

struct ladder_choice ladder_choose(const struct engine *e, const struct product *product)
{
    for (const struct fixed *f = engine_ladder(e)->fixed; f; f = f->next)
        if (same_product(&f->product, product) && allowed(e, f->choice.tile, product))
            return f->choice;
    struct ladder_choice first = {0};
    ladder_candidates(e, product, &first, 1);
    return first;
}

int ladder_set(struct engine *e, const struct product *product, const struct ladder_choice *choice)
{
    char text[LADDER_TEXT], name[PRODUCT_TEXT];
    if (!ladder_suits(e, choice->tile, product) || !may_split(choice->tile, product, choice->splits))
        return fail(ERR_INPUT, "%s cannot compute the product %s on %s", ladder_text(choice, text),
                    product_text(product, name), device_info(engine_device(e))->name);
    struct ladder *l = engine_ladder(e);
    struct fixed *f = l->fixed;
    while (f && !same_product(&f->product, product))
        f = f->next;
    if (!f) {
        if (!(f = mem_alloc(1, sizeof *f)))
            return ERR_MEMORY;
        f->product = *product;
        f->next = l->fixed;
        l->fixed = f;
    }
    f->choice = *choice;
    return 0;
}

const char *ladder_text(const struct ladder_choice *choice, char out[LADDER_TEXT])
{
    if (choice->splits > 1)
        snprintf(out, LADDER_TEXT, "%s / %u", choice->tile->name, (unsigned)choice->splits);
    else
        snprintf(out, LADDER_TEXT, "%s", choice->tile->name);
    return out;
}

int ladder_parse(const char *text, struct ladder_choice *out)
{
    const char *slash = strstr(text, " / ");
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    char *end = NULL;
    unsigned long splits = slash ? strtoul(slash + 3, &end, 10) : 1;
    for (int i = 0; i < TILES; i++) {
        const struct tile *t = &ladder_tiles[i];
        if (strlen(t->name) != length || memcmp(t->name, text, length) || (end && *end))
            continue;
        if (splits >= 1 && splits <= SPLITS_MAX && !(splits & (splits - 1))) {
            *out = (struct ladder_choice){t, (uint32_t)splits};
            return 0;
        }
    }
    return fail(ERR_INPUT, "\"%.60s\" names no kernel for a product", text);
}

const char *product_text(const struct product *p, char out[PRODUCT_TEXT])
{
    char batch[24] = "";
    if (p->batches > 1)
        snprintf(batch, sizeof batch, "%u%s%s: ", (unsigned)p->batches, p->a_batched ? "a" : "",
                 p->b_batched ? "b" : "");
    snprintf(out, PRODUCT_TEXT, "%s%ux%ux%u %c%c %s", batch, (unsigned)p->m, (unsigned)p->n, (unsigned)p->k,
             p->a_t ? 't' : 'n', p->b_t ? 't' : 'n', number_names[p->number]);
    return out;
}
