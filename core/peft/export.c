/* export.c - a trained method as an adapter: our tensors under peft's, then apart or together as the names ask. */
#include "adapter.h"

#include "error.h"
#include "file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct export
{
    struct peft_adapter *a;
    const struct method *method;
    const struct tensor *tensors;
    size_t count;
    const float *const *values;
    struct method_part part;         /* the instance in hand */
    double scales[PEFT_PLACE_COUNT]; /* of low-rank updates, by layer: instances of a stack may differ */
};

/* --- our side */

/* Tensor NAME of the instance, of a block or (-1) shared; data NULL where it has none. */
static struct peft_tensor ours(const struct export *e, int32_t block, const char *name)
{
    char full[160];
    if (block < 0)
        snprintf(full, sizeof full, "%s/%s", e->part.name, name);
    else
        snprintf(full, sizeof full, "%s/%d/%s", e->part.name, block, name);
    for (size_t i = 0; i < e->count; i++)
        if (!strcmp(e->tensors[i].name, full))
            return (struct peft_tensor){e->tensors[i].shape, (float *)(uintptr_t)e->values[i]};
    return (struct peft_tensor){0};
}

/* "a" of qkv, "a.PROJ" of another layer */
static struct peft_tensor ours_at(const struct export *e, int32_t block, const char *name,
                                  enum peft_place place)
{
    char full[64];
    snprintf(full, sizeof full, "%s%s%s", name, place == PEFT_QKV ? "" : ".",
             place == PEFT_QKV ? "" : peft_place_names[place]);
    return ours(e, block, full);
}

/* An option as the stack's text spells it: "alpha" of "lora[r=8,alpha=16]"; points behind the '='. */
static const char *option(const struct export *e, const char *key)
{
    const size_t n = strlen(key);
    for (const char *c = strchr(e->part.text, '['); c; c = strchr(c + 1, ','))
        if (!strncmp(c + 1, key, n) && c[n + 1] == '=')
            return c + n + 2;
    return "";
}

static double option_number(const struct export *e, const char *key)
{
    return strtod(option(e, key), NULL);
}

/* --- into the adapter */

static void put(const struct export *e, int32_t block, enum peft_place place, enum peft_leaf leaf,
                struct peft_tensor t)
{
    *peft_at(e->a, block, place, leaf) = t;
    e->a->places |= 1u << place;
}

/* The same numbers with another shape. */
static struct peft_tensor shaped(struct peft_tensor t, struct shape shape)
{
    t.shape = shape;
    return t;
}

static int32_t dim(const struct peft_tensor *t, int axis)
{
    return t->shape.dim[axis];
}

/* alpha / r, or 1 where alpha is 0: lora, dora, pissa, loha and lokr */
static double strength(const struct export *e, int32_t r, int rslora)
{
    const double alpha = option_number(e, "alpha");
    return alpha > 0 ? alpha / (rslora ? sqrt((double)r) : (double)r) : 1;
}

static int put_lora(struct export *e)
{
    const int rslora = !strncmp(option(e, "rslora"), "true", 4);
    e->a->type = PEFT_TYPE_LORA;
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++)
        for (int p = 0; p < PEFT_PLACE_COUNT; p++) {
            const struct peft_tensor a = ours_at(e, b, "a", (enum peft_place)p);
            if (!a.data)
                continue;
            if (peft_at(e->a, b, (enum peft_place)p, PEFT_LORA_A)->data)
                return fail(ERR_INPUT,
                            "two parts of the stack update %s; a peft adapter has one update a layer",
                            peft_place_names[p]);
            e->scales[p] = strength(e, dim(&a, 0), rslora);
            put(e, b, (enum peft_place)p, PEFT_LORA_A, a);
            put(e, b, (enum peft_place)p, PEFT_LORA_B, ours_at(e, b, "b", (enum peft_place)p));
        }
    return 0;
}

static int put_dora(struct export *e)
{
    e->a->type = PEFT_TYPE_LORA;
    e->a->dora = 1;
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++) {
        const struct peft_tensor a = ours(e, b, "a");
        e->scales[PEFT_QKV] = strength(e, dim(&a, 0), 0);
        put(e, b, PEFT_QKV, PEFT_LORA_A, a);
        put(e, b, PEFT_QKV, PEFT_LORA_B, ours(e, b, "b"));
        put(e, b, PEFT_QKV, PEFT_MAGNITUDE, ours(e, b, "m"));
    }
    return 0;
}

/* b a - b0 a0 = (b, -b0) (a; a0): a LoRA of twice the rank on the weights as they were */
static int put_pissa_layer(struct export *e, int32_t block, enum peft_place place)
{
    const struct peft_tensor a = ours_at(e, block, "a", place), a0 = ours_at(e, block, "a0", place),
                             b = ours_at(e, block, "b", place), b0 = ours_at(e, block, "b0", place);
    struct peft_tensor both_a = {0}, both_b = {0};
    const int32_t r = dim(&a, 0), in = dim(&a, 1), out = dim(&b, 0);
    TRY(peft_make(e->a, &both_a, SHAPE(2 * r, in)));
    TRY(peft_make(e->a, &both_b, SHAPE(out, 2 * r)));
    memcpy(both_a.data, a.data, (size_t)r * (size_t)in * sizeof(float));
    memcpy(both_a.data + (int64_t)r * in, a0.data, (size_t)r * (size_t)in * sizeof(float));
    for (int32_t i = 0; i < out; i++)
        for (int32_t k = 0; k < r; k++) {
            both_b.data[((int64_t)i * 2) * r + k] = b.data[(int64_t)i * r + k];
            both_b.data[((int64_t)i * 2 + 1) * r + k] = -b0.data[(int64_t)i * r + k];
        }
    e->scales[place] = strength(e, r, 0);
    put(e, block, place, PEFT_LORA_A, both_a);
    put(e, block, place, PEFT_LORA_B, both_b);
    return 0;
}

static int put_pissa(struct export *e)
{
    e->a->type = PEFT_TYPE_LORA;
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++)
        for (int p = 0; p < PEFT_PLACE_COUNT; p++)
            if (ours_at(e, b, "a", (enum peft_place)p).data)
                TRY(put_pissa_layer(e, b, (enum peft_place)p));
    return 0;
}

/* What blocks gave up is zero. */
static int put_adalora(struct export *e)
{
    const double alpha = option_number(e, "alpha");
    e->a->type = PEFT_TYPE_ADALORA;
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++) {
        const struct peft_tensor v = ours(e, b, "e"), kept = ours(e, b, "kept");
        struct peft_tensor *t = peft_at(e->a, b, PEFT_QKV, PEFT_SVD_E);
        const int32_t r = dim(&v, 0);
        TRY(peft_make(e->a, t, SHAPE(r, 1)));
        for (int32_t i = 0; i < r; i++)
            t->data[i] = v.data[i] * kept.data[i];
        e->scales[PEFT_QKV] = (alpha > 0 ? alpha : (double)r) / ((double)r + 1e-5);
        put(e, b, PEFT_QKV, PEFT_SVD_A, ours(e, b, "a"));
        put(e, b, PEFT_QKV, PEFT_SVD_B, ours(e, b, "b"));
    }
    return 0;
}

static int put_ia3(struct export *e)
{
    const int32_t D = e->a->vit->shape.dim, F = e->a->vit->shape.hidden;
    e->a->type = PEFT_TYPE_IA3;
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++) {
        put(e, b, PEFT_K, PEFT_IA3_L, shaped(ours(e, b, "scale.k"), SHAPE(D, 1)));
        put(e, b, PEFT_V, PEFT_IA3_L, shaped(ours(e, b, "scale.v"), SHAPE(D, 1)));
        put(e, b, PEFT_FC2, PEFT_IA3_L, shaped(ours(e, b, "scale.act"), SHAPE(1, F)));
    }
    return 0;
}

static int put_vera(struct export *e)
{
    e->a->type = PEFT_TYPE_VERA;
    e->a->vera_a = ours(e, -1, "a0");
    e->a->vera_b = ours(e, -1, "b0");
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++) {
        put(e, b, PEFT_QKV, PEFT_VERA_D, ours(e, b, "d"));
        put(e, b, PEFT_QKV, PEFT_VERA_L, ours(e, b, "b"));
    }
    return 0;
}

/* Where several layers are updated, those behind the first have their names in front: "v.w1". */
struct factor {
    const char *name;
    enum peft_leaf leaf;
};

/* Returns the first layer that has them. */
static enum peft_place put_factors(struct export *e, const struct factor *factors)
{
    static const struct {
        enum peft_place place;
        const char *prefix;
    } layers[] = {{PEFT_Q, ""}, {PEFT_K, "k."}, {PEFT_V, "v."}};
    const int whole = !strncmp(option(e, "target"), "qkv", 3);
    char name[32];
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++)
        for (int i = 0; i < (whole ? 1 : 3); i++)
            for (const struct factor *f = factors; f->name; f++) {
                snprintf(name, sizeof name, "%s%s", layers[i].prefix, f->name);
                const struct peft_tensor t = ours(e, b, name);
                if (t.data)
                    put(e, b, whole ? PEFT_QKV : layers[i].place, f->leaf, t);
            }
    return whole ? PEFT_QKV : PEFT_Q;
}

static int put_loha(struct export *e)
{
    static const struct factor factors[] = {{"a1", PEFT_HADA_W1_A},
                                            {"b1", PEFT_HADA_W1_B},
                                            {"a2", PEFT_HADA_W2_A},
                                            {"b2", PEFT_HADA_W2_B},
                                            {NULL, 0}};
    const enum peft_place first = put_factors(e, factors);
    e->a->type = PEFT_TYPE_LOHA;
    e->scales[first] = strength(e, dim(peft_at(e->a, 0, first, PEFT_HADA_W1_B), 0), 0);
    for (int p = PEFT_Q; p <= PEFT_V; p++)
        e->scales[p] = e->scales[first];
    return 0;
}

/* A second factor that is not of low rank has no r of its own: peft takes the option's. */
static int put_lokr(struct export *e)
{
    static const struct factor factors[] = {
        {"w1", PEFT_LOKR_W1}, {"w2a", PEFT_LOKR_W2_A}, {"w2b", PEFT_LOKR_W2_B}, {NULL, 0}};
    e->a->type = PEFT_TYPE_LOKR;
    put_factors(e, factors);
    e->a->r = (int32_t)option_number(e, "r");
    e->a->scale = strength(e, e->a->r, 0);
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++)
        for (int p = PEFT_QKV; p <= PEFT_V; p++) {
            struct peft_tensor *a = peft_at(e->a, b, (enum peft_place)p, PEFT_LOKR_W2_A);
            if (a->data && !peft_at(e->a, b, (enum peft_place)p, PEFT_LOKR_W2_B)->data) {
                *peft_at(e->a, b, (enum peft_place)p, PEFT_LOKR_W2) = *a;
                *a = (struct peft_tensor){0};
            }
        }
    return 0;
}

static int put_oft(struct export *e)
{
    e->a->type = PEFT_TYPE_OFT;
    e->a->block = (int32_t)option_number(e, "block");
    e->a->exact = !strncmp(option(e, "cayley"), "exact", 5);
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++)
        put(e, b, PEFT_QKV, PEFT_OFT_R, ours(e, b, "q"));
    return 0;
}

static int put_boft(struct export *e)
{
    const int32_t D = e->a->vit->shape.dim, n = e->a->block = (int32_t)option_number(e, "block");
    const int32_t m = e->a->factors = (int32_t)option_number(e, "factors");
    e->a->type = PEFT_TYPE_BOFT;
    for (int32_t b = 0; b < e->a->vit->shape.depth; b++) {
        put(e, b, PEFT_QKV, PEFT_BOFT_R, shaped(ours(e, b, "m"), SHAPE(m, D / n, n, n)));
        put(e, b, PEFT_QKV, PEFT_BOFT_S, shaped(ours(e, b, "scale"), SHAPE(3 * D, 1)));
    }
    return 0;
}

static const struct known {
    const char *id;
    int (*put)(struct export *e);
    int stacks; /* several of it in one adapter */
} known[] = {
    {"lora", put_lora, 1}, {"dora", put_dora, 0}, {"pissa", put_pissa, 0}, {"adalora", put_adalora, 0},
    {"ia3", put_ia3, 0},   {"vera", put_vera, 0}, {"loha", put_loha, 0},   {"lokr", put_lokr, 0},
    {"oft", put_oft, 0},   {"boft", put_boft, 0},
};

static const struct known *find_known(const char *id)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].id, id))
            return &known[i];
    return NULL;
}

/* --- the whole */

static int put_stack(struct export *e)
{
    const size_t parts = method_parts(e->method);
    for (size_t i = 0; i < parts; i++) {
        TRY(method_part(e->method, i, &e->part));
        const struct known *k = find_known(e->part.plugin->info.id);
        if (!k)
            return fail(
                ERR_INPUT,
                "%s is no method of peft's; lora, dora, pissa, adalora, ia3, vera, loha, lokr, oft and boft "
                "are; `vitro merge` writes full weights",
                e->part.name);
        if (parts > 1 && !k->stacks)
            return fail(ERR_INPUT,
                        "%s cannot share a peft adapter with another method; `vitro merge` writes full "
                        "weights of a stack",
                        e->part.name);
        TRY(k->put(e));
    }
    if (e->a->places & PEFT_BIT(QKV) && e->a->places & PEFT_PARTS)
        return fail(
            ERR_INPUT,
            "two parts of the stack update QKV, whole and in part; a peft adapter has one update a layer");
    return 0;
}

/* The head goes along; another tensor of the model that trained has no place. */
static int put_head(struct export *e)
{
    for (size_t i = 0; i < e->count; i++) {
        const struct tensor *t = &e->tensors[i];
        const struct peft_tensor numbers = {t->shape, (float *)(uintptr_t)e->values[i]};
        if (t->owner >= 0 || t->kind != LEAF_TRAINABLE)
            continue;
        if (!strcmp(t->name, "head.weight"))
            e->a->head_weight = numbers;
        else if (!strcmp(t->name, "head.bias"))
            e->a->head_bias = numbers;
        else
            return fail(ERR_INPUT,
                        "%s was trained too, and a peft adapter has no place for it; `vitro merge` writes "
                        "full weights",
                        t->name);
    }
    return e->a->head_weight.data && e->a->head_bias.data
               ? 0
               : fail(ERR_INPUT, "the model has no head to be written beside the adapter");
}

static int is_low_rank(const struct peft_adapter *a)
{
    return a->type == PEFT_TYPE_LORA || a->type == PEFT_TYPE_ADALORA || a->type == PEFT_TYPE_LOHA;
}

/* peft has one alpha: what differs goes into B. */
static int equal_scales(struct export *e)
{
    struct peft_adapter *a = e->a;
    double scale = 0;
    for (int p = 0; p < PEFT_PLACE_COUNT; p++) {
        if (!(a->places >> p & 1))
            continue;
        scale = scale > 0 ? scale : e->scales[p];
        for (int32_t b = 0; e->scales[p] != scale && b < a->vit->shape.depth; b++) {
            struct peft_tensor *t = peft_at(a, b, (enum peft_place)p, PEFT_LORA_B);
            const struct peft_tensor old = *t;
            TRY(peft_make(a, t, old.shape));
            for (int64_t i = 0; i < shape_count(old.shape); i++)
                t->data[i] = (float)((double)old.data[i] * e->scales[p] / scale);
        }
    }
    a->scale = scale;
    return 0;
}

/* A's rows and B's columns up to the largest rank: zeros change nothing. */
static int pad(struct peft_adapter *a, struct peft_tensor *t, int axis)
{
    const struct peft_tensor old = *t;
    const int32_t rows = dim(&old, 0), columns = dim(&old, 1);
    if (dim(&old, axis) == a->r)
        return 0;
    TRY(peft_make(a, t, axis ? SHAPE(rows, a->r) : SHAPE(a->r, columns)));
    for (int32_t i = 0; i < rows; i++)
        memcpy(t->data + (int64_t)i * dim(t, 1), old.data + (int64_t)i * columns,
               (size_t)columns * sizeof(float));
    return 0;
}

static int equal_ranks(struct peft_adapter *a)
{
    const enum peft_leaf inside = a->type == PEFT_TYPE_LORA      ? PEFT_LORA_A
                                  : a->type == PEFT_TYPE_ADALORA ? PEFT_SVD_A
                                                                 : PEFT_HADA_W1_B;
    a->r = 0;
    for (int p = 0; p < PEFT_PLACE_COUNT; p++)
        if (a->places >> p & 1 && dim(peft_at(a, 0, (enum peft_place)p, inside), 0) > a->r)
            a->r = dim(peft_at(a, 0, (enum peft_place)p, inside), 0);
    for (int32_t b = 0; a->type == PEFT_TYPE_LORA && b < a->vit->shape.depth; b++)
        for (int p = 0; p < PEFT_PLACE_COUNT; p++)
            if (a->places >> p & 1) {
                TRY(pad(a, peft_at(a, b, (enum peft_place)p, PEFT_LORA_A), 0));
                TRY(pad(a, peft_at(a, b, (enum peft_place)p, PEFT_LORA_B), 1));
            }
    return 0;
}

static int check_model(const struct peft_adapter *a)
{
    const struct vit_shape *s = &a->vit->shape;
    if (vit_has(s, VIT_UNIT_FEATURES))
        return fail(ERR_INPUT,
                    "the head reads vectors of length 1 (unit_features), which no model of timm's or Hugging "
                    "Face's does; `vitro merge` writes full weights");
    if (!peft_fused(a->names) && (s->features || s->registers || s->projection))
        return fail(ERR_INPUT,
                    "Hugging Face's ViTForImageClassification is a plain ViT, which this model is not "
                    "(`vitro model`); `--names timm` has names for it");
    return 0;
}

static int export(struct export *e)
{
    struct peft_adapter *a = e->a;
    TRY(check_model(a));
    TRY(put_stack(e));
    TRY(put_head(e));
    if (is_low_rank(a))
        TRY(equal_scales(e));
    TRY(peft_fused(a->names) ? peft_join(a) : peft_split(a));
    if (is_low_rank(a))
        TRY(equal_ranks(a));
    if (a->type == PEFT_TYPE_VERA)
        a->r = a->vera_a.shape.dim[0];
    return 0;
}

int peft_export(const struct method *method, const struct vit *vit, const float *const *values,
                enum peft_names names, const char *base, const char *folder)
{
    struct peft_adapter a = {.names = names, .prefix = peft_prefixes(names)[0]};
    struct export e = {.a = &a, .method = method, .values = values};
    char path[4096];
    int rc;
    e.tensors = method_tensors(method, &e.count);
    TRY_OUT(peft_prepare(&a, vit, folder));
    TRY_OUT(export(&e));
    TRY_OUT(file_make_folders(folder));
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", folder);
    TRY_OUT(peft_tensors_write(&a, path));
    snprintf(path, sizeof path, "%s/adapter_config.json", folder);
    rc = peft_config_write(&a, base, path);
out:
    arena_finish(&a.arena);
    return rc;
}
