/* names.c - what peft calls the layers of a ViT: as the module of whatever model it was put on. */
#include "adapter.h"

#include <stdio.h>
#include <string.h>

const char *const peft_names[] = {
#define X(id, name, what) name,
    PEFT_NAMES(X)
#undef X
        NULL,
};

static const struct style {
    const char *prefixes[3];             /* ended by NULL; the first is written */
    const char *place[PEFT_PLACE_COUNT]; /* '#' stands for the block */
    const char *head;
} styles[] = {
    [PEFT_NAMES_TIMM] = {{""},
                         {[PEFT_QKV] = "blocks.#.attn.qkv",
                          [PEFT_PROJ] = "blocks.#.attn.proj",
                          [PEFT_FC1] = "blocks.#.mlp.fc1",
                          [PEFT_FC2] = "blocks.#.mlp.fc2"},
                         "head"},
    [PEFT_NAMES_HF] = {{"vit.", ""}, /* ViTForImageClassification; ViTModel */
                       {[PEFT_Q] = "encoder.layer.#.attention.attention.query",
                        [PEFT_K] = "encoder.layer.#.attention.attention.key",
                        [PEFT_V] = "encoder.layer.#.attention.attention.value",
                        [PEFT_PROJ] = "encoder.layer.#.attention.output.dense",
                        [PEFT_FC1] = "encoder.layer.#.intermediate.dense",
                        [PEFT_FC2] = "encoder.layer.#.output.dense"},
                       "classifier"},
    [PEFT_NAMES_HF5] = {{"vit.", ""},
                        {[PEFT_Q] = "layers.#.attention.q_proj",
                         [PEFT_K] = "layers.#.attention.k_proj",
                         [PEFT_V] = "layers.#.attention.v_proj",
                         [PEFT_PROJ] = "layers.#.attention.o_proj",
                         [PEFT_FC1] = "layers.#.mlp.fc1",
                         [PEFT_FC2] = "layers.#.mlp.fc2"},
                        "classifier"},
};

int peft_fused(enum peft_names names)
{
    return styles[names].place[PEFT_QKV] != NULL;
}

const char *const *peft_prefixes(enum peft_names names)
{
    return styles[names].prefixes;
}

int peft_has_place(enum peft_names names, enum peft_place place)
{
    return styles[names].place[place] != NULL;
}

const char *peft_head_name(enum peft_names names)
{
    return styles[names].head;
}

char *peft_layer_name(const struct peft_adapter *a, int32_t block, enum peft_place place, char out[PEFT_NAME])
{
    const char *name = styles[a->names].place[place], *hash = strchr(name, '#');
    snprintf(out, PEFT_NAME, "%s%.*s%d%s", a->prefix, (int)(hash - name), name, block, hash + 1);
    return out;
}

char *peft_tensor_name(const struct peft_adapter *a, int32_t block, enum peft_place place,
                       enum peft_leaf leaf, char out[PEFT_NAME])
{
    char layer[PEFT_NAME];
    snprintf(out, PEFT_NAME, "base_model.model.%.120s.%s", peft_layer_name(a, block, place, layer),
             peft_leaves[leaf].name);
    return out;
}

struct text { /* being written into a buffer; cut off where it is full */
    char *out;
    size_t size, used;
};

static void put(struct text *t, const char *piece, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const char one[2] = {piece[i], 0}, *as = piece[i] == '.' ? "[.]" : one;
        for (; *as && t->used + 1 < t->size; as++)
            t->out[t->used++] = *as;
    }
    t->out[t->used] = 0;
}

/* "vit[.]layers[.][0-9]+[.](attention[.]q_proj|mlp[.]fc2)": no backslashes, which JSON would double. */
char *peft_pattern(const struct peft_adapter *a, uint32_t places, char *out, size_t size)
{
    struct text t = {out, size, 0};
    int first = 1;
    put(&t, a->prefix, strlen(a->prefix));
    for (int p = 0; p < PEFT_PLACE_COUNT; p++) {
        if (!(places >> p & 1))
            continue;
        const char *name = styles[a->names].place[p], *hash = strchr(name, '#');
        if (first) {
            put(&t, name, (size_t)(hash - name));
            put(&t, "[0-9]+", 6);
            put(&t, ".", 1);
            put(&t, "(", 1);
        } else {
            put(&t, "|", 1);
        }
        put(&t, hash + 2, strlen(hash + 2));
        first = 0;
    }
    put(&t, ")", 1);
    return out;
}
