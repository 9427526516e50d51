/* training_extension.c - see training_extension.h: who takes part, when, and what a callback may ask. */
#include "training_extension.h"

#include "error.h"
#include "training_private.h"

#include <stdio.h>
#include <string.h>

/* --- who takes part */

static int check_training(const struct instance *in, const vitro_training *t)
{
    const char *wrong = NULL;
    if (!t->plan != !t->scan)
        wrong = "plan and scan go together";
    else if (!t->scan && !t->begin && !t->step)
        wrong = "it has no scan, begin or step";
    else if (t->next && !t->step)
        wrong = "next without step has nothing to name";
    if (wrong)
        instance_blame(in, VITRO_TRAINING ": %s", wrong);
    return wrong ? -1 : 0;
}

int training_ask(struct instance *in)
{
    const vitro_plugin_info *info = &in->plugin->info;
    const vitro_training *theirs = info->extension ? info->extension(in->self, VITRO_TRAINING) : NULL;
    if (!theirs)
        return 0;
    struct training_part *part = arena_alloc(&in->method->arena, 1, sizeof *part);
    if (!part || !(part->wanted = arena_alloc(&in->method->arena, in->method->vit->count, 1)))
        return ERR_MEMORY;
    if (theirs->size < sizeof theirs->size)
        instance_blame(in, VITRO_TRAINING ": its table says it has %u bytes", theirs->size);
    else
        memcpy(&part->info, theirs, theirs->size < sizeof part->info ? theirs->size : sizeof part->info);
    if (!in->why[0])
        check_training(in, &part->info);
    in->training = part;
    return instance_check(in, 0, "extension");
}

/* --- before training */

/* The tensors a plan names, of those that the model has. */
static int mark_wanted(const struct instance *in, const vitro_scan *scan)
{
    const struct vit *vit = in->method->vit;
    int32_t first, count;
    size_t marked = 0;
    TRY(instance_blocks(in, scan->blocks, &first, &count));
    for (size_t i = 0; i < vit->count; i++) {
        const struct vit_tensor *t = &vit->tensors[i];
        int there = t->block < 0 || (t->block >= first && t->block < first + count);
        if (!there || !(scan->sites >> t->site & 1) || !(scan->parts & (uint32_t)t->part))
            continue;
        in->training->wanted[i] = 1;
        marked++;
    }
    if (!marked)
        instance_blame(in, "plan names no tensor of the backbone whose gradient is wanted");
    return marked ? 0 : -1;
}

static int plan_instance(const struct instance *in, uint32_t pass)
{
    struct training_part *part = in->training;
    struct method *m = in->method;
    vitro_scan scan = {.size = sizeof scan,
                       .batches = pass,
                       .host = &in->host,
                       .model = method_lend(m, &m->model, sizeof m->model)};
    vitro_scan *lent = method_lend(m, &scan, sizeof scan);
    int rc = part->info.plan(in->self, lent);
    if (rc == 0 && lent->batches > pass)
        instance_blame(in, "plan asks for %u batches to scan; one pass over the training images has %u",
                       lent->batches, pass);
    else if (rc == 0 && lent->batches > 0)
        rc = mark_wanted(in, lent);
    part->batches = lent->batches;
    return instance_check(in, rc, "plan");
}

int method_training_plan(struct method *m, uint32_t pass, unsigned char *wanted, uint32_t *batches)
{
    *batches = 0;
    for (size_t i = 0; i < m->count; i++) {
        struct training_part *part = m->instances[i].training;
        if (!part || !part->info.plan)
            continue;
        TRY(plan_instance(&m->instances[i], pass));
        for (size_t k = 0; k < m->vit->count; k++)
            wanted[k] |= part->wanted[k];
        *batches = part->batches > *batches ? part->batches : *batches;
    }
    return 0;
}

int method_training_scan(struct method *m, const struct training_tensors *at, uint32_t batch)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct training_part *part = m->instances[i].training;
        if (part && batch < part->batches)
            TRY(training_call(&(struct training_call){.in = &m->instances[i],
                                                      .at = at,
                                                      .stage = STAGE_SCAN,
                                                      .callback = part->info.scan,
                                                      .name = "scan",
                                                      .step = batch + 1,
                                                      .steps = part->batches}));
    }
    return 0;
}

int method_training_begin(struct method *m, const struct training_tensors *at, uint32_t steps)
{
    int rc = 0;
    for (size_t i = 0; i < m->count && rc == 0; i++) {
        const struct training_part *part = m->instances[i].training;
        if (part && part->info.begin)
            rc = training_call(&(struct training_call){.in = &m->instances[i],
                                                       .at = at,
                                                       .stage = STAGE_BEGIN,
                                                       .callback = part->info.begin,
                                                       .name = "begin",
                                                       .steps = steps});
    }
    method_training_forget(m);
    return rc;
}

void method_training_forget(struct method *m)
{
    for (size_t i = 0; i < m->count; i++)
        training_clear(m->instances[i].training);
}

/* --- between steps */

static int next_of(const struct instance *in, uint32_t step, uint32_t steps, uint32_t *next)
{
    const vitro_training *t = in->training ? &in->training->info : NULL;
    *next = 0;
    if (!t || !t->step || step >= steps)
        return 0;
    *next = t->next ? t->next(in->self, step, steps) : step + 1;
    if (*next && (*next <= step || *next > steps))
        instance_blame(in, "next, after step %u of %u, names step %u", step, steps, *next);
    return instance_check(in, 0, "next");
}

int method_training_next(const struct method *m, uint32_t step, uint32_t steps, uint32_t *next)
{
    *next = 0;
    for (size_t i = 0; i < m->count; i++) {
        uint32_t own;
        TRY(next_of(&m->instances[i], step, steps, &own));
        *next = own && (!*next || own < *next) ? own : *next;
    }
    return 0;
}

int method_training_step(struct method *m, const struct training_tensors *at, uint32_t step, uint32_t steps)
{
    for (size_t i = 0; i < m->count && step > 0; i++) {
        struct instance *in = &m->instances[i];
        uint32_t due;
        TRY(next_of(in, step - 1, steps, &due));
        if (due == step)
            TRY(training_call(&(struct training_call){.in = in,
                                                      .at = at,
                                                      .stage = STAGE_STEP,
                                                      .callback = in->training->info.step,
                                                      .name = "step",
                                                      .step = step,
                                                      .steps = steps}));
    }
    return 0;
}
