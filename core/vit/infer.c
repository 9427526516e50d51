/* infer.c - the shape of the ViT in a file of weights, from its tensors and from what is noted beside them. */
#include "import.h"

#include "error.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_WIDTH = 64 };

/* Widths whose heads are not 64 wide: of ViT-H, -g and -G. */
static const struct {
    int32_t dim, heads;
} wide_heads[] = {{1280, 16}, {1408, 16}, {1664, 16}};

int import_missing(const struct import *in, const struct weight_parts *p, const char *ours)
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
        return import_missing(in, &p, ours);
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

int import_shape(struct import *in, const struct vit_import *want, struct vit_shape *s)
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
