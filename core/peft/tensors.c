/* tensors.c - adapter_model.safetensors: into an adapter in memory, every name and shape checked, and out of one. */
#include "adapter.h"

#include "error.h"
#include "tensor_file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct reading {
    struct peft_adapter *a;
    struct tensor_file *file;
    const char *path;
    unsigned char *used; /* one per tensor of the file */
};

/* --- whose names they are */

static const struct tensor_entry *look(const struct reading *r, const char *name)
{
    return tensor_file_find(r->file, name);
}

static enum peft_leaf leaf_of(const struct peft_type_info *type, int k)
{
    return (enum peft_leaf)((int)type->first + k);
}

static int is_there(const struct reading *r, int32_t block, enum peft_place place, enum peft_leaf leaf)
{
    char name[PEFT_NAME];
    return look(r, peft_tensor_name(r->a, block, place, leaf, name)) != NULL;
}

static size_t count_names(const struct reading *r, uint32_t *places)
{
    const struct peft_type_info *type = &peft_types[r->a->type];
    size_t found = 0;
    *places = 0;
    for (int32_t b = 0; b < r->a->vit->shape.depth; b++)
        for (int p = 0; p < PEFT_PLACE_COUNT; p++)
            for (int k = 0; peft_has_place(r->a->names, (enum peft_place)p) && k < type->count; k++)
                if (is_there(r, b, (enum peft_place)p, leaf_of(type, k))) {
                    *places |= 1u << p;
                    found++;
                }
    return found;
}

static int recognise(struct reading *r)
{
    struct peft_adapter *a = r->a;
    enum peft_names names = PEFT_NAMES_TIMM;
    const char *prefix = NULL;
    size_t most = 0;
    for (int n = 0; n < PEFT_NAMES_COUNT; n++)
        for (const char *const *p = peft_prefixes((enum peft_names)n); *p; p++) {
            a->names = (enum peft_names)n;
            a->prefix = *p;
            uint32_t places;
            const size_t found = count_names(r, &places);
            if (found > most) {
                most = found;
                a->places = places;
                names = a->names;
                prefix = *p;
            }
        }
    if (!prefix)
        return fail(
            ERR_INPUT,
            "%s: none of its %zu tensors is %s's of a layer as timm's ViT or Hugging Face's names them; "
            "the first is %s",
            r->path, tensor_file_count(r->file), peft_types[a->type].name,
            tensor_file_count(r->file) ? tensor_file_at(r->file, 0)->name : "not there");
    a->names = names;
    a->prefix = prefix;
    return 0;
}

/* --- one tensor */

static void mark(struct reading *r, const struct tensor_entry *e)
{
    r->used[e - tensor_file_at(r->file, 0)] = 1;
}

static int misshapen(const struct reading *r, const struct tensor_entry *e, struct shape wanted)
{
    char is[SAFETENSORS_TEXT], wants[SHAPE_TEXT];
    return fail(ERR_INPUT, "%s: %s has the shape %s; this adapter on this model wants %s", r->path, e->name,
                tensor_entry_text(e, is), shape_text(wanted, wants));
}

static int has_shape(const struct tensor_entry *e, struct shape s)
{
    int same = e->rank == (size_t)s.rank;
    for (int i = 0; same && i < s.rank; i++)
        same = e->dim[i] == s.dim[i];
    return same;
}

/* A missing one is refused by name. */
static int read_tensor(struct reading *r, const char *name, struct shape shape, struct peft_tensor *out)
{
    const struct tensor_entry *e = look(r, name);
    if (!e)
        return fail(ERR_INPUT, "%s: %s is missing", r->path, name);
    if (!has_shape(e, shape))
        return misshapen(r, e, shape);
    TRY(peft_make(r->a, out, shape));
    TRY(tensor_file_read(r->file, e, out->data));
    for (int64_t i = 0; i < shape_count(shape); i++)
        if (!isfinite(out->data[i]))
            return fail(ERR_INPUT, "%s: a number of %s is infinite or not a number", r->path, name);
    mark(r, e);
    return 0;
}

/* --- shapes */

/* The largest divisor up to the square root: how LoKr's factors are chosen where decompose_factor is -1. */
static int32_t divisor(int32_t n)
{
    int32_t best = 1;
    for (int32_t k = 1; k <= n / k; k++)
        best = n % k ? best : k;
    return best;
}

static struct shape lokr_shape(enum peft_leaf leaf, int32_t in, int32_t out, int32_t r)
{
    const int32_t a = divisor(out), b = out / a, c = divisor(in), d = in / c;
    switch (leaf) {
    case PEFT_LOKR_W1: return SHAPE(a, c);
    case PEFT_LOKR_W1_A: return SHAPE(a, r);
    case PEFT_LOKR_W1_B: return SHAPE(r, c);
    case PEFT_LOKR_W2: return SHAPE(b, d);
    case PEFT_LOKR_W2_A: return SHAPE(b, r);
    default: return SHAPE(r, d);
    }
}

static struct shape wanted_shape(const struct peft_adapter *a, enum peft_place place, enum peft_leaf leaf)
{
    const int32_t in = peft_inputs(&a->vit->shape, place), out = peft_outputs(&a->vit->shape, place);
    const int32_t n = a->block;
    switch (leaf) {
    case PEFT_LORA_A:
    case PEFT_HADA_W1_B:
    case PEFT_HADA_W2_B: return SHAPE(a->r, in);
    case PEFT_LORA_B:
    case PEFT_HADA_W1_A:
    case PEFT_HADA_W2_A: return SHAPE(out, a->r);
    case PEFT_MAGNITUDE:
    case PEFT_VERA_L: return SHAPE(out);
    case PEFT_VERA_D: return SHAPE(a->r);
    case PEFT_IA3_L: return place == PEFT_FC2 ? SHAPE(1, in) : SHAPE(out, 1);
    case PEFT_OFT_R: return SHAPE(a->shared ? 1 : in / n, n * (n - 1) / 2);
    case PEFT_BOFT_R: return SHAPE(a->factors, in / n, n, n);
    case PEFT_BOFT_S: return SHAPE(out, 1);
    default: return lokr_shape(leaf, in, out, a->r);
    }
}

enum { OFT_BLOCK_MAX = 64 }; /* as the plugin has it; larger ones end as misshapen */

/* OFT and BOFT say by their tensors how large the blocks are: peft adjusts what the configuration asks for. */
static int find_block(struct reading *r, const struct tensor_entry *e, int32_t in)
{
    struct peft_adapter *a = r->a;
    if (a->type == PEFT_TYPE_OFT && !a->block) {
        int32_t n = 2;
        while (e->rank == 2 && n < OFT_BLOCK_MAX && n * (n - 1) / 2 < e->dim[1])
            n++;
        a->block = n;
    } else if (a->type == PEFT_TYPE_BOFT && !a->block) { /* 1: misshapen, which is said */
        const int whole = e->rank == 4;
        a->block = whole && e->dim[2] >= 1 && e->dim[2] <= in ? (int32_t)e->dim[2] : 1;
        a->factors = whole && e->dim[0] >= 1 && e->dim[0] <= in ? (int32_t)e->dim[0] : 1;
    }
    if ((a->type == PEFT_TYPE_OFT || a->type == PEFT_TYPE_BOFT) && in % a->block)
        return fail(ERR_INPUT, "%s: %s stands for blocks of %d channels, which do not divide the layer's %d",
                    r->path, e->name, a->block, in);
    return 0;
}

/* One block of rotations for all. */
static int repeat_block(struct peft_adapter *a, struct peft_tensor *t, int32_t blocks)
{
    const struct peft_tensor one = *t;
    const int32_t size = one.shape.dim[1];
    TRY(peft_make(a, t, SHAPE(blocks, size)));
    for (int32_t i = 0; i < blocks; i++)
        memcpy(t->data + (int64_t)i * size, one.data, (size_t)size * sizeof(float));
    return 0;
}

/* AdaLoRA saves the directions that are left of r; the others are put back as zeros. */
static int read_svd(struct reading *r, const struct tensor_entry *e, enum peft_place place,
                    enum peft_leaf leaf, struct peft_tensor *out)
{
    struct peft_adapter *a = r->a;
    const int32_t in = peft_inputs(&a->vit->shape, place), rows = peft_outputs(&a->vit->shape, place);
    const int across = leaf == PEFT_SVD_B;
    const int64_t k = e->rank == 2 ? e->dim[across] : -1;
    const int32_t left = k >= 0 && k <= a->r ? (int32_t)k : a->r;
    const struct shape shape = across ? SHAPE(rows, left) : SHAPE(left, leaf == PEFT_SVD_E ? 1 : in);
    struct peft_tensor kept = {0};
    if (left == 0 && has_shape(e, shape))
        mark(r, e);
    else
        TRY(read_tensor(r, e->name, shape, &kept));
    TRY(peft_make(a, out, across ? SHAPE(rows, a->r) : SHAPE(a->r, shape.dim[1])));
    if (kept.data && !across)
        memcpy(out->data, kept.data, (size_t)shape_count(shape) * sizeof(float));
    for (int32_t i = 0; kept.data && across && i < rows; i++)
        memcpy(out->data + (int64_t)i * a->r, kept.data + (int64_t)i * left, (size_t)left * sizeof(float));
    return 0;
}

/* --- all of them */

static int read_leaf(struct reading *r, int32_t block, enum peft_place place, enum peft_leaf leaf)
{
    struct peft_adapter *a = r->a;
    struct peft_tensor *t = peft_at(a, block, place, leaf);
    char name[PEFT_NAME];
    const struct tensor_entry *e = look(r, peft_tensor_name(a, block, place, leaf, name));
    if (!e)
        return fail(ERR_INPUT, "%s: %s is missing", r->path, name);
    TRY(find_block(r, e, peft_inputs(&a->vit->shape, place)));
    if (a->type == PEFT_TYPE_ADALORA)
        return read_svd(r, e, place, leaf, t);
    TRY(read_tensor(r, name, wanted_shape(a, place, leaf), t));
    for (int32_t i = 0; leaf == PEFT_MAGNITUDE && i < t->shape.dim[0]; i++)
        t->data[i] = (float)((double)t->data[i] - peft_row_norm(a->vit, block, place, i));
    if (leaf == PEFT_OFT_R && a->shared)
        return repeat_block(a, t, peft_inputs(&a->vit->shape, place) / a->block);
    return 0;
}

/* What a layer needs: LoKr's factors are whole or products. */
static int is_needed(const struct reading *r, int32_t block, enum peft_place place, enum peft_leaf leaf)
{
    switch (leaf) {
    case PEFT_MAGNITUDE: return r->a->dora;
    case PEFT_LOKR_W1: return !is_there(r, block, place, PEFT_LOKR_W1_A);
    case PEFT_LOKR_W1_A:
    case PEFT_LOKR_W1_B: return !is_there(r, block, place, PEFT_LOKR_W1);
    case PEFT_LOKR_W2: return !is_there(r, block, place, PEFT_LOKR_W2_A);
    case PEFT_LOKR_W2_A:
    case PEFT_LOKR_W2_B: return !is_there(r, block, place, PEFT_LOKR_W2);
    default: return 1;
    }
}

static int read_blocks(struct reading *r)
{
    struct peft_adapter *a = r->a;
    const struct peft_type_info *type = &peft_types[a->type];
    for (int32_t b = 0; b < a->vit->shape.depth; b++)
        for (int p = 0; p < PEFT_PLACE_COUNT; p++)
            for (int k = 0; a->places >> p & 1 && k < type->count; k++) {
                const enum peft_leaf leaf = leaf_of(type, k);
                if (is_needed(r, b, (enum peft_place)p, leaf))
                    TRY(read_leaf(r, b, (enum peft_place)p, leaf));
            }
    return 0;
}

static int32_t most_of(const struct peft_adapter *a, int32_t (*of)(const struct vit_shape *, enum peft_place))
{
    int32_t most = 0;
    for (int p = 0; p < PEFT_PLACE_COUNT; p++)
        if (a->places >> p & 1 && of(&a->vit->shape, (enum peft_place)p) > most)
            most = of(&a->vit->shape, (enum peft_place)p);
    return most;
}

static int read_vera(struct reading *r)
{
    struct peft_adapter *a = r->a;
    if (!look(r, "base_model.vera_A"))
        return fail(
            ERR_INPUT,
            "%s: VeRA's random projections base_model.vera_A and vera_B are missing, and PyTorch's random "
            "numbers are not drawn here; save the adapter with save_projection=True",
            r->path);
    TRY(read_tensor(r, "base_model.vera_A", SHAPE(a->r, most_of(a, peft_inputs)), &a->vera_a));
    return read_tensor(r, "base_model.vera_B", SHAPE(most_of(a, peft_outputs), a->r), &a->vera_b);
}

static int read_head(struct reading *r)
{
    struct peft_adapter *a = r->a;
    const struct vit_shape *s = &a->vit->shape;
    char weight[PEFT_NAME], bias[PEFT_NAME];
    snprintf(weight, sizeof weight, "base_model.model.%s.weight", peft_head_name(a->names));
    snprintf(bias, sizeof bias, "base_model.model.%s.bias", peft_head_name(a->names));
    if (!look(r, weight) && !look(r, bias))
        return 0;
    TRY(read_tensor(r, weight, SHAPE(s->classes, vit_features(s)), &a->head_weight));
    return read_tensor(r, bias, SHAPE(s->classes), &a->head_bias);
}

static int refuse_rest(const struct reading *r)
{
    for (size_t i = 0; i < tensor_file_count(r->file); i++)
        if (!r->used[i])
            return fail(ERR_INPUT, "%s: %s is left over: %s of a ViT with %d blocks has no such tensor",
                        r->path, tensor_file_at(r->file, i)->name, peft_types[r->a->type].name,
                        r->a->vit->shape.depth);
    return 0;
}

static int read_all(struct reading *r)
{
    TRY(recognise(r));
    TRY(read_blocks(r));
    if (r->a->type == PEFT_TYPE_VERA)
        TRY(read_vera(r));
    TRY(read_head(r));
    return refuse_rest(r);
}

int peft_tensors_read(struct peft_adapter *a, const char *path)
{
    struct reading r = {.a = a, .path = path};
    int rc;
    TRY_OUT(tensor_file_open(&r.file, path));
    r.used = mem_alloc(tensor_file_count(r.file) + 1, 1);
    rc = r.used ? 0 : ERR_MEMORY;
    TRY_OUT(rc);
    TRY_OUT(read_all(&r));
    TRY_OUT(tensor_file_hash(r.file, a->hash));
out:
    tensor_file_close(r.file);
    mem_free(r.used);
    return rc;
}

/* --- out */

struct writing {
    struct peft_adapter *a;
    struct safetensors_item *items;
    size_t count;
};

static int add(struct writing *w, const char *name, const struct peft_tensor *t)
{
    struct safetensors_item *item = &w->items[w->count++];
    *item = (struct safetensors_item){.name = arena_string(&w->a->arena, name),
                                      .type = SAFETENSORS_F32,
                                      .rank = t->shape.rank,
                                      .data = t->data};
    for (int i = 0; i < t->shape.rank; i++)
        item->dim[i] = t->shape.dim[i];
    return item->name ? 0 : ERR_MEMORY;
}

/* Magnitudes are whole again. */
static int add_leaf(struct writing *w, int32_t block, enum peft_place place, enum peft_leaf leaf)
{
    struct peft_adapter *a = w->a;
    struct peft_tensor t = *peft_at(a, block, place, leaf);
    char name[PEFT_NAME];
    if (!t.data)
        return 0;
    if (leaf == PEFT_MAGNITUDE) {
        const float *excess = t.data;
        TRY(peft_make(a, &t, t.shape));
        for (int32_t i = 0; i < t.shape.dim[0]; i++)
            t.data[i] = (float)((double)excess[i] + peft_row_norm(a->vit, block, place, i));
    }
    return add(w, peft_tensor_name(a, block, place, leaf, name), &t);
}

int peft_tensors_write(struct peft_adapter *a, const char *path)
{
    const int32_t depth = a->vit->shape.depth;
    struct writing w = {.a = a};
    char name[PEFT_NAME];
    w.items = arena_alloc(&a->arena, (size_t)depth * PEFT_PLACE_COUNT * PEFT_LEAF_COUNT + 4, sizeof *w.items);
    if (!w.items)
        return ERR_MEMORY;
    if (a->vera_a.data) {
        TRY(add(&w, "base_model.vera_A", &a->vera_a));
        TRY(add(&w, "base_model.vera_B", &a->vera_b));
    }
    for (int32_t b = 0; b < depth; b++)
        for (int p = 0; p < PEFT_PLACE_COUNT; p++)
            for (int leaf = 0; a->places >> p & 1 && leaf < PEFT_LEAF_COUNT; leaf++)
                TRY(add_leaf(&w, b, (enum peft_place)p, (enum peft_leaf)leaf));
    snprintf(name, sizeof name, "base_model.model.%s.weight", peft_head_name(a->names));
    TRY(add(&w, name, &a->head_weight));
    snprintf(name, sizeof name, "base_model.model.%s.bias", peft_head_name(a->names));
    TRY(add(&w, name, &a->head_bias));
    const struct safetensors_note note = {"format", "pt"};
    return safetensors_write(path, w.items, w.count, &note, 1);
}
