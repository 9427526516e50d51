/* load.c - a plain ViT from a safetensors file with timm's names, or a sentence why not.
 * Every tensor is checked against the file before any memory for weights is asked for. */
#include "model.h"

#include "error.h"
#include "hash.h"
#include "memory.h"
#include "resample.h"
#include "safetensors.h"
#include "vit_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <vitro/method.h>

enum { HEAD_WIDTH = 64, NAME_SHOWN = 120 };

/* part of a name, what kind of model has it */
static const struct {
    const char *part, *family;
} families[] = {
    {"dist_token", "a distilled DeiT has a second class token"},
    {"head_dist", "a distilled DeiT has a second head"},
    {"reg_token", "it has register tokens (as DINOv2 with registers)"},
    {"register_tokens", "it has register tokens (as DINOv2 with registers)"},
    {".ls1.", "its branches are scaled (LayerScale, as in DINOv2 and DeiT III)"},
    {".ls2.", "its branches are scaled (LayerScale, as in DINOv2 and DeiT III)"},
    {".gamma_", "its branches are scaled (LayerScale, as in BEiT and CaiT)"},
    {"norm_pre.", "it has a norm before the first block (as CLIP)"},
    {"fc_norm.", "it averages the patch tokens (as MAE fine-tuned or BEiT) instead of a class token"},
    {"attn_pool.", "it pools by attention (as SigLIP)"},
    {"pre_logits.", "it has a hidden layer before the head (as the original ImageNet-21k heads)"},
    {"q_norm.", "its queries and keys are normalised"},
    {"k_norm.", "its queries and keys are normalised"},
    {"relative_position", "it has relative positions (as BEiT and Swin)"},
    {"rel_pos", "it has relative positions (as BEiT and SAM)"},
    {"mlp.fc1_g", "its MLP is gated (SwiGLU)"},
    {"mlp.w12", "its MLP is gated (SwiGLU)"},
    {"mask_token", "it is a model in pre-training or DINOv2"},
    {"decoder", "it is a masked autoencoder with its decoder"},
    {"layers.0.", "it is a Swin or another hierarchical model, or one with Hugging Face's names"},
    {"stages.", "it is a convolutional or hierarchical model"},
    {"embeddings.", "it has Hugging Face's names; timm's are needed"},
    {"encoder.layer", "it has Hugging Face's or torchvision's names; timm's are needed"},
    {"resblocks.", "it has OpenAI's CLIP names; timm's are needed"},
    {"visual.", "it has OpenAI's CLIP names; timm's are needed"},
    {"conv_proj.", "it has torchvision's names; timm's are needed"},
    {"lora_", "it holds a LoRA, not a ViT"},
    {"module.", "it was saved from a parallel wrapper; take \"module.\" off its names"},
};

struct import {
    const struct safetensors *file;
    const char *path;
    int headless; /* no head in the file */
};

static const char *family_of(const char *name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strstr(name, families[i].part))
            return families[i].family;
    return NULL;
}

static int refuse_families(const struct import *in)
{
    for (size_t i = 0; i < safetensors_count(in->file); i++) {
        const char *name = safetensors_at(in->file, i)->name, *family = family_of(name);
        if (family)
            return fail(ERR_INPUT, "%s: %.*s is not part of a plain ViT: %s", in->path, NAME_SHOWN, name,
                        family);
    }
    return 0;
}

/* The axis of a tensor that must be there with that rank. */
static int read_axis(const struct import *in, const char *name, size_t rank, size_t axis, int32_t *out)
{
    const struct safetensors_entry *e = safetensors_find(in->file, name);
    char text[SAFETENSORS_TEXT];
    if (!e)
        return fail(ERR_INPUT, "%s: tensor %s is missing", in->path, name);
    if (e->rank != rank || e->dim[axis] < 1 || e->dim[axis] > INT32_MAX)
        return fail(ERR_INPUT, "%s: tensor %s is %s; %zu axes from 1 on are expected", in->path, name,
                    safetensors_shape_text(e, text), rank);
    *out = (int32_t)e->dim[axis];
    return 0;
}

/* One more than the highest block, as long as there are as many tensors as blocks. */
static int32_t count_blocks(const struct import *in)
{
    static const char prefix[] = "blocks.";
    const size_t length = sizeof prefix - 1, count = safetensors_count(in->file);
    unsigned long depth = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = safetensors_at(in->file, i)->name;
        if (strncmp(name, prefix, length) != 0 || name[length] < '0' || name[length] > '9')
            continue;
        unsigned long block = strtoul(name + length, NULL, 10);
        if (block >= depth && block < count)
            depth = block + 1;
    }
    return depth < INT32_MAX ? (int32_t)depth : INT32_MAX;
}

/* Of the class token and of the patches: a wrong one would make all the other tensors look wrong. */
static int infer_width(const struct import *in, struct vit_shape *s)
{
    int32_t width;
    TRY(read_axis(in, "cls_token", 3, 2, &width));
    TRY(read_axis(in, "patch_embed.proj.weight", 4, 0, &s->dim));
    if (width != s->dim)
        return fail(ERR_INPUT, "%s: the width is %d by cls_token and %d by patch_embed.proj.weight", in->path,
                    width, s->dim);
    return 0;
}

/* Class token and a square grid: the positions' number less one is a square. */
static int infer_image(const struct import *in, struct vit_shape *s)
{
    int32_t tokens;
    TRY(read_axis(in, "pos_embed", 3, 1, &tokens));
    int32_t grid = (int32_t)lrint(sqrt((double)tokens - 1));
    if (grid < 1 || (int64_t)grid * grid + 1 != tokens)
        return fail(ERR_INPUT,
                    "%s: pos_embed has %d positions; a class token and a square grid of patches are "
                    "needed, such as 197",
                    in->path, tokens);
    if ((int64_t)grid * s->patch > INT32_MAX)
        return fail(ERR_INPUT, "%s: %d patches of %d pixels a side make too large an image", in->path, grid,
                    s->patch);
    s->image = grid * s->patch;
    return 0;
}

static int infer_heads(const struct import *in, int32_t wanted, struct vit_shape *s)
{
    const char *noted = safetensors_metadata(in->file, "heads");
    if (wanted) {
        s->heads = wanted;
    } else if (noted) {
        char *end;
        long heads = strtol(noted, &end, 10);
        if (*end || heads < 1 || heads > INT32_MAX)
            return fail(ERR_INPUT, "%s: the metadata says heads = \"%.*s\", which is no number from 1 on",
                        in->path, NAME_SHOWN, noted);
        s->heads = (int32_t)heads;
    } else if (s->dim % HEAD_WIDTH) {
        return fail(ERR_INPUT,
                    "%s: the number of heads is not known, as the width %d is no multiple of %d and the "
                    "metadata has no \"heads\"; say it",
                    in->path, s->dim, HEAD_WIDTH);
    } else {
        s->heads = s->dim / HEAD_WIDTH;
    }
    return 0;
}

/* Metadata that changes the arithmetic must not be passed over. */
static int read_notes(const struct import *in, struct vit_shape *s)
{
    const char *act = safetensors_metadata(in->file, "act"),
               *eps = safetensors_metadata(in->file, "norm_eps");
    if (act && strcmp(act, "gelu") != 0 && strcmp(act, "gelu_erf") != 0)
        return fail(ERR_INPUT,
                    "%s: the metadata says act = \"%.*s\"; a plain ViT has the exact GELU (gelu_erf)",
                    in->path, NAME_SHOWN, act);
    s->eps = 1e-6f;
    if (eps) {
        char *end;
        s->eps = strtof(eps, &end);
        if (end == eps || *end)
            return fail(ERR_INPUT, "%s: the metadata says norm_eps = \"%.*s\", which is no number", in->path,
                        NAME_SHOWN, eps);
    }
    return 0;
}

static int infer_shape(struct import *in, const struct vit_import *want, struct vit_shape *s)
{
    in->headless = !safetensors_find(in->file, "head.weight") && !safetensors_find(in->file, "head.bias");
    if (in->headless && !want->classes)
        return fail(ERR_INPUT, "%s has no head; say how many classes a new one shall have", in->path);
    TRY(infer_width(in, s));
    TRY(read_axis(in, "patch_embed.proj.weight", 4, 3, &s->patch));
    TRY(infer_image(in, s));
    s->depth = count_blocks(in);
    TRY(read_axis(in, "blocks.0.mlp.fc1.weight", 2, 0, &s->hidden));
    s->classes = 1;
    if (!in->headless)
        TRY(read_axis(in, "head.weight", 2, 0, &s->classes));
    TRY(infer_heads(in, want->heads, s));
    return read_notes(in, s);
}

static int same_shape(const struct safetensors_entry *e, struct shape shape)
{
    if (e->rank != (size_t)shape.rank)
        return 0;
    for (size_t i = 0; i < e->rank; i++)
        if (e->dim[i] != shape.dim[i])
            return 0;
    return 1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, for look-ups: pointers to the outline's names. */
static const char **sorted_names(const struct vit *m)
{
    const char **names = mem_alloc(m->count, sizeof *names);
    if (!names)
        return NULL;
    for (size_t i = 0; i < m->count; i++)
        names[i] = m->tensors[i].name;
    qsort(names, m->count, sizeof *names, compare_names);
    return names;
}

static int refuse_extra(const struct import *in, const struct vit *m)
{
    const char **names = sorted_names(m);
    if (!names)
        return ERR_MEMORY;
    int rc = 0;
    for (size_t i = 0; i < safetensors_count(in->file) && !rc; i++) {
        const char *name = safetensors_at(in->file, i)->name;
        if (!bsearch(&name, names, m->count, sizeof *names, compare_names))
            rc = fail(ERR_INPUT,
                      "%s: %.*s is not part of a plain ViT, and would be left out without effect; take "
                      "it out of the file if that is right",
                      in->path, NAME_SHOWN, name);
    }
    mem_free(names);
    return rc;
}

static int check_tensor(const struct import *in, const struct vit_shape *s, const struct vit_tensor *t)
{
    const struct safetensors_entry *e = safetensors_find(in->file, t->name);
    char is[SAFETENSORS_TEXT], needed[SHAPE_TEXT];
    if (!e)
        return fail(ERR_INPUT, "%s: tensor %s is missing", in->path, t->name);
    if (!same_shape(e, t->shape))
        return fail(ERR_INPUT,
                    "%s: tensor %s is %s; %s is needed in a ViT of width %d (patch_embed.proj.weight), "
                    "MLP width %d (blocks.0.mlp.fc1.weight), %d blocks and %d classes (head.weight)",
                    in->path, t->name, safetensors_shape_text(e, is), shape_text(t->shape, needed), s->dim,
                    s->hidden, s->depth, s->classes);
    if (e->type != SAFETENSORS_F32 && e->type != SAFETENSORS_F16 && e->type != SAFETENSORS_BF16 &&
        e->type != SAFETENSORS_F64)
        return fail(ERR_INPUT, "%s: tensor %s is of type %.32s; F32, F16, BF16 or F64 is needed", in->path,
                    t->name, e->dtype);
    return 0;
}

/* The file has the tensors of a ViT of shape `s`, all of them, and nothing else. */
static int check_tensors(const struct import *in, const struct vit_shape *s)
{
    struct vit *outline = NULL;
    int rc = vit_outline(&outline, s);
    if (rc < 0)
        return fail_in(rc, "%s", in->path);
    for (size_t i = 0; i < outline->count && !rc; i++)
        if (!in->headless || outline->tensors[i].site != VITRO_AT_HEAD)
            rc = check_tensor(in, s, &outline->tensors[i]);
    if (!rc)
        rc = refuse_extra(in, outline);
    vit_destroy(outline);
    return rc;
}

static int read_positions(const struct import *in, const struct vit_shape *from, const struct vit_shape *to,
                          float *out)
{
    float *positions = mem_alloc((size_t)vit_tokens(from) * (size_t)from->dim, sizeof *positions);
    if (!positions)
        return ERR_MEMORY;
    int rc = safetensors_read(in->file, safetensors_find(in->file, "pos_embed"), SAFETENSORS_F32, positions);
    if (!rc)
        rc = resample_positions(positions, vit_grid(from), out, vit_grid(to), to->dim);
    mem_free(positions);
    return rc;
}

static int read_weights(const struct import *in, const struct vit_shape *from, int new_head, struct vit *m)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct vit_tensor *t = &m->tensors[i];
        if (t->site == VITRO_AT_HEAD && new_head)
            continue;
        if (t->site == VITRO_AT_TOKENS && t->part == 1 && m->shape.image != from->image)
            TRY(read_positions(in, from, &m->shape, t->data));
        else
            TRY(safetensors_read(in->file, safetensors_find(in->file, t->name), SAFETENSORS_F32, t->data));
        for (int64_t j = 0; j < shape_count(t->shape); j++)
            if (!isfinite(t->data[j]))
                return fail(ERR_INPUT, "%s: tensor %s: element %lld is infinite or not a number", in->path,
                            t->name, (long long)j);
    }
    return 0;
}

static int import(struct vit **out, struct import *in, const struct vit_import *want)
{
    struct vit_shape from = {0};
    TRY(refuse_families(in));
    TRY(infer_shape(in, want, &from));
    TRY(check_tensors(in, &from));
    struct vit_shape to = from;
    if (want->image)
        to.image = want->image;
    if (want->classes)
        to.classes = want->classes;
    int rc = vit_create(out, &to);
    if (rc < 0)
        return fail_in(rc, "%s", in->path);
    return read_weights(in, &from, want->classes > 0, *out);
}

/* Takes the open file; NULL bytes: it is hashed by its path. */
static int import_take(struct vit **out, struct safetensors *file, const char *path, const void *bytes,
                       size_t size, const struct vit_import *want)
{
    static const struct vit_import as_it_is;
    struct import in = {.file = file, .path = path};
    int rc = import(out, &in, want ? want : &as_it_is);
    if (rc == 0)
        rc = bytes ? hash_bytes(bytes, size, (*out)->source_hash) : hash_file(path, (*out)->source_hash);
    safetensors_close(file);
    if (rc < 0) {
        vit_destroy(*out);
        *out = NULL;
    }
    return rc;
}

int vit_load(struct vit **out, const char *path, const struct vit_import *want)
{
    struct safetensors *file = NULL;
    *out = NULL;
    TRY(safetensors_open(&file, path));
    return import_take(out, file, path, NULL, 0, want);
}

int vit_load_bytes(struct vit **out, const void *bytes, size_t size, const char *what,
                   const struct vit_import *want)
{
    struct safetensors *file = NULL;
    *out = NULL;
    TRY(safetensors_view(&file, bytes, size, what));
    return import_take(out, file, what, bytes, size, want);
}
