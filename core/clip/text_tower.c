/* text_tower.c - the tower's list of tensors. */
#include "text_tower.h"

#include "error.h"
#include "memory.h"
#include "text_private.h"

#include <stdio.h>

struct row { /* of the list */
    int is_block;
    struct shape shape;
};

static struct row row_of(const struct text_shape *s, enum text_part part)
{
#define GLOBAL(id, shape) [TEXT_##id] = {0, shape},
#define BLOCK(id, shape) [TEXT_##id] = {1, shape},
    const struct row rows[TEXT_PARTS] = {TEXT_TENSORS(GLOBAL, BLOCK)};
#undef GLOBAL
#undef BLOCK
    return rows[part];
}

static int check_shape(const struct text_shape *s)
{
    const struct {
        const char *what;
        int32_t is, most;
    } limits[] = {{"width", s->dim, 1 << 16},
                  {"blocks", s->depth, 1 << 10},
                  {"heads", s->heads, 1 << 10},
                  {"hidden width", s->hidden, 1 << 18},
                  {"vocabulary", s->vocabulary, 1 << 24},
                  {"context", s->context, 1 << 16},
                  {"projection", s->projection, 1 << 16}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (limits[i].is < 1 || limits[i].is > limits[i].most)
            return fail(ERR_INPUT, "a text tower's %s is %d; 1 to %d are possible", limits[i].what,
                        limits[i].is, limits[i].most);
    return s->dim % s->heads ? fail(ERR_INPUT, "%d heads do not divide a width of %d", s->heads, s->dim) : 0;
}

int text_outline(struct text_tower **out, const struct text_shape *shape)
{
    TRY(check_shape(shape));
    struct text_tower *t = mem_alloc(1, sizeof *t);
    *out = t;
    if (!t)
        return ERR_MEMORY;
    t->shape = *shape;
    t->logit_scale = 1;
    t->tensors = mem_alloc((size_t)TEXT_PARTS * (size_t)(shape->depth + 1), sizeof *t->tensors);
    if (!t->tensors)
        return ERR_MEMORY;
    for (int part = 0; part < TEXT_PARTS; part++) {
        struct row row = row_of(shape, (enum text_part)part);
        for (int i = 0; i < (row.is_block ? shape->depth : 1); i++)
            t->tensors[t->count++] =
                (struct text_tensor){(enum text_part)part, row.is_block ? i : -1, row.shape, NULL};
    }
    return 0;
}

int text_allocate(struct text_tower *t)
{
    for (size_t i = 0; i < t->count; i++) {
        t->tensors[i].data = mem_alloc((size_t)shape_count(t->tensors[i].shape), sizeof(float));
        if (!t->tensors[i].data)
            return ERR_MEMORY;
    }
    return 0;
}

void text_tower_destroy(struct text_tower *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        mem_free(t->tensors[i].data);
    mem_free(t->tensors);
    mem_free(t);
}

const struct text_tensor *text_tower_find(const struct text_tower *t, enum text_part part, int32_t block)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->tensors[i].part == part && t->tensors[i].block == block)
            return &t->tensors[i];
    return NULL;
}
