/* ops.c - the table of operations handed to plugins, on top of the tape. Whatever number a plugin
 * passes is checked before the tape sees it. */
#include "ops_private.h"

#include "trace.h"

#include <stdio.h>

#define X(NAME, name) _Static_assert((int)VITRO_##NAME == (int)UNARY_##NAME, "one numbering of functions");
UNARY_FUNCTIONS(X)
#undef X
_Static_assert((int)VITRO_UNARY_COUNT == (int)UNARY_COUNT, "one list of functions");
_Static_assert((int)DROP_LIMIT <= (int)STREAM_NTH, "each dropout of a site has a stream");
_Static_assert((int)STACK_LIMIT < (int)STREAM_OWNERS, "each instance has streams");
_Static_assert((int)VITRO_SITE_COUNT <= (int)STREAM_SITES, "each site has streams");

static struct plugin_trace *self_of(vitro_trace *t)
{
    return (struct plugin_trace *)(void *)t;
}

static struct tape *tape_of(vitro_trace *t)
{
    return self_of(t)->trace->tape;
}

/* v, if it is a value; else poison with a reason. */
static value known(vitro_trace *t, vitro_value v)
{
    if (tape_node(tape_of(t), v))
        return v;
    if (v || !tape_why(tape_of(t)))
        tape_fail(tape_of(t), "%u is not a value of this trace", v);
    return 0;
}

static int may(vitro_trace *t, unsigned phases, const char *op)
{
    static const char *const names[] = {[PHASE_FORWARD] = "forward",
                                        [PHASE_BACKWARD] = "backward",
                                        [PHASE_PENALTY] = "penalty",
                                        [PHASE_MERGE] = "merge"};
    if (self_of(t)->phase & phases)
        return 1;
    tape_fail(tape_of(t), "%s cannot be used in a %s", op, names[self_of(t)->phase]);
    return 0;
}

static int to_shape(vitro_trace *t, vitro_shape from, struct shape *to)
{
    int64_t count = 1;
    int good = from.rank >= 0 && from.rank <= SHAPE_RANK;
    *to = (struct shape){.rank = good ? from.rank : 0};
    for (int i = 0; good && i < from.rank; i++) {
        good = from.dim[i] > 0 && count <= INT32_MAX / from.dim[i];
        count *= from.dim[i];
        to->dim[i] = from.dim[i];
    }
    if (!good)
        tape_fail(tape_of(t), "a shape with %d axes, the first of size %d, is impossible", from.rank,
                  from.dim[0]);
    return good;
}

/* --- what there is to read */

static vitro_value op_param(vitro_trace *t, vitro_param handle)
{
    const struct plugin_trace *p = self_of(t);
    const struct instance *in = p->in;
    if (!handle || handle > in->param_count)
        return tape_fail(tape_of(t), "%u is not a parameter", handle);
    const struct param *param = &in->params[handle - 1];
    int32_t at = param->first < 0 ? 0 : p->block - param->first;
    if (param->first >= 0 && p->block < 0)
        return tape_fail(tape_of(t),
                         "parameter %s stands once per block, and here is no block; declare it "
                         "VITRO_SHARED",
                         param->info.name);
    if (at < 0 || at >= param->count)
        return tape_fail(tape_of(t), "parameter %s is not declared for block %d", param->info.name, p->block);
    return p->trace->leaves[param->tensor + (size_t)at];
}

static vitro_value op_at(vitro_trace *t, int32_t site)
{
    const struct plugin_trace *p = self_of(t);
    if (!may(t, PHASE_FORWARD | PHASE_BACKWARD, "at"))
        return 0;
    if (site < 0 || site >= VITRO_SITE_COUNT)
        return tape_fail(tape_of(t), "there is no site %d", site);
    value v = p->trace->seen[(size_t)(p->block + 1) * VITRO_SITE_COUNT + (size_t)site];
    if (!v || (p->phase == PHASE_BACKWARD && v > p->record->y))
        return tape_fail(tape_of(t), "at: %s is not an earlier site of the same block", site_names[site]);
    return v;
}

/* The index of a backbone tensor, or -1 with the reason. Block: the callback's own. */
static int64_t backbone_index(vitro_trace *t, int32_t site, uint32_t part)
{
    const struct plugin_trace *p = self_of(t);
    const struct vit *vit = p->in->method->vit;
    int good = site >= 0 && site < VITRO_SITE_COUNT && (part == VITRO_WEIGHT || part == VITRO_BIAS);
    const struct vit_tensor *found =
        good ? vit_find(vit, site, (int32_t)part, site_in_block(site) ? p->block : -1) : NULL;
    if (!found) {
        tape_fail(tape_of(t), "there is no %s at site %s of block %d", part == VITRO_BIAS ? "bias" : "weight",
                  site >= 0 && site < VITRO_SITE_COUNT ? site_names[site] : "?", p->block);
        return -1;
    }
    return found - vit->tensors;
}

/* In a merge the patch projection has a bias in any model: where there is none, merge.c finds it a place. */
static int lacks_patch_bias(vitro_trace *t, int32_t site, uint32_t part)
{
    const struct plugin_trace *p = self_of(t);
    return p->phase == PHASE_MERGE && site == VITRO_AT_EMBED && part == VITRO_BIAS && p->block < 0 &&
           vit_has(&p->in->method->vit->shape, VIT_NO_PATCH_BIAS);
}

static vitro_value op_weight(vitro_trace *t, int32_t site, uint32_t part)
{
    struct trace *tr = self_of(t)->trace;
    if (lacks_patch_bias(t, site, part))
        return tr->patch_bias ? tr->patch_bias : tape_fill(tr->tape, SHAPE(tr->method->model.dim), 0);
    int64_t i = backbone_index(t, site, part);
    return i < 0 ? 0 : self_of(t)->trace->backbone[i];
}

static void op_replace(vitro_trace *t, int32_t site, uint32_t part, vitro_value v)
{
    struct tape *tape = tape_of(t);
    struct trace *tr = self_of(t)->trace;
    const int lacks = lacks_patch_bias(t, site, part);
    int64_t i = !may(t, PHASE_MERGE, "replace") ? -1 : lacks ? 0 : backbone_index(t, site, part);
    v = known(t, v);
    if (i < 0 || !v)
        return;
    value *place = lacks ? &tr->patch_bias : &tr->backbone[i];
    struct shape is = tape_shape(tape, v),
                 was = lacks ? SHAPE(tr->method->model.dim) : tape_shape(tape, *place);
    char is_text[SHAPE_TEXT], was_text[SHAPE_TEXT];
    if (shape_equal(is, was))
        *place = v;
    else
        tape_fail(tape, "replace: %s is %s and cannot become %s", site_names[site], shape_text(was, was_text),
                  shape_text(is, is_text));
}

static vitro_shape op_shape(vitro_trace *t, vitro_value v)
{
    struct shape s = tape_shape(tape_of(t), v); /* rank 0 of poison */
    return (vitro_shape){s.rank, {s.dim[0], s.dim[1], s.dim[2], s.dim[3]}};
}

/* --- arithmetic */

static vitro_value op_fill(vitro_trace *t, vitro_shape shape, float number)
{
    struct shape s;
    return to_shape(t, shape, &s) ? tape_fill(tape_of(t), s, number) : 0;
}

static vitro_value op_matmul(vitro_trace *t, vitro_value a, vitro_value b, int a_t, int b_t)
{
    return tape_matmul(tape_of(t), known(t, a), known(t, b), a_t, b_t);
}

static vitro_value op_add(vitro_trace *t, vitro_value a, vitro_value b)
{
    return tape_add(tape_of(t), known(t, a), known(t, b));
}

static vitro_value op_mul(vitro_trace *t, vitro_value a, vitro_value b)
{
    return tape_mul(tape_of(t), known(t, a), known(t, b));
}

static vitro_value op_affine(vitro_trace *t, vitro_value x, float scale, float shift)
{
    return tape_affine(tape_of(t), known(t, x), scale, shift);
}

static vitro_value op_unary(vitro_trace *t, vitro_value x, uint32_t fn)
{
    return tape_unary(tape_of(t), known(t, x), (enum unary_fn)fn);
}

static vitro_value op_softmax(vitro_trace *t, vitro_value x)
{
    return tape_softmax(tape_of(t), known(t, x));
}

static vitro_value op_normalize(vitro_trace *t, vitro_value x, float eps)
{
    return tape_normalize(tape_of(t), known(t, x), eps);
}

/* The mask of the nth dropout of this forward; its stream follows from where it stands. */
static value drop(vitro_trace *t, value x, uint32_t nth)
{
    const struct plugin_trace *p = self_of(t);
    const struct record *r = p->record;
    if (!p->trace->training)
        return x;
    uint32_t stream = vit_stream(p->in->owner + 1, p->block, r->site.kind, (int32_t)nth);
    return tape_dropout(tape_of(t), x, r->drops[nth].p, stream, r->drops[nth].axes);
}

static vitro_value op_dropout(vitro_trace *t, vitro_value x, float p, uint32_t axes)
{
    struct record *r = self_of(t)->record;
    x = known(t, x);
    if (!may(t, PHASE_FORWARD, "dropout") || !x)
        return 0;
    if (!(p >= 0 && p < 1))
        return tape_fail(tape_of(t), "dropout: p is %g; it must be at least 0 and below 1", (double)p);
    if (r->drop_count == DROP_LIMIT)
        return tape_fail(tape_of(t), "more than %d dropouts at one site", DROP_LIMIT);
    r->drops[r->drop_count].p = p;
    r->drops[r->drop_count].axes = axes ? axes : ~0u;
    return drop(t, x, r->drop_count++);
}

static vitro_value op_redrop(vitro_trace *t, uint32_t nth, vitro_value d)
{
    d = known(t, d);
    if (!may(t, PHASE_BACKWARD, "redrop") || !d)
        return 0;
    if (nth >= self_of(t)->record->drop_count)
        return tape_fail(tape_of(t), "redrop: the forward here had %u dropouts, so there is no number %u",
                         self_of(t)->record->drop_count, nth);
    return drop(t, d, nth);
}

static vitro_value op_reshape(vitro_trace *t, vitro_value x, vitro_shape to)
{
    struct shape s;
    return to_shape(t, to, &s) ? tape_reshape(tape_of(t), known(t, x), s) : 0;
}

static vitro_value op_permute(vitro_trace *t, vitro_value x, const int32_t axes[4])
{
    return tape_permute(tape_of(t), known(t, x), axes);
}

static vitro_value op_expand(vitro_trace *t, vitro_value x, vitro_shape to)
{
    struct shape s;
    return to_shape(t, to, &s) ? tape_expand(tape_of(t), known(t, x), s) : 0;
}

static vitro_value op_concat(vitro_trace *t, vitro_value a, vitro_value b, int32_t axis)
{
    return tape_concat(tape_of(t), known(t, a), known(t, b), axis);
}

static vitro_value op_slice(vitro_trace *t, vitro_value x, int32_t axis, int32_t from, int32_t to)
{
    return tape_slice(tape_of(t), known(t, x), axis, from, to);
}

static vitro_value op_sum(vitro_trace *t, vitro_value x, uint32_t axes)
{
    return tape_sum(tape_of(t), known(t, x), axes);
}

static vitro_value op_unfold(vitro_trace *t, vitro_value x, int32_t k)
{
    return tape_unfold(tape_of(t), known(t, x), k);
}

static vitro_value op_fold(vitro_trace *t, vitro_value x, int32_t k)
{
    return tape_fold(tape_of(t), known(t, x), k);
}

static vitro_value op_detach(vitro_trace *t, vitro_value x)
{
    return tape_detach(tape_of(t), known(t, x));
}

static vitro_value op_fail(vitro_trace *t, const char *why)
{
    return tape_fail(tape_of(t), "%s", why && *why ? why : "the plugin failed without saying why");
}

/* --- for derivatives written by hand */

static int slot_exists(vitro_trace *t, uint32_t slot)
{
    if (slot < VITRO_SLOTS)
        return 1;
    tape_fail(tape_of(t), "there is no slot %u; the last is %d", slot, VITRO_SLOTS - 1);
    return 0;
}

static void op_save(vitro_trace *t, uint32_t slot, vitro_value v)
{
    if (may(t, PHASE_FORWARD, "save") && slot_exists(t, slot))
        self_of(t)->record->slots[slot] = known(t, v);
}

static vitro_value op_saved(vitro_trace *t, uint32_t slot)
{
    if (!may(t, PHASE_BACKWARD, "saved") || !slot_exists(t, slot))
        return 0;
    value v = self_of(t)->record->slots[slot];
    return v ? v : tape_fail(tape_of(t), "nothing was saved in slot %u", slot);
}

static void op_grad(vitro_trace *t, vitro_value of, vitro_value d)
{
    of = known(t, of);
    d = known(t, d);
    if (may(t, PHASE_BACKWARD, "grad") && of && d)
        tape_add_gradient(tape_of(t), of, d);
}

static vitro_value op_unary_back(vitro_trace *t, vitro_value x, vitro_value d, uint32_t fn)
{
    return may(t, PHASE_BACKWARD, "unary_back")
               ? tape_unary_back(tape_of(t), known(t, x), known(t, d), (enum unary_fn)fn)
               : 0;
}

const vitro_ops trace_ops = {
    .abi = VITRO_ABI_MAJOR << 16 | VITRO_ABI_MINOR,
    .size = sizeof(vitro_ops),
    .param = op_param,
    .at = op_at,
    .weight = op_weight,
    .replace = op_replace,
    .shape = op_shape,
    .fill = op_fill,
    .matmul = op_matmul,
    .add = op_add,
    .mul = op_mul,
    .affine = op_affine,
    .unary = op_unary,
    .softmax = op_softmax,
    .normalize = op_normalize,
    .dropout = op_dropout,
    .reshape = op_reshape,
    .permute = op_permute,
    .expand = op_expand,
    .concat = op_concat,
    .slice = op_slice,
    .sum = op_sum,
    .unfold = op_unfold,
    .fold = op_fold,
    .detach = op_detach,
    .fail = op_fail,
    .save = op_save,
    .saved = op_saved,
    .grad = op_grad,
    .redrop = op_redrop,
    .unary_back = op_unary_back,
};
