/* interpolate.c - the way from the backbone to the tuned model, tensor by tensor. See host.h. */
#include "method_private.h"

#include "error.h"

#include <string.h>

int method_interpolation(const struct method *m, enum interpolation *by)
{
    struct method_part part;
    const char *without = NULL; /* the first instance without a neutral value */
    *by = INTERPOLATES_PARAMETERS;
    if (!m->vit)
        return fail(ERR_INPUT, "%s is not declared against a model yet", m->text);
    for (size_t i = 0; i < m->count; i++) {
        TRY(method_part(m, i, &part));
        if (part.interpolates == INTERPOLATES_NOT)
            return fail(ERR_PLUGIN, "%s cannot be interpolated with the backbone: %s", part.name,
                        part.interpolates_why);
        if (part.interpolates == INTERPOLATES_MERGED && !without)
            without = part.name;
    }
    if (!without)
        return 0;
    *by = INTERPOLATES_MERGED;
    for (size_t i = 0; i < m->count; i++) {
        TRY(method_part(m, i, &part));
        if (!part.mergeable)
            return fail(ERR_PLUGIN,
                        "%s cannot be interpolated with the backbone: %s has no neutral value and %s "
                        "cannot be folded into the weights",
                        m->text, without, part.name);
    }
    return 0;
}

/* In double, so that the result is rounded once. */
static float between(float n, float theta, double alpha)
{
    return (float)((1 - alpha) * (double)n + alpha * (double)theta);
}

/* Whether alpha moves the tensor at all. */
static int moves(const struct tensor *t)
{
    return t->source >= 0 || (t->kind == LEAF_TRAINABLE && t->wise != VITRO_KEEP);
}

int method_interpolate(const struct method *m, size_t id, float alpha, const float *tuned, float *out)
{
    enum interpolation by;
    TRY(method_interpolation(m, &by));
    size_t count = by == INTERPOLATES_MERGED ? m->vit->count : m->tensor_count;
    if (id >= count)
        return fail(ERR_INPUT, "%s has no tensor %zu to interpolate; it has %zu", m->text, id, count);
    if (!(alpha >= 0 && alpha <= 1))
        return fail(ERR_INPUT, "alpha is %g; it must be between 0 (the backbone) and 1 (the tuned model)",
                    (double)alpha);
    const struct tensor *t = &m->tensors[id];
    const float *backbone = t->source >= 0 ? m->vit->tensors[t->source].data : NULL;
    if (t->source >= 0 && !backbone)
        return fail(ERR_INPUT, "%s has no contents: the model is an outline", t->name);
    float neutral = t->wise == VITRO_TO_ONE ? 1 : 0;
    size_t elements = (size_t)shape_count(t->shape);
    if (alpha >= 1 || !moves(t)) {
        memmove(out, tuned, elements * sizeof *out);
        return 0;
    }
    for (size_t i = 0; i < elements; i++) {
        float n = backbone ? backbone[i] : neutral;
        out[i] = alpha > 0 ? between(n, tuned[i], (double)alpha) : n;
    }
    return 0;
}
