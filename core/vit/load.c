/* load.c - a ViT from a file of weights in any format of formats.c, or a sentence why not.
 * Every tensor is checked against the file before any memory for weights is asked for. */
#include "model.h"

#include "config.h"
#include "error.h"
#include "memory.h"
#include "resample.h"
#include "vit_private.h"
#include "weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vitro/method.h>

enum { HEAD_WIDTH = 64, NAME_SHOWN = 120, ABOUT_TEXT = 256 };

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

/* Widths whose heads are not 64 wide: of ViT-H, -g and -G. */
static const struct {
    int32_t dim, heads;
} wide_heads[] = {{1280, 16}, {1408, 16}, {1664, 16}};

struct import {
    struct weights weights;
    struct model_config config;
    const char *path;
    int headless; /* no head in the file */
    int fold;     /* the class token's position goes into the token: with registers */
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

static int missing(const struct import *in, const struct weight_parts *p, const char *ours)
{
    return fail(ERR_INPUT, "%s: tensor %s is missing", in->path, p->missing[0] ? p->missing : ours);
}

/* The one tensor behind ours, which must be there with that rank (0: any). */
static int find_one(struct import *in, const char *ours, int32_t block, size_t rank,
                    const struct tensor_entry **out)
{
    struct weight_parts p;
    char text[SAFETENSORS_TEXT];
    weights_find(&in->weights, ours, block, &p);
    if (!p.count)
        return missing(in, &p, ours);
    *out = p.part[0];
    for (size_t i = 0; i < (*out)->rank; i++)
        if ((rank && (*out)->rank != rank) || (*out)->dim[i] < 1 || (*out)->dim[i] > INT32_MAX)
            return fail(ERR_INPUT, "%s: tensor %s is %s; %zu axes from 1 on are expected", in->path,
                        (*out)->name, tensor_entry_text(*out, text), rank);
    return (*out)->rank && (*out)->count <= INT32_MAX
               ? 0
               : fail(ERR_INPUT, "%s: tensor %s is %s, which cannot be", in->path, (*out)->name,
                      tensor_entry_text(*out, text));
}

static int is_there(struct import *in, const char *ours, int32_t block)
{
    struct weight_parts p;
    weights_find(&in->weights, ours, block, &p);
    return p.count > 0;
}

/* One more than the highest block, as long as there are as many tensors as blocks. */
static int32_t count_blocks(struct import *in)
{
    const size_t count = tensor_file_count(in->weights.file);
    int32_t depth = 0;
    static const char *const parts[] = {"norm1.weight", "norm1.bias", "attn.proj.weight", "norm2.weight"};
    for (int more = 1; more && (size_t)depth < count;) {
        more = 0;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
            more |= is_there(in, parts[i], depth);
        depth += more;
    }
    return depth;
}

/* Of the class token and of the patches: a wrong one would make all the other tensors look wrong. */
static int infer_width(struct import *in, struct vit_shape *s)
{
    const struct tensor_entry *token, *patches;
    TRY(find_one(in, "cls_token", -1, 0, &token));
    TRY(find_one(in, "patch_embed.proj.weight", -1, 4, &patches));
    const int image = weight_row(in->weights.format, "patch_embed.proj.weight") &&
                      weight_row(in->weights.format, "patch_embed.proj.weight")->form == FORM_IMAGE;
    s->dim = (int32_t)patches->dim[image ? 3 : 0];
    s->patch = (int32_t)patches->dim[image ? 0 : 3];
    if (token->dim[token->rank - 1] != s->dim)
        return fail(ERR_INPUT, "%s: the width is %lld by %s and %d by %s", in->path,
                    (long long)token->dim[token->rank - 1], token->name, s->dim, patches->name);
    return 0;
}

/* The positions' number, or less one for the class token, is a square. */
static int infer_image(struct import *in, struct vit_shape *s)
{
    const struct tensor_entry *positions;
    char text[SAFETENSORS_TEXT];
    TRY(find_one(in, "pos_embed", -1, 0, &positions));
    const size_t axis = positions->rank > 1 ? positions->rank - 2 : 0;
    const int32_t rows = (int32_t)positions->dim[axis];
    if (positions->rank < 2 || (size_t)rows * (size_t)s->dim != positions->count)
        return fail(ERR_INPUT, "%s: tensor %s is %s; [1 %d %d] is needed in a ViT of width %d", in->path,
                    positions->name, tensor_entry_text(positions, text), rows, s->dim, s->dim);
    int32_t grid = (int32_t)lrint(sqrt((double)rows - 1)), whole = (int32_t)lrint(sqrt((double)rows));
    const int with_class = grid >= 1 && (int64_t)grid * grid + 1 == rows;
    if (!with_class && (int64_t)whole * whole != rows)
        return fail(ERR_INPUT,
                    "%s: %s has %d positions; a class token and a square grid of patches are "
                    "needed, such as 197",
                    in->path, positions->name, rows);
    if (!with_class)
        grid = whole;
    if ((int64_t)grid * s->patch > INT32_MAX)
        return fail(ERR_INPUT, "%s: %d patches of %d pixels a side make too large an image", in->path, grid,
                    s->patch);
    s->image = grid * s->patch;
    s->features |= with_class ? 0 : VIT_GRID_POSITIONS;
    return 0;
}

/* What goes beyond a plain ViT, by the tensors that only it has. */
static int infer_features(struct import *in, struct vit_shape *s)
{
    const struct tensor_entry *found;
    if (is_there(in, "norm_pre.weight", -1) || is_there(in, "norm_pre.bias", -1))
        s->features |= VIT_NORM_PRE;
    if (vit_has(s, VIT_NORM_PRE) && !is_there(in, "patch_embed.proj.bias", -1))
        s->features |= VIT_NO_PATCH_BIAS;
    if (is_there(in, "ls1.gamma", 0) || is_there(in, "ls2.gamma", 0))
        s->features |= VIT_LAYER_SCALE;
    if (is_there(in, "reg_token", -1)) {
        TRY(find_one(in, "reg_token", -1, 3, &found));
        s->registers = (int32_t)found->dim[1];
        in->fold = !vit_has(s, VIT_GRID_POSITIONS);
        s->features |= VIT_GRID_POSITIONS;
    }
    if (is_there(in, "proj.weight", -1)) {
        TRY(find_one(in, "proj.weight", -1, 2, &found));
        s->projection = (int32_t)(found->count / (size_t)s->dim);
    }
    return 0;
}

/* By the caller, the file, the folder or the width: in that order. */
static int infer_heads(struct import *in, int32_t wanted, struct vit_shape *s)
{
    const char *noted = tensor_file_metadata(in->weights.file, "heads");
    struct weight_parts query;
    weights_find(&in->weights, "attn.qkv.weight", 0, &query);
    if (wanted) {
        s->heads = wanted;
    } else if (noted) {
        char *end;
        long heads = strtol(noted, &end, 10);
        if (*end || heads < 1 || heads > INT32_MAX)
            return fail(ERR_INPUT, "%s: the metadata says heads = \"%.*s\", which is no number from 1 on",
                        in->path, NAME_SHOWN, noted);
        s->heads = (int32_t)heads;
    } else if (in->config.heads) {
        s->heads = in->config.heads;
    } else if (query.form == FORM_QUERY && query.count && query.part[0]->rank == 3 &&
               query.part[0]->dim[1] > 0 && query.part[0]->dim[1] <= INT32_MAX) {
        s->heads = (int32_t)query.part[0]->dim[1];
    } else if (s->dim % HEAD_WIDTH) {
        return fail(ERR_INPUT,
                    "%s: the number of heads is not known, as the width %d is no multiple of %d and the "
                    "metadata has no \"heads\"; say it",
                    in->path, s->dim, HEAD_WIDTH);
    } else {
        s->heads = s->dim / HEAD_WIDTH;
        for (size_t i = 0; i < sizeof wide_heads / sizeof *wide_heads; i++)
            if (s->dim == wide_heads[i].dim)
                s->heads = wide_heads[i].heads;
    }
    return 0;
}

/* CLIP's files do not say which of two activations their weights were trained with, but for what OpenAI's alone
 * hold: the sizes that its program asks for. */
static int infer_activation(struct import *in, const struct vit_import *want, struct vit_shape *s)
{
    const char *noted = tensor_file_metadata(in->weights.file, "act");
    enum activation act = in->weights.format->activation;
    if (act == ACTIVATION_GELU && vit_has(s, VIT_NORM_PRE))
        act = ACTIVATION_UNKNOWN;
    if (act == ACTIVATION_UNKNOWN && tensor_file_find(in->weights.file, "input_resolution") &&
        tensor_file_find(in->weights.file, "context_length"))
        act = ACTIVATION_QUICK_GELU;
    if (in->config.activation)
        act = in->config.activation;
    if (noted) {
        if (strcmp(noted, "gelu") != 0 && strcmp(noted, "gelu_erf") != 0 && strcmp(noted, "quick_gelu") != 0)
            return fail(ERR_INPUT,
                        "%s: the metadata says act = \"%.*s\"; a ViT here has the exact GELU (gelu_erf) or "
                        "quick_gelu",
                        in->path, NAME_SHOWN, noted);
        act = strcmp(noted, "quick_gelu") == 0 ? ACTIVATION_QUICK_GELU : ACTIVATION_GELU;
    }
    if (want->activation)
        act = want->activation == VIT_ACTIVATION_QUICK_GELU ? ACTIVATION_QUICK_GELU : ACTIVATION_GELU;
    if (act == ACTIVATION_UNKNOWN)
        return fail(ERR_INPUT,
                    "%s does not say its activation: OpenAI's CLIP has quick_gelu, most models of open_clip "
                    "have gelu; "
                    "say which with --act",
                    in->path);
    s->features |= act == ACTIVATION_QUICK_GELU ? VIT_QUICK_GELU : 0;
    return 0;
}

/* Metadata that changes the arithmetic must not be passed over. */
static int read_notes(const struct import *in, struct vit_shape *s)
{
    const char *eps = tensor_file_metadata(in->weights.file, "norm_eps"),
               *unit = tensor_file_metadata(in->weights.file, "unit_features");
    s->eps = in->config.eps > 0 ? in->config.eps : in->weights.format->eps;
    if (in->config.eps <= 0 && vit_has(s, VIT_NORM_PRE))
        s->eps = 1e-5f; /* as all of CLIP's */
    if (eps) {
        char *end;
        s->eps = strtof(eps, &end);
        if (end == eps || *end)
            return fail(ERR_INPUT, "%s: the metadata says norm_eps = \"%.*s\", which is no number", in->path,
                        NAME_SHOWN, eps);
    }
    if (unit && strcmp(unit, "1") != 0)
        return fail(ERR_INPUT, "%s: the metadata says unit_features = \"%.*s\"; only 1 is known", in->path,
                    NAME_SHOWN, unit);
    s->features |= unit ? VIT_UNIT_FEATURES : 0;
    return 0;
}

/* Of a linear layer's weight, which some formats keep transposed. */
static int32_t outputs(const struct import *in, const char *row_name, const struct tensor_entry *e)
{
    const struct weight_row *row = weight_row(in->weights.format, row_name);
    return (int32_t)e->dim[row && row->form == FORM_LINEAR ? 1 : 0];
}

static int infer_head(struct import *in, const struct vit_import *want, struct vit_shape *s)
{
    const struct tensor_entry *found;
    in->headless = !is_there(in, "head.weight", -1) && !is_there(in, "head.bias", -1);
    if (in->headless && !want->classes && !want->headless)
        return fail(ERR_INPUT, "%s has no head; say how many classes a new one shall have", in->path);
    s->classes = 0;
    if (!in->headless) {
        TRY(find_one(in, "head.weight", -1, 2, &found));
        s->classes = outputs(in, "head.weight", found);
    }
    return 0;
}

static int infer_shape(struct import *in, const struct vit_import *want, struct vit_shape *s)
{
    const struct tensor_entry *found;
    TRY(infer_head(in, want, s));
    TRY(infer_width(in, s));
    TRY(infer_image(in, s));
    TRY(infer_features(in, s));
    s->depth = count_blocks(in);
    TRY(find_one(in, "mlp.fc1.weight", 0, 2, &found));
    s->hidden = outputs(in, "blocks.#.mlp.fc1.weight", found);
    TRY(infer_heads(in, want->heads, s));
    TRY(infer_activation(in, want, s));
    return read_notes(in, s);
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
        return missing(in, &p, t->name);
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
    TRY(infer_shape(in, want, &from));
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
