/* world.h - a declared stack whose tensors lie in plain memory, and what the host does with it around training
 * (vitro/training.h): what the tests of that share. */
#ifndef WORLD_H
#define WORLD_H

#include "tiny.h"
#include "training_extension.h"

struct world { /* a declared stack whose tensors, and gradients of them, are arrays */
    struct tiny n;
    float **values, **gradients;
    int fails; /* what the next access answers, if negative */
};

static inline int access_tensor(struct world *w, float *to, const float *from, size_t tensor)
{
    if (w->fails < 0)
        return (fail)(w->fails, "the device is on fire"); /* not CMocka's */
    memcpy(to, from, (size_t)shape_count(w->n.tensors[tensor].shape) * sizeof *to);
    return 0;
}

static inline int read_value(void *context, size_t tensor, float *out)
{
    return access_tensor(context, out, ((struct world *)context)->values[tensor], tensor);
}

static inline int read_gradient(void *context, size_t tensor, float *out)
{
    return access_tensor(context, out, ((struct world *)context)->gradients[tensor], tensor);
}

static inline int write_value(void *context, size_t tensor, const float *data)
{
    return access_tensor(context, ((struct world *)context)->values[tensor], data, tensor);
}

static inline struct training_tensors tensors_of(struct world *w)
{
    return (struct training_tensors){w, read_value, read_gradient, write_value};
}

static inline void open_world(struct world *w, const char *text, const struct vit_shape *shape)
{
    *w = (struct world){.fails = 0};
    tiny_must(tiny_stack(&w->n, text, shape));
    vit_random(w->n.vit, TINY_SEED);
    w->values = mem_alloc(w->n.tensor_count, sizeof *w->values);
    w->gradients = mem_alloc(w->n.tensor_count, sizeof *w->gradients);
    assert_true(w->values && w->gradients);
    for (size_t i = 0; i < w->n.tensor_count; i++) {
        size_t count = (size_t)shape_count(w->n.tensors[i].shape);
        w->values[i] = mem_alloc(count, sizeof(float));
        w->gradients[i] = mem_alloc(count, sizeof(float));
        assert_true(w->values[i] && w->gradients[i]);
        tiny_must(method_initial(w->n.method, i, TINY_SEED, w->values[i]));
        for (size_t k = 0; k < count; k++)
            w->gradients[i][k] = (float)(k + 1);
    }
}

static inline void close_world(struct world *w)
{
    for (size_t i = 0; i < w->n.tensor_count; i++) {
        mem_free(w->values[i]);
        mem_free(w->gradients[i]);
    }
    mem_free(w->values);
    mem_free(w->gradients);
    tiny_close(&w->n);
}

static inline size_t find(const struct world *w, const char *name)
{
    for (size_t i = 0; i < w->n.tensor_count; i++)
        if (!strcmp(w->n.tensors[i].name, name))
            return i;
    fail_msg("there is no tensor %s", name);
    return 0;
}

/* Plan, scan and begin as a training of `steps` steps with `pass` batches a pass does them. */
static inline int prepare(struct world *w, uint32_t pass, uint32_t steps, uint32_t *batches)
{
    const struct training_tensors at = tensors_of(w);
    unsigned char *wanted = mem_alloc(w->n.tensor_count, 1);
    assert_non_null(wanted);
    int rc = method_training_plan(w->n.method, pass, wanted, batches);
    mem_free(wanted);
    for (uint32_t i = 0; rc == 0 && i < *batches; i++)
        rc = method_training_scan(w->n.method, &at, i);
    if (rc == 0)
        rc = method_training_begin(w->n.method, &at, steps);
    method_training_forget(w->n.method);
    return rc;
}

/* The training's other half. */
static inline int go_through(struct world *w, uint32_t steps)
{
    const struct training_tensors at = tensors_of(w);
    uint32_t next = 0;
    int rc = method_training_next(w->n.method, 0, steps, &next);
    while (rc == 0 && next) {
        rc = method_training_step(w->n.method, &at, next, steps);
        if (rc == 0)
            rc = method_training_next(w->n.method, next, steps, &next);
    }
    return rc;
}

#endif
