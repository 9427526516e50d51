/* bench_vit.c - images a second of a Vision Transformer on the first device, by step and by kernel.
 *
 *   bench_vit [--method none|linear|lora[r=8]|full|...] [--batch N] [--image N] [--dim N] [--heads N]
 *             [--depth N] [--patch N] [--repeat N] [--precision fp32|fp16|bf16] [--tune FILE] [--kernels]
 * `none` is inference. --tune times kernels first, as `vitro tune` does, and takes the fastest; FILE keeps them. Prints
 * one JSON object; --kernels adds a table of kernels, each at its fastest, on stderr. */
#include "bench.h"
#include "memory.h"
#include "rng.h"
#include "session_private.h"
#include "tuning.h"

#include <string.h>
#include <sys/resource.h>

struct settings {
    const char *method, *tune;
    int batch, image, dim, heads, depth, patch, repeat, kernels;
    enum number number;
};

struct row { /* of the table: dispatches with the same label and kernel and work */
    const char *label, *kernel;
    double ns, flops, bytes;
    int count;
};

static int by_time(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return x->ns < y->ns ? 1 : x->ns > y->ns ? -1 : 0;
}

enum { TIMES = 2048 };
static double fastest[TIMES]; /* of each piece of work, in ns */

static void keep_fastest(struct run *run)
{
    for (uint32_t i = 0; i < run_profile_count(run) && i < TIMES; i++) {
        struct run_time t;
        must(run_profile(run, i, &t));
        fastest[i] = fastest[i] > 0 && fastest[i] < t.ns ? fastest[i] : t.ns;
    }
}

static void print_kernels(struct run *run)
{
    enum { ROWS = 512 };
    static struct row rows[ROWS];
    int n = 0;
    double total = 0;
    for (uint32_t i = 0; i < run_profile_count(run); i++) {
        struct run_time t;
        must(run_profile(run, i, &t));
        t.ns = i < TIMES ? fastest[i] : t.ns;
        int k = 0;
        while (k < n && (strcmp(rows[k].label, t.label) || strcmp(rows[k].kernel, t.kernel) ||
                         rows[k].flops / rows[k].count != t.flops))
            k++;
        if (k == ROWS)
            continue;
        n = k == n ? n + 1 : n;
        rows[k] = (struct row){
            t.label,          t.kernel, rows[k].ns + t.ns, rows[k].flops + t.flops, rows[k].bytes + t.bytes,
            rows[k].count + 1};
        total += t.ns;
    }
    qsort(rows, (size_t)n, sizeof *rows, by_time);
    fprintf(stderr, "%-20s %-22s %5s %9s %6s %8s %7s\n", "op", "kernel", "count", "ms", "share", "GFLOP/s",
            "GB/s");
    for (int k = 0; k < n; k++)
        fprintf(stderr, "%-20s %-22s %5d %9.3f %5.1f%% %8.1f %7.2f\n", rows[k].label, rows[k].kernel,
                rows[k].count, rows[k].ns * 1e-6, 100 * rows[k].ns / total, rows[k].flops / rows[k].ns,
                rows[k].bytes / rows[k].ns);
    fprintf(stderr, "%-49s %9.3f\n", "all", total * 1e-6);
}

/* The engine's products, which a first program asked for; returns the seconds that it took. */
static double tune(struct engine *e, const char *path, struct tuning **out)
{
    enum { REPEATS = 5 };
    const double start = now();
    must(tuning_make(e, path, REPEATS, NULL, NULL));
    must(tuning_read(out, e, path));
    tuning_use(*out, e);
    return now() - start;
}

static void measure(const struct settings *s, struct session *session, const struct vit *vit,
                    const char *device)
{
    int inference = !strcmp(s->method, "none");
    int32_t *order = mem_alloc((size_t)s->batch, sizeof *order),
            *labels = mem_alloc((size_t)s->batch, sizeof *labels);
    unsigned char *rgb = mem_alloc((size_t)s->batch * (size_t)s->image, (size_t)s->image * 3);
    double *times = mem_alloc((size_t)s->repeat, sizeof *times),
           *costs = mem_alloc((size_t)s->repeat, sizeof *costs);
    if (!order || !labels || !rgb || !times || !costs)
        must(ERR_MEMORY);
    struct rng g = {.seed = 1};
    for (size_t i = 0; i < (size_t)s->batch * (size_t)s->image * (size_t)s->image * 3; i++)
        rgb[i] = (unsigned char)rng_u32(&g);
    for (int i = 0; i < s->batch; i++)
        order[i] = i, labels[i] = i % vit->shape.classes;
    struct recipe recipe = recipe_default;
    recipe.drop_path = 0;
    recipe.precision = (int32_t)s->number;
    float rate = 1e-5f;
    struct feed feed;
    struct run *run;
    struct tuning *tuning = NULL;
    double tuned = 0;
    must(feed_create(&feed, session->spec.engine, rgb, labels, s->batch, s->image));
    const struct program_spec spec = {.feed = &feed,
                                      .batch = (uint32_t)s->batch,
                                      .series = 1,
                                      .recipe = inference ? NULL : &recipe,
                                      .update = !inference,
                                      .profile = s->kernels};
    must(session_program(session, &spec, &run));
    if (s->tune) {
        run_destroy(run);
        tuned = tune(session->spec.engine, s->tune, &tuning);
        must(session_program(session, &spec, &run));
    }
    double compile = now();
    for (int i = -1; i < s->repeat; i++) { /* the first one compiles */
        must(run_begin(run,
                       &(struct run_series){.steps = 1, .order = order, .rates = inference ? NULL : &rate}));
        double start = now(), spent = processor_time();
        must(run_go(run, 1));
        must(run_wait(run, 0));
        if (i >= 0)
            times[i] = now() - start, costs[i] = processor_time() - spent;
        else
            compile = now() - compile;
        if (i >= 0 && s->kernels)
            keep_fastest(run);
    }
    const double middle = median(times, s->repeat), cost = median(costs, s->repeat);
    uint64_t peak;
    device_memory(engine_device(session->spec.engine), &peak);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const struct run_counts counts = run_counts(run);
    printf("{\"device\": \"%s\", \"method\": \"%s\", \"batch\": %d, \"precision\": \"%s\", \"image\": %d, "
           "\"dim\": %d, \"depth\": %d, "
           "\"images_per_second_median\": %.2f, \"images_per_second_best\": %.2f, "
           "\"images_per_cpu_second\": %.2f, \"first_step_seconds\": %.2f, "
           "\"device_mib\": %.1f, \"activation_mib\": %.1f, \"peak_rss_mib\": %.1f, \"dispatches\": %u, "
           "\"barriers\": %u, "
           "\"submits\": %u, \"tune_seconds\": %.1f, \"runs\": %d}\n",
           device, s->method, s->batch, number_names[s->number], s->image, s->dim, s->depth,
           s->batch / middle, s->batch / times[0], s->batch / cost, compile, (double)peak / 1048576,
           (double)run_memory(run).activations / 1048576, (double)usage.ru_maxrss / 1024, counts.dispatches,
           counts.barriers, counts.submits, tuned, s->repeat);
    if (s->kernels)
        print_kernels(run);
    run_destroy(run);
    tuning_use(NULL, session->spec.engine);
    tuning_destroy(tuning);
    feed_destroy(&feed);
    mem_free(order);
    mem_free(labels);
    mem_free(rgb);
    mem_free(times);
    mem_free(costs);
}

static int read_number(enum number *out, const char *name)
{
    for (int i = 0; i < NUMBER_COUNT; i++)
        if (!strcmp(number_names[i], name)) {
            *out = (enum number)i;
            return 1;
        }
    return 0;
}

static struct settings parse(int argc, char **argv)
{
    struct settings s = {"none", NULL, 8, 224, 192, 3, 12, 16, 5, 0, NUMBER_FP32};
    const struct {
        const char *name;
        int *to;
    } numbers[] = {{"batch", &s.batch}, {"image", &s.image}, {"dim", &s.dim},      {"heads", &s.heads},
                   {"depth", &s.depth}, {"patch", &s.patch}, {"repeat", &s.repeat}};
    for (int i = 1; i < argc; i++) {
        int known = 0;
        if (!strcmp(argv[i], "--kernels")) {
            s.kernels = known = 1;
        } else if (i + 1 < argc && !strcmp(argv[i], "--method")) {
            s.method = argv[++i];
            known = 1;
        } else if (i + 1 < argc && !strcmp(argv[i], "--tune")) {
            s.tune = argv[++i];
            known = 1;
        } else if (i + 1 < argc && !strcmp(argv[i], "--precision")) {
            known = read_number(&s.number, argv[++i]);
        }
        for (size_t k = 0; !known && k < sizeof numbers / sizeof *numbers && i + 1 < argc; k++)
            if (!strncmp(argv[i], "--", 2) && !strcmp(argv[i] + 2, numbers[k].name)) {
                *numbers[k].to = atoi(argv[++i]);
                known = 1;
            }
        if (!known) {
            fprintf(stderr, "bench_vit: %s is not an option, or lacks its value\n", argv[i]);
            exit(2);
        }
    }
    return s;
}

int main(int argc, char **argv)
{
    struct settings s = parse(argc, argv);
    struct device *device;
    struct engine *engine;
    struct plugins *plugins;
    struct vit *vit;
    struct method *method;
    struct session *session;
    const char *const search[] = {PLUGINS, NULL};
    must(device_open(&device, &(struct device_spec){.index = -1}));
    must(engine_create(&engine, device, ENGINE_AUTO));
    must(plugins_create(&plugins, search));
    vit = random_vit(s.image, s.patch, s.dim, s.depth, s.heads, 1000);
    must(method_create(&method, plugins, strcmp(s.method, "none") ? s.method : "linear"));
    must(method_declare(method, vit));
    must(session_create(&session, &(struct session_spec){.engine = engine,
                                                         .method = method,
                                                         .vit = vit,
                                                         .number = s.number,
                                                         .mean = {0.5f, 0.5f, 0.5f},
                                                         .std = {0.5f, 0.5f, 0.5f}}));
    measure(&s, session, vit, device_info(device)->driver);
    session_destroy(session);
    method_destroy(method);
    vit_destroy(vit);
    plugins_destroy(plugins);
    engine_destroy(engine);
    device_close(device);
    return 0;
}
