/* declare.c - one conversation with each plugin about a model's shape: which parameters, which
 * hooks, which of the backbone's tensors; and the list of tensors that comes out of it. */
#include "method_private.h"

#include "error.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PARAM_NAME = 63, PARAM_LIMIT = 256, ELEMENT_LIMIT = 1 << 30 };

struct declaration {
    vitro_decl pub; /* first: the plugin's pointer leads back here */
    struct instance *in;
};

static struct instance *speaker(vitro_decl *d)
{
    return ((struct declaration *)(void *)d)->in;
}

int instance_blocks(const struct instance *in, vitro_blocks b, int32_t *first, int32_t *count)
{
    int32_t depth = in->method->model.depth;
    if (b.first < 0 || b.count < 0 || b.first >= depth || b.count > depth - b.first) {
        instance_blame(in, "blocks from %d (%d of them) are not all there; the model has %d", b.first,
                       b.count, depth);
        return -1;
    }
    *first = b.first;
    *count = b.count ? b.count : depth - b.first;
    return 0;
}

static int check_shape(const struct instance *in, const vitro_param_info *info)
{
    int64_t elements = 1;
    if (info->shape.rank < 1 || info->shape.rank > SHAPE_RANK) {
        instance_blame(in, "parameter %s has %d axes; 1 to %d are possible", info->name, info->shape.rank,
                       SHAPE_RANK);
        return -1;
    }
    for (int i = 0; i < info->shape.rank; i++) {
        int32_t n = info->shape.dim[i];
        if (n < 1 || elements > ELEMENT_LIMIT / n) {
            instance_blame(
                in,
                "axis %d of parameter %s has size %d; at least 1, and all together at most 2^30 elements "
                "are possible",
                i, info->name, n);
            return -1;
        }
        elements *= n;
    }
    return 0;
}

static int check_start(const struct instance *in, const vitro_param_info *info)
{
    uint32_t known = VITRO_SHARED | VITRO_NO_DECAY | VITRO_FROZEN;
    int fans = info->init == VITRO_XAVIER || info->init == VITRO_KAIMING;
    const char *wrong = NULL;
    if (info->init > VITRO_COUNT)
        wrong = "an unknown init";
    else if (info->wise > VITRO_TO_ONE)
        wrong = "an unknown wise";
    else if (info->flags & ~known)
        wrong = "unknown flags";
    else if (!isfinite(info->init_arg) || !isfinite(info->init_mean) ||
             !(info->lr_mul >= 0 && isfinite(info->lr_mul)))
        wrong = "an init_arg, init_mean or lr_mul that is not a sensible number";
    else if (fans && info->init_arg == 0 && info->shape.rank < 2)
        wrong = "one axis, so no fans, and no init_arg";
    else if (info->init_arg < 0 ||
             ((info->init == VITRO_NORMAL || info->init == VITRO_UNIFORM || info->init == VITRO_TRUNCATED) &&
              info->init_arg == 0))
        wrong = "an init that needs a positive init_arg";
    else if (info->init == VITRO_EYE && info->shape.rank != 2 && info->shape.rank != 4)
        wrong = "init EYE, which needs 2 or 4 axes";
    if (wrong)
        instance_blame(in, "parameter %s has %s", info->name, wrong);
    return wrong ? -1 : 0;
}

static int check_param_name(const struct instance *in, const char *name)
{
    if (!name || !*name || strlen(name) > PARAM_NAME || strpbrk(name, "/ \t\n\"\\")) {
        instance_blame(in, "a parameter's name is missing, longer than %d or has a reserved sign",
                       PARAM_NAME);
        return -1;
    }
    for (size_t i = 0; i < in->param_count; i++)
        if (!strcmp(in->params[i].info.name, name)) {
            instance_blame(in, "parameter %s is declared twice", name);
            return -1;
        }
    return 0;
}

static int keep_param(struct instance *in, const struct param *p)
{
    struct arena *arena = &in->method->arena;
    if (in->param_count == PARAM_LIMIT) {
        instance_blame(in, "more than %d parameters", PARAM_LIMIT);
        return -1;
    }
    if (!in->params)
        in->params = arena_alloc(arena, PARAM_LIMIT, sizeof *in->params);
    char *name = in->params ? arena_string(arena, p->info.name) : NULL;
    if (!name) {
        instance_blame(in, "%s", error_text());
        return -1;
    }
    in->params[in->param_count] = *p;
    in->params[in->param_count++].info.name = name;
    return 0;
}

static vitro_param decl_param(vitro_decl *d, const vitro_param_info *info)
{
    struct instance *in = speaker(d);
    struct param p = {.first = -1, .count = 1};
    const size_t least = offsetof(vitro_param_info, shape) + sizeof info->shape;
    if (info->size < least) {
        instance_blame(in, "a parameter's description has %u bytes, %zu are the least", info->size, least);
        return 0;
    }
    memcpy(&p.info, info, info->size < sizeof p.info ? info->size : sizeof p.info);
    if (check_param_name(in, p.info.name) < 0 || check_shape(in, &p.info) < 0 || check_start(in, &p.info) < 0)
        return 0;
    if (!(p.info.flags & VITRO_SHARED) && instance_blocks(in, p.info.blocks, &p.first, &p.count) < 0)
        return 0;
    return keep_param(in, &p) < 0 ? 0 : (vitro_param)in->param_count;
}

static void decl_hook(vitro_decl *d, uint32_t sites, vitro_blocks blocks)
{
    struct instance *in = speaker(d);
    int32_t first, count;
    if (!in->plugin->info.forward)
        instance_blame(in, "it hooks sites but has no forward");
    if (instance_blocks(in, blocks, &first, &count) < 0)
        return;
    for (int s = 0; s < VITRO_SITE_COUNT; s++) {
        if (!(sites >> s & 1))
            continue;
        if (!site_in_block(s))
            in->hooked[0] |= 1u << s;
        for (int32_t b = first; site_in_block(s) && b < first + count; b++)
            in->hooked[b + 1] |= 1u << s;
    }
}

static void decl_unfreeze(vitro_decl *d, uint32_t sites, vitro_blocks blocks, uint32_t parts)
{
    struct instance *in = speaker(d);
    const struct vit *vit = in->method->vit;
    int32_t first, count;
    if (instance_blocks(in, blocks, &first, &count) < 0)
        return;
    for (size_t i = 0; i < vit->count; i++) {
        const struct vit_tensor *t = &vit->tensors[i];
        int there = t->block < 0 || (t->block >= first && t->block < first + count);
        if (there && sites >> t->site & 1 && parts & (uint32_t)t->part)
            in->unfrozen[i] = 1;
    }
}

static int declare_instance(struct instance *in)
{
    struct method *m = in->method;
    in->hooked = arena_alloc(&m->arena, (size_t)m->model.depth + 1, sizeof *in->hooked);
    in->unfrozen = arena_alloc(&m->arena, m->vit->count, 1);
    if (!in->hooked || !in->unfrozen)
        return ERR_MEMORY;
    struct declaration d = {
        .pub = {.abi = VITRO_ABI_MAJOR << 16 | VITRO_ABI_MINOR,
                .size = sizeof d.pub,
                .host = &in->host,
                .model = method_lend(m, &m->model, sizeof m->model),
                .param = decl_param,
                .hook = decl_hook,
                .unfreeze = decl_unfreeze},
        .in = in,
    };
    struct declaration *lent = method_lend(m, &d, sizeof d);
    TRY(instance_check(in, in->plugin->info.declare(in->self, &lent->pub), "declare"));
    return training_ask(in);
}

/* --- the list of tensors */

static void list_backbone(struct method *m)
{
    for (size_t i = 0; i < m->vit->count; i++) {
        const struct vit_tensor *t = &m->vit->tensors[i];
        int trains = t->site == VITRO_AT_HEAD;
        for (size_t k = 0; k < m->count; k++)
            trains |= m->instances[k].unfrozen[i];
        m->tensors[i] = (struct tensor){
            .name = t->name,
            .shape = t->shape,
            .kind = trains ? LEAF_TRAINABLE : LEAF_FROZEN,
            .block = t->block,
            .owner = -1,
            .source = (int32_t)i,
            .is_head = t->site == VITRO_AT_HEAD,
            .lr_mul = 1,
        };
    }
}

static const char *full_name(struct method *m, const struct instance *in, const struct param *p,
                             int32_t block)
{
    char name[INSTANCE_NAME + PARAM_NAME + 16];
    if (block < 0)
        snprintf(name, sizeof name, "%s/%s", in->name, p->info.name);
    else
        snprintf(name, sizeof name, "%s/%d/%s", in->name, block, p->info.name);
    return arena_string(&m->arena, name);
}

static int list_param(struct method *m, const struct instance *in, struct param *p, size_t *at)
{
    p->tensor = *at;
    for (int32_t i = 0; i < p->count; i++) {
        struct tensor *t = &m->tensors[(*at)++];
        const vitro_param_info *info = &p->info;
        *t = (struct tensor){
            .shape = {.rank = info->shape.rank},
            .owner = in->owner,
            .source = -1,
            .kind = info->flags & VITRO_FROZEN ? LEAF_FROZEN : LEAF_TRAINABLE,
            .block = p->first < 0 ? -1 : p->first + i,
            .kept = in->training && info->flags & VITRO_FROZEN,
            .no_decay = !!(info->flags & VITRO_NO_DECAY),
            .lr_mul = info->lr_mul == 0 ? 1 : info->lr_mul,
            .init = info->init,
            .wise = info->wise,
            .init_arg = info->init_arg,
            .init_mean = info->init_mean,
        };
        memcpy(t->shape.dim, info->shape.dim, (size_t)info->shape.rank * sizeof t->shape.dim[0]);
        t->name = full_name(m, in, p, t->block);
        if (!t->name)
            return ERR_MEMORY;
    }
    return 0;
}

static int list_tensors(struct method *m)
{
    size_t at = m->vit->count;
    m->tensor_count = at;
    for (size_t i = 0; i < m->count; i++)
        for (size_t k = 0; k < m->instances[i].param_count; k++)
            m->tensor_count += (size_t)m->instances[i].params[k].count;
    m->tensors = arena_alloc(&m->arena, m->tensor_count, sizeof *m->tensors);
    if (!m->tensors)
        return ERR_MEMORY;
    list_backbone(m);
    for (size_t i = 0; i < m->count; i++)
        for (size_t k = 0; k < m->instances[i].param_count; k++)
            TRY(list_param(m, &m->instances[i], &m->instances[i].params[k], &at));
    return 0;
}

int method_declare(struct method *m, const struct vit *vit)
{
    const struct vit_shape *s = &vit->shape;
    if (m->vit)
        return fail(ERR_INPUT, "%s is declared already; make another method for another model", m->text);
    m->vit = vit;
    m->model = (vitro_model){
        .size = sizeof m->model,
        .depth = s->depth,
        .dim = s->dim,
        .heads = s->heads,
        .hidden = s->hidden,
        .patch = s->patch,
        .grid_h = vit_grid(s),
        .grid_w = vit_grid(s),
        .prefix = vit_prefix(s),
        .classes = s->classes,
        .positions = vit_positions(s),
    };
    for (size_t i = 0; i < vit->count; i++) {
        const struct vit_tensor *t = &vit->tensors[i];
        m->model.weights |= (uint32_t)(t->part == VITRO_WEIGHT) << t->site;
        m->model.biases |= (uint32_t)(t->part == VITRO_BIAS) << t->site;
    }
    for (size_t i = 0; i < m->count; i++)
        TRY(declare_instance(&m->instances[i]));
    return list_tensors(m);
}

const struct tensor *method_tensors(const struct method *m, size_t *count)
{
    *count = m->tensor_count;
    return m->tensors;
}
