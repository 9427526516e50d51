/* import.c - an adapter as one of our methods: which stack says the same, and its tensors. */
#include "adapter.h"

#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --- which method */

static int say(struct peft_adapter *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int say(struct peft_adapter *a, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    a->method = arena_string(&a->arena, text);
    return a->method ? 0 : ERR_MEMORY;
}

/* Layers outside `allowed` are refused by name. */
static int only(const struct peft_adapter *a, uint32_t allowed, const char *what)
{
    char layer[PEFT_NAME];
    for (int p = 0; p < PEFT_PLACE_COUNT; p++)
        if (a->places >> p & 1 && !(allowed >> p & 1))
            return fail(ERR_INPUT, "%s: %s has an adapter, but %s here is for %s", a->folder,
                        peft_layer_name(a, 0, (enum peft_place)p, layer), peft_types[a->type].name, what);
    return 0;
}

static int32_t rank_at(const struct peft_adapter *a, enum peft_place place, enum peft_leaf leaf)
{
    return peft_at(a, 0, place, leaf)->shape.dim[0];
}

/* The largest sets of layers first: what a part of the stack adapts. */
static const struct target {
    const char *name;
    uint32_t places;
} targets[] = {
    {"all", PEFT_BIT(QKV) | PEFT_BIT(PROJ) | PEFT_BIT(FC1) | PEFT_BIT(FC2)},
    {"attention", PEFT_BIT(QKV) | PEFT_BIT(PROJ)},
    {"mlp", PEFT_BIT(FC1) | PEFT_BIT(FC2)},
    {"q_k_v", PEFT_PARTS},
    {"qv", PEFT_BIT(Q) | PEFT_BIT(V)},
    {"qkv", PEFT_BIT(QKV)},
    {"q", PEFT_BIT(Q)},
    {"k", PEFT_BIT(K)},
    {"v", PEFT_BIT(V)},
    {"proj", PEFT_BIT(PROJ)},
    {"fc1", PEFT_BIT(FC1)},
    {"fc2", PEFT_BIT(FC2)},
};

static int choose_dora(struct peft_adapter *a)
{
    TRY(only(a, PEFT_BIT(QKV) | PEFT_PARTS, "query, key and value with DoRA"));
    TRY(peft_join(a));
    const int32_t r = rank_at(a, PEFT_QKV, PEFT_LORA_A);
    return say(a, "dora[r=%d,alpha=%.9g,dropout=%.9g]", r, a->scale * (double)r, a->dropout);
}

static int choose_lora(struct peft_adapter *a)
{
    char text[512] = "";
    size_t n = 0;
    if (a->dora)
        return choose_dora(a);
    if ((a->places & PEFT_PARTS) == PEFT_PARTS && peft_parts_alike(a))
        TRY(peft_join(a));
    uint32_t left = a->places;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        if ((targets[i].places & left) != targets[i].places)
            continue;
        left &= ~targets[i].places;
        n += (size_t)snprintf(text + n, sizeof text - n, "%slora[r=%d,alpha=%.9g,dropout=%.9g,targets=%s]",
                              n ? "+" : "", a->r, a->scale * (double)a->r, a->dropout, targets[i].name);
    }
    return say(a, "%s", text);
}

static int choose_adalora(struct peft_adapter *a)
{
    TRY(only(a, PEFT_BIT(QKV) | PEFT_PARTS, "query, key and value"));
    TRY(peft_join(a));
    const int32_t r = rank_at(a, PEFT_QKV, PEFT_SVD_A);
    return say(a, "adalora[r=%d,target_r=%d,alpha=%.9g,dropout=%.9g]", r, r, a->scale * ((double)r + 1e-5),
               a->dropout);
}

/* Queries times a gain meet keys times a gain in one product: ours has both on the keys. */
static int fold_queries(struct peft_adapter *a)
{
    for (int32_t b = 0; b < a->vit->shape.depth; b++) {
        struct peft_tensor *q = peft_at(a, b, PEFT_Q, PEFT_IA3_L), *k = peft_at(a, b, PEFT_K, PEFT_IA3_L);
        const struct peft_tensor old = *k;
        if (!q->data)
            continue;
        TRY(peft_make(a, k, q->shape));
        for (int32_t i = 0; i < q->shape.dim[0]; i++)
            k->data[i] = q->data[i] * (old.data ? old.data[i] : 1);
    }
    return 0;
}

static int choose_ia3(struct peft_adapter *a)
{
    TRY(only(a, PEFT_BIT(QKV) | PEFT_PARTS | PEFT_BIT(FC2), "query, key, value and the MLP's second layer"));
    TRY(peft_split(a));
    TRY(fold_queries(a));
    return say(a, "ia3");
}

static int choose_vera(struct peft_adapter *a)
{
    TRY(only(a, PEFT_BIT(QKV) | PEFT_PARTS, "query, key and value"));
    TRY(peft_join(a));
    return say(a, "vera[r=%d,dropout=%.9g]", a->vera_a.shape.dim[0], a->dropout);
}

/* Targets that loha and lokr have; others only loha can say, as rows of zeros. */
static int choose_lycoris(struct peft_adapter *a)
{
    const uint32_t parts = a->places & PEFT_PARTS;
    TRY(only(a, PEFT_BIT(QKV) | PEFT_PARTS, "query, key and value"));
    if (a->type == PEFT_TYPE_LOHA && parts && parts != (PEFT_BIT(Q) | PEFT_BIT(V)) &&
        (parts != PEFT_PARTS || peft_parts_alike(a)))
        TRY(peft_join(a));
    const char *target = NULL;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++)
        if (targets[i].places == a->places)
            target = targets[i].name;
    if (a->places != PEFT_BIT(QKV) && a->places != PEFT_PARTS && a->places != (PEFT_BIT(Q) | PEFT_BIT(V)))
        return fail(ERR_INPUT, "%s: LoKr here is for qkv, for query and value, or for query, key and value",
                    a->folder);
    const int joined = a->type == PEFT_TYPE_LOHA && a->places == PEFT_BIT(QKV); /* whose ranks add up */
    const int32_t r = joined ? rank_at(a, PEFT_QKV, PEFT_HADA_W1_B) : a->r;
    return say(a, "%s[r=%d,alpha=%.9g,target=%s]", a->type == PEFT_TYPE_LOKR ? "lokr" : "loha", r,
               a->scale * (double)r, target);
}

static int choose_oft(struct peft_adapter *a)
{
    TRY(only(a, PEFT_BIT(QKV) | PEFT_PARTS, "query, key and value"));
    TRY(peft_join(a));
    return say(a, "oft[block=%d,cayley=%s]", a->block, a->exact ? "exact" : "neumann");
}

static int choose_boft(struct peft_adapter *a)
{
    TRY(only(a, PEFT_BIT(QKV) | PEFT_PARTS, "query, key and value"));
    TRY(peft_join(a));
    return say(a, "boft[block=%d,factors=%d]", a->block, a->factors);
}

static int (*const choosers[])(struct peft_adapter *) = {
    [PEFT_TYPE_LORA] = choose_lora, [PEFT_TYPE_ADALORA] = choose_adalora, [PEFT_TYPE_IA3] = choose_ia3,
    [PEFT_TYPE_VERA] = choose_vera, [PEFT_TYPE_LOHA] = choose_lycoris,    [PEFT_TYPE_LOKR] = choose_lycoris,
    [PEFT_TYPE_OFT] = choose_oft,   [PEFT_TYPE_BOFT] = choose_boft,
};

int peft_choose(struct peft_adapter *a)
{
    return choosers[a->type](a);
}

/* --- its tensors */

/* Ours by name, theirs. Layers other than the first have their name in front of ours ("v.w1") or behind ("a.FC1"). */
static const struct pair {
    enum peft_type_id type;
    const char *ours;
    enum peft_leaf leaf;
    int place; /* -1: the name's, else the first of the method's */
} pairs[] = {
    {PEFT_TYPE_LORA, "a", PEFT_LORA_A, -1},
    {PEFT_TYPE_LORA, "b", PEFT_LORA_B, -1},
    {PEFT_TYPE_LORA, "m", PEFT_MAGNITUDE, -1},
    {PEFT_TYPE_ADALORA, "a", PEFT_SVD_A, -1},
    {PEFT_TYPE_ADALORA, "b", PEFT_SVD_B, -1},
    {PEFT_TYPE_ADALORA, "e", PEFT_SVD_E, -1},
    {PEFT_TYPE_IA3, "scale.k", PEFT_IA3_L, PEFT_K},
    {PEFT_TYPE_IA3, "scale.v", PEFT_IA3_L, PEFT_V},
    {PEFT_TYPE_IA3, "scale.act", PEFT_IA3_L, PEFT_FC2},
    {PEFT_TYPE_VERA, "d", PEFT_VERA_D, -1},
    {PEFT_TYPE_VERA, "b", PEFT_VERA_L, -1},
    {PEFT_TYPE_LOHA, "a1", PEFT_HADA_W1_A, -1},
    {PEFT_TYPE_LOHA, "b1", PEFT_HADA_W1_B, -1},
    {PEFT_TYPE_LOHA, "a2", PEFT_HADA_W2_A, -1},
    {PEFT_TYPE_LOHA, "b2", PEFT_HADA_W2_B, -1},
    {PEFT_TYPE_LOKR, "w1", PEFT_LOKR_W1, -1},
    {PEFT_TYPE_LOKR, "w2a", PEFT_LOKR_W2_A, -1},
    {PEFT_TYPE_LOKR, "w2b", PEFT_LOKR_W2_B, -1},
    {PEFT_TYPE_OFT, "q", PEFT_OFT_R, -1},
    {PEFT_TYPE_BOFT, "m", PEFT_BOFT_R, -1},
    {PEFT_TYPE_BOFT, "scale", PEFT_BOFT_S, -1},
};

/* "v.w1" and "a.FC1" without what says the layer, into `bare`; the layer. */
static enum peft_place place_of(const struct peft_adapter *a, const char *name, char *bare, size_t size)
{
    const char *dot = strchr(name, '.');
    snprintf(bare, size, "%s", name);
    if (a->type == PEFT_TYPE_LOHA || a->type == PEFT_TYPE_LOKR) {
        if (dot)
            snprintf(bare, size, "%s", dot + 1);
        return dot ? (*name == 'v' ? PEFT_V : PEFT_K) : a->places & PEFT_BIT(QKV) ? PEFT_QKV : PEFT_Q;
    }
    for (int p = 0; dot && a->type == PEFT_TYPE_LORA && p < PEFT_PLACE_COUNT; p++)
        if (!strcmp(dot + 1, peft_place_names[p])) {
            bare[dot - name] = 0;
            return (enum peft_place)p;
        }
    return PEFT_QKV;
}

static const struct pair *find_pair(const struct peft_adapter *a, const char *bare)
{
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].type == a->type && !strcmp(pairs[i].ours, bare))
            return &pairs[i];
    return NULL;
}

static int fill(const struct peft_adapter *a, const struct tensor *t, const struct peft_tensor *from,
                float *to)
{
    char is[SHAPE_TEXT], wants[SHAPE_TEXT];
    if (shape_count(from->shape) != shape_count(t->shape))
        return fail(ERR_INPUT, "%s: what stands for %s has the shape %s, not %s", a->folder, t->name,
                    shape_text(from->shape, is), shape_text(t->shape, wants));
    memcpy(to, from->data, (size_t)shape_count(t->shape) * sizeof *to);
    return 0;
}

/* w1 a product of two; w2 in one piece is our w2a. */
static int whole_factors(struct peft_adapter *a)
{
    for (int32_t b = 0; b < a->vit->shape.depth; b++)
        for (int p = PEFT_QKV; p <= PEFT_V; p++) {
            struct peft_tensor *w1 = peft_at(a, b, (enum peft_place)p, PEFT_LOKR_W1);
            const struct peft_tensor *x = peft_at(a, b, (enum peft_place)p, PEFT_LOKR_W1_A),
                                     *y = peft_at(a, b, (enum peft_place)p, PEFT_LOKR_W1_B),
                                     *w2 = peft_at(a, b, (enum peft_place)p, PEFT_LOKR_W2);
            if (w2->data)
                *peft_at(a, b, (enum peft_place)p, PEFT_LOKR_W2_A) = *w2;
            if (!x->data)
                continue;
            const int32_t rows = x->shape.dim[0], r = x->shape.dim[1], columns = y->shape.dim[1];
            TRY(peft_make(a, w1, SHAPE(rows, columns)));
            for (int32_t i = 0; i < rows; i++)
                for (int32_t j = 0; j < columns; j++) {
                    double sum = 0;
                    for (int32_t k = 0; k < r; k++)
                        sum +=
                            (double)x->data[(int64_t)i * r + k] * (double)y->data[(int64_t)k * columns + j];
                    w1->data[(int64_t)i * columns + j] = (float)sum;
                }
        }
    return 0;
}

static int fill_ours(const struct peft_adapter *a, const struct tensor *t, float *to)
{
    const char *name = strrchr(t->name, '/') + 1;
    char bare[64];
    if (a->type == PEFT_TYPE_VERA && t->block < 0)
        return fill(a, t, !strcmp(name, "a0") ? &a->vera_a : &a->vera_b, to);
    const enum peft_place named = place_of(a, name, bare, sizeof bare);
    const struct pair *pair = find_pair(a, bare);
    if (!pair)
        return 0; /* what starts as it should: AdaLoRA's masks and averages */
    const enum peft_place place = pair->place < 0 ? named : (enum peft_place)pair->place;
    const struct peft_tensor *from = peft_at(a, t->block, place, pair->leaf);
    if (!from->data && a->type == PEFT_TYPE_IA3)
        return 0; /* gains of one */
    if (!from->data)
        return fail(ERR_INPUT, "%s: nothing in it stands for %s", a->folder, t->name);
    return fill(a, t, from, to);
}

int peft_fill(struct peft_adapter *a, const struct method *method, float *const *values)
{
    size_t count;
    const struct tensor *tensors = method_tensors(method, &count);
    if (a->type == PEFT_TYPE_LOKR)
        TRY(whole_factors(a));
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].owner >= 0)
            TRY(fill_ours(a, &tensors[i], values[i]));
        else if (a->head_weight.data && !strcmp(tensors[i].name, "head.weight"))
            TRY(fill(a, &tensors[i], &a->head_weight, values[i]));
        else if (a->head_bias.data && !strcmp(tensors[i].name, "head.bias"))
            TRY(fill(a, &tensors[i], &a->head_bias, values[i]));
    }
    return 0;
}
