/* config.c - see config.h. */
#include "config.h"

#include "error.h"
#include "file.h"
#include "json.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* name, mean of the three channels, deviation */
static const struct {
    const char *name;
    double mean[3], deviation[3];
} normalisations[] = {
    {"half", {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
    {"imagenet", {0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
    {"clip", {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
    {"none", {0, 0, 0}, {1, 1, 1}},
};

/* What configurations call the activations; the others are not what this network computes. */
static const struct {
    const char *name;
    enum activation activation;
} activations[] = {
    {"gelu", ACTIVATION_GELU}, {"gelu_erf", ACTIVATION_GELU}, {"quick_gelu", ACTIVATION_QUICK_GELU}};

static int near_three(const struct json *array, const double wanted[3])
{
    int i = 0;
    for (const struct json *j = json_first(array); j; j = json_next(j), i++) {
        double number;
        if (i == 3 || json_number(j, &number) < 0 || fabs(number - wanted[i]) > 1e-4)
            return 0;
    }
    return i == 3;
}

static void read_normalise(struct model_config *c, const struct json *mean, const struct json *deviation)
{
    for (size_t i = 0; mean && deviation && i < sizeof normalisations / sizeof *normalisations; i++)
        if (near_three(mean, normalisations[i].mean) && near_three(deviation, normalisations[i].deviation))
            snprintf(c->normalise, sizeof c->normalise, "%s", normalisations[i].name);
}

/* Hugging Face's; of a whole CLIP the image tower's part. */
static int read_hugging_face(struct model_config *c, const struct json *j, const char *path)
{
    const struct json *vision = json_get(j, "vision_config"), *from = vision ? vision : j;
    const char *act = json_string(json_get(from, "hidden_act"));
    int64_t heads;
    double eps;
    if (json_get(from, "num_attention_heads")) {
        if (json_integer(json_get(from, "num_attention_heads"), &heads) < 0 || heads < 1 || heads > INT32_MAX)
            return fail(ERR_INPUT, "%s: num_attention_heads is no number from 1 on", path);
        c->heads = (int32_t)heads;
    }
    if (json_get(from, "layer_norm_eps")) {
        if (json_number(json_get(from, "layer_norm_eps"), &eps) < 0 || !(eps >= 0 && eps < 1))
            return fail(ERR_INPUT, "%s: layer_norm_eps does not lie between 0 and 1", path);
        c->eps = (float)eps;
    }
    for (size_t i = 0; act && i < sizeof activations / sizeof *activations; i++)
        if (strcmp(act, activations[i].name) == 0)
            c->activation = activations[i].activation;
    if (act && !c->activation)
        return fail(ERR_INPUT, "%s: hidden_act is \"%.40s\"; gelu and quick_gelu are computed here", path,
                    act);
    int swiglu = 0;
    if (json_bool(json_get(from, "use_swiglu_ffn"), &swiglu) == 0 && swiglu)
        return fail(ERR_INPUT, "%s: its MLP is gated (SwiGLU, as DINOv2's giant), which is not computed here",
                    path);
    return 0;
}

/* timm's: the architecture's name tells the activation of CLIP's models. */
static void read_timm(struct model_config *c, const struct json *j)
{
    const char *architecture = json_string(json_get(j, "architecture"));
    const struct json *pretrained = json_get(j, "pretrained_cfg");
    if (architecture && pretrained)
        c->activation = strstr(architecture, "quickgelu") ? ACTIVATION_QUICK_GELU : ACTIVATION_GELU;
    read_normalise(c, json_get(pretrained, "mean"), json_get(pretrained, "std"));
}

static int read_open_clip(struct model_config *c, const struct json *j, const char *path)
{
    const struct json *model = json_get(j, "model_cfg"), *vision = json_get(model, "vision_cfg"),
                      *images = json_get(j, "preprocess_cfg");
    int64_t width = 0, head = 0;
    int quick = 0;
    if (!json_is_object(vision))
        return fail(ERR_INPUT, "%s: model_cfg.vision_cfg is missing", path);
    (void)json_bool(json_get(model, "quick_gelu"), &quick); /* absent: false */
    c->activation = quick ? ACTIVATION_QUICK_GELU : ACTIVATION_GELU;
    if (json_get(vision, "head_width")) {
        if (json_integer(json_get(vision, "head_width"), &head) < 0 ||
            json_integer(json_get(vision, "width"), &width) < 0 || head < 1 || width < head || width % head ||
            width > INT32_MAX)
            return fail(ERR_INPUT, "%s: head_width does not divide width", path);
        c->heads = (int32_t)(width / head);
    }
    read_normalise(c, json_get(images, "mean"), json_get(images, "std"));
    return 0;
}

/* NULL in *out where there is no such file. */
static int read_json(struct json **out, const char *folder, const char *name, char path[PATH_MAX])
{
    *out = NULL;
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) >= PATH_MAX)
        return fail(ERR_INPUT, "the path %.120s is too long", folder);
    return file_exists(path) ? json_read_file(out, path) : 0;
}

int model_config_read(struct model_config *out, const char *folder)
{
    struct stat about;
    struct json *j = NULL;
    char path[PATH_MAX];
    *out = (struct model_config){0};
    if (stat(folder, &about) < 0 || !S_ISDIR(about.st_mode))
        return 0;
    TRY(read_json(&j, folder, "config.json", path));
    if (j) {
        read_timm(out, j);
        int rc = read_hugging_face(out, j, path);
        json_destroy(j);
        TRY(rc);
    }
    TRY(read_json(&j, folder, "open_clip_config.json", path));
    if (j) {
        int rc = read_open_clip(out, j, path);
        json_destroy(j);
        TRY(rc);
    }
    TRY(read_json(&j, folder, "preprocessor_config.json", path));
    if (j)
        read_normalise(out, json_get(j, "image_mean"), json_get(j, "image_std"));
    json_destroy(j);
    return 0;
}
