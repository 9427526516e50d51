/* adapter.c - see adapter.h. */
#include "adapter.h"

#include "error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const peft_place_names[] = {
#define X(id) #id,
    PEFT_PLACES(X)
#undef X
};
const struct peft_leaf_info peft_leaves[PEFT_LEAF_COUNT] = {
#define X(id, name, rule, neutral) {name, PEFT_##rule, neutral},
    PEFT_LEAVES(X)
#undef X
};
const struct peft_type_info peft_types[PEFT_TYPE_COUNT] = {
#define X(id, first, count) {#id, PEFT_##first, count},
    PEFT_TYPES(X)
#undef X
};

struct peft_tensor *peft_at(const struct peft_adapter *a, int32_t block, enum peft_place place,
                            enum peft_leaf leaf)
{
    return &a->tensors[((size_t)block * PEFT_PLACE_COUNT + place) * PEFT_LEAF_COUNT + leaf];
}

int peft_make(struct peft_adapter *a, struct peft_tensor *t, struct shape shape)
{
    t->shape = shape;
    t->data = arena_alloc(&a->arena, (size_t)shape_count(shape), sizeof *t->data);
    return t->data ? 0 : ERR_MEMORY;
}

int peft_prepare(struct peft_adapter *a, const struct vit *vit, const char *folder)
{
    a->vit = vit;
    a->folder = arena_string(&a->arena, folder);
    a->tensors = arena_alloc(&a->arena, (size_t)vit->shape.depth * PEFT_PLACE_COUNT * PEFT_LEAF_COUNT,
                             sizeof *a->tensors);
    return a->tensors && a->folder ? 0 : ERR_MEMORY;
}

int32_t peft_inputs(const struct vit_shape *s, enum peft_place place)
{
    return place == PEFT_FC2 ? s->hidden : s->dim;
}

int32_t peft_outputs(const struct vit_shape *s, enum peft_place place)
{
    return place == PEFT_QKV ? 3 * s->dim : place == PEFT_FC1 ? s->hidden : s->dim;
}

const struct vit_tensor *peft_weight(const struct vit *vit, int32_t block, enum peft_place place)
{
    static const char *const ends[] = {"attn.qkv",  "attn.qkv", "attn.qkv", "attn.qkv",
                                       "attn.proj", "mlp.fc1",  "mlp.fc2"};
    char name[VIT_NAME];
    snprintf(name, sizeof name, "blocks.%d.%s.weight", block, ends[place]);
    for (size_t i = 0; i < vit->count; i++)
        if (!strcmp(vit->tensors[i].name, name))
            return &vit->tensors[i];
    return NULL;
}

double peft_row_norm(const struct vit *vit, int32_t block, enum peft_place place, int32_t i)
{
    const struct vit_tensor *w = peft_weight(vit, block, place);
    const int32_t in = w->shape.dim[1];
    double sum = 0;
    if (1u << place & PEFT_PARTS)
        i += (int32_t)(place - PEFT_Q) * vit->shape.dim;
    for (int32_t k = 0; k < in; k++) {
        const double x = (double)w->data[(int64_t)i * in + k];
        sum += x * x;
    }
    return sqrt(sum);
}
