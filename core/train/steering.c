/* steering.c - see steering.h. A scan runs in a session of its own, in which the backbone's tensors that it
 * wants are trainable: a second set of tensors on the device, gone when the scan is over. */
#include "steering.h"

#include "error.h"
#include "memory.h"
#include "run.h"
#include "session_private.h"
#include "training_extension.h"

static int read_tensor(void *context, size_t tensor, float *out)
{
    return bank_read(((struct session *)context)->bank, tensor, out);
}

static int read_gradient(void *context, size_t tensor, float *out)
{
    return bank_read_gradient(((struct session *)context)->bank, tensor, out);
}

static int write_tensor(void *context, size_t tensor, const float *data)
{
    return bank_write(((struct session *)context)->bank, tensor, data);
}

static struct training_tensors tensors_of(struct session *s)
{
    return (struct training_tensors){s, read_tensor, read_gradient, write_tensor};
}

/* The scan's bank starts as the session's is now. */
static int copy_tensors(const struct session *from, struct session *to)
{
    int64_t most = 0;
    for (size_t i = 0; i < from->count; i++) {
        int64_t n = shape_count(from->tensors[i].shape);
        most = n > most ? n : most;
    }
    float *data = mem_alloc((size_t)most, sizeof *data);
    int rc = data ? 0 : ERR_MEMORY;
    for (size_t i = 0; i < from->count && rc == 0; i++) {
        rc = bank_read(from->bank, i, data);
        if (rc == 0)
            rc = bank_write(to->bank, i, data);
    }
    mem_free(data);
    return rc;
}

/* The first batches of the first epoch, one at a time, each shown to the plugins. */
static int scan_batches(struct session *s, const struct feed *feed, const struct recipe *recipe,
                        uint32_t batches)
{
    int rc;
    uint32_t batch = (uint32_t)recipe->batch;
    struct run *run = NULL;
    const struct training_tensors at = tensors_of(s);
    int32_t *order = mem_alloc((size_t)recipe_steps(recipe, (uint32_t)feed->count) * batch, sizeof *order);
    if (!order)
        return ERR_MEMORY;
    TRY_OUT(recipe_order(recipe, 0, (uint32_t)feed->count, order));
    TRY_OUT(session_program(
        s, &(struct program_spec){.feed = feed, .batch = batch, .series = 1, .recipe = recipe, .scan = 1},
        &run));
    for (uint32_t i = 0; i < batches; i++) {
        TRY_OUT(run_begin(run, &(struct run_series){.steps = 1, .order = order + (size_t)i * batch}));
        TRY_OUT(run_go(run, 1));
        TRY_OUT(run_wait(run, 0));
        TRY_OUT(method_training_scan(s->spec.method, &at, i));
    }
out:
    run_destroy(run);
    mem_free(order);
    return rc;
}

static int scan(struct session *s, const struct feed *feed, const struct recipe *recipe)
{
    int rc;
    uint32_t batches;
    struct session of_scan = {.spec = s->spec,
                              .tensors = s->tensors,
                              .count = s->count,
                              .asked = s->asked,
                              .unfrozen = mem_alloc(s->count, 1)};
    if (!of_scan.unfrozen)
        return ERR_MEMORY;
    of_scan.spec.shared = NULL; /* what it asks for goes with it */
    TRY_OUT(method_training_plan(s->spec.method, recipe_steps(recipe, (uint32_t)feed->count),
                                 of_scan.unfrozen, &batches));
    if (batches) {
        TRY_OUT(session_bank(&of_scan));
        TRY_OUT(copy_tensors(s, &of_scan));
        TRY_OUT(scan_batches(&of_scan, feed, recipe, batches));
    }
out:
    bank_destroy(of_scan.bank);
    mem_free(of_scan.unfrozen);
    return rc;
}

int steering_begin(struct session *s, const struct feed *feed, const struct recipe *recipe, uint32_t steps)
{
    if (s->prepared)
        return 0;
    const struct training_tensors at = tensors_of(s);
    int rc = scan(s, feed, recipe);
    if (rc == 0)
        rc = method_training_begin(s->spec.method, &at, steps);
    method_training_forget(s->spec.method);
    s->prepared = rc == 0;
    return rc;
}

int steering_until(const struct session *s, uint32_t step, uint32_t steps, uint32_t *until)
{
    uint32_t next;
    TRY(method_training_next(s->spec.method, step, steps, &next));
    *until = next ? next - step : UINT32_MAX;
    return 0;
}

int steering_step(struct session *s, uint32_t step, uint32_t steps)
{
    const struct training_tensors at = tensors_of(s);
    return method_training_step(s->spec.method, &at, step, steps);
}
