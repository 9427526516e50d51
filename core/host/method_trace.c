/* method_trace.c - runs the network's forward through the stack's hooks, and, when the tape is
 * differentiated, the derivatives that plugins wrote by hand. */
#include "ops_private.h"

#include "error.h"
#include "trace.h"

#include <stdio.h>
#include <string.h>

struct plugin_trace plugin_trace(struct trace *tr, const struct instance *in, enum phase phase, int32_t block)
{
    return (struct plugin_trace){
        .pub = {.op = &trace_ops, .host = &in->host},
        .trace = tr,
        .in = in,
        .phase = phase,
        .block = block,
    };
}

void trace_place(struct trace *tr, const char *what, int32_t site, int32_t block)
{
    char text[PLACE_TEXT];
    tape_place(tr->tape, place_text(what, site, block, text));
}

void trace_complaint(struct trace *tr, const struct instance *in)
{
    if (in->why[0])
        tape_fail(tr->tape, "%s", in->why);
    in->why[0] = 0;
}

int trace_begin(struct trace *tr)
{
    const struct method *m = tr->method;
    size_t sites = ((size_t)m->model.depth + 1) * VITRO_SITE_COUNT;
    tr->leaves = arena_alloc(&tr->arena, m->tensor_count, sizeof *tr->leaves);
    tr->backbone = arena_alloc(&tr->arena, m->vit->count, sizeof *tr->backbone);
    tr->seen = arena_alloc(&tr->arena, sites, sizeof *tr->seen);
    tr->blocks = arena_alloc(&tr->arena, (size_t)m->model.depth, sizeof *tr->blocks);
    if (!tr->leaves || !tr->backbone || !tr->seen || !tr->blocks)
        return ERR_MEMORY;
    TRY(fronts_begin(tr));
    for (size_t i = 0; i < m->tensor_count; i++) {
        const struct tensor *t = &m->tensors[i];
        int changes = t->kept || (tr->unfrozen && tr->unfrozen[i]);
        tr->leaves[i] =
            tape_leaf(tr->tape, changes ? LEAF_TRAINABLE : t->kind, t->shape, (uint32_t)i, t->name);
    }
    memcpy(tr->backbone, tr->leaves, m->vit->count * sizeof *tr->backbone);
    return 0;
}

/* --- derivatives written by hand */

static int run_backward(void *context, struct tape *t, value y, value d_y)
{
    struct record *r = context;
    char what[INSTANCE_NAME + 16], is[SHAPE_TEXT], was[SHAPE_TEXT];
    struct plugin_trace p = plugin_trace(r->trace, r->in, PHASE_BACKWARD, r->site.block);
    p.record = r;
    (void)y;
    snprintf(what, sizeof what, "%s's backward", r->in->name);
    trace_place(r->trace, what, r->site.kind, r->site.block);
    struct plugin_trace *lent = method_lend(r->trace->method, &p, sizeof p);
    const vitro_site *site = method_lend(r->trace->method, &r->site, sizeof r->site);
    value d_x = r->in->plugin->info.backward(r->in->self, &lent->pub, site, d_y);
    trace_complaint(r->trace, r->in);
    if (!tape_node(t, d_x))
        tape_fail(t, "it returned no gradient of its input");
    else if (!shape_equal(tape_shape(t, d_x), tape_shape(t, r->x)))
        tape_fail(t, "its gradient is %s, its input was %s", shape_text(tape_shape(t, d_x), is),
                  shape_text(tape_shape(t, r->x), was));
    else
        tape_add_gradient(t, r->x, d_x);
    tape_place(t, NULL);
    return tape_why(t) ? ERR_PLUGIN : 0;
}

/* --- hooks */

static vitro_site site_here(const struct trace *tr, int32_t kind, int32_t block, value x)
{
    const vitro_model *m = &tr->method->model;
    struct shape s = tape_shape(tr->tape, x);
    vitro_site site = {.size = sizeof site,
                       .kind = kind,
                       .block = block,
                       .batch = s.dim[0],
                       .tokens = s.rank == 3 ? s.dim[1] : 1};
    site.prefix = s.rank == 3 ? site.tokens - m->grid_h * m->grid_w : 1;
    return site;
}

static value run_hook(struct trace *tr, const struct instance *in, int32_t kind, int32_t block, value x)
{
    struct record *r = arena_alloc(&tr->arena, 1, sizeof *r);
    if (!r)
        return tape_fail(tr->tape, "%s", error_text());
    *r = (struct record){.trace = tr, .in = in, .site = site_here(tr, kind, block, x), .x = x};
    struct plugin_trace p = plugin_trace(tr, in, PHASE_FORWARD, block);
    p.record = r;
    trace_place(tr, in->name, kind, block);
    struct plugin_trace *lent = method_lend(tr->method, &p, sizeof p);
    const vitro_site *site = method_lend(tr->method, &r->site, sizeof r->site);
    value y = in->plugin->info.forward(in->self, &lent->pub, site, x);
    trace_complaint(tr, in);
    if (!tape_why(tr->tape) && !tape_node(tr->tape, y))
        tape_fail(tr->tape, "it returned no value");
    if (!tape_why(tr->tape))
        fronts_check(tr, r, y);
    tr->refused = tape_why(tr->tape) != NULL;
    if (!tr->refused && tr->training && !tr->derive && in->plugin->info.backward)
        y = tape_hooked(tr->tape, y, run_backward, r);
    tape_place(tr->tape, NULL);
    r->y = y;
    return tr->refused ? 0 : y;
}

/* vit_trace's stop: each plugin that hooked the site, in stack order, in reverse at BLOCK_OUT. */
static value stop_at_site(void *context, int32_t kind, int32_t block, value x)
{
    struct trace *tr = context;
    const struct method *m = tr->method;
    fronts_arrive(tr, kind);
    if (kind == VITRO_AT_BLOCK_IN)
        tr->blocks[block] = x;
    for (size_t k = 0; k < m->count && x && !tape_why(tr->tape); k++) {
        const struct instance *in = &m->instances[kind == VITRO_AT_BLOCK_OUT ? m->count - 1 - k : k];
        if (in->hooked[block + 1] >> kind & 1)
            x = run_hook(tr, in, kind, block, x);
    }
    if (kind == VITRO_AT_V)
        fronts_compare(tr, block, x);
    tr->seen[(size_t)(block + 1) * VITRO_SITE_COUNT + (size_t)kind] = x;
    return x;
}

/* --- penalties: each a single number per block and one outside, summed */

static void add_penalty(struct trace *tr, const struct instance *in, int32_t block)
{
    struct plugin_trace p = plugin_trace(tr, in, PHASE_PENALTY, block);
    char what[INSTANCE_NAME + 16];
    snprintf(what, sizeof what, "%s's penalty", in->name);
    trace_place(tr, what, -1, block);
    struct plugin_trace *lent = method_lend(tr->method, &p, sizeof p);
    value v = in->plugin->info.penalty(in->self, &lent->pub, block);
    trace_complaint(tr, in);
    if (v && !tape_node(tr->tape, v))
        tape_fail(tr->tape, "it returned no value");
    else if (v && shape_count(tape_shape(tr->tape, v)) != 1)
        tape_fail(tr->tape, "it is not a single number");
    else if (v) {
        v = tape_reshape(tr->tape, v, (struct shape){0});
        tr->pub.penalty = tr->pub.penalty ? tape_add(tr->tape, tr->pub.penalty, v) : v;
    }
    tr->refused |= tape_why(tr->tape) != NULL;
    tape_place(tr->tape, NULL);
}

static void add_penalties(struct trace *tr)
{
    const struct method *m = tr->method;
    for (size_t i = 0; i < m->count; i++)
        for (int32_t b = -1; m->instances[i].plugin->info.penalty && b < m->model.depth; b++)
            if (!tape_why(tr->tape))
                add_penalty(tr, &m->instances[i], b);
}

static int run_trace(struct trace *tr, const struct method_step *step)
{
    struct vit_trace v = {
        .tape = tr->tape,
        .vit = tr->method->vit,
        .images = step->images,
        .index = step->index,
        .drop_path = step->training ? step->drop_path : 0,
        .hook = stop_at_site,
        .context = tr,
    };
    memcpy(v.mean, step->mean, sizeof v.mean);
    memcpy(v.std, step->std, sizeof v.std);
    TRY(trace_begin(tr));
    v.tensors = tr->backbone;
    tr->pub.logits = vit_trace(&v);
    if (step->training)
        add_penalties(tr);
    if (tape_why(tr->tape))
        return fail(tr->refused ? ERR_PLUGIN : ERR_INPUT, "%s", tape_why(tr->tape));
    tr->pub.leaves = tr->leaves;
    tr->pub.count = tr->method->tensor_count;
    tr->pub.blocks = tr->blocks;
    tr->pub.block_count = (size_t)tr->method->model.depth;
    return 0;
}

int method_trace(struct method_trace **out, struct method *m, const struct method_step *step)
{
    if (!m->vit)
        return fail(ERR_INPUT, "%s is not declared against a model yet", m->text);
    struct trace *tr = mem_alloc(1, sizeof *tr);
    if (!tr)
        return ERR_MEMORY;
    tr->method = m;
    tr->tape = step->tape;
    tr->training = step->training;
    tr->derive = step->derive;
    tr->unfrozen = step->unfrozen;
    int rc = run_trace(tr, step);
    if (rc < 0) {
        method_trace_destroy(&tr->pub);
        return rc;
    }
    *out = &tr->pub;
    return 0;
}

void method_trace_destroy(struct method_trace *trace)
{
    struct trace *tr = (struct trace *)(void *)trace;
    if (!tr)
        return;
    arena_finish(&tr->arena);
    mem_free(tr);
}
