/* restyle.c - between one qkv layer and three layers for query, key and value.
 *
 * Apart: rows of the layer are a third each, and what lies inside (a low-rank update's A) is the same for all three.
 * Together: of three updates B_p A_p, A's are put one below the other and B's become a block diagonal, of three times
 * the rank; or, where the A's are equal, A stays and B's are put one below the other, of the same rank. Both exact.
 * A layer that has no adapter gets rows that change nothing. */
#include "adapter.h"

#include "error.h"

#include <string.h>

static int32_t rows_of(const struct peft_tensor *t)
{
    return t->shape.dim[0];
}

static int64_t row_length(const struct peft_tensor *t)
{
    return shape_count(t->shape) / rows_of(t);
}

/* --- apart */

static void take_third(struct peft_tensor *t, const struct peft_tensor *whole, int third)
{
    *t = *whole;
    t->shape.dim[0] = rows_of(whole) / 3;
    t->data = whole->data + (int64_t)third * rows_of(t) * row_length(whole);
}

/* The three share peft's first rows of B, whereas a fused layer's B has rows for each. A' = (A; A; A), B' = (B_q B_k B_v),
 * and d' of q is (d, 0, 0), and so on: three times the rank, the same update. */
static int split_vera(struct peft_adapter *a)
{
    const int32_t r = rows_of(&a->vera_a), in = a->vera_a.shape.dim[1], dim = a->vit->shape.dim;
    struct peft_tensor wide = {0}, tall = {0};
    TRY(peft_make(a, &tall, SHAPE(3 * r, in)));
    TRY(peft_make(a, &wide, SHAPE(dim, 3 * r)));
    for (int p = 0; p < 3; p++) {
        memcpy(tall.data + (int64_t)p * r * in, a->vera_a.data, (size_t)r * (size_t)in * sizeof(float));
        for (int32_t i = 0; i < dim; i++)
            memcpy(wide.data + ((int64_t)i * 3 + p) * r, a->vera_b.data + ((int64_t)p * dim + i) * r,
                   (size_t)r * sizeof(float));
    }
    for (int32_t b = 0; b < a->vit->shape.depth; b++)
        for (int p = 0; p < 3; p++) {
            struct peft_tensor *d = peft_at(a, b, (enum peft_place)(PEFT_Q + p), PEFT_VERA_D);
            TRY(peft_make(a, d, SHAPE(3 * r)));
            memcpy(d->data + (int64_t)p * r, peft_at(a, b, PEFT_QKV, PEFT_VERA_D)->data,
                   (size_t)r * sizeof(float));
        }
    a->vera_a = tall;
    a->vera_b = wide;
    return 0;
}

static int split_block(struct peft_adapter *a, int32_t block)
{
    for (int leaf = 0; leaf < PEFT_LEAF_COUNT; leaf++) {
        struct peft_tensor *whole = peft_at(a, block, PEFT_QKV, (enum peft_leaf)leaf);
        for (int p = 0; p < 3 && whole->data; p++) {
            struct peft_tensor *part = peft_at(a, block, (enum peft_place)(PEFT_Q + p), (enum peft_leaf)leaf);
            const enum peft_rule rule = peft_leaves[leaf].rule;
            if (rule == PEFT_ROWS || rule == PEFT_ACROSS)
                take_third(part, whole, p);
            else if (leaf != PEFT_VERA_D) /* split_vera's */
                *part = *whole;
        }
        *whole = (struct peft_tensor){0};
    }
    return 0;
}

int peft_split(struct peft_adapter *a)
{
    if (!(a->places & PEFT_BIT(QKV)))
        return 0;
    if (a->type == PEFT_TYPE_LOKR)
        return fail(ERR_INPUT,
                    "a Kronecker product of the whole qkv layer is none of query, key and value apart; "
                    "`--names timm` writes it as it is");
    if (a->type == PEFT_TYPE_VERA)
        TRY(split_vera(a));
    for (int32_t b = 0; b < a->vit->shape.depth; b++)
        TRY(split_block(a, b));
    a->places = (a->places & ~PEFT_BIT(QKV)) | PEFT_PARTS;
    return 0;
}

/* --- together */

static int equal(const struct peft_tensor *x, const struct peft_tensor *y)
{
    return shape_equal(x->shape, y->shape) &&
           !memcmp(x->data, y->data, (size_t)shape_count(x->shape) * sizeof(float));
}

/* Whether `leaf` is the same in all adapted parts of a block. */
static int alike(const struct peft_adapter *a, int32_t block, int leaf)
{
    const struct peft_tensor *first = NULL;
    for (int p = PEFT_Q; p <= PEFT_V; p++) {
        const struct peft_tensor *t = peft_at(a, block, (enum peft_place)p, (enum peft_leaf)leaf);
        if (t->data && first && !equal(first, t))
            return 0;
        first = t->data ? t : first;
    }
    return 1;
}

int peft_parts_alike(const struct peft_adapter *a)
{
    for (int32_t b = 0; b < a->vit->shape.depth; b++)
        for (int leaf = 0; leaf < PEFT_LEAF_COUNT; leaf++) {
            const enum peft_rule rule = peft_leaves[leaf].rule;
            if ((rule == PEFT_INSIDE || rule == PEFT_EQUAL) && !alike(a, b, leaf))
                return 0;
        }
    return 1;
}

struct join { /* of one block */
    struct peft_adapter *a;
    int32_t block;
    int alike;
};

static struct peft_tensor *part_of(const struct join *j, int p, int leaf)
{
    return peft_at(j->a, j->block, (enum peft_place)(PEFT_Q + p), (enum peft_leaf)leaf);
}

static const struct peft_tensor *any_part(const struct join *j, int leaf)
{
    for (int p = 0; p < 3; p++)
        if (part_of(j, p, leaf)->data)
            return part_of(j, p, leaf);
    return NULL;
}

static int join_rows(const struct join *j, int leaf, struct peft_tensor *whole)
{
    const struct peft_tensor *any = any_part(j, leaf);
    const int64_t count = shape_count(any->shape);
    struct shape shape = any->shape;
    shape.dim[0] *= 3;
    TRY(peft_make(j->a, whole, shape));
    for (int p = 0; p < 3; p++)
        for (int64_t i = 0; i < count; i++)
            whole->data[p * count + i] =
                part_of(j, p, leaf)->data ? part_of(j, p, leaf)->data[i] : peft_leaves[leaf].neutral;
    return 0;
}

/* B's on a diagonal of blocks [rows, r_p]. */
static int join_across(const struct join *j, int leaf, struct peft_tensor *whole)
{
    int32_t r = 0, before = 0;
    const int32_t rows = rows_of(any_part(j, leaf));
    for (int p = 0; p < 3; p++)
        r += part_of(j, p, leaf)->data ? part_of(j, p, leaf)->shape.dim[1] : 0;
    TRY(peft_make(j->a, whole, SHAPE(3 * rows, r)));
    for (int p = 0; p < 3; p++) {
        const struct peft_tensor *part = part_of(j, p, leaf);
        const int32_t own = part->data ? part->shape.dim[1] : 0;
        for (int32_t i = 0; i < rows && own; i++)
            memcpy(whole->data + ((int64_t)p * rows + i) * r + before, part->data + (int64_t)i * own,
                   (size_t)own * sizeof(float));
        before += own;
    }
    return 0;
}

static int join_inside(const struct join *j, int leaf, struct peft_tensor *whole)
{
    struct shape shape = any_part(j, leaf)->shape;
    int64_t at = 0;
    shape.dim[0] = 0;
    for (int p = 0; p < 3; p++)
        shape.dim[0] += part_of(j, p, leaf)->data ? rows_of(part_of(j, p, leaf)) : 0;
    TRY(peft_make(j->a, whole, shape));
    for (int p = 0; p < 3; p++) {
        const struct peft_tensor *part = part_of(j, p, leaf);
        const int64_t count = part->data ? shape_count(part->shape) : 0;
        if (count)
            memcpy(whole->data + at, part->data, (size_t)count * sizeof(float));
        at += count;
    }
    return 0;
}

static int join_equal(const struct join *j, int leaf, struct peft_tensor *whole)
{
    if (!alike(j->a, j->block, leaf) || (j->a->places & PEFT_PARTS) != PEFT_PARTS)
        return fail(ERR_INPUT,
                    "%s: %s has to be there and the same for query, key and value, whose input is turned as "
                    "one here; "
                    "in block %d it is not",
                    j->a->folder, peft_leaves[leaf].name, j->block);
    *whole = *any_part(j, leaf);
    return 0;
}

static int join_block(const struct join *j)
{
    for (int leaf = 0; leaf < PEFT_LEAF_COUNT; leaf++) {
        struct peft_tensor *whole = peft_at(j->a, j->block, PEFT_QKV, (enum peft_leaf)leaf);
        const enum peft_rule rule = peft_leaves[leaf].rule;
        if (!any_part(j, leaf))
            continue;
        if (rule == PEFT_EQUAL)
            TRY(join_equal(j, leaf, whole));
        else if (rule == PEFT_ROWS || (rule == PEFT_ACROSS && j->alike))
            TRY(join_rows(j, leaf, whole));
        else if (rule == PEFT_ACROSS)
            TRY(join_across(j, leaf, whole));
        else if (j->alike)
            *whole = *any_part(j, leaf);
        else
            TRY(join_inside(j, leaf, whole));
    }
    for (int p = 0; p < 3; p++)
        memset(part_of(j, p, 0), 0, PEFT_LEAF_COUNT * sizeof(struct peft_tensor));
    return 0;
}

/* Each part has the first rows of B; where its d is its own, it has columns of its own too. A' = (A; A; ..). */
static int join_vera(struct peft_adapter *a, int same)
{
    const int32_t r = rows_of(&a->vera_a), in = a->vera_a.shape.dim[1], dim = a->vit->shape.dim;
    struct peft_tensor tall = {0}, wide = {0};
    int32_t parts = 0, column = 0;
    for (int p = 0; p < 3; p++)
        parts += (int32_t)(a->places >> (PEFT_Q + p) & 1);
    const int32_t copies = same ? 1 : parts;
    TRY(peft_make(a, &tall, SHAPE(copies * r, in)));
    TRY(peft_make(a, &wide, SHAPE(3 * dim, copies * r)));
    for (int32_t c = 0; c < copies; c++)
        memcpy(tall.data + (int64_t)c * r * in, a->vera_a.data, (size_t)r * (size_t)in * sizeof(float));
    for (int p = 0; p < 3; p++) {
        if (!(a->places >> (PEFT_Q + p) & 1))
            continue;
        for (int32_t i = 0; i < dim; i++)
            memcpy(wide.data + (((int64_t)p * dim + i) * copies + column) * r,
                   a->vera_b.data + (int64_t)i * r, (size_t)r * sizeof(float));
        column += !same;
    }
    a->vera_a = tall;
    a->vera_b = wide;
    return 0;
}

int peft_join(struct peft_adapter *a)
{
    if (!(a->places & PEFT_PARTS))
        return 0;
    if (a->type == PEFT_TYPE_LOKR)
        return fail(ERR_INPUT,
                    "Kronecker products of query, key or value apart are none of the whole qkv layer; "
                    "`--names hf` writes them as they are");
    struct join j = {.a = a, .alike = peft_parts_alike(a)};
    if (a->type == PEFT_TYPE_VERA)
        TRY(join_vera(a, j.alike));
    for (j.block = 0; j.block < a->vit->shape.depth; j.block++)
        TRY(join_block(&j));
    a->places = (a->places & ~(uint32_t)PEFT_PARTS) | PEFT_BIT(QKV);
    return 0;
}
