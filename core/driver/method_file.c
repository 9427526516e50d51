/* method_file.c - see method_file.h. */
#include "method_file.h"

#include "memory.h"
#include "pack.h"
#include "safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOTE_LIMIT = 16 };
static const char format_name[] = "method 1";

int method_file_save(struct session *s, const char *path, const struct json *notes)
{
    const char *lines[2 * NOTE_LIMIT + 1];
    size_t used = 0;
    for (const struct json *note = json_first(notes); note && used < 2 * NOTE_LIMIT; note = json_next(note)) {
        lines[used++] = json_key(note);
        lines[used++] = json_string(note);
    }
    lines[used] = NULL;
    return session_save(s, path, lines);
}

static int read_whole(const char *text, int32_t *out)
{
    char *end;
    long number = strtol(text, &end, 10);
    *out = (int32_t)number;
    return *end == 0 && number > 0 && number <= PACK_SIZE_LIMIT ? 0 : -1;
}

/* The recipe's seed and precision; the rest of it is history. */
static int read_recipe(const char *recipe, uint64_t *out, int32_t *precision)
{
    struct json *j = NULL;
    struct recipe r = recipe_default;
    if (json_parse(&j, recipe, strlen(recipe), "recipe") < 0)
        return -1;
    const char *text = json_string(json_get(j, "seed"));
    char *end = NULL;
    *out = text ? strtoull(text, &end, 10) : 0;
    int rc = text && *text && *end == 0 ? 0 : -1;
    const struct json *number = json_get(j, "precision");
    if (rc == 0 && number)
        rc = recipe_set(&r, "precision", number);
    *precision = r.precision;
    json_destroy(j);
    return rc;
}

static int read_names(struct method_file *f)
{
    if (json_parse(&f->names, f->classes, strlen(f->classes), "classes") < 0 || !json_is_array(f->names) ||
        json_count(f->names) == 0)
        return -1;
    for (const struct json *name = json_first(f->names); name; name = json_next(name))
        if (!json_string(name))
            return -1;
    return 0;
}

static int read_notes(struct method_file *f, const char *path)
{
#define X(key, what)                                                                               \
    f->key = safetensors_metadata(f->file, #key);                                                  \
    if (!f->key)                                                                                   \
        return fail(ERR_INPUT,                                                                     \
                    "%s is no trained method: its metadata lacks %s; `vitro train --save` writes " \
                    "such files",                                                                  \
                    path, #key);
    METHOD_FILE_NOTES(X)
#undef X
    f->head = safetensors_metadata(f->file, "head");
    f->act = safetensors_metadata(f->file, "act");
    if (strcmp(f->vitro, format_name) != 0)
        return fail(ERR_INPUT, "%s is of the kind \"%.40s\", this program reads \"%s\"; train it again", path,
                    f->vitro, format_name);
    const char *bad = read_whole(f->image, &f->image_side) < 0              ? "image"
                      : read_whole(f->heads, &f->head_count) < 0            ? "heads"
                      : read_names(f) < 0                                   ? "classes"
                      : read_recipe(f->recipe, &f->seed, &f->precision) < 0 ? "recipe"
                                                                            : NULL;
    return bad ? fail(ERR_INPUT, "%s is damaged: its metadata's %s cannot be read; train it again", path, bad)
               : 0;
}

int method_file_open(struct method_file *f, const char *path)
{
    *f = (struct method_file){0};
    int rc = safetensors_open(&f->file, path);
    if (rc == 0)
        rc = read_notes(f, path);
    if (rc < 0)
        method_file_close(f);
    return rc;
}

void method_file_close(struct method_file *f)
{
    json_destroy(f->names);
    safetensors_close(f->file);
    *f = (struct method_file){0};
}

void method_file_settings(const struct method_file *f, struct settings *s)
{
    if (!s->model && strncmp(f->model_sha256, "random-", 7) == 0)
        s->random = 1;
    if (!s->model)
        s->model = f->model;
    if (!s->head)
        s->head = f->head;
    if (!s->image)
        s->image = f->image_side;
    if (!s->heads)
        s->heads = f->head_count;
    for (int32_t i = 1; !s->act && f->act && vit_activations[i]; i++)
        if (strcmp(vit_activations[i], f->act) == 0) {
            s->act = i;
            break;
        }
    s->recipe.seed = f->seed;
    s->recipe.precision = f->precision;
}

static int same_names(const struct json *names, const struct pack_info *info)
{
    const struct json *name = json_first(names);
    if (json_count(names) != (size_t)info->class_count)
        return 0;
    for (int i = 0; i < info->class_count; i++, name = json_next(name))
        if (strcmp(json_string(name), info->class_names[i]) != 0)
            return 0;
    return 1;
}

int method_file_check_data(const struct method_file *f, const struct settings *s,
                           const struct pack_info *info)
{
    if (!same_names(f->names, info))
        return fail(ERR_INPUT,
                    "%s was trained on the %zu classes of %s, but the data %s has %d classes or other "
                    "names; give it data of the same classes",
                    s->load, json_count(f->names), f->task, info->task, info->class_count);
    if (strcmp(info->normalise, f->normalise) != 0)
        return fail(ERR_INPUT,
                    "%s was trained with the normalisation %s, but the data has %s; prepare it with %s",
                    s->load, f->normalise, info->normalise, f->normalise);
    if (strcmp(info->fingerprint, f->fingerprint) != 0 && !s->other_data)
        return fail(ERR_INPUT,
                    "%s was trained on data with the fingerprint %.12s, but this has %.12s; give it the "
                    "same, or say --other-data if that is wanted",
                    s->load, f->fingerprint, info->fingerprint);
    return 0;
}

int method_file_check_model(const struct method_file *f, const struct settings *s, const struct vit *model)
{
    if (strcmp(model->source_hash, f->model_sha256) != 0)
        return fail(ERR_INPUT,
                    "%s was trained on weights with the SHA-256 %.12s (%s), but these have %.12s; give "
                    "--model the same file",
                    s->load, f->model_sha256, f->model, model->source_hash);
    if (model->shape.heads != f->head_count)
        return fail(ERR_INPUT, "%s was trained with %d heads, but the model has %d here; leave out --heads",
                    s->load, f->head_count, model->shape.heads);
    if (f->act && strcmp(vit_activation(&model->shape), f->act) != 0)
        return fail(ERR_INPUT,
                    "%s was trained with the activation %.40s, but the model has %s here; leave out --act",
                    s->load, f->act, vit_activation(&model->shape));
    return 0;
}
