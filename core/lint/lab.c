/* lab.c - see lab.h. */
#include "lab.h"

#include "error.h"
#include "memory.h"
#include "rng.h"
#include "trace.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Sides, widths and depths that a method has no reason to refuse, the smallest first: a plugin that
 * needs a width divisible by 64, say, is judged on the first that has it. */
const struct vit_shape lab_shapes[LAB_SHAPES] = {
    {.image = 16, .patch = 8, .dim = 32, .depth = 2, .heads = 4, .hidden = 64, .classes = 5, .eps = 1e-6f},
    {.image = 16, .patch = 8, .dim = 64, .depth = 2, .heads = 4, .hidden = 256, .classes = 5, .eps = 1e-6f},
    {.image = 16, .patch = 8, .dim = 192, .depth = 2, .heads = 3, .hidden = 768, .classes = 5, .eps = 1e-6f},
    {.image = 32,
     .patch = 16,
     .dim = 768,
     .depth = 2,
     .heads = 12,
     .hidden = 3072,
     .classes = 5,
     .eps = 1e-6f},
};

enum { IMAGES = 4 };

/* --- pads: a plugin that writes beyond its instance must not spoil what is judged later */

enum { PAD = 1 << 16, LENT = 1 << 20 };

struct pads {
    struct method_memory memory;
    char *lent; /* copies of what callbacks are lent; taken anew from its beginning */
    size_t used;
    struct {
        void *bytes;
        size_t size;
    } taken[64];
    size_t count;
};

static void *take_pages(size_t size)
{
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes != MAP_FAILED)
        return bytes;
    fail(ERR_MEMORY, "out of memory: %zu bytes for an instance could not be had", size);
    return NULL;
}

static void *pads_self(void *context, size_t size)
{
    struct pads *p = context;
    char *bytes = p->count < sizeof p->taken / sizeof *p->taken ? take_pages(size + 2 * PAD) : NULL;
    if (!bytes)
        return NULL;
    p->taken[p->count].bytes = bytes;
    p->taken[p->count++].size = size + 2 * PAD;
    return bytes + PAD;
}

static const void *pads_lend(void *context, const void *bytes, size_t size)
{
    struct pads *p = context;
    size_t room = (size + 63) / 64 * 64;
    if (room > LENT)
        return bytes;
    if (p->used + room > LENT)
        p->used = 0;
    void *copy = p->lent + p->used;
    memcpy(copy, bytes, size);
    p->used += room;
    return copy;
}

static int pads_create(struct pads **out)
{
    struct pads *p = mem_alloc(1, sizeof *p);
    if (!p || !(p->lent = take_pages(LENT))) {
        mem_free(p);
        return ERR_MEMORY;
    }
    p->memory = (struct method_memory){p, pads_self, pads_lend};
    *out = p;
    return 0;
}

static void pads_destroy(struct pads *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        munmap(p->taken[i].bytes, p->taken[i].size);
    munmap(p->lent, LENT);
    mem_free(p);
}

/* --- contents */

/* As if trained: matrices of the size that keeps activations near 1, the rest around where it starts, so
 * that a gain stays near 1 and a shift near 0, and nothing is where it was. */
static void tune(const char *name, struct shape shape, int keeps_mean, uint64_t seed, float *x)
{
    struct rng g = rng_named(seed, name);
    int64_t count = shape_count(shape);
    double size = shape.rank > 1 ? 1 / sqrt((double)count / shape.dim[0]) : 0.2;
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)((keeps_mean ? (double)x[i] : 0) + size * rng_normal(&g));
}

/* A backbone whose every number matters: vit_random's has zeros for biases and nearly so for branches. */
static void ripen(struct vit *vit, uint64_t seed)
{
    vit_random(vit, seed);
    for (size_t i = 0; i < vit->count; i++) {
        const struct vit_tensor *t = &vit->tensors[i];
        tune(t->name, t->shape, t->shape.rank == 1, ~seed, t->data);
    }
}

/* --- opening */

char *lab_text(const struct subject *s, char out[LAB_TEXT], const char *before, const char *options,
               const char *behind)
{
    snprintf(out, LAB_TEXT, *options ? "%s%s[%s]%s" : "%s%s%s%s", before, s->path, options, behind);
    return out;
}

int lab_declare_in(struct lab *l, struct subject *s, const char *text, const struct vit_shape *shape,
                   const struct method_memory *memory)
{
    TRY(vit_create(&l->vit, shape));
    TRY(method_create_in(&l->method, s->plugins, text, memory));
    TRY(method_declare(l->method, l->vit));
    l->tensors = method_tensors(l->method, &l->tensor_count);
    return 0;
}

int lab_declare(struct lab *l, struct subject *s, const char *text, const struct vit_shape *shape)
{
    *l = (struct lab){0};
    int rc = pads_create(&l->pads);
    if (rc == 0)
        rc = lab_declare_in(l, s, text, shape, &l->pads->memory);
    if (rc < 0)
        lab_close(l);
    return rc;
}

int lab_open(struct lab *l, struct subject *s, const char *text, const struct vit_shape *shape)
{
    TRY(lab_declare(l, s, text, shape));
    ripen(l->vit, s->seed);
    return 0;
}

int lab_shape(struct subject *s, const char *text, struct vit_shape *out)
{
    int rc = 0;
    for (int i = 0; i < LAB_SHAPES; i++) {
        struct lab l;
        *out = lab_shapes[i];
        rc = lab_declare(&l, s, text, out);
        if (rc == 0) {
            lab_close(&l);
            return 0;
        }
    }
    return rc;
}

static void give_up_record(struct lab *l)
{
    method_trace_destroy(l->trace);
    tape_destroy(l->tape);
    mem_free(l->ids);
    mem_free(l->wrt);
    mem_free(l->grads);
    l->trace = NULL;
    l->tape = NULL;
    l->ids = NULL;
    l->wrt = l->grads = NULL;
    l->count = 0;
}

void lab_close(struct lab *l)
{
    give_up_record(l);
    method_destroy(l->method);
    vit_destroy(l->vit);
    pads_destroy(l->pads);
    *l = (struct lab){0};
}

/* --- recording */

value lab_loss(struct lab *l)
{
    int32_t batch = tape_shape(l->tape, l->index).dim[0];
    value each = tape_cross_entropy(l->tape, l->trace->logits, l->labels);
    value mean = tape_affine(l->tape, tape_sum(l->tape, each, 1), 1.0f / (float)batch, 0);
    mean = tape_reshape(l->tape, mean, (struct shape){0});
    return l->trace->penalty ? tape_add(l->tape, mean, l->trace->penalty) : mean;
}

static int record_gradients(struct lab *l)
{
    l->loss = lab_loss(l);
    l->ids = mem_alloc(l->tensor_count, sizeof *l->ids);
    l->wrt = mem_alloc(l->tensor_count, sizeof *l->wrt);
    l->grads = mem_alloc(l->tensor_count, sizeof *l->grads);
    if (!l->ids || !l->wrt || !l->grads)
        return ERR_MEMORY;
    for (size_t i = 0; i < l->tensor_count; i++)
        if (l->tensors[i].kind == LEAF_TRAINABLE) {
            l->wrt[l->count] = l->trace->leaves[i];
            l->ids[l->count++] = i;
        }
    return tape_backward(l->tape, l->loss, l->wrt, l->count, l->grads);
}

int lab_record(struct lab *l, const struct lab_run *run)
{
    int32_t batch = run->batch ? run->batch : LAB_BATCH, side = l->vit->shape.image;
    give_up_record(l);
    l->tape = tape_create();
    if (!l->tape)
        return ERR_MEMORY;
    l->images = tape_leaf(l->tape, LEAF_IMAGES, SHAPE(IMAGES, side, side, 3), 0, "images");
    l->index = tape_leaf(l->tape, LEAF_INPUT, SHAPE(batch), 0, "index");
    l->labels = tape_leaf(l->tape, LEAF_INPUT, SHAPE(batch), 1, "labels");
    if (run->fail_after > 0)
        tape_fail_after(l->tape, run->fail_after);
    const struct method_step step = {.tape = l->tape,
                                     .images = l->images,
                                     .index = l->index,
                                     .mean = {0.5f, 0.5f, 0.5f},
                                     .std = {0.5f, 0.5f, 0.5f},
                                     .drop_path = run->drop_path,
                                     .training = run->training,
                                     .derive = run->derive};
    TRY(method_trace(&l->trace, l->method, &step));
    return run->training ? record_gradients(l) : 0;
}

value lab_plain(const struct lab *l, const value *tensors)
{
    const struct vit_trace v = {.tape = l->tape,
                                .vit = l->vit,
                                .images = l->images,
                                .index = l->index,
                                .mean = {0.5f, 0.5f, 0.5f},
                                .std = {0.5f, 0.5f, 0.5f},
                                .tensors = tensors ? tensors : l->trace->leaves};
    return vit_trace(&v);
}

/* --- filling leaves */

int lab_tensor(const struct lab *l, size_t id, enum lab_fill fill, uint64_t seed, float *out)
{
    const struct tensor *t = &l->tensors[id];
    TRY(method_initial(l->method, id, seed, out));
    int keeps_mean = t->source >= 0 ? t->shape.rank == 1 : t->init == VITRO_ONES || t->init_mean != 0.0f;
    if (fill == LAB_TUNED && (t->kind == LEAF_TRAINABLE || t->kept))
        tune(t->name, t->shape, keeps_mean, seed, out);
    return 0;
}

static void fill_inputs(const struct lab *l, struct ref *r, uint64_t seed)
{
    struct rng g = rng_named(seed, "images");
    double *images = ref_leaf(r, l->images), *index = ref_leaf(r, l->index), *labels = ref_leaf(r, l->labels);
    int64_t pixels = shape_count(tape_shape(l->tape, l->images));
    int32_t batch = tape_shape(l->tape, l->index).dim[0], classes = l->vit->shape.classes;
    for (int64_t i = 0; images && i < pixels; i++)
        images[i] = rng_below(&g, 256);
    for (int32_t i = 0; index && i < batch; i++)
        index[i] = (batch - 1 - i) % IMAGES;
    for (int32_t i = 0; labels && i < batch; i++)
        labels[i] = (2 * i + 1) % classes;
}

static void fill_leaf(double *x, const float *numbers, size_t count)
{
    for (size_t k = 0; k < count; k++)
        x[k] = (double)numbers[k];
}

int lab_fill(const struct lab *l, struct ref *r, enum lab_fill fill, uint64_t seed)
{
    ref_seed(r, seed, 5);
    fill_inputs(l, r, seed);
    for (size_t i = 0; i < l->tensor_count; i++) {
        double *x = ref_leaf(r, l->trace->leaves[i]);
        size_t count = (size_t)shape_count(l->tensors[i].shape);
        float *numbers = x ? mem_alloc(count, sizeof *numbers) : NULL;
        int rc = !x ? 0 : numbers ? lab_tensor(l, i, fill, seed, numbers) : ERR_MEMORY;
        if (x && rc == 0)
            fill_leaf(x, numbers, count);
        mem_free(numbers);
        TRY(rc);
    }
    return 0;
}

int lab_fill_from(const struct lab *l, struct ref *r, float *const *data, uint64_t seed)
{
    ref_seed(r, seed, 5);
    fill_inputs(l, r, seed);
    for (size_t i = 0; i < l->tensor_count; i++) {
        double *x = ref_leaf(r, l->trace->leaves[i]);
        if (x)
            fill_leaf(x, data[i], (size_t)shape_count(l->tensors[i].shape));
    }
    return 0;
}

int lab_ref(struct ref **out, const struct lab *l, const value *roots, size_t count, enum lab_fill fill,
            uint64_t seed)
{
    TRY(ref_create(out, l->tape, roots, count));
    int rc = lab_fill(l, *out, fill, seed);
    if (rc < 0) {
        ref_destroy(*out);
        *out = NULL;
    }
    return rc;
}

double lab_distance(const double *a, const double *b, int64_t count)
{
    double difference = 0, size = 0;
    if (!lab_finite(a, count) || !lab_finite(b, count))
        return INFINITY;
    for (int64_t i = 0; i < count; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return size > 0 ? sqrt(difference / size) : sqrt(difference);
}

int lab_finite(const double *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}
