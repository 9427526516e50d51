/* bench_gemm.c - GFLOP/s of y = x W^T on the first device, by the device's own clock.
 *
 *   bench_gemm [fp32|fp16|bf16] MxNxK...      (x [M][K], a frozen W [N][K] kept in that precision)
 *
 * Prints one JSON object. */
#include "bench.h"
#include "memory.h"
#include "rng.h"
#include "run.h"

#include <string.h>

enum { RUNS = 15 };

/* Normal numbers, repeated after a prime count: on zeros a GPU's clock is higher than on real data. */
static float *random_numbers(size_t count)
{
    enum { PERIOD = 65521 };
    float *x = mem_alloc(count, sizeof *x);
    struct rng g = {.seed = 1};
    for (size_t i = 0; x && i < count; i++)
        x[i] = i < PERIOD ? (float)rng_normal(&g) : x[i - PERIOD];
    return x;
}

static const char *kernel = ""; /* of the last product */

/* Seconds of the product alone: the kernel's timestamps. */
static double product_seconds(struct run *run)
{
    must(run_begin(run, &(struct run_series){.steps = 1}));
    must(run_go(run, 1));
    must(run_wait(run, 0));
    for (uint32_t i = 0; i < run_profile_count(run); i++) {
        struct run_time t;
        must(run_profile(run, i, &t));
        if (t.flops > 0) {
            kernel = t.kernel;
            return t.ns * 1e-9;
        }
    }
    return 0;
}

static void measure(struct engine *engine, enum number number, int m, int n, int k, int first)
{
    struct bank *bank;
    struct run *run;
    const struct bank_tensor w = {.name = "W", .shape = SHAPE(n, k), .kind = LEAF_FROZEN, .number = number};
    float *data = random_numbers((size_t)n * (size_t)k), *input = random_numbers((size_t)m * (size_t)k);
    double times[RUNS];
    if (!data || !input)
        must(fail(ERR_MEMORY, "no memory for the operands of %dx%dx%d", m, n, k));
    must(bank_create(&bank, engine, &w, 1));
    must(bank_write(bank, 0, data));
    struct tape *t = tape_create();
    value x = tape_leaf(t, LEAF_INPUT, SHAPE(m, k), 1, "x"),
          weight = tape_leaf(t, LEAF_FROZEN, SHAPE(n, k), 0, "W");
    value y = tape_matmul(t, x, weight, 0, 1), log = tape_slice(t, tape_unary(t, y, UNARY_ABS), 1, 0, 1);
    (void)y;
    must(run_create(&run, &(struct run_spec){.tape = t,
                                             .bank = bank,
                                             .logs = &log,
                                             .log_count = 1,
                                             .series = 1,
                                             .number = number,
                                             .profile = 1}));
    must(run_write(run, x, input));
    product_seconds(run); /* compiles */
    for (int i = 0; i < RUNS; i++)
        times[i] = product_seconds(run);
    double flops = 2.0 * m * n * k * 1e-9, middle = median(times, RUNS);
    printf("%s\"%dx%dx%d\": {\"gflops_median\": %.1f, \"gflops_best\": %.1f, \"kernel\": \"%s\"}",
           first ? "" : ", ", m, n, k, flops / middle, flops / times[0], kernel);
    run_destroy(run);
    tape_destroy(t);
    bank_destroy(bank);
    mem_free(data);
    mem_free(input);
}

int main(int argc, char **argv)
{
    struct device *device;
    struct engine *engine;
    must(device_open(&device, &(struct device_spec){.index = -1}));
    must(engine_create(&engine, device, ENGINE_AUTO));
    printf("{\"device\": \"%s\", \"gemm\": {", device_info(device)->driver);
    enum number number = NUMBER_FP32;
    int first = 1;
    for (int i = 0; argc > 1 && i < NUMBER_COUNT; i++)
        if (!strcmp(argv[1], number_names[i])) {
            number = (enum number)i;
            first = 2;
        }
    for (int i = first; i < argc; i++) {
        int m, n, k;
        if (sscanf(argv[i], "%dx%dx%d", &m, &n, &k) != 3 || m < 1 || n < 1 || k < 1) {
            fprintf(stderr, "bench_gemm: %s is not MxNxK\n", argv[i]);
            return 2;
        }
        measure(engine, number, m, n, k, i == first);
    }
    printf("}}\n");
    engine_destroy(engine);
    device_close(device);
    return 0;
}
