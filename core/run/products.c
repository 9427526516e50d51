/* products.c - see products.h. */
#include "products.h"

#include "engine.h"
#include "error.h"
#include "memory.h"

#include <string.h>

/* Inputs are rounded to the product's precision first, so what is left is the rounding of fp32 sums; sums in
 * fp16 would show with a thousandth, a wrong layout with about 1. */
static const double right_enough = 1e-4;

enum { TILES_MOST = 64 };

struct product_list {
    struct product *list;
    struct ladder_choice *choices; /* the last of each */
    uint32_t count, room;
};

struct products {
    struct product_list all, *also; /* also: of the trial that asks now, or NULL */
    uint64_t used[NUMBER_COUNT], checked[NUMBER_COUNT], wrong[NUMBER_COUNT]; /* bit i: ladder_tiles[i] */
    const struct json *tuning;
    int checking;
};

static void finish_list(struct product_list *l)
{
    mem_free(l->list);
    mem_free(l->choices);
}

int products_create(struct products **out)
{
    *out = mem_alloc(1, sizeof **out);
    return *out ? 0 : ERR_MEMORY;
}

void products_destroy(struct products *p)
{
    if (!p)
        return;
    finish_list(&p->all);
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
        finish_list(l);
    mem_free(l);
}

void products_note_in(struct engine *e, struct product_list *l)
{
    engine_products(e)->also = l;
}

void products_forget_checks(struct products *p)
{
    memset(p->checked, 0, sizeof p->checked);
}

void products_set_tuning(struct engine *e, const struct json *choices)
{
    engine_products(e)->tuning = choices;
}

uint32_t products_count(const struct engine *e)
{
    return engine_products(e)->all.count;
}

const struct product *products_at(const struct engine *e, uint32_t i)
{
    return &engine_products(e)->all.list[i];
}

static uint64_t bit_of(const struct tile *tile)
{
    return 1ull << (tile - ladder_tiles);
}

static int list_add(struct product_list *p, const struct product *product, const struct ladder_choice *choice)
{
    char text[PRODUCT_TEXT], other[PRODUCT_TEXT];
    product_text(product, text);
    for (uint32_t i = 0; i < p->count; i++)
        if (!strcmp(product_text(&p->list[i], other), text)) {
            p->choices[i] = *choice;
            return 0;
        }
    if (p->count == p->room) {
        uint32_t room = p->room ? 2 * p->room : 32;
        struct product *list = mem_grow(p->list, p->room, room, sizeof *list);
        p->list = list ? list : p->list;
        struct ladder_choice *choices = mem_grow(p->choices, p->room, room, sizeof *choices);
        p->choices = choices ? choices : p->choices;
        if (!list || !choices)
            return ERR_MEMORY;
        p->room = room;
    }
    p->list[p->count] = *product;
    p->choices[p->count++] = *choice;
    return 0;
}

static int note(struct products *p, const struct product *product, const struct ladder_choice *choice)
{
    p->used[product->number] |= bit_of(choice->tile);
    if (p->checking)
        return 0;
    if (p->also)
        TRY(list_add(p->also, product, choice));
    return list_add(&p->all, product, choice);
}

int product_list_append(struct product_list *to, const struct product_list *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        TRY(list_add(to, &from->list[i], &from->choices[i]));
    return 0;
}

/* A choice of the tuning that cannot be had here any more is passed over: the ladder has another. */
static void take_tuning(struct engine *e, const struct product *product)
{
    char text[PRODUCT_TEXT];
    struct ladder_choice choice;
    const char *told = json_string(json_get(engine_products(e)->tuning, product_text(product, text)));
    if (told && ladder_parse(told, &choice) == 0)
        ladder_set(e, product, &choice);
}

/* The plainest kernel: right on any device, if any is. */
static const struct tile *plainest(void)
{
    const struct tile *t = ladder_tiles;
    while (t[1].name)
        t++;
    return t;
}

int products_choose(struct engine *e, const struct product *product, struct ladder_choice *out)
{
    struct products *p = engine_products(e);
    if (p->tuning && !p->checking)
        take_tuning(e, product);
    *out = ladder_choose(e, product);
    if (p->wrong[product->number] & bit_of(out->tile)) { /* the ladder had none left */
        *out = (struct ladder_choice){plainest(), 1};
        if (p->wrong[product->number] & bit_of(out->tile))
            return fail(
                ERR_DEVICE,
                "no kernel for matrix products gives right numbers on %s; update its driver, or use another "
                "device",
                device_info(engine_device(e))->name);
    }
    return note(p, product, out);
}

static int verify(struct engine *e, int tile, enum number number)
{
    struct products *p = engine_products(e);
    double error = 0;
    p->checked[number] |= 1ull << tile;
    p->checking = 1;
    device_count_buffers(engine_device(e), 0);
    int rc = product_check(e, &ladder_tiles[tile], number, &error);
    device_count_buffers(engine_device(e), 1);
    p->checking = 0;
    TRY(rc);
    if (!rc || error <= right_enough)
        return 0;
    p->wrong[number] |= 1ull << tile;
    ladder_forbid(e, &ladder_tiles[tile]);
    engine_say(e,
               "warning: the kernel \"%s\" for products in %s is wrong on %s (error %.1g of the largest "
               "number) and not "
               "used",
               ladder_tiles[tile].name, number_names[number], device_info(engine_device(e))->name, error);
    return 1;
}

int products_verify(struct engine *e)
{
    struct products *p = engine_products(e);
    int wrong = 0;
    const struct device *d = engine_device(e);
    if (p->checking || device_rehearses(d) || !device_computes(d))
        return 0;
    for (int number = 0; number < NUMBER_COUNT; number++)
        for (int tile = 0; tile < TILES_MOST; tile++)
            if ((p->used[number] & ~p->checked[number]) >> tile & 1) {
                int rc = verify(e, tile, (enum number)number);
                TRY(rc);
                wrong += rc;
            }
    return wrong;
}

int product_list_digest(const struct product_list *p, char text[HASH_TEXT])
{
    struct hash *hash;
    char name[PRODUCT_TEXT], choice[LADDER_TEXT];
    TRY(hash_begin(&hash));
    for (uint32_t i = 0; i < p->count; i++) {
        product_text(&p->list[i], name);
        ladder_text(&p->choices[i], choice);
        hash_add(hash, name, strlen(name) + 1);
        hash_add(hash, choice, strlen(choice) + 1);
    }
    return hash_end(hash, text);
}

int products_digest(const struct engine *e, char text[HASH_TEXT])
{
    return product_list_digest(&engine_products(e)->all, text);
}
