/* formats.c - the tables. See formats.h. */
#include "formats.h"

#include <string.h>

#define ROWS(array) .rows = (array), .row_count = sizeof(array) / sizeof *(array)

/* --- timm, and what shares its names */

static const struct weight_row timm_rows[] = {
    {"reg_token", "reg_token|register_tokens", FORM_SAME},
};

/* --- Google's: big_vision numbers the parts of a block anew and has the positions elsewhere */

#define GOOGLE_BLOCK "Transformer/encoderblock_#/"
#define GOOGLE_ROWS(ATTENTION, MLP, NORM2, POSITIONS)                                                 \
    {"cls_token", "cls", FORM_SAME}, {"pos_embed", POSITIONS, FORM_SAME},                             \
        {"patch_embed.proj.weight", "embedding/kernel", FORM_IMAGE},                                  \
        {"patch_embed.proj.bias", "embedding/bias", FORM_SAME},                                       \
        {"blocks.#.norm1.weight", GOOGLE_BLOCK "LayerNorm_0/scale", FORM_SAME},                       \
        {"blocks.#.norm1.bias", GOOGLE_BLOCK "LayerNorm_0/bias", FORM_SAME},                          \
        {"blocks.#.attn.qkv.weight", GOOGLE_BLOCK ATTENTION "/{query,key,value}/kernel", FORM_QUERY}, \
        {"blocks.#.attn.qkv.bias", GOOGLE_BLOCK ATTENTION "/{query,key,value}/bias", FORM_VECTORS},   \
        {"blocks.#.attn.proj.weight", GOOGLE_BLOCK ATTENTION "/out/kernel", FORM_OUT},                \
        {"blocks.#.attn.proj.bias", GOOGLE_BLOCK ATTENTION "/out/bias", FORM_SAME},                   \
        {"blocks.#.norm2.weight", GOOGLE_BLOCK NORM2 "/scale", FORM_SAME},                            \
        {"blocks.#.norm2.bias", GOOGLE_BLOCK NORM2 "/bias", FORM_SAME},                               \
        {"blocks.#.mlp.fc1.weight", GOOGLE_BLOCK MLP "/Dense_0/kernel", FORM_LINEAR},                 \
        {"blocks.#.mlp.fc1.bias", GOOGLE_BLOCK MLP "/Dense_0/bias", FORM_SAME},                       \
        {"blocks.#.mlp.fc2.weight", GOOGLE_BLOCK MLP "/Dense_1/kernel", FORM_LINEAR},                 \
        {"blocks.#.mlp.fc2.bias", GOOGLE_BLOCK MLP "/Dense_1/bias", FORM_SAME},                       \
        {"norm.weight", "Transformer/encoder_norm/scale", FORM_SAME},                                 \
        {"norm.bias", "Transformer/encoder_norm/bias", FORM_SAME},                                    \
        {"head.weight", "head/kernel", FORM_LINEAR}, {"head.bias", "head/bias", FORM_SAME},
static const struct weight_row google_rows[] = {GOOGLE_ROWS("MultiHeadDotProductAttention_1", "MlpBlock_3",
                                                            "LayerNorm_2",
                                                            "Transformer/posembed_input/pos_embedding")};
static const struct weight_row big_vision_rows[] = {
    GOOGLE_ROWS("MultiHeadDotProductAttention_0", "MlpBlock_0", "LayerNorm_1",
                "Transformer/posembed_input/pos_embedding|pos_embedding")};

/* --- Hugging Face */

#define HF_EMBEDDINGS                                                                            \
    {"cls_token", "embeddings.cls_token", FORM_SAME},                                            \
        {"pos_embed", "embeddings.position_embeddings", FORM_SAME},                              \
        {"patch_embed.proj.weight", "embeddings.patch_embeddings.projection.weight", FORM_SAME}, \
        {"patch_embed.proj.bias", "embeddings.patch_embeddings.projection.bias", FORM_SAME},
#define HF_BLOCK "encoder.layer.#."
#define HF_ATTENTION                                                                                  \
    {"blocks.#.attn.qkv.weight", HF_BLOCK "attention.attention.{query,key,value}.weight", FORM_SAME}, \
        {"blocks.#.attn.qkv.bias", HF_BLOCK "attention.attention.{query,key,value}.bias", FORM_SAME}, \
        {"blocks.#.attn.proj.weight", HF_BLOCK "attention.output.dense.weight", FORM_SAME},           \
        {"blocks.#.attn.proj.bias", HF_BLOCK "attention.output.dense.bias", FORM_SAME},
#define HF_END                                                                                  \
    {"norm.weight", "layernorm.weight", FORM_SAME}, {"norm.bias", "layernorm.bias", FORM_SAME}, \
        {"head.weight", "/classifier.weight", FORM_SAME}, {"head.bias", "/classifier.bias", FORM_SAME},

static const struct weight_row hf_vit_rows[] = {
    HF_EMBEDDINGS HF_ATTENTION{"blocks.#.norm1.weight", HF_BLOCK "layernorm_before.weight", FORM_SAME},
    {"blocks.#.norm1.bias", HF_BLOCK "layernorm_before.bias", FORM_SAME},
    {"blocks.#.norm2.weight", HF_BLOCK "layernorm_after.weight", FORM_SAME},
    {"blocks.#.norm2.bias", HF_BLOCK "layernorm_after.bias", FORM_SAME},
    {"blocks.#.mlp.fc1.weight", HF_BLOCK "intermediate.dense.weight", FORM_SAME},
    {"blocks.#.mlp.fc1.bias", HF_BLOCK "intermediate.dense.bias", FORM_SAME},
    {"blocks.#.mlp.fc2.weight", HF_BLOCK "output.dense.weight", FORM_SAME},
    {"blocks.#.mlp.fc2.bias", HF_BLOCK "output.dense.bias", FORM_SAME},
    HF_END};

static const struct weight_row hf_dinov2_rows[] = {
    HF_EMBEDDINGS{"reg_token", "embeddings.register_tokens", FORM_SAME},
    HF_ATTENTION{"blocks.#.norm1.weight", HF_BLOCK "norm1.weight", FORM_SAME},
    {"blocks.#.norm1.bias", HF_BLOCK "norm1.bias", FORM_SAME},
    {"blocks.#.norm2.weight", HF_BLOCK "norm2.weight", FORM_SAME},
    {"blocks.#.norm2.bias", HF_BLOCK "norm2.bias", FORM_SAME},
    {"blocks.#.ls1.gamma", HF_BLOCK "layer_scale1.lambda1", FORM_SAME},
    {"blocks.#.ls2.gamma", HF_BLOCK "layer_scale2.lambda1", FORM_SAME},
    {"blocks.#.mlp.fc1.weight", HF_BLOCK "mlp.fc1.weight", FORM_SAME},
    {"blocks.#.mlp.fc1.bias", HF_BLOCK "mlp.fc1.bias", FORM_SAME},
    {"blocks.#.mlp.fc2.weight", HF_BLOCK "mlp.fc2.weight", FORM_SAME},
    {"blocks.#.mlp.fc2.bias", HF_BLOCK "mlp.fc2.bias", FORM_SAME},
    HF_END};

#define HF_CLIP "vision_model."
#define HF_CLIP_BLOCK HF_CLIP "encoder.layers.#."
static const struct weight_row hf_clip_rows[] = {
    {"cls_token", HF_CLIP "embeddings.class_embedding", FORM_LOOSE},
    {"pos_embed", HF_CLIP "embeddings.position_embedding.weight", FORM_LOOSE},
    {"patch_embed.proj.weight", HF_CLIP "embeddings.patch_embedding.weight", FORM_SAME},
    {"norm_pre.weight", HF_CLIP "pre_layrnorm.weight", FORM_SAME}, /* so spelt in the files */
    {"norm_pre.bias", HF_CLIP "pre_layrnorm.bias", FORM_SAME},
    {"blocks.#.norm1.weight", HF_CLIP_BLOCK "layer_norm1.weight", FORM_SAME},
    {"blocks.#.norm1.bias", HF_CLIP_BLOCK "layer_norm1.bias", FORM_SAME},
    {"blocks.#.attn.qkv.weight", HF_CLIP_BLOCK "self_attn.{q_proj,k_proj,v_proj}.weight", FORM_SAME},
    {"blocks.#.attn.qkv.bias", HF_CLIP_BLOCK "self_attn.{q_proj,k_proj,v_proj}.bias", FORM_SAME},
    {"blocks.#.attn.proj.weight", HF_CLIP_BLOCK "self_attn.out_proj.weight", FORM_SAME},
    {"blocks.#.attn.proj.bias", HF_CLIP_BLOCK "self_attn.out_proj.bias", FORM_SAME},
    {"blocks.#.norm2.weight", HF_CLIP_BLOCK "layer_norm2.weight", FORM_SAME},
    {"blocks.#.norm2.bias", HF_CLIP_BLOCK "layer_norm2.bias", FORM_SAME},
    {"blocks.#.mlp.fc1.weight", HF_CLIP_BLOCK "mlp.fc1.weight", FORM_SAME},
    {"blocks.#.mlp.fc1.bias", HF_CLIP_BLOCK "mlp.fc1.bias", FORM_SAME},
    {"blocks.#.mlp.fc2.weight", HF_CLIP_BLOCK "mlp.fc2.weight", FORM_SAME},
    {"blocks.#.mlp.fc2.bias", HF_CLIP_BLOCK "mlp.fc2.bias", FORM_SAME},
    {"norm.weight", HF_CLIP "post_layernorm.weight", FORM_SAME},
    {"norm.bias", HF_CLIP "post_layernorm.bias", FORM_SAME},
    {"proj.weight", "visual_projection.weight", FORM_SAME},
};

/* --- OpenAI's CLIP and open_clip */

#define CLIP_BLOCK "transformer.resblocks.#."
static const struct weight_row clip_rows[] = {
    {"cls_token", "class_embedding", FORM_LOOSE},
    {"pos_embed", "positional_embedding", FORM_LOOSE},
    {"patch_embed.proj.weight", "conv1.weight", FORM_SAME},
    {"norm_pre.weight", "ln_pre.weight", FORM_SAME},
    {"norm_pre.bias", "ln_pre.bias", FORM_SAME},
    {"blocks.#.norm1.weight", CLIP_BLOCK "ln_1.weight", FORM_SAME},
    {"blocks.#.norm1.bias", CLIP_BLOCK "ln_1.bias", FORM_SAME},
    {"blocks.#.attn.qkv.weight", CLIP_BLOCK "attn.in_proj_weight", FORM_SAME},
    {"blocks.#.attn.qkv.bias", CLIP_BLOCK "attn.in_proj_bias", FORM_SAME},
    {"blocks.#.attn.proj.weight", CLIP_BLOCK "attn.out_proj.weight", FORM_SAME},
    {"blocks.#.attn.proj.bias", CLIP_BLOCK "attn.out_proj.bias", FORM_SAME},
    {"blocks.#.ls1.gamma", CLIP_BLOCK "ls_1.gamma", FORM_SAME},
    {"blocks.#.norm2.weight", CLIP_BLOCK "ln_2.weight", FORM_SAME},
    {"blocks.#.norm2.bias", CLIP_BLOCK "ln_2.bias", FORM_SAME},
    {"blocks.#.mlp.fc1.weight", CLIP_BLOCK "mlp.c_fc.weight", FORM_SAME},
    {"blocks.#.mlp.fc1.bias", CLIP_BLOCK "mlp.c_fc.bias", FORM_SAME},
    {"blocks.#.mlp.fc2.weight", CLIP_BLOCK "mlp.c_proj.weight", FORM_SAME},
    {"blocks.#.mlp.fc2.bias", CLIP_BLOCK "mlp.c_proj.bias", FORM_SAME},
    {"blocks.#.ls2.gamma", CLIP_BLOCK "ls_2.gamma", FORM_SAME},
    {"norm.weight", "ln_post.weight", FORM_SAME},
    {"norm.bias", "ln_post.bias", FORM_SAME},
    {"proj.weight", "proj", FORM_LINEAR},
};

static const char *const no_prefix[] = {"", NULL}, *const google_prefixes[] = {"", "opt/target/", "params/",
                                                                               "params/img/", NULL};
static const char *const vit_prefixes[] = {"", "vit.", NULL},
                         *const dinov2_prefixes[] = {"", "dinov2.", "dinov2_with_registers.", NULL},
                         *const clip_prefixes[] = {"visual.", "", NULL};
static const char *const nothing[] = {NULL};
static const char *const pre_logits[] = {"pre_logits/kernel", "pre_logits/bias", "opt/state*", "params/t",
                                         "params/b",          "params/txt/*",    NULL};
static const char *const hf_vit_ignored[] = {
    "pooler.*", "*.pooler.dense.weight", "*.pooler.dense.bias", "decoder.*", "mask_token", "*.mask_token",
    NULL};
static const char *const hf_dinov2_ignored[] = {"embeddings.mask_token", "*.embeddings.mask_token", NULL};
static const char *const hf_clip_ignored[] = {"*position_ids", "text_model.*", "text_projection.weight",
                                              "logit_scale", NULL};
static const char *const clip_ignored[] = {"transformer.*",
                                           "token_embedding.weight",
                                           "positional_embedding",
                                           "ln_final.*",
                                           "text_projection",
                                           "logit_scale",
                                           "logit_bias",
                                           "attn_mask",
                                           "input_resolution",
                                           "context_length",
                                           "vocab_size",
                                           "text.*",
                                           NULL};
static const char *const mae_ignored[] = {"mask_token", "decoder_*", NULL};
static const char *const mask_token[] = {"mask_token", NULL};

const struct weight_format weight_formats[] = {
    {.name = "CLIP, OpenAI's or open_clip's names",
     .signature = {"class_embedding", "conv1.weight", "transformer.resblocks.0.ln_1.weight"},
     .prefixes = clip_prefixes,
     ROWS(clip_rows),
     .ignored = clip_ignored,
     .eps = 1e-5f,
     .activation = ACTIVATION_UNKNOWN,
     .resampling = RESAMPLE_ANTIALIAS,
     .normalise = "clip"},
    {.name = "CLIP, Hugging Face's names",
     .signature = {"vision_model.embeddings.class_embedding"},
     .prefixes = no_prefix,
     ROWS(hf_clip_rows),
     .ignored = hf_clip_ignored,
     .eps = 1e-5f,
     .activation = ACTIVATION_QUICK_GELU,
     .resampling = RESAMPLE_CUBIC,
     .normalise = "clip"},
    {.name = "DINOv2 with registers, Hugging Face's names",
     .signature = {"embeddings.register_tokens", "encoder.layer.0.layer_scale1.lambda1"},
     .prefixes = dinov2_prefixes,
     ROWS(hf_dinov2_rows),
     .ignored = hf_dinov2_ignored,
     .eps = 1e-6f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_ANTIALIAS,
     .normalise = "imagenet"},
    {.name = "DINOv2, Hugging Face's names",
     .signature = {"encoder.layer.0.layer_scale1.lambda1"},
     .prefixes = dinov2_prefixes,
     ROWS(hf_dinov2_rows),
     .ignored = hf_dinov2_ignored,
     .eps = 1e-6f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_CUBIC,
     .normalise = "imagenet"},
    {.name = "ViT, Hugging Face's names",
     .signature = {"encoder.layer.0.layernorm_before.weight"},
     .prefixes = vit_prefixes,
     ROWS(hf_vit_rows),
     .ignored = hf_vit_ignored,
     .eps = 1e-12f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_CUBIC,
     .normalise = "half"},
    {.name = "ViT, Google's names",
     .signature = {"embedding/kernel", "Transformer/encoderblock_0/MlpBlock_3/Dense_0/kernel"},
     .prefixes = google_prefixes,
     ROWS(google_rows),
     .ignored = pre_logits,
     .eps = 1e-6f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_ANTIALIAS,
     .normalise = "half"},
    {.name = "ViT, big_vision's names",
     .signature = {"embedding/kernel", "Transformer/encoderblock_0/MlpBlock_0/Dense_0/kernel"},
     .prefixes = google_prefixes,
     ROWS(big_vision_rows),
     .ignored = pre_logits,
     .eps = 1e-6f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_ANTIALIAS,
     .normalise = "half"},
    {.name = "MAE",
     .signature = {"decoder_embed.weight", "blocks.0.norm1.weight"},
     .prefixes = no_prefix,
     ROWS(timm_rows),
     .same_names = 1,
     .ignored = mae_ignored,
     .eps = 1e-6f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_CUBIC,
     .normalise = "imagenet"},
    {.name = "DINOv2 with registers",
     .signature = {"register_tokens", "blocks.0.ls1.gamma"},
     .prefixes = no_prefix,
     ROWS(timm_rows),
     .same_names = 1,
     .ignored = mask_token,
     .eps = 1e-6f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_ANTIALIAS,
     .normalise = "imagenet"},
    {.name = "DINOv2",
     .signature = {"mask_token", "blocks.0.ls1.gamma"},
     .prefixes = no_prefix,
     ROWS(timm_rows),
     .same_names = 1,
     .ignored = mask_token,
     .eps = 1e-6f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_TENTH,
     .normalise = "imagenet"},
    {.name = "timm", /* the last: also what a file that is none of these is compared with */
     .signature = {"patch_embed.proj.weight"},
     .prefixes = no_prefix,
     ROWS(timm_rows),
     .same_names = 1,
     .ignored = nothing,
     .eps = 1e-6f,
     .activation = ACTIVATION_GELU,
     .resampling = RESAMPLE_ANTIALIAS},
    {0}};

const struct weight_row *weight_row(const struct weight_format *f, const char *ours)
{
    for (size_t i = 0; i < f->row_count; i++)
        if (strcmp(f->rows[i].ours, ours) == 0)
            return &f->rows[i];
    return NULL;
}
