/* lab.c - see lab.h. */
#include "lab.h"

#include "error.h"
#include "memory.h"
#include "trace.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Sides, widths and depths that a method has no reason to refuse, the smallest first: a plugin that
 * needs a width divisible by 64, say, is judged on the first that has it. */
const struct vit_shape lab_shapes[LAB_SHAPES] = {
    {.image = 16, .patch = 8, .dim = 32, .depth = 2, .heads = 4, .hidden = 128, .classes = 5, .eps = 1e-6f},
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
    lab_ripen(l->vit, s->seed);
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
    l->images = tape_leaf(l->tape, LEAF_IMAGES, SHAPE(LAB_IMAGES, side, side, 3), 0, "images");
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

int lab_try_merge(struct lab *l)
{
    value *merged = mem_alloc(l->vit->count, sizeof *merged);
    struct method_part part;
    int rc = merged ? method_part(l->method, 0, &part) : ERR_MEMORY;
    if (rc == 0 && part.mergeable)
        rc = method_merge(l->method, l->tape, merged);
    mem_free(merged);
    return rc;
}
