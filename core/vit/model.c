/* model.c - the list of a ViT's tensors, their memory and their first values. */
#include "model.h"

#include "error.h"
#include "memory.h"
#include "rng.h"
#include "vit_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <vitro/method.h>

/* field, smallest, largest: what the 32-bit shapes and a kernel's grid can take with room to spare */
#define SHAPE_LIMITS(X)    \
    X(patch, 1, 1024)      \
    X(image, 1, 16384)     \
    X(dim, 1, 65536)       \
    X(depth, 1, 4096)      \
    X(heads, 1, 65536)     \
    X(hidden, 1, 1 << 20)  \
    X(classes, 0, 1 << 20) \
    X(registers, 0, 1024)  \
    X(projection, 0, 65536)
enum { GRID_LIMIT = 1024 };

struct row { /* one line of VIT_TENSORS */
    const char *suffix;
    int32_t site, part;
    struct shape shape;
    int there;
};

static int check_shape(const struct vit_shape *s)
{
#define X(field, low, high)                                                                             \
    if (s->field < (low) || s->field > (high))                                                          \
        return fail(ERR_INPUT, "a ViT of " #field " %d cannot be built: it must lie between %d and %d", \
                    s->field, (low), (high));
    SHAPE_LIMITS(X)
#undef X
    if (s->image % s->patch || vit_grid(s) > GRID_LIMIT)
        return fail(ERR_INPUT,
                    "images of %d pixels cannot be cut into patches of %d: the image's side must be a "
                    "multiple of the patch's, and at most %d times it",
                    s->image, s->patch, GRID_LIMIT);
    if (s->dim % s->heads)
        return fail(ERR_INPUT, "%d heads do not divide a ViT's width of %d", s->heads, s->dim);
    if (!(s->eps >= 0 && s->eps < 1))
        return fail(ERR_INPUT, "a LayerNorm's eps of %g does not lie between 0 and 1", (double)s->eps);
    if (s->features >> VIT_FEATURE_COUNT)
        return fail(ERR_INPUT, "a ViT of features 0x%x has some that this program does not know",
                    s->features);
    if (s->registers && !vit_has(s, VIT_GRID_POSITIONS))
        return fail(ERR_INPUT, "a ViT with registers has no positions but the grid's");
    return 0;
}

static void add(struct vit *m, const struct row *row, int32_t block)
{
    if (!row->there)
        return;
    struct vit_tensor *t = &m->tensors[m->count++];
    if (block < 0)
        snprintf(t->name, sizeof t->name, "%s", row->suffix);
    else
        snprintf(t->name, sizeof t->name, "blocks.%d.%s", block, row->suffix);
    t->site = row->site;
    t->part = row->part;
    t->block = block;
    t->shape = row->shape;
}

/* The list's order: rows before the first BLOCK row, the blocks one by one, the rows behind. */
static void list_tensors(struct vit *m)
{
    const struct vit_shape *s = &m->shape;
#define GLOBAL(suffix, site, part, shape, there) {suffix, VITRO_AT_##site, part, shape, there},
#define NONE(suffix, site, part, shape, there)
#define BLOCK(suffix, site, part, shape, there) {suffix, VITRO_AT_##site, part, shape, there},
    const struct row global[] = {VIT_TENSORS(GLOBAL, NONE)}, block[] = {VIT_TENSORS(NONE, BLOCK)};
#undef GLOBAL
#undef NONE
#undef BLOCK
    const size_t globals = sizeof global / sizeof *global, rows = sizeof block / sizeof *block;
    size_t i = 0;
    for (; global[i].site != VITRO_AT_NORM; i++)
        add(m, &global[i], -1);
    for (int32_t b = 0; b < s->depth; b++)
        for (size_t j = 0; j < rows; j++)
            add(m, &block[j], b);
    for (; i < globals; i++)
        add(m, &global[i], -1);
}

int vit_outline(struct vit **out, const struct vit_shape *shape)
{
    *out = NULL;
    TRY(check_shape(shape));
#define ONE(suffix, site, part, shape, there) 0,
#define NONE(suffix, site, part, shape, there)
    static const char global[] = {VIT_TENSORS(ONE, NONE)}, block[] = {VIT_TENSORS(NONE, ONE)};
#undef ONE
#undef NONE
    struct vit *m = mem_alloc(1, sizeof *m);
    if (!m)
        return ERR_MEMORY;
    m->shape = *shape;
    m->tensors = mem_alloc(sizeof global + sizeof block * (size_t)shape->depth, sizeof *m->tensors);
    if (!m->tensors) {
        mem_free(m);
        return ERR_MEMORY;
    }
    list_tensors(m);
    *out = m;
    return 0;
}

int vit_allocate(struct vit *m)
{
    for (size_t i = 0; i < m->count; i++) {
        m->tensors[i].data = mem_alloc((size_t)shape_count(m->tensors[i].shape), sizeof(float));
        if (!m->tensors[i].data)
            return ERR_MEMORY;
    }
    return 0;
}

int vit_create(struct vit **out, const struct vit_shape *shape)
{
    TRY(vit_outline(out, shape));
    int rc = vit_allocate(*out);
    if (rc < 0) {
        vit_destroy(*out);
        *out = NULL;
    }
    return rc;
}

/* What vit_reset_head draws. */
static int is_head(const struct vit_tensor *t)
{
    return t->site == VITRO_AT_HEAD && t->part != VIT_PROJECTION;
}

int vit_beside(struct vit **out, const struct vit *of)
{
    TRY(vit_outline(out, &of->shape));
    struct vit *m = *out;
    struct vit_tensor *tensors = m->tensors;
    *m = *of;
    m->tensors = tensors;
    m->lender = vit_backbone(of);
    for (size_t i = 0; i < m->count; i++) {
        const size_t count = (size_t)shape_count(of->tensors[i].shape);
        tensors[i] = of->tensors[i];
        if (!is_head(&tensors[i]))
            continue;
        tensors[i].data = mem_alloc(count, sizeof(float));
        if (tensors[i].data)
            memcpy(tensors[i].data, of->tensors[i].data, count * sizeof(float));
    }
    for (size_t i = 0; i < m->count; i++)
        if (!tensors[i].data) {
            vit_destroy(m);
            *out = NULL;
            return ERR_MEMORY;
        }
    return 0;
}

void vit_destroy(struct vit *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++)
        if (!m->lender || is_head(&m->tensors[i]))
            mem_free(m->tensors[i].data);
    mem_free(m->tensors);
    mem_free(m);
}

const struct vit_tensor *vit_find(const struct vit *m, int32_t site, int32_t part, int32_t block)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct vit_tensor *t = &m->tensors[i];
        if (t->site == site && t->part == part && t->block == block)
            return t;
    }
    return NULL;
}

static void fill_constant(struct vit_tensor *t, float number)
{
    for (int64_t i = 0; i < shape_count(t->shape); i++)
        t->data[i] = number;
}
static void fill_normal(struct vit_tensor *t, uint64_t seed, double deviation)
{
    struct rng r = rng_named(seed, t->name);
    for (int64_t i = 0; i < shape_count(t->shape); i++)
        t->data[i] = (float)(deviation * rng_normal(&r));
}
/* U(-bound, bound) */
static void fill_uniform(struct vit_tensor *t, uint64_t seed, const char *purpose, double bound)
{
    struct rng r = rng_named(seed, purpose);
    for (int64_t i = 0; i < shape_count(t->shape); i++)
        t->data[i] = (float)(bound * (2 * rng_uniform(&r) - 1));
}

void vit_random(struct vit *m, uint64_t seed)
{
    const struct vit_shape *s = &m->shape;
    const double patch_bound = 1 / sqrt(3.0 * s->patch * s->patch); /* 1 / sqrt(fan_in) */
    for (size_t i = 0; i < m->count; i++) {
        struct vit_tensor *t = &m->tensors[i];
        int norm = t->site == VITRO_AT_NORM_PRE || t->site == VITRO_AT_NORM1 || t->site == VITRO_AT_NORM2 ||
                   t->site == VITRO_AT_NORM;
        if (t->site == VITRO_AT_EMBED)
            fill_uniform(t, seed, t->name, patch_bound);
        else if (t->site == VITRO_AT_TOKENS && t->part != 1)
            fill_normal(t, seed, 1e-6);
        else if (t->site == VITRO_AT_LS1 || t->site == VITRO_AT_LS2)
            fill_constant(t, 1e-5f);
        else if (t->part == VIT_PROJECTION)
            fill_normal(t, seed, 1 / sqrt(s->dim));
        else if (norm || t->part == 2)
            fill_constant(t, t->part == 1 ? 1.0f : 0.0f);
        else
            fill_normal(t, seed, 0.02);
    }
}

void vit_reset_head(struct vit *m, uint64_t seed)
{
    const double bound = 1 / sqrt(vit_features(&m->shape));
    for (size_t i = 0; i < m->count; i++)
        if (is_head(&m->tensors[i]))
            fill_uniform(&m->tensors[i], seed, m->tensors[i].part == 1 ? "new head.weight" : "new head.bias",
                         bound);
}
