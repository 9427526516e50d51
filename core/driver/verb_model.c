/* verb_model.c - `vitro model FILE`: what a file of weights is. */
#include "driver.h"
#include "model.h"
#include "model_source.h"
#include "table.h"

#include <stddef.h>
#include <stdio.h>

static const struct column card[] = {{"model", "model", FORM_TEXT},
                                     {"format", "names of", FORM_TEXT},
                                     {"image", "image side", FORM_WHOLE},
                                     {"patch", "patch side", FORM_WHOLE},
                                     {"dim", "width", FORM_WHOLE},
                                     {"depth", "blocks", FORM_WHOLE},
                                     {"heads", "heads", FORM_WHOLE},
                                     {"hidden", "MLP width", FORM_WHOLE},
                                     {"classes", "classes", FORM_WHOLE},
                                     {"registers", "registers", FORM_WHOLE},
                                     {"projection", "projection to", FORM_WHOLE},
                                     {"norm_eps", "eps of norms", FORM_TEXT},
                                     {"act", "activation", FORM_TEXT},
                                     {"features", "beyond a plain ViT", FORM_TEXT},
                                     {"normalise", "pixels", FORM_TEXT},
                                     {"tensors", "tensors", FORM_WHOLE},
                                     {"parameters", "parameters", FORM_WHOLE},
                                     {"head", "of these the head", FORM_WHOLE},
                                     {"sha256", "SHA-256", FORM_TEXT},
                                     {0}};

/* "norm_pre, quick_gelu", or "nothing" */
static const char *features_text(const struct vit_shape *v, char *text, size_t room)
{
#define X(id, name, what) name,
    static const char *const names[] = {VIT_FEATURES(X)};
#undef X
    size_t n = (size_t)snprintf(text, room, "%s", v->features ? "" : "nothing");
    for (int i = 0; i < VIT_FEATURE_COUNT; i++)
        if (v->features >> i & 1)
            n += (size_t)snprintf(text + n, room - n, "%s%s", n ? ", " : "", names[i]);
    return text;
}

/* What the file's and the format's images were normalised with; Google's AugReg and timm's own differ. */
static int describe_rest(struct json *document, const struct vit *m)
{
    const struct vit_shape *v = &m->shape;
    char text[256];
    TRY(json_set_integer(document, "registers", v->registers));
    TRY(json_set_integer(document, "projection", v->projection));
    TRY(json_set_string(document, "norm_eps", float_text(v->eps, text)));
    TRY(json_set_string(document, "act", vit_activation(v)));
    TRY(json_set_string(document, "features", features_text(v, text, sizeof text)));
    TRY(json_set_string(document, "normalise",
                        m->normalise[0]
                            ? m->normalise
                            : "not said (half for AugReg's, imagenet for DeiT's, DINO's and MAE's)"));
    return json_set_integer(document, "tensors", (int64_t)m->count);
}

static int describe(struct json *document, const struct vit *m, const char *name)
{
    const struct vit_shape *v = &m->shape;
    int64_t all = 0;
    for (size_t i = 0; i < m->count; i++)
        all += shape_count(m->tensors[i].shape);
    TRY(json_set_string(document, "model", name));
    TRY(json_set_string(document, "format", m->format));
    TRY(json_set_integer(document, "image", v->image));
    TRY(json_set_integer(document, "patch", v->patch));
    TRY(json_set_integer(document, "dim", v->dim));
    TRY(json_set_integer(document, "depth", v->depth));
    TRY(json_set_integer(document, "heads", v->heads));
    TRY(json_set_integer(document, "hidden", v->hidden));
    TRY(json_set_integer(document, "classes", v->classes));
    TRY(json_set_integer(document, "parameters", all));
    TRY(json_set_integer(document, "head", (int64_t)v->classes * (vit_features(v) + 1)));
    TRY(describe_rest(document, m));
    return json_set_string(document, "sha256", m->source_hash);
}

static int run(const struct settings *s)
{
    struct settings with = *s;
    struct vit *model = NULL;
    struct json *document = json_object();
    int rc;
    with.model = s->rest_count ? s->rest[0] : s->model;
    TRY_OUT(open_model_as_it_is(&model, &with, s->image));
    TRY_OUT(describe(document, model, with.model ? with.model : bundled_name));
    if (s->save)
        TRY_OUT(vit_save(model, s->save, 0));
    if (s->json)
        rc = json_print(document);
    else
        table_print_card(document, card);
out:
    vit_destroy(model);
    json_destroy(document);
    return rc;
}

static const struct argument rows[] = {
    {"heads", 0, ARGUMENT_WHOLE, offsetof(struct settings, heads), 0, 1024, NULL, "N",
     "attention heads, where the file does not say; 0 believes it, or else takes width / 64"},
    {"act", 0, ARGUMENT_CHOICE, offsetof(struct settings, act), 0, 0, vit_activations, "NAME",
     "the MLP's activation, where the file does not say"},
    {"image", 'i', ARGUMENT_WHOLE, offsetof(struct settings, image), 0, 1024, NULL, "SIZE",
     "image side that positions are resampled to; 0 keeps the model's own"},
    {"save", 0, ARGUMENT_TEXT, offsetof(struct settings, save), 0, 0, NULL, "FILE",
     "write it as one safetensors file with timm's names, which says all of this"},
    {0}};
static const struct argument_group group = {"Model", rows};
static const struct argument_group *const groups[] = {&group, &group_json, &group_general, NULL};
const struct verb verb_model = {
    .name = "model",
    .summary = "what a file of weights is",
    .synopsis = "[FILE|FOLDER] [--json] [--save FILE]",
    .about = "Reads a Vision Transformer, checks every tensor, and prints what it is. It knows the names of "
             "timm, Google's "
             ".npz, Hugging Face (ViT, CLIP, DINOv2; sharded too), OpenAI's CLIP and open_clip, DINOv2 and "
             "MAE, in "
             "safetensors, .npz or PyTorch's zip archives, from which nothing is executed (docs/weights.md). "
             "Without a file "
             "it describes the bundled model.",
    .examples = {"vitro model vit_tiny_patch16_224.safetensors",
                 "vitro model clip-vit-base-patch16 --act quick_gelu", "vitro model bundled --json"},
    .groups = groups,
    .rest_most = 1,
    .rest_name = "FILE",
    .run = run,
};
