/* session_program.c - what a session runs: the traced step, its derivative, and what becomes of both. */
#include "error.h"
#include "memory.h"
#include "session_private.h"

#include <string.h>

enum { LEAVES_OF_A_STEP = 5 }; /* images, index, labels, weights, scale: their ids follow the tensors' */

static void net_finish(struct net *n)
{
    method_trace_destroy(n->trace);
    tape_destroy(n->tape);
    mem_free(n->gradients);
}

/* The forward pass of one batch, with the mean cross-entropy over the rows that count. */
static int trace_forward(struct session *s, const struct program_spec *p, struct net *n)
{
    int32_t batch = (int32_t)p->batch, side = s->spec.vit->shape.image;
    uint32_t id = (uint32_t)s->count;
    n->tape = tape_create();
    if (!n->tape)
        return ERR_MEMORY;
    n->images = tape_leaf(n->tape, LEAF_IMAGES, SHAPE(p->feed->count, side, side, 3), id, "images");
    n->index = tape_leaf(n->tape, LEAF_INPUT, SHAPE(batch), id + 1, "index");
    struct method_step step = {.tape = n->tape,
                               .images = n->images,
                               .index = n->index,
                               .drop_path = p->recipe ? p->recipe->drop_path : 0,
                               .training = p->recipe && !p->scan,
                               .unfrozen = s->unfrozen};
    memcpy(step.mean, s->spec.mean, sizeof step.mean);
    memcpy(step.std, s->spec.std, sizeof step.std);
    TRY(method_trace(&n->trace, s->spec.method, &step));
    if (!p->recipe)
        return 0;
    tape_place(n->tape, "loss");
    n->labels = tape_leaf(n->tape, LEAF_INPUT, SHAPE(batch), id + 2, "labels");
    n->weights = tape_leaf(n->tape, LEAF_INPUT, SHAPE(batch), id + 3, "weights");
    value each = tape_cross_entropy(n->tape, n->trace->logits, n->labels);
    n->loss = tape_reshape(n->tape, tape_sum(n->tape, tape_mul(n->tape, each, n->weights), 1), SHAPE(1));
    tape_place(n->tape, NULL);
    return tape_why(n->tape) ? fail(ERR_PLUGIN, "%s", tape_why(n->tape)) : 0;
}

/* Which frozen tensors only products read: a training step is traced to see it. Products round them anyway, so
 * that the bank may keep them as halves. */
int session_find_halves(struct session *s)
{
    int rc;
    struct net n = {0};
    unsigned char *readers = NULL;
    const struct feed feed = {.count = 1};
    const struct program_spec program = {.feed = &feed, .batch = 1, .recipe = &recipe_default};
    if (s->spec.number == NUMBER_FP32 || s->spec.wide)
        return 0;
    s->halves = mem_alloc(s->count, sizeof *s->halves);
    if (!s->halves)
        return ERR_MEMORY;
    TRY_OUT(trace_forward(s, &program, &n));
    readers = mem_alloc(tape_size(n.tape), 1);
    TRY_OUT(readers ? 0 : ERR_MEMORY);
    tape_readers(n.tape, NULL, NULL, readers);
    for (size_t i = 0; i < s->count; i++)
        if (s->tensors[i].kind == LEAF_FROZEN && !s->tensors[i].kept && n.trace->leaves[i])
            s->halves[i] = readers[n.trace->leaves[i]] == READER_PRODUCT;
out:
    mem_free(readers);
    net_finish(&n);
    return rc;
}

/* Gradients of the loss, with a plugin's penalty, for every trainable tensor or those of a scan. */
static int trace_backward(struct session *s, const struct program_spec *p, struct net *n)
{
    value total = n->loss;
    if (n->trace->penalty)
        total = tape_add(n->tape, total, tape_reshape(n->tape, n->trace->penalty, SHAPE(1)));
    if (p->update && s->spec.number == NUMBER_FP16) { /* so that small gradients do not vanish on the way */
        n->scale = tape_leaf(n->tape, LEAF_INPUT, SHAPE(1), (uint32_t)s->count + 4, "loss scale");
        total = tape_mul(n->tape, total, n->scale);
    }
    value *leaves = mem_alloc(s->count, 2 * sizeof *leaves), *grads = leaves + s->count;
    n->gradients = mem_alloc(s->count, sizeof *n->gradients);
    int rc = leaves && n->gradients ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < s->count && rc == 0; i++)
        if (s->unfrozen ? s->unfrozen[i] : s->tensors[i].kind == LEAF_TRAINABLE) {
            n->gradients[n->gradient_count].id = i;
            leaves[n->gradient_count++] = n->trace->leaves[i];
        }
    if (rc == 0)
        rc = tape_backward(n->tape, total, leaves, n->gradient_count, grads);
    for (size_t i = 0; i < n->gradient_count && rc == 0; i++)
        n->gradients[i].gradient = grads[i];
    mem_free(leaves);
    return rc;
}

/* The blocks' inputs, where features took the place of what is below them, are on another tape. */
static int compute_again(struct recompute *again, struct run_spec *spec, const struct net *n,
                         const struct features *f)
{
    size_t count = n->trace->block_count;
    value *kept = mem_alloc(count, sizeof *kept);
    if (!kept)
        return ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        kept[i] = f && f->tape ? f->values[n->trace->blocks[i]] : n->trace->blocks[i];
    int rc = recompute_apply(again, spec, kept, count);
    mem_free(kept);
    return rc;
}

int session_trace(struct session *s, const struct program_spec *p, struct traced *t)
{
    struct net *n = &t->net;
    *t = (struct traced){0};
    TRY(trace_forward(s, p, n));
    if (p->recipe)
        TRY(trace_backward(s, p, n));
    t->log = p->recipe ? n->loss : n->trace->logits;
    t->spec = (struct run_spec){.tape = n->tape,
                                .bank = s->bank,
                                .feed = p->feed,
                                .images = n->images,
                                .index = n->index,
                                .labels = n->labels,
                                .weights = n->weights,
                                .scale = n->scale,
                                .number = s->spec.number,
                                .gradients = n->gradients,
                                .gradient_count = n->gradient_count,
                                .update = p->update,
                                .logs = &t->log,
                                .log_count = 1,
                                .series = p->series,
                                .profile = p->profile,
                                .asked = s->asked,
                                .explain = p->explain};
    if (p->recipe) {
        t->spec.beta1 = p->recipe->beta1;
        t->spec.beta2 = p->recipe->beta2;
        t->spec.eps = p->recipe->eps;
        t->spec.decay = p->recipe->decay;
    }
    if (p->features)
        TRY(features_keep(p->features, &t->spec, (uint32_t)s->count + LEAVES_OF_A_STEP));
    return p->recipe && p->again ? compute_again(&t->again, &t->spec, n, p->features) : 0;
}

void session_trace_finish(struct traced *t)
{
    recompute_finish(&t->again);
    net_finish(&t->net);
}

int session_program(struct session *s, const struct program_spec *p, struct run **out)
{
    struct traced t;
    int rc = session_trace(s, p, &t);
    if (rc == 0)
        rc = run_create(out, &t.spec);
    session_trace_finish(&t);
    return rc;
}
