/* merge.c - folds the stack into the backbone's weights: one trace over tensors, no activations. */
#include "ops_private.h"

#include "error.h"

#include <stdio.h>
#include <string.h>

static int merge_block(struct trace *tr, const struct instance *in, int32_t block)
{
    struct plugin_trace p = plugin_trace(tr, in, PHASE_MERGE, block);
    char what[INSTANCE_NAME + 16];
    snprintf(what, sizeof what, "%s's merge", in->name);
    trace_place(tr, what, -1, block);
    struct plugin_trace *lent = method_lend(tr->method, &p, sizeof p);
    int rc = in->plugin->info.merge(in->self, &lent->pub, block);
    tape_place(tr->tape, NULL);
    if (tape_why(tr->tape))
        return fail(ERR_PLUGIN, "%s", tape_why(tr->tape));
    return instance_check(in, rc, "merge");
}

/* In stack order: each plugin sees the weights that those before it left. */
static int merge_stack(struct trace *tr)
{
    struct method *m = tr->method;
    for (size_t i = 0; i < m->count; i++) {
        struct method_part part;
        TRY(method_part(m, i, &part));
        if (!part.mergeable)
            return fail(ERR_PLUGIN, "%s cannot be folded into the weights", part.name);
        for (int32_t b = -1; part.plugin->info.merge && b < m->model.depth; b++)
            TRY(merge_block(tr, &m->instances[i], b));
    }
    return 0;
}

/* A bias of patches in a model that has none is the same as a shift of their positions. */
static void shift_positions(struct trace *tr)
{
    const struct vit *vit = tr->method->vit;
    const struct vit_tensor *positions = vit_find(vit, VITRO_AT_TOKENS, VITRO_WEIGHT, -1);
    value *place = &tr->backbone[positions - vit->tensors], shift = tr->patch_bias;
    const int32_t dim = vit->shape.dim, grid = vit_grid(&vit->shape) * vit_grid(&vit->shape);
    shift = tape_expand(tr->tape, tape_reshape(tr->tape, shift, SHAPE(1, 1, dim)), SHAPE(1, grid, dim));
    if (!vit_has(&vit->shape, VIT_GRID_POSITIONS))
        shift = tape_concat(tr->tape, tape_fill(tr->tape, SHAPE(1, 1, dim), 0), shift, 1);
    *place = tape_add(tr->tape, *place, shift);
}

int method_merge(struct method *m, struct tape *tape, value *merged)
{
    struct trace tr = {.method = m, .tape = tape};
    if (!m->vit)
        return fail(ERR_INPUT, "%s is not declared against a model yet", m->text);
    int rc = trace_begin(&tr);
    if (rc == 0)
        rc = merge_stack(&tr);
    if (rc == 0 && tr.patch_bias)
        shift_positions(&tr);
    if (rc == 0 && tape_why(tape))
        rc = fail(ERR_MEMORY, "%s", tape_why(tape));
    if (rc == 0)
        memcpy(merged, tr.backbone, m->vit->count * sizeof *merged);
    arena_finish(&tr.arena);
    return rc;
}
