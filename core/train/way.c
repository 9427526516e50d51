/* way.c - see way.h. By parameters, the trained session itself is led back; by merged weights, the plain network
 * gets them. The merged weights are computed in double by the reference interpreter. */
#include "way.h"

#include "error.h"
#include "memory.h"
#include "ref.h"

#include <stdio.h>
#include <string.h>

const char *const way_heads[] = {"own", "probe", "tuned", NULL};

struct way {
    struct way_spec spec;
    enum interpolation by;
    char refusal[512]; /* "": none */
    struct session *plain;
    const struct tensor *tensors; /* of the method that is led back, its backbone's first */
    size_t count;                 /* of those that may move */
    float **theta;                /* [count] trained contents; NULL: does not move */
    float *at;                    /* room for the largest */
    int placed;                   /* merged: the plain network is at */
    float at_alpha;
};

static size_t elements(const struct tensor *t)
{
    return (size_t)shape_count(t->shape);
}

static const float *probe_of(const struct way *w, const char *name)
{
    if (w->spec.head != WAY_PROBE)
        return NULL;
    return strcmp(name, "head.weight") == 0 ? w->spec.weight
           : strcmp(name, "head.bias") == 0 ? w->spec.bias
                                            : NULL;
}

/* --- what the trained tensors are */

static int take_theta(struct way *w, size_t id)
{
    w->theta[id] = mem_alloc(elements(&w->tensors[id]), sizeof(float));
    return w->theta[id] ? 0 : ERR_MEMORY;
}

static int read_parameters(struct way *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->tensors[i].kind != LEAF_TRAINABLE)
            continue;
        TRY(take_theta(w, i));
        TRY(session_tensor(w->spec.tuned, i, w->theta[i]));
    }
    return 0;
}

static int fill_leaves(struct way *w, struct ref *r, const struct tape *tape)
{
    size_t count;
    const struct tensor *all = method_tensors(w->spec.method, &count);
    for (uint32_t v = 1; v < tape_size(tape); v++) {
        const struct node *n = tape_node(tape, v);
        const uint32_t id = n->attr.leaf.id;
        double *x = n->op == OP_LEAF && id < count ? ref_leaf(r, v) : NULL;
        if (!x)
            continue;
        TRY(session_tensor(w->spec.tuned, id, w->at));
        for (size_t k = 0; k < elements(&all[id]); k++)
            x[k] = (double)w->at[k];
    }
    return 0;
}

static int keep_merged(struct way *w, const struct ref *r, const value *merged)
{
    for (size_t i = 0; i < w->count; i++) {
        const double *x = ref_value(r, merged[i]);
        TRY(take_theta(w, i));
        for (size_t k = 0; x && k < elements(&w->tensors[i]); k++)
            w->theta[i][k] = (float)x[k];
        if (!x)
            TRY(session_tensor(w->spec.tuned, i, w->theta[i]));
    }
    return 0;
}

static int read_merged(struct way *w)
{
    struct tape *tape = tape_create();
    struct ref *r = NULL;
    value *merged = mem_alloc(w->count, sizeof *merged);
    int rc = tape && merged ? 0 : ERR_MEMORY;
    if (rc == 0)
        rc = method_merge(w->spec.method, tape, merged);
    if (rc == 0)
        rc = ref_create(&r, tape, merged, w->count);
    if (rc == 0)
        rc = fill_leaves(w, r, tape);
    if (rc == 0)
        rc = ref_run(r);
    if (rc == 0)
        rc = keep_merged(w, r, merged);
    ref_destroy(r);
    tape_destroy(tape);
    mem_free(merged);
    return rc;
}

/* --- the ends */

/* The plain network with alpha 0's head. */
static int open_plain(struct way *w)
{
    struct session_spec spec = {
        .engine = w->spec.engine, .method = w->spec.plain, .vit = w->spec.vit, .seed = w->spec.seed};
    size_t count;
    const struct tensor *tensors = method_tensors(w->spec.plain, &count);
    memcpy(spec.mean, w->spec.mean, sizeof spec.mean);
    memcpy(spec.std, w->spec.std, sizeof spec.std);
    TRY(session_create(&w->plain, &spec));
    for (size_t i = 0; i < count; i++) {
        const float *probe = probe_of(w, tensors[i].name);
        if (probe)
            TRY(session_set_tensor(w->plain, i, probe));
        else if (w->spec.head == WAY_TUNED && tensors[i].is_head) {
            TRY(session_tensor(w->spec.tuned, i, w->at));
            TRY(session_set_tensor(w->plain, i, w->at));
        }
    }
    return 0;
}

static int find_most(struct way *w)
{
    size_t count, most = 0;
    const struct tensor *all = method_tensors(w->spec.method, &count);
    for (size_t i = 0; i < count; i++)
        most = elements(&all[i]) > most ? elements(&all[i]) : most;
    w->at = mem_alloc(most, sizeof *w->at);
    return w->at ? 0 : ERR_MEMORY;
}

static int open_way(struct way *w)
{
    size_t all;
    TRY(find_most(w));
    w->tensors = method_tensors(w->spec.method, &all);
    int rc = method_interpolation(w->spec.method, &w->by);
    if (rc == ERR_PLUGIN) { /* none: the anchor and the trained model are all there is */
        snprintf(w->refusal, sizeof w->refusal, "%s", error_text());
        return open_plain(w);
    }
    TRY(rc);
    w->count = w->by == INTERPOLATES_MERGED ? w->spec.vit->count : all;
    w->theta = mem_alloc(w->count, sizeof *w->theta);
    if (!w->theta)
        return ERR_MEMORY;
    TRY(w->by == INTERPOLATES_MERGED ? read_merged(w) : read_parameters(w));
    return open_plain(w);
}

int way_create(struct way **out, const struct way_spec *spec)
{
    *out = NULL;
    struct way *w = mem_alloc(1, sizeof *w);
    if (!w)
        return ERR_MEMORY;
    w->spec = *spec;
    int rc = spec->head == WAY_PROBE && (!spec->weight || !spec->bias)
                 ? fail(ERR_INPUT, "a way from a linear probe needs the probe's head")
                 : open_way(w);
    if (rc < 0)
        way_destroy(w);
    else
        *out = w;
    return rc;
}

void way_destroy(struct way *w)
{
    if (!w)
        return;
    for (size_t i = 0; w->theta && i < w->count; i++) {
        if (w->theta[i] && w->by == INTERPOLATES_PARAMETERS)
            session_set_tensor(w->spec.tuned, i, w->theta[i]);
        mem_free(w->theta[i]);
    }
    session_destroy(w->plain);
    mem_free(w->theta);
    mem_free(w->at);
    mem_free(w);
}

const char *way_refusal(const struct way *w)
{
    return w->refusal[0] ? w->refusal : NULL;
}

enum interpolation way_by(const struct way *w)
{
    return w->by;
}

/* --- in between */

/* Tensor `id` at alpha, into w->at. */
static int place(struct way *w, size_t id, float alpha)
{
    const struct tensor *t = &w->tensors[id];
    const float *theta = w->theta[id], *probe = probe_of(w, t->name);
    if (alpha < 1 && probe) { /* in double, rounded once, and exact at 0 */
        for (size_t k = 0; k < elements(t); k++)
            w->at[k] =
                alpha > 0 ? (float)((1 - (double)alpha) * (double)probe[k] + (double)alpha * (double)theta[k])
                          : probe[k];
        return 0;
    }
    if (alpha < 1 && !(t->is_head && w->spec.head == WAY_TUNED))
        return method_interpolate(w->spec.method, id, alpha, theta, w->at);
    memcpy(w->at, theta, elements(t) * sizeof *theta);
    return 0;
}

static int place_all(struct way *w, struct session *s, float alpha)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->theta[i]) {
            TRY(place(w, i, alpha));
            TRY(session_set_tensor(s, i, w->at));
        }
    return 0;
}

/* The plain network as it was opened, on no way. */
static int reopen_plain(struct way *w)
{
    session_destroy(w->plain);
    w->plain = NULL;
    w->placed = 0;
    return open_plain(w);
}

/* The plain network's weights are frozen: a session may keep them in another layout once it has run, so that each
 * alpha begins with a fresh one. */
static int place_merged(struct way *w, float alpha)
{
    if (w->placed && !(w->at_alpha < alpha) && !(w->at_alpha > alpha))
        return 0;
    TRY(reopen_plain(w));
    TRY(place_all(w, w->plain, alpha));
    w->placed = 1;
    w->at_alpha = alpha;
    return 0;
}

int way_logits(struct way *w, float alpha, const struct images *images, uint32_t batch, float *logits)
{
    if (w->refusal[0])
        return fail(ERR_PLUGIN, "%s", w->refusal);
    if (w->by != INTERPOLATES_MERGED) {
        TRY(place_all(w, w->spec.tuned, alpha));
        return session_logits(w->spec.tuned, images, batch, logits, NULL);
    }
    TRY(place_merged(w, alpha));
    return session_logits(w->plain, images, batch, logits, NULL);
}

int way_anchor(struct way *w, const struct images *images, uint32_t batch, float *logits)
{
    if (w->placed) /* by merged weights the plain network is what moves: here it is itself again */
        TRY(reopen_plain(w));
    return session_logits(w->plain, images, batch, logits, NULL);
}
