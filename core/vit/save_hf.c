/* save_hf.c - a ViT as a folder in Hugging Face's names. */
#include "error.h"
#include "file.h"
#include "json.h"
#include "memory.h"
#include "safetensors.h"
#include "weights.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char format_name[] = "ViT, Hugging Face's names";
enum { PATH_ROOM = 4096 };

static const struct weight_format *find_format(void)
{
    const struct weight_format *f = weight_formats;
    while (strcmp(f->name, format_name) != 0)
        f++;
    return f;
}

/* "blocks.3.norm1.weight" as its row is called */
static const struct weight_row *row_of(const struct weight_format *f, const struct vit_tensor *t)
{
    char ours[VIT_NAME + 8];
    const char *suffix = t->block < 0 ? NULL : strchr(t->name + strlen("blocks."), '.');
    snprintf(ours, sizeof ours, "%s%s", suffix ? "blocks.#" : "", suffix ? suffix : t->name);
    return weight_row(f, ours);
}

/* The tensor, or its parts along the first axis. */
static int add_tensor(const struct vit_tensor *t, const struct weight_format *f, struct arena *arena,
                      struct safetensors_item *items, size_t *count)
{
    const struct weights as = {.wrapper = "", .prefix = "vit."};
    const struct weight_row *row = row_of(f, t);
    char names[WEIGHT_PARTS][WEIGHT_NAME];
    if (!row || row->form != FORM_SAME)
        return fail(ERR_INPUT, "ViTForImageClassification has no tensor for %s", t->name);
    const int parts = weights_names(&as, row->theirs, strcspn(row->theirs, "|"), t->block, names);
    const int64_t numbers = shape_count(t->shape) / parts;
    for (int i = 0; i < parts; i++) {
        struct safetensors_item *item = &items[(*count)++];
        *item = (struct safetensors_item){.name = arena_string(arena, names[i]),
                                          .type = SAFETENSORS_F32,
                                          .rank = t->shape.rank,
                                          .data = t->data + i * numbers};
        for (int k = 0; k < t->shape.rank; k++)
            item->dim[k] = k == 0 ? t->shape.dim[0] / parts : t->shape.dim[k];
        if (!item->name)
            return ERR_MEMORY;
    }
    return 0;
}

static int write_tensors(const struct vit *m, const char *folder)
{
    const struct weight_format *f = find_format();
    const struct safetensors_note note = {"format", "pt"};
    struct arena arena = {0};
    struct safetensors_item *items = arena_alloc(&arena, WEIGHT_PARTS * m->count, sizeof *items);
    char path[PATH_ROOM];
    size_t count = 0;
    int rc = items ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < m->count && rc == 0; i++)
        rc = add_tensor(&m->tensors[i], f, &arena, items, &count);
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    if (rc == 0)
        rc = safetensors_write(path, items, count, &note, 1);
    arena_finish(&arena);
    return rc;
}

static int describe_classes(struct json *j, int32_t classes, const char *const *names)
{
    struct json *labels = json_object(), *ids = json_object();
    char number[16], name[32];
    TRY(json_take(j, "id2label", labels));
    TRY(json_take(j, "label2id", ids));
    for (int32_t i = 0; i < classes; i++) {
        snprintf(number, sizeof number, "%d", i);
        snprintf(name, sizeof name, "LABEL_%d", i);
        TRY(json_set_string(labels, number, names ? names[i] : name));
        TRY(json_set_integer(ids, names ? names[i] : name, i));
    }
    return 0;
}

static int describe_model(struct json *j, const struct vit_shape *s, const char *const *classes)
{
    struct json *architectures = json_array();
    TRY(json_take(j, "architectures", architectures));
    TRY(json_append_string(architectures, "ViTForImageClassification"));
    TRY(json_set_string(j, "model_type", "vit"));
    TRY(json_set_integer(j, "hidden_size", s->dim));
    TRY(json_set_integer(j, "num_hidden_layers", s->depth));
    TRY(json_set_integer(j, "num_attention_heads", s->heads));
    TRY(json_set_integer(j, "intermediate_size", s->hidden));
    TRY(json_set_integer(j, "image_size", s->image));
    TRY(json_set_integer(j, "patch_size", s->patch));
    TRY(json_set_integer(j, "num_channels", 3));
    TRY(json_set_string(j, "hidden_act", vit_activation(s)));
    TRY(json_set_number(j, "layer_norm_eps", float_brief(s->eps)));
    TRY(json_set_number(j, "hidden_dropout_prob", 0));
    TRY(json_set_number(j, "attention_probs_dropout_prob", 0));
    TRY(json_set_bool(j, "qkv_bias", 1));
    TRY(json_set_string(j, "torch_dtype", "float32"));
    return describe_classes(j, s->classes, classes);
}

static int set_three(struct json *j, const char *key, const double three[3])
{
    struct json *list = json_array();
    TRY(json_take(j, key, list));
    for (int i = 0; i < 3; i++)
        TRY(json_append_number(list, three[i]));
    return 0;
}

static int describe_images(struct json *j, const struct vit_shape *s, const struct vit_save_hf *about)
{
    enum { BICUBIC = 3 }; /* as Pillow counts */
    struct json *size = json_object();
    TRY(json_take(j, "size", size));
    TRY(json_set_integer(size, "height", s->image));
    TRY(json_set_integer(size, "width", s->image));
    TRY(json_set_string(j, "image_processor_type", "ViTImageProcessor"));
    TRY(json_set_bool(j, "do_resize", 1));
    TRY(json_set_integer(j, "resample", BICUBIC));
    TRY(json_set_bool(j, "do_rescale", 1));
    TRY(json_set_number(j, "rescale_factor", 1.0 / 255));
    TRY(json_set_bool(j, "do_normalize", 1));
    TRY(set_three(j, "image_mean", about->mean));
    return set_three(j, "image_std", about->std);
}

static int write_json(const struct vit *m, const struct vit_save_hf *about, const char *folder, int images)
{
    struct json *j = json_object();
    char path[PATH_ROOM];
    int rc = !j       ? ERR_MEMORY
             : images ? describe_images(j, &m->shape, about)
                      : describe_model(j, &m->shape, about->classes);
    snprintf(path, sizeof path, "%s/%sconfig.json", folder, images ? "preprocessor_" : "");
    if (rc == 0)
        rc = json_write_file(j, path);
    json_destroy(j);
    return rc;
}

int vit_save_hf(const struct vit *m, const struct vit_save_hf *about, const char *folder)
{
    const struct vit_shape *s = &m->shape;
    if ((s->features & ~(uint32_t)VIT_QUICK_GELU) || s->registers || s->projection)
        return fail(ERR_INPUT,
                    "ViTForImageClassification is a plain ViT, which this model is not (`vitro model`); "
                    "timm's names can say it");
    TRY(file_make_folders(folder));
    TRY(write_tensors(m, folder));
    TRY(write_json(m, about, folder, 0));
    return write_json(m, about, folder, 1);
}
