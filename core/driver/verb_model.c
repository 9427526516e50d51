/* verb_model.c - `vitro model FILE`: what a file of weights is. */
#include "driver.h"
#include "model.h"
#include "model_source.h"
#include "table.h"

#include <stddef.h>

static const struct column card[] = {{"model", "model", FORM_TEXT},
                                     {"image", "image side", FORM_WHOLE},
                                     {"patch", "patch side", FORM_WHOLE},
                                     {"dim", "width", FORM_WHOLE},
                                     {"depth", "blocks", FORM_WHOLE},
                                     {"heads", "heads", FORM_WHOLE},
                                     {"hidden", "MLP width", FORM_WHOLE},
                                     {"classes", "classes", FORM_WHOLE},
                                     {"parameters", "parameters", FORM_WHOLE},
                                     {"head", "of these the head", FORM_WHOLE},
                                     {"sha256", "SHA-256", FORM_TEXT},
                                     {0}};

static int describe(struct json *document, const struct vit *m, const char *name)
{
    const struct vit_shape *v = &m->shape;
    int64_t all = 0;
    for (size_t i = 0; i < m->count; i++)
        all += shape_count(m->tensors[i].shape);
    TRY(json_set_string(document, "model", name));
    TRY(json_set_integer(document, "image", v->image));
    TRY(json_set_integer(document, "patch", v->patch));
    TRY(json_set_integer(document, "dim", v->dim));
    TRY(json_set_integer(document, "depth", v->depth));
    TRY(json_set_integer(document, "heads", v->heads));
    TRY(json_set_integer(document, "hidden", v->hidden));
    TRY(json_set_integer(document, "classes", v->classes));
    TRY(json_set_integer(document, "parameters", all));
    TRY(json_set_integer(document, "head", (int64_t)v->classes * (v->dim + 1)));
    return json_set_string(document, "sha256", m->source_hash);
}

static int run(const struct settings *s)
{
    struct settings with = *s;
    struct vit *model = NULL;
    struct json *document = json_object();
    int rc;
    with.model = s->rest_count ? s->rest[0] : s->model;
    TRY_OUT(open_model(&model, &with, s->image, 0));
    TRY_OUT(describe(document, model, with.model ? with.model : bundled_name));
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
    {0}};
static const struct argument_group group = {"Model", rows};
static const struct argument_group *const groups[] = {&group, &group_json, &group_general, NULL};
const struct verb verb_model = {
    .name = "model",
    .summary = "what a file of weights is",
    .synopsis = "[FILE] [--json]",
    .about =
        "Reads a plain ViT from a safetensors file with timm's names, checks every tensor, and prints its "
        "shape. Without a file it describes the bundled model.",
    .examples = {"vitro model vit_tiny_patch16_224.safetensors", "vitro model bundled --json"},
    .groups = groups,
    .rest_most = 1,
    .rest_name = "FILE",
    .run = run,
};
