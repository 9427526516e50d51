/* parts.c - what a declared stack amounts to: trainable numbers, and what each instance can do. */
#include "method_private.h"

#include "error.h"

static int64_t trainable(const struct method *m, int head)
{
    int64_t sum = 0;
    for (size_t i = 0; i < m->tensor_count; i++)
        if (m->tensors[i].kind == LEAF_TRAINABLE && m->tensors[i].is_head == head)
            sum += shape_count(m->tensors[i].shape);
    return sum;
}

int64_t method_trainable(const struct method *m)
{
    return trainable(m, 0);
}

int64_t method_head(const struct method *m)
{
    return trainable(m, 1);
}

size_t method_parts(const struct method *m)
{
    return m->count;
}

const char *site_name(int32_t site)
{
    return site >= 0 && site < VITRO_SITE_COUNT ? site_names[site] : "?";
}

static uint32_t hooked_sites(const struct instance *in)
{
    uint32_t any = 0;
    for (int32_t b = 0; in->hooked && b <= in->method->model.depth; b++)
        any |= in->hooked[b];
    return any;
}

/* With a neutral value, or with nothing in the network's way, each tensor finds back by itself. */
static void say_interpolation(const struct instance *in, int params, int neutral, struct method_part *out)
{
    if (neutral || (!params && !hooked_sites(in))) {
        out->interpolates = INTERPOLATES_PARAMETERS;
        out->interpolates_why = neutral ? "some of its parameters have a neutral value"
                                        : "it only trains tensors of the backbone";
    } else if (out->mergeable) {
        out->interpolates = INTERPOLATES_MERGED;
        out->interpolates_why = "none of its parameters has a neutral value, but it can be folded in";
    } else {
        out->interpolates = INTERPOLATES_NOT;
        out->interpolates_why = "none of its parameters has a neutral value and it cannot be folded into the "
                                "weights";
    }
}

const char *method_owner(const struct method *m, size_t id)
{
    const struct tensor *t = &m->tensors[id];
    if (t->is_head)
        return "head";
    if (t->owner >= 0)
        return m->instances[t->owner].name;
    for (size_t i = 0; i < m->count; i++)
        if (m->instances[i].unfrozen[id])
            return m->instances[i].name;
    return place_backbone;
}

int method_part(const struct method *m, size_t i, struct method_part *out)
{
    if (i >= m->count || !m->tensors)
        return fail(ERR_INPUT, "method %s has no declared part %zu", m->text, i);
    const struct instance *in = &m->instances[i];
    const vitro_plugin_info *info = &in->plugin->info;
    int params = 0, neutral = 0;
    *out = (struct method_part){.name = in->name,
                                .text = in->text,
                                .plugin = in->plugin,
                                .claimed = -1,
                                .mergeable = info->merge || !hooked_sites(in)};
    out->hooks = hooked_sites(in);
    for (size_t k = 0; k < m->vit->count; k++) {
        if (!in->unfrozen[k])
            continue;
        out->unfreezes |= 1u << m->vit->tensors[k].site;
        if (!m->tensors[k].is_head)
            out->declared += shape_count(m->tensors[k].shape);
    }
    for (size_t k = m->vit->count; k < m->tensor_count; k++) {
        const struct tensor *t = &m->tensors[k];
        if (t->owner != in->owner || t->kind != LEAF_TRAINABLE)
            continue;
        out->declared += shape_count(t->shape);
        params++;
        neutral |= t->wise != VITRO_KEEP;
    }
    say_interpolation(in, params, neutral, out);
    if (info->param_count)
        out->claimed = info->param_count(in->self, method_lend(m, &m->model, sizeof m->model));
    return 0;
}
