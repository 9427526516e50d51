/* ceiling.c - see ceiling.h. */
#include "ceiling.h"

#include "error.h"
#include "run.h"

#include <string.h>

enum { RUNS = 6 }; /* the first of them warms up */

struct probe { /* a step in which the work `label` is what is timed */
    struct tape *tape;
    const struct bank_tensor *tensor; /* NULL: none */
    const char *label;
    enum number number; /* of the operands of products */
    value result;
};

/* The fastest time of the probe's work, in nanoseconds. */
static int fastest(struct engine *engine, const struct probe *p, double *ns)
{
    int rc;
    struct bank *bank = NULL;
    struct run *run = NULL;
    if (tape_why(p->tape))
        return fail(ERR_INPUT, "%s", tape_why(p->tape));
    TRY_OUT(bank_create(&bank, engine, p->tensor, p->tensor ? 1 : 0));
    TRY_OUT(run_create(&run, &(struct run_spec){.tape = p->tape,
                                                .bank = bank,
                                                .logs = &p->result,
                                                .log_count = 1,
                                                .series = 1,
                                                .number = p->number,
                                                .profile = 1}));
    *ns = 0;
    for (int i = 0; i < RUNS; i++) {
        TRY_OUT(run_begin(run, &(struct run_series){.steps = 1}));
        TRY_OUT(run_go(run, 1));
        TRY_OUT(run_wait(run, 0));
        for (uint32_t k = 0; k < run_profile_count(run); k++) {
            struct run_time t;
            TRY_OUT(run_profile(run, k, &t));
            if (i && !strcmp(t.label, p->label) && (*ns == 0 || t.ns < *ns))
                *ns = t.ns;
        }
    }
    rc = *ns > 0 ? 0 : fail(ERR_DEVICE, "the device's clock does not tell how long a %s takes", p->label);
out:
    run_destroy(run);
    bank_destroy(bank);
    return rc;
}

/* x W^T, as the network's layers have it: W is frozen. */
static int measure_product(struct ceiling *c, struct engine *engine)
{
    double ns;
    const struct bank_tensor w = {
        .name = "w", .shape = SHAPE((int32_t)c->n, (int32_t)c->k), .kind = LEAF_FROZEN, .number = c->number};
    struct probe p = {.tape = tape_create(), .tensor = &w, .label = op_names[OP_MATMUL], .number = c->number};
    if (!p.tape)
        return ERR_MEMORY;
    value x = tape_leaf(p.tape, LEAF_INPUT, SHAPE((int32_t)c->m, (int32_t)c->k), 1, "x");
    value y = tape_matmul(p.tape, x, tape_leaf(p.tape, LEAF_FROZEN, w.shape, 0, w.name), 0, 1);
    p.result = tape_sum(p.tape, y, 1); /* a row: what is logged goes to the host */
    int rc = fastest(engine, &p, &ns);
    if (rc == 0)
        c->flops = 2.0 * c->m * c->n * c->k / ns * 1e9;
    tape_destroy(p.tape);
    return rc;
}

static int measure_copy(struct ceiling *c, struct engine *engine)
{
    enum { ROW = 4096 };
    double ns;
    struct probe p = {.tape = tape_create(), .label = op_names[OP_AFFINE]};
    if (!p.tape)
        return ERR_MEMORY;
    int32_t rows = (int32_t)(c->copied / sizeof(float) / ROW);
    value x = tape_leaf(p.tape, LEAF_INPUT, SHAPE(rows, ROW), 0, "x");
    p.result = tape_sum(p.tape, tape_affine(p.tape, x, 1, 1), 1);
    int rc = fastest(engine, &p, &ns);
    if (rc == 0)
        c->bytes = 2.0 * (double)c->copied / ns * 1e9;
    tape_destroy(p.tape);
    return rc;
}

int ceiling_measure(struct ceiling *out, struct engine *engine, enum number number)
{
    const struct device_info *info = device_info(engine_device(engine));
    /* a layer of a ViT-B, and more than a processor's caches hold; on a GPU enough to fill it */
    struct ceiling c = {.m = 1024, .n = 3072, .k = 768, .copied = 64u << 20};
    if (!info->is_cpu)
        c = (struct ceiling){.m = 8192, .n = 4096, .k = 4096, .copied = 256u << 20};
    c.number = number;
    while (c.m > 64 && 8 * c.copied > info->heap_bytes) {
        c.m /= 2;
        c.copied /= 2;
    }
    TRY(measure_product(&c, engine));
    TRY(measure_copy(&c, engine));
    *out = c;
    return 0;
}
