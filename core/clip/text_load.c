/* text_load.c - the text tower from a checkpoint, by either family's names. */
#include "text_private.h"

#include "error.h"
#include "memory.h"
#include "tensor_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_WIDTH = 64, NAME = 128 };

enum family { OPENAI, HUGGING_FACE, FAMILIES };

/* where each tensor is in OpenAI's (and open_clip's) files and in Hugging Face's; "#" is the block. Hugging Face
 * keeps queries, keys and values apart: "?" is q, k and v. `turned`: the file's is the transpose. */
static const struct {
    const char *name[FAMILIES];
    int turned[FAMILIES];
} rows[TEXT_PARTS] = {
    [TEXT_TOKENS] = {{"token_embedding.weight", "text_model.embeddings.token_embedding.weight"}, {0}},
    [TEXT_POSITIONS] = {{"positional_embedding", "text_model.embeddings.position_embedding.weight"}, {0}},
#define BLOCK(part, openai, hugging_face)                                                                \
    [TEXT_##part##_WEIGHT] = {{"transformer.resblocks.#." openai "weight",                               \
                               "text_model.encoder.layers.#." hugging_face ".weight"},                   \
                              {0}},                                                                      \
    [TEXT_##part##_BIAS] = {                                                                             \
        {"transformer.resblocks.#." openai "bias", "text_model.encoder.layers.#." hugging_face ".bias"}, \
        {0}},
    BLOCK(NORM1, "ln_1.", "layer_norm1") BLOCK(QKV, "attn.in_proj_", "self_attn.?_proj")
        BLOCK(PROJ, "attn.out_proj.", "self_attn.out_proj") BLOCK(NORM2, "ln_2.", "layer_norm2")
            BLOCK(FC1, "mlp.c_fc.", "mlp.fc1") BLOCK(FC2, "mlp.c_proj.", "mlp.fc2")
#undef BLOCK
                [TEXT_NORM_WEIGHT] = {{"ln_final.weight", "text_model.final_layer_norm.weight"}, {0}},
    [TEXT_NORM_BIAS] = {{"ln_final.bias", "text_model.final_layer_norm.bias"}, {0}},
    [TEXT_PROJECTION] = {{"text_projection", "text_projection.weight"}, {1, 0}},
};

struct import {
    struct tensor_file *file;
    const char *path;
    enum family family;
};

/* The row's name with the block's number and, if it has a "?", the letter. */
static void spell(char out[NAME], const char *row, int block, char letter)
{
    size_t n = 0;
    for (; *row && n + 12 < NAME; row++)
        if (*row == '#')
            n += (size_t)snprintf(out + n, NAME - n, "%d", block);
        else
            out[n++] = *row == '?' ? letter : *row;
    out[n] = 0;
}

static int find(const struct import *in, enum text_part part, int block, char letter, size_t rank,
                const struct tensor_entry **out)
{
    char name[NAME], is[SAFETENSORS_TEXT];
    spell(name, rows[part].name[in->family], block, letter);
    *out = tensor_file_find(in->file, name);
    if (!*out)
        return fail(ERR_INPUT, "%s: tensor %s is missing", in->path, name);
    if ((*out)->rank != rank)
        return fail(ERR_INPUT, "%s: tensor %s is %s; %zu axes are expected", in->path, name,
                    tensor_entry_text(*out, is), rank);
    for (size_t i = 0; i < rank; i++)
        if ((*out)->dim[i] < 1 || (*out)->dim[i] > INT32_MAX)
            return fail(ERR_INPUT, "%s: tensor %s has the impossible shape %s", in->path, name,
                        tensor_entry_text(*out, is));
    return 0;
}

static int has(const struct import *in, enum family family, enum text_part part)
{
    char name[NAME];
    spell(name, rows[part].name[family], 0, 'q');
    return tensor_file_find(in->file, name) != NULL;
}

static int recognise(struct import *in)
{
    for (int f = 0; f < FAMILIES; f++)
        if (has(in, (enum family)f, TEXT_TOKENS)) {
            in->family = (enum family)f;
            return 0;
        }
    return fail(
        ERR_INPUT,
        "%s holds no text tower of CLIP: neither %s nor %s is in it; give the file of the whole CLIP, not of "
        "its image tower",
        in->path, rows[TEXT_TOKENS].name[OPENAI], rows[TEXT_TOKENS].name[HUGGING_FACE]);
}

static int32_t count_blocks(const struct import *in)
{
    int32_t depth = 0;
    char name[NAME];
    do
        spell(name, rows[TEXT_NORM1_WEIGHT].name[in->family], depth++, 0);
    while (tensor_file_find(in->file, name));
    return depth - 1;
}

static int infer(const struct import *in, struct text_shape *s)
{
    const struct tensor_entry *tokens, *positions, *fc1, *projection;
    TRY(find(in, TEXT_TOKENS, -1, 0, 2, &tokens));
    TRY(find(in, TEXT_POSITIONS, -1, 0, 2, &positions));
    TRY(find(in, TEXT_FC1_WEIGHT, 0, 0, 2, &fc1));
    TRY(find(in, TEXT_PROJECTION, -1, 0, 2, &projection));
    *s = (struct text_shape){.vocabulary = (int32_t)tokens->dim[0],
                             .dim = (int32_t)tokens->dim[1],
                             .context = (int32_t)positions->dim[0],
                             .hidden = (int32_t)fc1->dim[0],
                             .projection = (int32_t)projection->dim[rows[TEXT_PROJECTION].turned[in->family]],
                             .depth = count_blocks(in),
                             .eps = 1e-5f};
    if (s->dim % HEAD_WIDTH)
        return fail(ERR_INPUT,
                    "%s: the text tower's width %d is no multiple of %d, so its heads are not known",
                    in->path, s->dim, HEAD_WIDTH);
    s->heads = s->dim / HEAD_WIDTH;
    return 0;
}

static int check(const struct import *in, const struct tensor_entry *e, struct shape shape, int turned)
{
    char is[SAFETENSORS_TEXT], needed[SHAPE_TEXT];
    int same = e->rank == (size_t)shape.rank;
    for (int i = 0; i < shape.rank && same; i++)
        same = e->dim[i] == shape.dim[turned ? shape.rank - 1 - i : i];
    return same ? 0
                : fail(ERR_INPUT, "%s: tensor %s is %s; %s%s is needed", in->path, e->name,
                       tensor_entry_text(e, is), shape_text(shape, needed), turned ? ", transposed," : "");
}

static int read_one(const struct import *in, const struct tensor_entry *e, struct shape shape, int turned,
                    float *out)
{
    TRY(check(in, e, shape, turned));
    TRY(tensor_file_read(in->file, e, out));
    for (size_t i = 0; i < e->count; i++)
        if (!isfinite(out[i]))
            return fail(ERR_INPUT, "%s: tensor %s: element %zu is infinite or not a number", in->path,
                        e->name, i);
    if (!turned)
        return 0;
    float *copy = mem_alloc(e->count, sizeof *copy);
    if (!copy)
        return ERR_MEMORY;
    memcpy(copy, out, e->count * sizeof *copy);
    const size_t r = (size_t)shape.dim[0], c = (size_t)shape.dim[1];
    for (size_t i = 0; i < r; i++)
        for (size_t k = 0; k < c; k++)
            out[i * c + k] = copy[k * r + i];
    mem_free(copy);
    return 0;
}

static int read_tensor(const struct import *in, struct text_tensor *t)
{
    const struct tensor_entry *e;
    const char *letters = strchr(rows[t->part].name[in->family], '?') ? "qkv" : " ";
    struct shape each = t->shape;
    each.dim[0] /= (int32_t)strlen(letters);
    for (size_t i = 0; letters[i]; i++) {
        TRY(find(in, t->part, t->block, letters[i], (size_t)each.rank, &e));
        TRY(read_one(in, e, each, rows[t->part].turned[in->family], t->data + i * (size_t)shape_count(each)));
    }
    return 0;
}

static int read_scale(const struct import *in, struct text_tower *t)
{
    float log_scale;
    const struct tensor_entry *e = tensor_file_find(in->file, "logit_scale");
    if (!e || e->count != 1)
        return fail(ERR_INPUT, "%s: logit_scale is missing or no single number", in->path);
    TRY(tensor_file_read(in->file, e, &log_scale));
    t->logit_scale = expf(log_scale);
    return isfinite(t->logit_scale) && t->logit_scale > 0
               ? 0
               : fail(ERR_INPUT, "%s: logit_scale is %g, whose exponential is no scale", in->path,
                      (double)log_scale);
}

static int import(struct text_tower **out, struct import *in, int quick_gelu)
{
    struct text_shape shape;
    TRY(recognise(in));
    TRY(infer(in, &shape));
    shape.quick_gelu = quick_gelu != 0;
    TRY(text_outline(out, &shape));
    TRY(text_allocate(*out));
    for (size_t i = 0; i < (*out)->count; i++)
        TRY(read_tensor(in, &(*out)->tensors[i]));
    return read_scale(in, *out);
}

int text_tower_load(struct text_tower **out, const char *path, int quick_gelu)
{
    struct tensor_file *file = NULL;
    *out = NULL;
    TRY(tensor_file_open(&file, path));
    struct import in = {.file = file, .path = path};
    int rc = import(out, &in, quick_gelu);
    tensor_file_close(file);
    if (rc < 0) {
        text_tower_destroy(*out);
        *out = NULL;
    }
    return rc;
}
