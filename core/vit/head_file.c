/* head_file.c - see head_file.h. */
#include "head_file.h"

#include "error.h"
#include "hash.h"
#include "memory.h"
#include "safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <vitro/method.h>

static const char weight_name[] = "head.weight", bias_name[] = "head.bias";

static int read_shape(struct head_file *h, const struct safetensors *f, const char *path)
{
    const struct safetensors_entry *e = safetensors_find(f, weight_name);
    char is[SAFETENSORS_TEXT];
    if (!e)
        return fail(ERR_INPUT, "%s is no head: it has no tensor %s", path, weight_name);
    if (safetensors_count(f) != 2)
        return fail(ERR_INPUT, "%s is no head alone: it has %zu tensors, not just %s and %s", path,
                    safetensors_count(f), weight_name, bias_name);
    if (e->rank != 2 || e->dim[0] < 1 || e->dim[0] > INT32_MAX || e->dim[1] < 1 || e->dim[1] > INT32_MAX)
        return fail(ERR_INPUT, "%s: tensor %s is %s; [classes width] is needed", path, weight_name,
                    safetensors_shape_text(e, is));
    h->classes = (int32_t)e->dim[0];
    h->width = (int32_t)e->dim[1];
    return 0;
}

static int read_numbers(struct head_file *h, const struct safetensors *f, const char *path)
{
    const size_t count = (size_t)h->classes * (size_t)h->width;
    h->weight = mem_alloc(count, sizeof *h->weight);
    h->bias = mem_alloc((size_t)h->classes, sizeof *h->bias);
    if (!h->weight || !h->bias)
        return ERR_MEMORY;
    TRY(safetensors_need(f, weight_name, SAFETENSORS_F32, count, h->weight));
    TRY(safetensors_need(f, bias_name, SAFETENSORS_F32, (size_t)h->classes, h->bias));
    for (size_t i = 0; i < count + (size_t)h->classes; i++)
        if (!isfinite(i < count ? h->weight[i] : h->bias[i - count]))
            return fail(ERR_INPUT, "%s: a number of it is infinite or not a number", path);
    return 0;
}

static int read_note(struct json **out, const struct safetensors *f, const char *key, const char *path)
{
    const char *text = safetensors_metadata(f, key);
    if (!text)
        return 0;
    int rc = json_parse(out, text, strlen(text), key);
    return rc < 0 ? fail_in(rc, "%s: its metadata", path) : 0;
}

static int read_head(struct head_file *h, const struct safetensors *f, const char *path)
{
    const char *unit = safetensors_metadata(f, "unit_features");
    TRY(read_shape(h, f, path));
    TRY(read_numbers(h, f, path));
    TRY(read_note(&h->names, f, "classes", path));
    TRY(read_note(&h->about, f, "about", path));
    if (h->names && (!json_is_array(h->names) || json_count(h->names) != (size_t)h->classes))
        return fail(ERR_INPUT, "%s: it names %zu classes, but has weights of %d", path, json_count(h->names),
                    h->classes);
    for (const struct json *name = json_first(h->names); name; name = json_next(name))
        if (!json_string(name))
            return fail(ERR_INPUT, "%s: a class's name is no text", path);
    h->unit_features = unit && !strcmp(unit, "1");
    return hash_file(path, h->hash);
}

int head_file_open(struct head_file *out, const char *path)
{
    struct safetensors *f = NULL;
    *out = (struct head_file){0};
    TRY(safetensors_open(&f, path));
    int rc = read_head(out, f, path);
    safetensors_close(f);
    if (rc < 0)
        head_file_close(out);
    return rc;
}

void head_file_close(struct head_file *h)
{
    mem_free(h->weight);
    mem_free(h->bias);
    json_destroy(h->names);
    json_destroy(h->about);
    *h = (struct head_file){0};
}

int head_file_apply(const struct head_file *h, struct vit *m)
{
    const struct vit_tensor *weight = vit_find(m, VITRO_AT_HEAD, VITRO_WEIGHT, -1),
                            *bias = vit_find(m, VITRO_AT_HEAD, VITRO_BIAS, -1);
    char both[2 * HASH_TEXT];
    if (h->width != vit_features(&m->shape))
        return fail(ERR_INPUT,
                    "the head reads %d numbers of an image, the model gives %d: it was made for another",
                    h->width, vit_features(&m->shape));
    if (!weight || !bias || h->classes != m->shape.classes)
        return fail(ERR_INPUT, "the head has %d classes, but %d are wanted", h->classes, m->shape.classes);
    memcpy(weight->data, h->weight, (size_t)h->classes * (size_t)h->width * sizeof *h->weight);
    memcpy(bias->data, h->bias, (size_t)h->classes * sizeof *h->bias);
    if (h->unit_features)
        m->shape.features |= VIT_UNIT_FEATURES;
    else
        m->shape.features &= ~(uint32_t)VIT_UNIT_FEATURES;
    snprintf(both, sizeof both, "%s%s", m->source_hash, h->hash);
    return hash_bytes(both, strlen(both), m->source_hash);
}

int head_file_write(const struct head_file *h, const char *path)
{
    const struct safetensors_item items[] = {
        {.name = weight_name,
         .type = SAFETENSORS_F32,
         .rank = 2,
         .dim = {h->classes, h->width},
         .data = h->weight},
        {.name = bias_name, .type = SAFETENSORS_F32, .rank = 1, .dim = {h->classes}, .data = h->bias}};
    char *names = json_text(h->names, 0), *about = json_text(h->about, 0);
    const struct safetensors_note notes[] = {{"vitro", "head 1"},
                                             {"unit_features", h->unit_features ? "1" : "0"},
                                             {"classes", names},
                                             {"about", about}};
    int rc = names && about ? safetensors_write(path, items, 2, notes, 4) : ERR_MEMORY;
    mem_free(names);
    mem_free(about);
    return rc;
}
