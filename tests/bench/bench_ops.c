/* bench_ops.c - how long single operations take on the first device.
 *
 *   bench_ops [--runs N] OPERATION:SIZES...     prints one JSON object
 *
 *   nt:MxNxK, nn:MxNxK, tn:MxNxK    products; nt is x W^T with a frozen W (what bench users call a GEMM),
 *                                   nn has both row-major, tn is a weight's gradient (K rows of each)
 *   attention:BxTxDxH, attention_back:BxTxDxH    B images, T tokens of D, H heads
 *   layernorm:RxN, layernorm_back:RxN            R rows of N
 *
 * Of each: milliseconds by the device's clock (median, best), and `cpu_ms`: processor time of all threads for
 * the step, which on a CPU device is what the operation cost however busy the machine was. */
#include "bench.h"
#include "memory.h"
#include "run.h"

#include <string.h>

struct bench { /* one operation under construction */
    struct tape *tape;
    int n[4]; /* its sizes */
    double flops;
    value leaf[4];
    int leaves;
};

static value input(struct bench *b, struct shape shape, const char *name)
{
    value v = tape_leaf(b->tape, LEAF_INPUT, shape, (uint32_t)b->leaves + 1, name);
    b->leaf[b->leaves++] = v;
    return v;
}

static value product(struct bench *b, int a_t, int b_t)
{
    int m = b->n[0], n = b->n[1], k = b->n[2];
    b->flops = 2.0 * m * n * k;
    value x = input(b, a_t ? SHAPE(k, m) : SHAPE(m, k), "x");
    value w = b_t ? tape_leaf(b->tape, LEAF_FROZEN, SHAPE(n, k), 0, "W") : input(b, SHAPE(k, n), "y");
    return tape_matmul(b->tape, x, w, a_t, b_t);
}

static value product_nt(struct bench *b)
{
    return product(b, 0, 1);
}

static value product_nn(struct bench *b)
{
    return product(b, 0, 0);
}

static value product_tn(struct bench *b)
{
    return product(b, 1, 0);
}

static value attention(struct bench *b)
{
    b->flops = 4.0 * b->n[0] * b->n[1] * b->n[1] * b->n[2];
    return tape_attention(b->tape, input(b, SHAPE(b->n[0], b->n[1], 3 * b->n[2]), "qkv"), b->n[3]);
}

static value attention_back(struct bench *b)
{
    struct attention all = {.heads = b->n[3], .q_to = b->n[1]};
    struct shape rows = SHAPE(b->n[0], b->n[1], b->n[2]);
    b->flops = 10.0 * b->n[0] * b->n[1] * b->n[1] * b->n[2];
    value qkv = input(b, SHAPE(b->n[0], b->n[1], 3 * b->n[2]), "qkv");
    value out = input(b, rows, "out"), lse = input(b, SHAPE(b->n[0], b->n[3], b->n[1]), "lse");
    return tape_attention_back(b->tape, qkv, out, lse, input(b, rows, "d_out"), all);
}

static const float layernorm_eps = 1e-6f;

static value layernorm(struct bench *b)
{
    value x = input(b, SHAPE(b->n[0], b->n[1]), "x");
    value w = input(b, SHAPE(b->n[1]), "w");
    return tape_layernorm(b->tape, x, w, input(b, SHAPE(b->n[1]), "b"), layernorm_eps);
}

static value layernorm_back(struct bench *b)
{
    value x = input(b, SHAPE(b->n[0], b->n[1]), "x"), w = input(b, SHAPE(b->n[1]), "w");
    return tape_layernorm_back(b->tape, x, w, input(b, SHAPE(b->n[0], b->n[1]), "d_y"), layernorm_eps);
}

static const struct operation {
    const char *name;
    int sizes;
    value (*build)(struct bench *);
} operations[] = {
    {"nt", 3, product_nt},
    {"nn", 3, product_nn},
    {"tn", 3, product_tn},
    {"attention", 4, attention},
    {"attention_back", 4, attention_back},
    {"layernorm", 2, layernorm},
    {"layernorm_back", 2, layernorm_back},
};

/* One step: seconds of its kernels by the device's clock, and of the processor. */
static double step(struct run *run, double *cost)
{
    double ns = 0;
    must(run_begin(run, &(struct run_series){.steps = 1}));
    const double before = processor_time();
    must(run_go(run, 1));
    must(run_wait(run, 0));
    *cost = processor_time() - before;
    for (uint32_t i = 0; i < run_profile_count(run); i++) {
        struct run_time t;
        must(run_profile(run, i, &t));
        /* all but what keeps a corner of the result and counts the steps */
        if (strcmp(t.label, "slice") != 0 && strcmp(t.label, "step") != 0)
            ns += t.ns;
    }
    return ns * 1e-9;
}

static float *numbers(size_t count)
{
    float *data = mem_alloc(count, sizeof *data);
    for (size_t i = 0; data && i < count; i++)
        data[i] = (float)(i % 13) * 0.1f - 0.6f;
    if (!data)
        must(ERR_MEMORY);
    return data;
}

static void fill_inputs(struct run *run, const struct bench *b)
{
    for (int i = 0; i < b->leaves; i++) {
        float *data = numbers((size_t)shape_count(tape_shape(b->tape, b->leaf[i])));
        must(run_write(run, b->leaf[i], data));
        mem_free(data);
    }
}

static void measure(struct engine *engine, const struct operation *op, const int sizes[4], const char *name,
                    int runs)
{
    struct bench b = {.tape = tape_create(), .n = {sizes[0], sizes[1], sizes[2], sizes[3]}};
    struct bank *bank;
    struct run *run;
    double *times = mem_alloc((size_t)runs, sizeof *times), *costs = mem_alloc((size_t)runs, sizeof *costs);
    value y = op->build(&b);
    value log = tape_slice(b.tape, y, tape_shape(b.tape, y).rank - 1, 0, 1); /* a column needs all of it */
    const struct bank_tensor frozen = {.name = "W", .shape = SHAPE(sizes[1], sizes[2]), .kind = LEAF_FROZEN};
    must(bank_create(&bank, engine, &frozen, op->build == product_nt));
    if (op->build == product_nt) {
        float *data = numbers((size_t)sizes[1] * (size_t)sizes[2]);
        must(bank_write(bank, 0, data));
        mem_free(data);
    }
    must(run_create(
        &run, &(struct run_spec){
                  .tape = b.tape, .bank = bank, .logs = &log, .log_count = 1, .series = 1, .profile = 1}));
    fill_inputs(run, &b);
    step(run, &costs[0]); /* compiles */
    for (int i = 0; i < runs; i++)
        times[i] = step(run, &costs[i]);
    double middle = median(times, runs), best = times[0], cost = median(costs, runs);
    printf("\"%s\": {\"ms_median\": %.4f, \"ms_best\": %.4f, \"cpu_ms\": %.4f", name, 1e3 * middle,
           1e3 * best, 1e3 * cost);
    if (b.flops > 0)
        printf(", \"gflops_median\": %.1f, \"gflops_best\": %.1f, \"gflops_per_cpu_second\": %.1f",
               1e-9 * b.flops / middle, 1e-9 * b.flops / best, 1e-9 * b.flops / cost);
    printf("}");
    run_destroy(run);
    tape_destroy(b.tape);
    bank_destroy(bank);
    mem_free(times);
    mem_free(costs);
}

/* "attention:8x197x192x3" */
static const struct operation *parse(const char *text, int sizes[4])
{
    const char *colon = strchr(text, ':');
    for (size_t i = 0; colon && i < sizeof operations / sizeof *operations; i++) {
        const struct operation *op = &operations[i];
        if (strlen(op->name) != (size_t)(colon - text) || strncmp(op->name, text, strlen(op->name)) != 0)
            continue;
        char rest;
        int n = sscanf(colon + 1, "%dx%dx%dx%d%c", &sizes[0], &sizes[1], &sizes[2], &sizes[3], &rest);
        int good = n == op->sizes;
        for (int k = 0; k < n && k < 4; k++)
            good = good && sizes[k] > 0;
        if (good)
            return op;
    }
    fprintf(stderr, "bench_ops: %s is not an operation with its sizes; the head of bench_ops.c lists them\n",
            text);
    exit(2);
}

int main(int argc, char **argv)
{
    int first = 1, runs = 15;
    if (argc > 2 && strcmp(argv[1], "--runs") == 0) {
        runs = atoi(argv[2]);
        first = 3;
    }
    if (runs < 1 || first >= argc) {
        fprintf(stderr, "usage: bench_ops [--runs N] OPERATION:SIZES...\n");
        return 2;
    }
    struct device *device;
    struct engine *engine;
    must(device_open(&device, &(struct device_spec){.index = -1}));
    must(engine_create(&engine, device, ENGINE_AUTO));
    printf("{\"device\": \"%s\", \"ops\": {", device_info(device)->driver);
    for (int i = first; i < argc; i++) {
        int sizes[4] = {1, 1, 1, 1};
        const struct operation *op = parse(argv[i], sizes);
        printf("%s", i > first ? ", " : "");
        measure(engine, op, sizes, argv[i], runs);
    }
    printf("}}\n");
    engine_destroy(engine);
    device_close(device);
    return 0;
}
