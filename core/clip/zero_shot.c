/* zero_shot.c - see zero_shot.h. */
#include "zero_shot.h"

#include "error.h"
#include "memory.h"

#include <math.h>
#include <string.h>

static const char hole[] = "{}";
enum { HOLE = sizeof hole - 1 };

static int check(const struct zero_shot *z)
{
    const uint32_t known = tokenizer_size(z->tokenizer);
    if (known != (uint32_t)z->tower->shape.vocabulary)
        return fail(ERR_INPUT, "the tokenizer has %u tokens, the text tower %d: they are not of one model",
                    known, z->tower->shape.vocabulary);
    if (!z->class_count || !z->template_count)
        return fail(ERR_INPUT, "a zero-shot head needs at least one class and one template");
    for (size_t i = 0; i < z->template_count; i++)
        if (!strstr(z->templates[i], hole))
            return fail(ERR_INPUT, "template %zu, \"%.80s\", does not say with %s where the class goes",
                        i + 1, z->templates[i], hole);
    return 0;
}

/* The template with the class in its holes; the caller frees it. */
static char *fill(const char *template, const char *name)
{
    size_t size = 1, length = strlen(name);
    for (const char *c = template; *c; c++)
        size += strncmp(c, hole, HOLE) == 0 ? length : 1;
    char *text = mem_alloc(size + 1, 1), *out = text;
    for (const char *c = template; text && *c;) {
        const int here = strncmp(c, hole, HOLE) == 0;
        memcpy(out, here ? name : c, here ? length : 1);
        out += here ? length : 1;
        c += here ? HOLE : 1;
    }
    return text;
}

static int tokenize(const struct zero_shot *z, uint32_t *tokens)
{
    const size_t context = (size_t)z->tower->shape.context;
    for (size_t i = 0; i < z->class_count * z->template_count; i++) {
        const char *name = z->classes[i / z->template_count], *template = z->templates[i % z->template_count];
        char *text = fill(template, name);
        if (!text)
            return ERR_MEMORY;
        const int count = tokenizer_encode(z->tokenizer, text, tokens + i * context, context);
        mem_free(text);
        if (count < 0)
            return fail_in(count, "class %zu", i / z->template_count);
        if ((size_t)count > context)
            return fail(ERR_INPUT,
                        "class %zu, \"%.60s\", in template %zu makes %d tokens, the text tower takes %zu; "
                        "shorten one "
                        "of them",
                        i / z->template_count, name, i % z->template_count + 1, count, context);
    }
    return 0;
}

/* Adds the row, at length 1, to the sum. */
static void add_unit(double *sum, const float *row, size_t width)
{
    double square = 0;
    for (size_t k = 0; k < width; k++)
        square += (double)row[k] * (double)row[k];
    for (size_t k = 0; k < width; k++)
        sum[k] += (double)row[k] / sqrt(square);
}

int zero_shot_average(const float *features, size_t classes, size_t templates, size_t width, float scale,
                      float *weights)
{
    double *sum = mem_alloc(width, sizeof *sum);
    if (!sum)
        return ERR_MEMORY;
    for (size_t c = 0; c < classes; c++) {
        double square = 0;
        memset(sum, 0, width * sizeof *sum);
        for (size_t i = 0; i < templates; i++)
            add_unit(sum, features + (c * templates + i) * width, width);
        for (size_t k = 0; k < width; k++)
            square += sum[k] * sum[k];
        for (size_t k = 0; k < width; k++)
            weights[c * width + k] = (float)(sum[k] / sqrt(square) * (double)scale);
    }
    mem_free(sum);
    for (size_t i = 0; i < classes * width; i++)
        if (!isfinite(weights[i]))
            return fail(ERR_INPUT, "the text tower gives class %zu no direction: its weights are not CLIP's",
                        i / width);
    return 0;
}

int zero_shot_head(const struct zero_shot *z, float *weights)
{
    TRY(check(z));
    const size_t prompts = z->class_count * z->template_count;
    uint32_t *tokens = mem_alloc(prompts * (size_t)z->tower->shape.context, sizeof *tokens);
    float *features = mem_alloc(prompts * (size_t)z->tower->shape.projection, sizeof *features);
    int rc = tokens && features ? 0 : ERR_MEMORY;
    if (rc == 0)
        rc = tokenize(z, tokens);
    const struct text_batch batch = {.tower = z->tower,
                                     .engine = z->engine,
                                     .tokens = tokens,
                                     .count = prompts,
                                     .report = z->report,
                                     .context = z->context};
    if (rc == 0)
        rc = text_encode(&batch, features);
    if (rc == 0)
        rc = zero_shot_average(features, z->class_count, z->template_count,
                               (size_t)z->tower->shape.projection, z->tower->logit_scale, weights);
    mem_free(tokens);
    mem_free(features);
    return rc;
}
