/* products.c - see products.h. */
#include "products.h"

#include "engine.h"
#include "error.h"
#include "memory.h"

#include <string.h>

/* Inputs are rounded to the product's precision first, so what is left is the rounding of fp32 sums; sums in
 * fp16 would show with a thousandth, a wrong layout with about 1. */
static const double right_enough = 1e-4;

/* Weights and ds are rounded inside: a half in the last place of 11 or 8 bits, of independent sign. */
static const double attention_right_enough[NUMBER_COUNT] = {0, 4e-3, 3e-2};

enum { MARKS = 64, HEAD_STEP = 8 }; /* widths of heads on matrix units are whole steps, and few */

struct marks { /* of the kernels for a number, a bit each */
    uint64_t used, checked, wrong;
};

struct product_list {
    struct product *list;
    struct ladder_choice *choices; /* the last of each */
    uint32_t count, room;
};

struct products {
    struct product_list all, *also;       /* also: of the trial that asks now, or NULL */
    struct marks tiles[NUMBER_COUNT];     /* bit i: ladder_tiles[i] */
    struct marks attention[NUMBER_COUNT]; /* on matrix units, bit i: heads of width i HEAD_STEP */
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
    for (int number = 0; number < NUMBER_COUNT; number++)
        p->tiles[number].checked = p->attention[number].checked = 0;
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
    p->tiles[product->number].used |= bit_of(choice->tile);
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
    if (p->tiles[product->number].wrong & bit_of(out->tile)) { /* the ladder had none left */
        *out = (struct ladder_choice){plainest(), 1};
        if (p->tiles[product->number].wrong & bit_of(out->tile))
            return fail(
                ERR_DEVICE,
                "no kernel for matrix products gives right numbers on %s; update its driver, or use another "
                "device",
                device_info(engine_device(e))->name);
    }
    return note(p, product, out);
}

void products_note_attention(struct engine *e, enum number number, uint32_t width)
{
    engine_products(e)->attention[number].used |= 1ull << width / HEAD_STEP;
}

int products_attention_is_wrong(const struct engine *e, enum number number, uint32_t width)
{
    return engine_products(e)->attention[number].wrong >> width / HEAD_STEP & 1;
}

static int check_tile(struct engine *e, int tile, enum number number, double *error)
{
    return product_check(e, &ladder_tiles[tile], number, error);
}

static void tile_is_wrong(struct engine *e, int tile, enum number number, double error)
{
    ladder_forbid(e, &ladder_tiles[tile]);
    engine_say(e,
               "warning: the kernel \"%s\" for products in %s is wrong on %s (error %.1g of the largest "
               "number) and not "
               "used",
               ladder_tiles[tile].name, number_names[number], device_info(engine_device(e))->name, error);
}

static int check_attention(struct engine *e, int step, enum number number, double *error)
{
    return attention_check(e, (uint32_t)step * HEAD_STEP, number, error);
}

static void attention_is_wrong(struct engine *e, int step, enum number number, double error)
{
    engine_say(
        e,
        "warning: attention on matrix units, with heads of width %d in %s, is wrong on %s (error %.1g of "
        "the largest number) and computed in fp32",
        step * HEAD_STEP, number_names[number], device_info(engine_device(e))->name, error);
}

struct family { /* of kernels that are checked */
    int (*check)(struct engine *e, int bit, enum number number, double *error);
    void (*is_wrong)(struct engine *e, int bit, enum number number, double error);
};

static int verify(struct engine *e, const struct family *f, struct marks *m, int bit, enum number number,
                  double enough)
{
    struct products *p = engine_products(e);
    double error = 0;
    m->checked |= 1ull << bit;
    p->checking = 1;
    device_count_buffers(engine_device(e), 0);
    int rc = f->check(e, bit, number, &error);
    device_count_buffers(engine_device(e), 1);
    p->checking = 0;
    TRY(rc);
    if (!rc || error <= enough)
        return 0;
    m->wrong |= 1ull << bit;
    f->is_wrong(e, bit, number, error);
    return 1;
}

static int verify_marked(struct engine *e, const struct family *f, struct marks *m, enum number number,
                         double enough)
{
    int wrong = 0;
    for (int bit = 0; bit < MARKS; bit++)
        if ((m->used & ~m->checked) >> bit & 1) {
            int rc = verify(e, f, m, bit, number, enough);
            TRY(rc);
            wrong += rc;
        }
    return wrong;
}

int products_verify(struct engine *e)
{
    static const struct family tiles = {check_tile, tile_is_wrong},
                               attention = {check_attention, attention_is_wrong};
    struct products *p = engine_products(e);
    int wrong = 0;
    const struct device *d = engine_device(e);
    if (p->checking || device_rehearses(d) || !device_computes(d))
        return 0;
    for (int i = 0; i < NUMBER_COUNT; i++) {
        const enum number number = (enum number)i;
        int of_tiles = verify_marked(e, &tiles, &p->tiles[i], number, right_enough);
        TRY(of_tiles);
        int of_attention = verify_marked(e, &attention, &p->attention[i], number, attention_right_enough[i]);
        TRY(of_attention);
        wrong += of_tiles + of_attention;
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
