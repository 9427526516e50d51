/* ladder.c - see ladder.h: the table of tiles, what each needs, and a model of what each costs. */
#include "ladder.h"

#include "engine.h"
#include "error.h"
#include "memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const rung_names[RUNG_COUNT] = {
#define X(NAME, name, words) #name,
    RUNGS(X)
#undef X
};

/* name, rung, rows, columns, depth, m, n, invocations, buffers: see struct tile. The last of the TILED must suit
 * every device and product. */
const struct tile ladder_tiles[] = {
    {"workgroup 128x256", RUNG_WORKGROUP, 128, 256, 64, 0, 0, 256, 1},
    {"workgroup 128x128", RUNG_WORKGROUP, 128, 128, 64, 0, 0, 256, 1},
    {"workgroup 64x64", RUNG_WORKGROUP, 64, 64, 64, 0, 0, 128, 1},
    {"subgroup 128x128", RUNG_SUBGROUP, 128, 128, 32, 64, 32, 0, 1},
    {"subgroup 128x128 twice", RUNG_SUBGROUP, 128, 128, 32, 64, 32, 0, 2},
    {"subgroup 128x64", RUNG_SUBGROUP, 128, 64, 32, 64, 32, 0, 1},
    {"subgroup 64x64", RUNG_SUBGROUP, 64, 64, 32, 32, 32, 0, 1},
    {"subgroup 64x64 twice", RUNG_SUBGROUP, 64, 64, 32, 32, 32, 0, 2},
    {"subgroup 32x32", RUNG_SUBGROUP, 32, 32, 32, 16, 16, 0, 1},
    {"subgroup 32x32 of two", RUNG_SUBGROUP, 32, 32, 32, 32, 16, 0, 1},
    {"subgroup 128x32", RUNG_SUBGROUP, 128, 32, 32, 64, 32, 0, 1},
    {"subgroup 32x128", RUNG_SUBGROUP, 32, 128, 32, 32, 64, 0, 1},
    {"packed 128x128", RUNG_PACKED, 128, 128, 16, 8, 8, 0, 1},
    {"packed 128x64", RUNG_PACKED, 128, 64, 16, 8, 8, 0, 1},
    {"packed 64x64", RUNG_PACKED, 64, 64, 16, 8, 4, 0, 1},
    {"packed 32x32", RUNG_PACKED, 32, 32, 16, 4, 4, 0, 1},
    {"packed 128x16", RUNG_PACKED, 128, 16, 16, 8, 4, 0, 1},
    {"packed 16x128", RUNG_PACKED, 16, 128, 16, 4, 8, 0, 1},
    {"tiled 128x128", RUNG_TILED, 128, 128, 16, 8, 8, 0, 1},
    {"tiled 128x64", RUNG_TILED, 128, 64, 16, 8, 8, 0, 1},
    {"tiled 128x64 twice", RUNG_TILED, 128, 64, 16, 8, 8, 0, 2},
    {"tiled 64x64", RUNG_TILED, 64, 64, 16, 8, 4, 0, 1},
    {"tiled 64x64 twice", RUNG_TILED, 64, 64, 16, 8, 4, 0, 2},
    {"tiled 128x16", RUNG_TILED, 128, 16, 16, 8, 4, 0, 1},
    {"tiled 16x128", RUNG_TILED, 16, 128, 16, 4, 8, 0, 1},
    {"tiled 32x32", RUNG_TILED, 32, 32, 16, 4, 4, 0, 1},
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
    uint64_t forbidden;          /* bit i: ladder_tiles[i] */
    int only;                    /* enum rung, or RUNG_COUNT */
    struct ladder_choice pinned; /* tile NULL: none */
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
    engine_ladder(e)->only = (int)rung;
}

struct ladder_choice ladder_pin(struct engine *e, const struct ladder_choice *choice)
{
    struct ladder *l = engine_ladder(e);
    const struct ladder_choice before = l->pinned;
    l->pinned = choice ? *choice : (struct ladder_choice){0};
    return before;
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

uint32_t ladder_invocations(const struct engine *e, const struct tile *t)
{
    if (t->rung == RUNG_WORKGROUP || t->rung == RUNG_CPU)
        return t->invocations;
    return t->rows / t->m * (t->columns / t->n) * (t->rung == RUNG_SUBGROUP ? engine_lanes(e) : 1);
}

/* Intel's matrix units want subgroups of 16 lanes, whatever size the driver likes best. */
const struct device_matrix *ladder_unit(const struct engine *e, enum number number, uint32_t rows,
                                        uint32_t columns, uint32_t depth)
{
    enum { INTEL = 0x8086, INTEL_LANES = 16 };
    const struct device_info *info = device_info(engine_device(e));
    const struct device_matrix *best = NULL;
    if (!info->has_coopmat || (number == NUMBER_BF16 && !info->has_bf16) ||
        (info->vendor_id == INTEL && engine_lanes(e) != INTEL_LANES))
        return NULL;
    for (uint32_t i = 0; i < info->matrix_count; i++) {
        const struct device_matrix *m = &info->matrices[i];
        int whole = rows % m->m == 0 && columns % m->n == 0 && depth % m->k == 0;
        if (m->number == number && whole && m->m % 8 == 0 && m->n % 8 == 0 && m->k % 8 == 0 &&
            (!best || m->m * m->n * m->k > best->m * best->n * best->k))
            best = m;
    }
    return best;
}

const struct device_matrix *ladder_matrix(const struct engine *e, const struct tile *t, enum number number)
{
    return ladder_unit(e, number, t->m, t->n, t->depth);
}

/* Bytes of shared memory that the kernels declare, see shaders/lib/gemm_tiled.glsl and gemm_subgroup.comp. An
 * operand of SUBGROUP that lies across takes no more than one along. */
static uint64_t shared_bytes(const struct engine *e, const struct tile *t, enum number number)
{
    uint64_t edge = t->rows + t->columns;
    if (t->rung == RUNG_SUBGROUP) {
        const struct device_matrix *m = ladder_matrix(e, t, number);
        uint64_t along = edge * (t->depth / 8 + 1) * 16, stash = ladder_invocations(e, t) / engine_lanes(e);
        return t->buffers * along + (m ? stash * m->m * m->n * 4 : 0);
    }
    return t->buffers * (uint64_t)t->depth * (edge + 8) * (t->rung == RUNG_PACKED ? 2 : 4);
}

/* Every invocation fetches the same number of pieces of a slice: fours, or eights for SUBGROUP. */
static int divides(const struct tile *t, uint32_t invocations)
{
    uint32_t piece = t->rung == RUNG_SUBGROUP ? 8 : 4;
    return t->rows * t->depth / piece % invocations == 0 && t->columns * t->depth / piece % invocations == 0;
}

/* Whether the device has workgroups of such matrices. Their rows are read by eights. */
static int suits_workgroup(const struct device_info *info, const struct tile *t, const struct product *p)
{
    if (!info->has_coopmat2 || (p->a_t ? p->m : p->k) % 8 || (p->b_t ? p->k : p->n) % 8 ||
        t->columns > info->flexible_dimension || t->rows > info->flexible_dimension ||
        t->invocations > info->flexible_invocations || info->flexible_reserved > info->shared_bytes)
        return 0;
    for (uint32_t i = 0; i < info->flexible_count; i++) {
        const struct device_matrix *g = &info->flexible[i].granularity;
        if (g->number == p->number && info->flexible[i].invocations == t->invocations &&
            t->rows % g->m == 0 && t->columns % g->n == 0 && t->depth % g->k == 0)
            return 1;
    }
    return 0;
}

static int suits_number(const struct engine *e, const struct tile *t, const struct product *p)
{
    const struct device_info *info = device_info(engine_device(e));
    int matrices = p->number != NUMBER_FP32 && (p->number != NUMBER_BF16 || info->has_bf16);
    switch (t->rung) {
    case RUNG_WORKGROUP:
        return matrices && engine_has(e, SHADER_GEMM_WORKGROUP) && suits_workgroup(info, t, p);
    case RUNG_SUBGROUP: return engine_has(e, SHADER_GEMM_SUBGROUP) && ladder_matrix(e, t, p->number);
    case RUNG_PACKED: return p->number == NUMBER_FP16 && info->has_fp16;
    default: return 1;
    }
}

int ladder_suits(const struct engine *e, const struct tile *tile, const struct product *product)
{
    const struct device_info *info = device_info(engine_device(e));
    if (tile->rung == RUNG_CPU)
        return 1;
    uint32_t invocations = ladder_invocations(e, tile);
    if (!suits_number(e, tile, product) || invocations > info->max_invocations ||
        invocations % engine_lanes(e))
        return 0;
    return tile->rung == RUNG_WORKGROUP ||
           (divides(tile, invocations) && shared_bytes(e, tile, product->number) <= info->shared_bytes);
}

int ladder_serves(const struct engine *e, const struct tile *tile)
{
    int only = engine_ladder(e)->only;
    if (only != RUNG_COUNT)
        return (int)tile->rung == only;
    return engine_cpu_style(e) ? tile->rung == RUNG_CPU : tile->rung != RUNG_CPU;
}

int ladder_takes_units(const struct engine *e)
{
    int only = engine_ladder(e)->only;
    return only == RUNG_SUBGROUP || (!engine_cpu_style(e) && (only == RUNG_COUNT || only == RUNG_WORKGROUP));
}

static int allowed(const struct engine *e, const struct tile *tile, const struct product *product)
{
    return !(engine_ladder(e)->forbidden >> (tile - ladder_tiles) & 1) && ladder_suits(e, tile, product);
}

/* As ladder_serves; where the only allowed rung has nothing for the product, all of the style's. */
static int wanted(const struct engine *e, const struct product *product, const struct tile *tile)
{
    if (engine_ladder(e)->only == RUNG_COUNT || ladder_serves(e, tile))
        return ladder_serves(e, tile);
    for (int i = 0; i < TILES; i++)
        if (ladder_serves(e, &ladder_tiles[i]) && allowed(e, &ladder_tiles[i], product))
            return 0;
    return engine_cpu_style(e) ? tile->rung == RUNG_CPU : tile->rung != RUNG_CPU;
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
    enum { SLICES_LEAST = 8, NUMBERS_MOST = 1 << 24 };
    return splits == 1 || (t->rung != RUNG_CPU && p->k / splits >= SLICES_LEAST * t->depth &&
                           (uint64_t)p->batches * p->m * p->n <= NUMBERS_MOST);
}

uint32_t ladder_candidates(const struct engine *e, const struct product *product, struct ladder_choice *out,
                           uint32_t room)
{
    struct priced all[TILES * 7]; /* seven powers of two up to SPLITS_MAX */
    uint32_t count = 0;
    for (int i = 0; i < TILES; i++) {
        const struct tile *t = &ladder_tiles[i];
        if (!wanted(e, product, t) || !allowed(e, t, product))
            continue;
        for (uint32_t splits = 1; splits <= SPLITS_MAX && may_split(t, product, splits); splits *= 2) {
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
    const struct ladder_choice *pinned = &engine_ladder(e)->pinned;
    if (pinned->tile && ladder_suits(e, pinned->tile, product) &&
        may_split(pinned->tile, product, pinned->splits))
        return *pinned;
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
