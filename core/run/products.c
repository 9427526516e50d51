/* products.c - see products.h. */
#include "products.h"

#include "engine.h"
#include "error.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>

/* Inputs are rounded to the product's precision first, so what is left is the rounding of fp32 sums; sums in
 * fp16 would show with a thousandth, a wrong layout with about 1. */
static const double right_enough = 1e-4;

/* Weights and ds are rounded inside: a half in the last place of 11 or 8 bits, of independent sign. */
static const double attention_right_enough[NUMBER_COUNT] = {0, 4e-3, 3e-2};

enum { HEAD_STEP = 8 }; /* widths of heads on matrix units are whole steps, and few: a bit each */

struct asked { /* a product, or a pass of attention, and the kernel that computes it */
    char name[PRODUCT_TEXT], choice[LADDER_TEXT];
    int is_attention;
    union {
        struct product product;
        struct attention_task attention;
    } of;
    int unchecked; /* attention on matrix units by this choice; products are checked a tile at a time */
};

struct product_list {
    struct asked *list;
    uint32_t count, room;
};

struct marks { /* of the kernels for a number, a bit each */
    uint64_t used, checked, wrong;
};

struct products {
    struct product_list all, *also;             /* also: of the trial that asks now, or NULL */
    struct marks tiles[NUMBER_COUNT];           /* bit i: ladder_tiles[i] */
    uint64_t attention_wrong[NUMBER_COUNT];     /* on matrix units, bit i: heads of width i HEAD_STEP */
    char pinned[ATTENTION_PASSES][LADDER_TEXT]; /* "": none */
    const struct json *tuning;
    int checking;
};

int products_create(struct products **out)
{
    *out = mem_alloc(1, sizeof **out);
    return *out ? 0 : ERR_MEMORY;
}

void products_destroy(struct products *p)
{
    if (p)
        mem_free(p->all.list);
    mem_free(p);
}

int product_list_create(struct product_list **out)
{
    *out = mem_alloc(1, sizeof **out);
    return *out ? 0 : ERR_MEMORY;
}

void product_list_destroy(struct product_list *l)
{
    if (l)
        mem_free(l->list);
    mem_free(l);
}

void products_note_in(struct engine *e, struct product_list *l)
{
    engine_products(e)->also = l;
}

void products_forget_checks(struct products *p)
{
    for (int number = 0; number < NUMBER_COUNT; number++)
        p->tiles[number].checked = 0;
    for (uint32_t i = 0; i < p->all.count; i++)
        p->all.list[i].unchecked = p->all.list[i].is_attention;
}

void products_set_tuning(struct engine *e, const struct json *choices)
{
    engine_products(e)->tuning = choices;
}

void products_pin_attention(struct engine *e, enum attention_pass pass, const char *choice)
{
    snprintf(engine_products(e)->pinned[pass], LADDER_TEXT, "%s", choice ? choice : "");
}

/* --- what was asked for */

uint32_t products_count(const struct engine *e)
{
    return engine_products(e)->all.count;
}

static const struct asked *asked_at(const struct engine *e, uint32_t i)
{
    return &engine_products(e)->all.list[i];
}

const char *products_name(const struct engine *e, uint32_t i)
{
    return asked_at(e, i)->name;
}

static uint32_t kernels_of(const struct engine *e, const struct product *product, char (*out)[LADDER_TEXT])
{
    enum { ALL = 256, OF_A_RUNG = 6 };
    _Static_assert((int)OF_A_RUNG * (int)RUNG_COUNT <= (int)PRODUCTS_CANDIDATES,
                   "there is room for each rung's");
    struct ladder_choice list[ALL];
    const uint32_t count = ladder_candidates(e, product, list, ALL);
    uint32_t of_rung[RUNG_COUNT] = {0}, kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (of_rung[list[i].tile->rung]++ < OF_A_RUNG)
            ladder_text(&list[i], out[kept++]);
    return kept;
}

static uint32_t workgroups_of(const struct engine *e, const struct attention_task *task,
                              char (*out)[LADDER_TEXT])
{
    _Static_assert((int)ATTENTION_CANDIDATES <= (int)PRODUCTS_CANDIDATES, "there is room for all");
    struct attention_choice list[ATTENTION_CANDIDATES];
    const uint32_t count = attention_candidates(e, task, list);
    for (uint32_t i = 0; i < count; i++)
        attention_choice_text(&list[i], out[i]);
    return count;
}

uint32_t products_candidates(const struct engine *e, uint32_t i, char out[PRODUCTS_CANDIDATES][LADDER_TEXT])
{
    const struct asked *a = asked_at(e, i);
    return a->is_attention ? workgroups_of(e, &a->of.attention, out) : kernels_of(e, &a->of.product, out);
}

int products_time(struct engine *e, uint32_t i, const char *choice, int repeats, double slow, double *seconds)
{
    const struct asked a = *asked_at(e, i);
    struct ladder_choice parsed;
    if (a.is_attention)
        return attention_time(e, &a.of.attention, choice, repeats, slow, seconds);
    TRY(ladder_parse(choice, &parsed));
    return product_time(e, &a.of.product, &parsed, repeats, slow, seconds);
}

static int list_add(struct product_list *l, const struct asked *a)
{
    uint32_t i = 0;
    while (i < l->count && strcmp(l->list[i].name, a->name))
        i++;
    if (i < l->count && !strcmp(l->list[i].choice, a->choice))
        return 0;
    if (i == l->room) {
        const uint32_t room = l->room ? 2 * l->room : 32;
        struct asked *list = mem_grow(l->list, l->room, room, sizeof *list);
        if (!list)
            return ERR_MEMORY;
        l->list = list;
        l->room = room;
    }
    l->list[i] = *a;
    l->count += i == l->count;
    return 0;
}

static int note(struct products *p, const struct asked *a)
{
    if (p->checking)
        return 0;
    if (p->also)
        TRY(list_add(p->also, a));
    return list_add(&p->all, a);
}

int product_list_append(struct product_list *to, const struct product_list *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        TRY(list_add(to, &from->list[i]));
    return 0;
}

int product_list_digest(const struct product_list *l, char text[HASH_TEXT])
{
    struct hash *hash;
    TRY(hash_begin(&hash));
    for (uint32_t i = 0; i < l->count; i++) {
        hash_add(hash, l->list[i].name, strlen(l->list[i].name) + 1);
        hash_add(hash, l->list[i].choice, strlen(l->list[i].choice) + 1);
    }
    return hash_end(hash, text);
}

int products_digest(const struct engine *e, char text[HASH_TEXT])
{
    return product_list_digest(&engine_products(e)->all, text);
}

/* --- choices */

/* What the tuning says of it; NULL: nothing. */
static const char *tuned(const struct products *p, const char *name)
{
    return p->tuning && !p->checking ? json_string(json_get(p->tuning, name)) : NULL;
}

/* The plainest kernel: right on any device, if any is. */
static const struct tile *plainest(void)
{
    const struct tile *t = ladder_tiles;
    while (t[1].name)
        t++;
    return t;
}

static uint64_t bit_of(const struct tile *tile)
{
    return 1ull << (tile - ladder_tiles);
}

int products_choose(struct engine *e, const struct product *product, struct ladder_choice *out)
{
    struct products *p = engine_products(e);
    struct marks *marks = &p->tiles[product->number];
    struct asked a = {.of.product = *product};
    const char *told = tuned(p, product_text(product, a.name));
    /* A choice that cannot be had here any more is passed over: the ladder has another. */
    if (told && ladder_parse(told, out) == 0)
        ladder_set(e, product, out);
    *out = ladder_choose(e, product);
    if (marks->wrong & bit_of(out->tile)) { /* the ladder had none left */
        *out = (struct ladder_choice){plainest(), 1};
        if (marks->wrong & bit_of(out->tile))
            return fail(
                ERR_DEVICE,
                "no kernel for matrix products gives right numbers on %s; update its driver, or use another "
                "device",
                device_info(engine_device(e))->name);
    }
    marks->used |= bit_of(out->tile);
    ladder_text(out, a.choice);
    return note(p, &a);
}

int products_choose_attention(struct engine *e, const struct attention_task *task,
                              struct attention_choice *out)
{
    struct products *p = engine_products(e);
    struct attention_choice list[ATTENTION_CANDIDATES];
    struct asked a = {.is_attention = 1, .of.attention = *task};
    const uint32_t count = attention_candidates(e, task, list);
    const char *told = tuned(p, attention_task_text(task, a.name));
    if (p->pinned[task->pass][0])
        told = p->pinned[task->pass];
    *out = list[0];
    for (uint32_t i = 0; told && i < count; i++)
        if (!strcmp(attention_choice_text(&list[i], a.choice), told))
            *out = list[i];
    attention_choice_text(out, a.choice);
    a.unchecked = out->rung == RUNG_SUBGROUP;
    return note(p, &a);
}

/* --- checks */

int products_attention_is_wrong(const struct engine *e, enum number number, uint32_t width)
{
    return engine_products(e)->attention_wrong[number] >> width / HEAD_STEP & 1;
}

/* Programs of a check are none of the engine's: they are not noted, and their memory is not counted. */
static void begin_check(struct engine *e)
{
    engine_products(e)->checking = 1;
    device_count_buffers(engine_device(e), 0);
}

static void end_check(struct engine *e)
{
    engine_products(e)->checking = 0;
    device_count_buffers(engine_device(e), 1);
}

/* 1: it is wrong, which was told, and not used again. */
static int verify_tile(struct engine *e, const struct tile *tile, enum number number)
{
    struct marks *marks = &engine_products(e)->tiles[number];
    double error = 0;
    marks->checked |= bit_of(tile);
    begin_check(e);
    const int rc = product_check(e, tile, number, &error);
    end_check(e);
    TRY(rc);
    if (!rc || error <= right_enough)
        return 0;
    marks->wrong |= bit_of(tile);
    ladder_forbid(e, tile);
    engine_say(e,
               "warning: the kernel \"%s\" for products in %s is wrong on %s (error %.1g of the largest "
               "number) and not "
               "used",
               tile->name, number_names[number], device_info(engine_device(e))->name, error);
    return 1;
}

static int verify_attention(struct engine *e, enum number number, uint32_t width)
{
    double error = 0;
    begin_check(e);
    const int rc = attention_check(e, width, number, &error);
    end_check(e);
    TRY(rc);
    if (!rc || error <= attention_right_enough[number])
        return 0;
    engine_products(e)->attention_wrong[number] |= 1ull << width / HEAD_STEP;
    engine_say(
        e,
        "warning: attention on matrix units, with heads of width %u in %s, is wrong on %s (error %.1g of the "
        "largest number) and computed in fp32",
        (unsigned)width, number_names[number], device_info(engine_device(e))->name, error);
    return 1;
}

/* One check holds a choice of each pass for heads of this width; what more there are of a pass, the next one does. */
static int verify_with(struct engine *e, uint32_t first)
{
    struct products *p = engine_products(e);
    const struct asked a = p->all.list[first];
    char pinned[ATTENTION_PASSES][LADDER_TEXT];
    memcpy(pinned, p->pinned, sizeof pinned);
    memset(p->pinned, 0, sizeof p->pinned);
    for (uint32_t i = first; i < p->all.count; i++) {
        struct asked *b = &p->all.list[i];
        const struct attention_task *task = &b->of.attention;
        if (!b->unchecked || task->number != a.of.attention.number || task->width != a.of.attention.width)
            continue;
        if (!p->pinned[task->pass][0])
            products_pin_attention(e, task->pass, b->choice);
        b->unchecked = strcmp(p->pinned[task->pass], b->choice) != 0;
    }
    const int rc = verify_attention(e, a.of.attention.number, a.of.attention.width);
    memcpy(p->pinned, pinned, sizeof pinned);
    return rc;
}

static int verify_passes(struct engine *e)
{
    const struct product_list *l = &engine_products(e)->all;
    int wrong = 0;
    for (uint32_t i = 0; i < l->count; i++)
        if (l->list[i].unchecked) {
            const int rc = verify_with(e, i);
            TRY(rc);
            wrong += rc;
        }
    return wrong;
}

int products_verify(struct engine *e)
{
    struct products *p = engine_products(e);
    const struct device *d = engine_device(e);
    int wrong = 0;
    if (p->checking || device_rehearses(d) || !device_computes(d))
        return 0;
    for (int number = 0; number < NUMBER_COUNT; number++)
        for (int i = 0; ladder_tiles[i].name; i++)
            if ((p->tiles[number].used & ~p->tiles[number].checked) >> i & 1) {
                const int rc = verify_tile(e, &ladder_tiles[i], (enum number)number);
                TRY(rc);
                wrong += rc;
            }
    const int rc = verify_passes(e);
    TRY(rc);
    return wrong + rc;
}
