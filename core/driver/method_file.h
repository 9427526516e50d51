/* method_file.h - a trained method in a file: its tensors, and in the metadata everything that it takes to
 * use them again and to refuse what they do not belong to. */
#ifndef VITRO_DRIVER_METHOD_FILE_H
#define VITRO_DRIVER_METHOD_FILE_H

#include "driver.h"
#include "json.h"
#include "pack.h"
#include "recipe_json.h"
#include "session.h"

/* metadata key, what it holds */
#define METHOD_FILE_NOTES(X)                                           \
    X(vitro, "what the file is: \"method 1\"")                         \
    X(method, "the stack with every option spelt out")                 \
    X(model_sha256, "of the weights' file, or random-SEED-SHAPE")      \
    X(image, "side in pixels")                                         \
    X(heads, "of the model")                                           \
    X(normalise, "name of mean and deviation")                         \
    X(classes, "JSON array of names, in the order of the head's rows") \
    X(task, "of the pack")                                             \
    X(fingerprint, "of the pack")                                      \
    X(split, "what it was trained on: train or trainval")              \
    X(recipe, "JSON object")                                           \
    X(model, "--model as it was given, or bundled")                    \
    X(data, "--data as it was given")

/* Of an imported one (verb_import.c) `imported` is peft's type and `adapter_sha256` the hash of its tensors; split and recipe
 * are what was said of them when it was imported. */

struct method_file { /* an open one; the texts are lent by it */
    struct safetensors *file;
#define X(key, what) const char *key;
    METHOD_FILE_NOTES(X)
#undef X
    const char *head;   /* --head as it was given, whose tensors count in model_sha256; NULL: none was */
    const char *act;    /* of the model: gelu or quick_gelu; NULL: a file of before, which does not say */
    struct json *names; /* the class names */
    int32_t image_side, head_count;
    uint64_t seed;     /* of the recipe: what was drawn and not trained */
    int32_t precision; /* of the recipe, an enum number */
};
int method_file_open(struct method_file *f, const char *path);
void method_file_close(struct method_file *f); /* a zeroed struct is fine */

/* What the file knows and the command line does not say: model and head, image side, heads, activation,
 * normalisation, seed, precision. */
void method_file_settings(const struct method_file *f, struct settings *s);
/* Refuses data that the method was not trained on: other classes or another normalisation always,
 * another fingerprint without --other-data. */
int method_file_check_data(const struct method_file *f, const struct settings *s,
                           const struct pack_info *info);
/* Refuses weights that it was not trained on, and the same ones read as another network. */
int method_file_check_model(const struct method_file *f, const struct settings *s, const struct vit *model);

/* Notes are an object of strings under the keys above. */
int method_file_save(struct session *s, const char *path, const struct json *notes);

#endif
