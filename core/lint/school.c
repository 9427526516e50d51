/* school.c - see school.h. */
#include "school.h"

#include "error.h"
#include "memory.h"
#include "training_extension.h"

#include <string.h>

enum { PASS = 3 }; /* batches of one pass over the images */

static size_t size_of(const struct school *c, size_t tensor)
{
    return (size_t)shape_count(c->lab->tensors[tensor].shape);
}

static int read_tensor(void *context, size_t tensor, float *out)
{
    const struct school *c = context;
    memcpy(out, c->data[tensor], size_of(c, tensor) * sizeof *out);
    return 0;
}

static int read_gradient(void *context, size_t tensor, float *out)
{
    const struct school *c = context;
    if (!c->grads[tensor])
        return fail(ERR_PLUGIN, "the gradient of %s is wanted, but was not asked for in plan",
                    c->lab->tensors[tensor].name);
    memcpy(out, c->grads[tensor], size_of(c, tensor) * sizeof *out);
    return 0;
}

static int write_tensor(void *context, size_t tensor, const float *data)
{
    struct school *c = context;
    memcpy(c->data[tensor], data, size_of(c, tensor) * sizeof *data);
    c->edited++;
    return 0;
}

static struct training_tensors tensors_of(struct school *c)
{
    return (struct training_tensors){c, read_tensor, read_gradient, write_tensor};
}

int school_open(struct school *c, struct lab *l, uint64_t seed)
{
    *c = (struct school){.lab = l, .seed = seed};
    c->data = mem_alloc(l->tensor_count, sizeof *c->data);
    c->grads = mem_alloc(l->tensor_count, sizeof *c->grads);
    for (size_t i = 0; c->data && c->grads && i < l->tensor_count; i++) {
        c->data[i] = mem_alloc(size_of(c, i), sizeof **c->data);
        if (!c->data[i])
            return ERR_MEMORY;
        TRY(lab_tensor(l, i, LAB_INITIAL, seed, c->data[i]));
    }
    return c->data && c->grads ? 0 : ERR_MEMORY;
}

void school_close(struct school *c)
{
    for (size_t i = 0; c->lab && i < c->lab->tensor_count; i++) {
        mem_free(c->data ? c->data[i] : NULL);
        mem_free(c->grads ? c->grads[i] : NULL);
    }
    mem_free(c->data);
    mem_free(c->grads);
    *c = (struct school){0};
}

static int keep_gradient(struct school *c, size_t tensor, const double *from)
{
    if (!c->grads[tensor])
        c->grads[tensor] = mem_alloc(size_of(c, tensor), sizeof(float));
    if (!c->grads[tensor])
        return ERR_MEMORY;
    for (size_t i = 0; i < size_of(c, tensor); i++)
        c->grads[tensor][i] = (float)from[i];
    return 0;
}

/* Computes these gradients; ids[i] is the tensor of grads[i]. */
static int compute(struct school *c, const value *grads, const size_t *ids, size_t count, uint64_t seed)
{
    struct ref *r = NULL;
    TRY(ref_create(&r, c->lab->tape, grads, count));
    int rc = lab_fill_from(c->lab, r, c->data, seed);
    if (rc == 0)
        rc = ref_run(r);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = keep_gradient(c, ids[i], ref_value(r, grads[i]));
    ref_destroy(r);
    return rc;
}

/* The gradients of the cross-entropy alone, without dropout, of the tensors wanted. */
static int scan_batch(struct school *c, const unsigned char *wanted, uint64_t seed)
{
    struct lab *l = c->lab;
    size_t n = 0, *ids = mem_alloc(l->tensor_count, sizeof *ids);
    value *wrt = mem_alloc(l->tensor_count, sizeof *wrt), *grads = mem_alloc(l->tensor_count, sizeof *grads);
    int rc = ids && wrt && grads ? lab_record(l, &(struct lab_run){.training = 0}) : ERR_MEMORY;
    for (size_t i = 0; rc == 0 && i < l->tensor_count; i++)
        if (wanted[i]) {
            ids[n] = i;
            wrt[n++] = l->trace->leaves[i];
        }
    if (rc == 0)
        rc = tape_backward(l->tape, lab_loss(l), wrt, n, grads);
    if (rc == 0)
        rc = compute(c, grads, ids, n, seed);
    mem_free(ids);
    mem_free(wrt);
    mem_free(grads);
    return rc;
}

int school_begin(struct school *c)
{
    const struct training_tensors at = tensors_of(c);
    struct method *m = c->lab->method;
    unsigned char *wanted = mem_alloc(c->lab->tensor_count, 1);
    int rc = wanted ? method_training_plan(m, PASS, wanted, &c->batches) : ERR_MEMORY;
    for (uint32_t b = 0; rc == 0 && b < c->batches; b++) {
        rc = scan_batch(c, wanted, c->seed + b);
        if (rc == 0)
            rc = method_training_scan(m, &at, b);
    }
    if (rc == 0)
        rc = method_training_begin(m, &at, 100);
    method_training_forget(m);
    mem_free(wanted);
    return rc;
}

int school_steps(struct school *c, uint32_t steps)
{
    const struct training_tensors at = tensors_of(c);
    struct lab *l = c->lab;
    uint32_t step = 0;
    for (;;) {
        TRY(method_training_next(l->method, step, steps, &step));
        if (!step)
            return 0;
        TRY(lab_record(l, &(struct lab_run){.training = 1}));
        TRY(compute(c, l->grads, l->ids, l->count, c->seed + step));
        TRY(method_training_step(l->method, &at, step, steps));
        c->calls++;
    }
}
