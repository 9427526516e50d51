/* head_file.h - a classifier's head in a file of its own, to be put on a model that gives what it reads: zero-shot
 * heads above all. A safetensors file with head.weight [classes, width] and head.bias [classes]. */
#ifndef VITRO_VIT_HEAD_FILE_H
#define VITRO_VIT_HEAD_FILE_H

#include "json.h"
#include "model.h"

struct head_file {          /* a zeroed one is empty */
    int32_t classes, width; /* width: numbers that it reads of an image */
    float *weight, *bias;
    int unit_features;  /* it reads vectors of length 1 */
    struct json *names; /* of the classes, a list of texts; NULL where the file has none */
    struct json *about; /* how it came about: what head_file_write was told, an object */
    char hash[65];      /* SHA-256 of the file */
};
int head_file_open(struct head_file *out, const char *path);
void head_file_close(struct head_file *h); /* an empty one is fine */
/* Puts it on a model of as many classes. The model's source_hash becomes that of both. */
int head_file_apply(const struct head_file *h, struct vit *m);
/* Writes what *h says; its hash is not looked at. */
int head_file_write(const struct head_file *h, const char *path);

#endif
