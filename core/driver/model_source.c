/* model_source.c - see model_source.h. */
#include "model_source.h"

#include <stdio.h>
#include <string.h>

/* The file compiled into the program by bundled.S; no bytes where the build had none. */
extern const unsigned char bundled_model[];
extern const uint64_t bundled_model_size;

const char bundled_name[] = "bundled";

int bundled_missing(void)
{
    return bundled_model_size
               ? 0
               : fail(ERR_INPUT,
                      "this program was built without the bundled model; make it with `vitro pretrain "
                      "--save assets/vitro-micro.safetensors` and build again, or give --model a file");
}

static int load(struct vit **out, const struct settings *s, const struct vit_import *want)
{
    if (s->model && strcmp(s->model, bundled_name) != 0)
        return vit_load(out, s->model, want);
    TRY(bundled_missing());
    return vit_load_bytes(out, bundled_model, bundled_model_size, "the bundled model", want);
}

/* Weights of the shape's, drawn: the file that gives the shape is a part of what they are. */
static void draw_weights(struct vit *m, const struct settings *s)
{
    const uint64_t seed = s->random_seed ? *s->random_seed : s->recipe.seed;
    char shape[13];
    vit_random(m, seed);
    snprintf(shape, sizeof shape, "%.12s", m->source_hash);
    snprintf(m->source_hash, sizeof m->source_hash, "random-%llu-%s", (unsigned long long)seed, shape);
}

static int open_without_head(struct vit **out, const struct settings *s, int size, int classes, int headless)
{
    const struct vit_import want = {
        .image = size, .classes = classes, .heads = s->heads, .activation = s->act, .headless = headless};
    TRY(load(out, s, &want));
    if (s->random)
        draw_weights(*out, s);
    return 0;
}

int open_model_with(struct vit **out, const struct settings *s, int size, const struct head_file *head)
{
    TRY(open_without_head(out, s, size, head->classes, 0));
    return head_file_apply(head, *out);
}

static int open_head_file(struct vit **out, const struct settings *s, int size, int classes)
{
    struct head_file head;
    TRY(head_file_open(&head, s->head));
    int rc = classes && classes != head.classes
                 ? fail(ERR_INPUT, "%s has %d classes, but the data has %d", s->head, head.classes, classes)
                 : open_model_with(out, s, size, &head);
    head_file_close(&head);
    return rc;
}

int open_model(struct vit **out, const struct settings *s, int size, int classes)
{
    if (s->head)
        return open_head_file(out, s, size, classes);
    TRY(open_without_head(out, s, size, classes, 0));
    if (classes)
        vit_reset_head(*out, s->recipe.seed);
    return 0;
}

int open_model_as_it_is(struct vit **out, const struct settings *s, int size)
{
    return open_without_head(out, s, size, 0, 1);
}

int model_size(const struct settings *s, int *size)
{
    const struct vit_import want = {.heads = s->heads, .activation = s->act, .headless = 1};
    struct vit *model = NULL;
    TRY(load(&model, s, &want));
    *size = model->shape.image;
    vit_destroy(model);
    return 0;
}
