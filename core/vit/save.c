/* save.c - a ViT to a safetensors file that vit_load and timm read. */
#include "model.h"

#include "error.h"
#include "memory.h"
#include "safetensors.h"

#include <stdio.h>
#include <stdlib.h>

enum { NUMBER = 24 };

/* The shortest text that reads back as the same float: "1e-06" */
static const char *float_text(float number, char text[NUMBER])
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, NUMBER, "%.*g", digits, (double)number);
        if (strtof(text, NULL) == number)
            break;
    }
    return text;
}

static const char *integer_text(int32_t number, char text[NUMBER])
{
    snprintf(text, NUMBER, "%d", number);
    return text;
}

int vit_save(const struct vit *m, const char *path, int half)
{
    struct safetensors_item *items = mem_alloc(m->count, sizeof *items);
    if (!items)
        return ERR_MEMORY;
    for (size_t i = 0; i < m->count; i++) {
        const struct vit_tensor *t = &m->tensors[i];
        items[i] = (struct safetensors_item){.name = t->name,
                                             .type = half ? SAFETENSORS_F16 : SAFETENSORS_F32,
                                             .rank = t->shape.rank,
                                             .data = t->data};
        for (int32_t axis = 0; axis < t->shape.rank; axis++)
            items[i].dim[axis] = t->shape.dim[axis];
    }
    const struct vit_shape *s = &m->shape;
    char heads[NUMBER], patch[NUMBER], image[NUMBER], eps[NUMBER];
    struct safetensors_note notes[] = {
        {"format", "pt"}, /* what other readers of the format ask for */
        {"heads", integer_text(s->heads, heads)},
        {"patch", integer_text(s->patch, patch)},
        {"image", integer_text(s->image, image)},
        {"norm_eps", float_text(s->eps, eps)},
        {"act", vit_has(s, VIT_QUICK_GELU) ? "quick_gelu" : "gelu_erf"},
        {NULL, NULL}, /* two more, where there is something to say */
        {NULL, NULL},
    };
    size_t count = sizeof notes / sizeof *notes - 2;
    if (vit_has(s, VIT_UNIT_FEATURES))
        notes[count++] = (struct safetensors_note){"unit_features", "1"};
    if (m->source_hash[0])
        notes[count++] = (struct safetensors_note){"source", m->source_hash};
    int rc = safetensors_write(path, items, m->count, notes, count);
    mem_free(items);
    return rc;
}
