/* load.c - a ViT from a file of weights in any format of formats.c, or a sentence why not.
 * Every tensor is checked against the file before any memory for weights is asked for. */
#include "import.h"

#include "error.h"
#include "memory.h"
#include "resample.h"
#include "vit_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <vitro/method.h>

enum { ABOUT_TEXT = 256 };

/* part of a name, what kind of model has it; asked of names that the file's format does not explain */
static const struct {
    const char *part, *family;
} families[] = {
    {"dist_token", "a distilled DeiT has a second class token"},
    {"distillation_token", "a distilled DeiT has a second class token"},
    {"head_dist", "a distilled DeiT has a second head"},
    {".gamma_", "its branches are scaled (LayerScale, as in BEiT and CaiT)"},
    {"fc_norm.", "it averages the patch tokens (as MAE fine-tuned or BEiT) instead of a class token"},
    {"attn_pool", "it pools by attention (as SigLIP and CoCa)"},
    {"pre_logits.", "it has a hidden layer before the head (as the original ImageNet-21k heads)"},
    {"q_norm.", "its queries and keys are normalised"},
    {"k_norm.", "its queries and keys are normalised"},
    {"relative_position", "it has relative positions (as BEiT and Swin)"},
    {"rel_pos", "it has relative positions (as BEiT and SAM)"},
    {"mlp.fc1_g", "its MLP is gated (SwiGLU)"},
    {"mlp.w12", "its MLP is gated (SwiGLU, as DINOv2's giant)"},
    {"mlp.weights_in", "its MLP is gated (SwiGLU, as DINOv2's giant)"},
    {"decoder", "it is a masked autoencoder with its decoder"},
    {"layers.0.", "it is a Swin or another hierarchical model"},
    {"stages.", "it is a convolutional or hierarchical model"},
    {"embeddings.", "it has Hugging Face's names, but not those of a ViT, a CLIP or a DINOv2"},
    {"encoder.layers.encoder_layer", "it has torchvision's names; timm's are needed"},
    {"conv_proj.", "it has torchvision's names; timm's are needed"},
    {"visual.", "it has OpenAI's CLIP names, but not those of a CLIP's ViT"},
    {"lora_", "it holds a LoRA, not a ViT"},
    {"module.", "it was saved from a parallel wrapper; take \"module.\" off its names"},
};

/* The first tensor of another family explains the others, too. */
static int refuse_extra(const struct import *in)
{
    const char *name;
    for (size_t at = 0; (name = weights_extra(&in->weights, &at));)
        for (size_t k = 0; k < sizeof families / sizeof *families; k++)
            if (strstr(name, families[k].part))
                return fail(ERR_INPUT, "%s: %.*s is not part of a plain ViT: %s", in->path, NAME_SHOWN, name,
                            families[k].family);
    size_t first = 0;
    name = weights_extra(&in->weights, &first);
    return !name ? 0
                 : fail(ERR_INPUT,
                        "%s: %.*s is not part of such a ViT (%s), and would be left out without effect; take "
                        "it out "
                        "of the file if that is right",
                        in->path, NAME_SHOWN, name, in->weights.format->name);
}

/* --- the tensors */

/* "norm1.weight" of "blocks.3.norm1.weight" */
static const char *suffix_of(const struct vit_tensor *t)
{
    return t->block < 0 ? t->name : strchr(t->name + sizeof "blocks." - 1, '.') + 1;
}

/* As the file has it: with registers the class token's position may be there. */
static struct shape shape_in_file(const struct import *in, const struct vit_tensor *t)
{
    struct shape s = t->shape;
    if (in->fold && t->site == VITRO_AT_TOKENS && t->part == VITRO_WEIGHT)
        s.dim[1]++;
    return s;
}

static int check_tensor(struct import *in, const struct vit_shape *s, const struct vit_tensor *t)
{
    struct weight_parts p;
    char about[ABOUT_TEXT];
    weights_find(&in->weights, suffix_of(t), t->block, &p);
    if (!p.count)
        return import_missing(in, &p, t->name);
    if (shape_in_file(in, t).dim[0] % p.count)
        return fail(ERR_INPUT, "%s: tensor %s cannot be put together from %d parts", in->path, t->name,
                    p.count);
    snprintf(about, sizeof about,
             " in a ViT of width %d (patch_embed.proj.weight), MLP width %d (blocks.0.mlp.fc1.weight), %d "
             "blocks and "
             "%d classes (head.weight)",
             s->dim, s->hidden, s->depth, s->classes);
    return weights_check(&in->weights, &p, shape_in_file(in, t), s->heads, about);
}

/* The file has the tensors of a ViT of shape `s`, all of them, and nothing else. */
static int check_tensors(struct import *in, const struct vit_shape *s, int new_head)
{
    struct vit *outline = NULL;
    int rc = vit_outline(&outline, s);
    if (rc < 0)
        return fail_in(rc, "%s", in->path);
    for (size_t i = 0; i < outline->count && !rc; i++) {
        const struct vit_tensor *t = &outline->tensors[i];
        struct weight_parts p;
        if (new_head && t->site == VITRO_AT_HEAD && t->part != VIT_PROJECTION)
            weights_find(&in->weights, suffix_of(t), t->block, &p); /* known, but of any shape */
        else
            rc = check_tensor(in, s, t);
    }
    if (!rc)
        rc = refuse_extra(in);
    vit_destroy(outline);
    return rc;
}

static int read_tensor(struct import *in, const struct vit_tensor *t, float *out)
{
    struct weight_parts p;
    weights_find(&in->weights, suffix_of(t), t->block, &p);
    return weights_read(&in->weights, &p, shape_in_file(in, t), out);
}

/* Of the file's grid to the model's; with registers the class token takes its own position. */
static int read_positions(struct import *in, const struct vit_shape *from, struct vit *m,
                          const struct vit_tensor *t)
{
    const int32_t dim = from->dim, own = !vit_has(from, VIT_GRID_POSITIONS);
    float *positions = mem_alloc((size_t)(vit_positions(from) + in->fold) * (size_t)dim, sizeof *positions);
    if (!positions)
        return ERR_MEMORY;
    struct vit_tensor as_it_was = *t; /* the shape of the file's grid */
    as_it_was.shape.dim[1] = vit_positions(from);
    int rc = read_tensor(in, &as_it_was, positions);
    const float *grid = positions + (in->fold ? dim : 0);
    if (rc == 0 && m->shape.image == from->image)
        memcpy(t->data, grid, (size_t)shape_count(t->shape) * sizeof(float));
    else if (rc == 0)
        rc = resample_positions(in->weights.format->resampling, grid, vit_grid(from), t->data,
                                vit_grid(&m->shape), own, dim);
    float *token = vit_find(m, VITRO_AT_TOKENS, VITRO_BIAS, -1)->data;
    for (int32_t i = 0; i < dim && rc == 0 && in->fold; i++)
        token[i] += positions[i];
    mem_free(positions);
    return rc;
}

/* The class token stands before the positions in the list. */
static int read_weights(struct import *in, const struct vit_shape *from, int new_head, struct vit *m)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct vit_tensor *t = &m->tensors[i];
        if (t->site == VITRO_AT_HEAD && t->part != VIT_PROJECTION && new_head)
            continue;
        if (t->site == VITRO_AT_TOKENS && t->part == VITRO_WEIGHT)
            TRY(read_positions(in, from, m, t));
        else
            TRY(read_tensor(in, t, t->data));
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
    const int new_head = want->classes != 0;
    TRY(import_shape(in, want, &from));
    TRY(check_tensors(in, &from, new_head));
    struct vit_shape to = from;
    if (want->image)
        to.image = want->image;
    if (new_head) {
        to.classes = want->classes;
        to.features &= ~(uint32_t)VIT_UNIT_FEATURES; /* the old head's wish */
    }
    int rc = vit_create(out, &to);
    if (rc < 0)
        return fail_in(rc, "%s", in->path);
    (*out)->format = in->weights.format->name;
    snprintf((*out)->normalise, sizeof(*out)->normalise, "%s",
             in->config.normalise[0]         ? in->config.normalise
             : in->weights.format->normalise ? in->weights.format->normalise
             : vit_has(&from, VIT_NORM_PRE)  ? "clip"
                                             : "");
    return read_weights(in, &from, new_head, *out);
}

/* Takes the open file. */
static int import_take(struct vit **out, struct import *in, const struct vit_import *want)
{
    static const struct vit_import as_it_is;
    int rc = import(out, in, want ? want : &as_it_is);
    if (rc == 0)
        rc = tensor_file_hash(in->weights.file, (*out)->source_hash);
    weights_close(&in->weights);
    if (rc < 0) {
        vit_destroy(*out);
        *out = NULL;
    }
    return rc;
}

int vit_load(struct vit **out, const char *path, const struct vit_import *want)
{
    struct import in = {.path = path};
    *out = NULL;
    TRY(model_config_read(&in.config, path));
    TRY(weights_open(&in.weights, path));
    return import_take(out, &in, want);
}

int vit_load_bytes(struct vit **out, const void *bytes, size_t size, const char *what,
                   const struct vit_import *want)
{
    struct import in = {.path = what};
    *out = NULL;
    TRY(weights_view(&in.weights, bytes, size, what));
    return import_take(out, &in, want);
}
