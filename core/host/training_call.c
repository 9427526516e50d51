/* training_call.c - one callback of vitro/training.h: answers what it asks, writes what it edited.
 * Each thing lent is a block of memory of its own, so that overruns show. */
#include "training_private.h"

#include "error.h"
#include "singular.h"

#include <math.h>

enum { ROOM_LIMIT = 1 << 30 }; /* floats of a room */

struct training_loan { /* a tensor's numbers, or its gradient's, as they were read */
    struct training_loan *next;
    size_t tensor;
    int gradient, edited;
    float *data;
};

struct lent_trainer {  /* what a plugin's vitro_trainer pointer is */
    vitro_trainer pub; /* first */
    struct training_call *call;
};

static struct training_call *call_of(vitro_trainer *t)
{
    return ((struct lent_trainer *)(void *)t)->call;
}

/* --- lending */

static struct training_loan *find_loan(const struct training_call *c, size_t tensor, int gradient)
{
    struct training_loan *l = c->loans;
    while (l && (l->tensor != tensor || l->gradient != gradient))
        l = l->next;
    return l;
}

/* The same memory whenever it is asked for again; NULL after a failure, which is the callback's end. */
static struct training_loan *lend(struct training_call *c, size_t tensor, int gradient)
{
    if (c->rc < 0 || c->in->why[0])
        return NULL;
    struct training_loan *l = find_loan(c, tensor, gradient);
    if (l)
        return l;
    int64_t count = shape_count(c->in->method->tensors[tensor].shape);
    l = mem_alloc(1, sizeof *l);
    float *data = l ? mem_alloc((size_t)count, sizeof *data) : NULL;
    c->rc = data ? (gradient ? c->at->gradient : c->at->read)(c->at->context, tensor, data) : ERR_MEMORY;
    if (c->rc < 0) {
        mem_free(data);
        mem_free(l);
        return NULL;
    }
    *l = (struct training_loan){.next = c->loans, .tensor = tensor, .gradient = gradient, .data = data};
    return c->loans = l;
}

static float *lend_data(struct training_call *c, int64_t tensor, int gradient)
{
    struct training_loan *l = tensor < 0 ? NULL : lend(c, (size_t)tensor, gradient);
    return l ? l->data : NULL;
}

static int may(const struct training_call *c, unsigned stages, const char *what)
{
    if (c->stage & stages)
        return 1;
    instance_blame(c->in, "%s cannot be used in %s", what, c->name);
    return 0;
}

/* --- which tensor */

/* The index of the backbone's tensor at a site, or -1 with the reason. */
static int64_t weight_index(const struct training_call *c, int32_t site, uint32_t part, int32_t block)
{
    const struct vit *vit = c->in->method->vit;
    int named = site >= 0 && site < VITRO_SITE_COUNT && (part == VITRO_WEIGHT || part == VITRO_BIAS);
    const struct vit_tensor *t =
        named ? vit_find(vit, site, (int32_t)part, site_in_block(site) ? block : -1) : NULL;
    if (!t)
        instance_blame(c->in, "%s: there is no %s at site %s of block %d", c->name,
                       part == VITRO_BIAS ? "bias" : "weight", named ? site_names[site] : "?", block);
    return t ? t - vit->tensors : -1;
}

static int64_t param_index(const struct training_call *c, vitro_param handle, int32_t block)
{
    const struct instance *in = c->in;
    if (!handle || handle > in->param_count) {
        instance_blame(in, "%s: %u is none of its own parameters", c->name, handle);
        return -1;
    }
    const struct param *p = &in->params[handle - 1];
    int32_t at = p->first < 0 ? 0 : block - p->first;
    if (at < 0 || at >= p->count) {
        instance_blame(in, "%s: parameter %s is not declared for block %d", c->name, p->info.name, block);
        return -1;
    }
    return (int64_t)p->tensor + at;
}

/* --- what a plugin may ask */

static const float *ask_weight(vitro_trainer *t, int32_t site, uint32_t part, int32_t block)
{
    struct training_call *c = call_of(t);
    return lend_data(c, weight_index(c, site, part, block), 0);
}

static const float *ask_weight_gradient(vitro_trainer *t, int32_t site, uint32_t part, int32_t block)
{
    struct training_call *c = call_of(t);
    int64_t i = may(c, STAGE_SCAN, "weight_gradient") ? weight_index(c, site, part, block) : -1;
    if (i >= 0 && !c->in->training->wanted[i]) {
        instance_blame(c->in, "%s: the gradient of %s was not asked for in plan", c->name,
                       c->in->method->tensors[i].name);
        return NULL;
    }
    return lend_data(c, i, 1);
}

static const float *ask_param(vitro_trainer *t, vitro_param handle, int32_t block)
{
    struct training_call *c = call_of(t);
    return lend_data(c, param_index(c, handle, block), 0);
}

static const float *ask_param_gradient(vitro_trainer *t, vitro_param handle, int32_t block)
{
    struct training_call *c = call_of(t);
    int64_t i = may(c, STAGE_STEP, "param_gradient") ? param_index(c, handle, block) : -1;
    if (i >= 0 && c->in->method->tensors[i].kind != LEAF_TRAINABLE) {
        instance_blame(c->in, "%s: %s is frozen and has no gradient", c->name,
                       c->in->method->tensors[i].name);
        return NULL;
    }
    return lend_data(c, i, 1);
}

static float *ask_edit(vitro_trainer *t, vitro_param handle, int32_t block)
{
    struct training_call *c = call_of(t);
    int64_t i = may(c, STAGE_BEGIN | STAGE_STEP, "edit") ? param_index(c, handle, block) : -1;
    struct training_loan *l = i < 0 ? NULL : lend(c, (size_t)i, 0);
    if (l)
        l->edited = 1;
    return l ? l->data : NULL;
}

static float *ask_room(vitro_trainer *t, uint32_t slot, size_t floats)
{
    struct training_call *c = call_of(t);
    struct training_room *r = c->in->training->rooms;
    while (r && r->slot != slot)
        r = r->next;
    if (!r && (!floats || floats > ROOM_LIMIT))
        instance_blame(c->in, "%s: a room of %zu floats is impossible", c->name, floats);
    else if (r && r->floats != floats)
        instance_blame(c->in, "%s: room %u has %zu floats, not %zu", c->name, slot, r->floats, floats);
    if (c->rc < 0 || c->in->why[0])
        return NULL;
    if (r)
        return r->data;
    r = mem_alloc(1, sizeof *r);
    float *data = r ? mem_alloc(floats, sizeof *data) : NULL;
    if (!data) {
        mem_free(r);
        c->rc = ERR_MEMORY;
        return NULL;
    }
    *r = (struct training_room){c->in->training->rooms, slot, floats, data};
    c->in->training->rooms = r;
    return data;
}

static int ask_svd(vitro_trainer *t, const float *a, int32_t rows, int32_t columns, int32_t rank, float *u,
                   float *s, float *vt)
{
    struct training_call *c = call_of(t);
    if (c->rc < 0 || c->in->why[0])
        return -1;
    int rc = a && u && s && vt ? singular_values(a, rows, columns, rank, u, s, vt)
                               : fail(ERR_INPUT, "a matrix whose singular values are wanted is missing");
    if (rc == ERR_MEMORY)
        c->rc = rc;
    else if (rc < 0)
        instance_blame(c->in, "%s: %s", c->name, error_text());
    return rc < 0 ? -1 : 0;
}

/* --- the call */

/* Nothing is written unless all of it can be. */
static int check_edits(const struct training_call *c)
{
    for (const struct training_loan *l = c->loans; l; l = l->next) {
        const struct tensor *t = &c->in->method->tensors[l->tensor];
        for (int64_t i = 0, n = shape_count(t->shape); l->edited && i < n; i++)
            if (!isfinite(l->data[i]))
                return fail(ERR_PLUGIN, "%s: %s makes entry %lld of %s %f", c->in->name, c->name,
                            (long long)i, t->name, (double)l->data[i]);
    }
    return 0;
}

static int write_edits(const struct training_call *c)
{
    TRY(check_edits(c));
    for (const struct training_loan *l = c->loans; l; l = l->next)
        if (l->edited)
            TRY(c->at->write(c->at->context, l->tensor, l->data));
    return 0;
}

static int finish_call(struct training_call *c, int rc)
{
    if (c->rc < 0) /* the host's own trouble: its sentence stands */
        c->in->why[0] = 0;
    else
        c->rc = instance_check(c->in, rc, c->name);
    if (c->rc == 0)
        c->rc = write_edits(c);
    for (struct training_loan *l = c->loans, *next; l; l = next) {
        next = l->next;
        mem_free(l->data);
        mem_free(l);
    }
    if (c->stage == STAGE_STEP)
        training_clear(c->in->training);
    return c->rc;
}

int training_call(struct training_call *c)
{
    struct method *m = c->in->method;
    struct lent_trainer trainer = {
        .pub = {.abi = VITRO_ABI_MAJOR << 16 | VITRO_ABI_MINOR,
                .size = sizeof trainer.pub,
                .host = &c->in->host,
                .model = method_lend(m, &m->model, sizeof m->model),
                .step = c->step,
                .steps = c->steps,
                .weight = ask_weight,
                .weight_gradient = ask_weight_gradient,
                .param = ask_param,
                .param_gradient = ask_param_gradient,
                .edit = ask_edit,
                .room = ask_room,
                .svd = ask_svd},
        .call = c,
    };
    struct lent_trainer *lent = method_lend(m, &trainer, sizeof trainer);
    return finish_call(c, c->callback(c->in->self, &lent->pub));
}

void training_clear(struct training_part *part)
{
    while (part && part->rooms) {
        struct training_room *r = part->rooms;
        part->rooms = r->next;
        mem_free(r->data);
        mem_free(r);
    }
}
