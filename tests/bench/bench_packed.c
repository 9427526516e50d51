/* bench_packed.c - what a step of a trial costs when several trials share a command buffer, side by side and in turn, and
 * what they take of the device's memory together; a random Vision Transformer on the first device.
 *
 *   bench_packed [--method lora[r=8]] [--image N] [--dim N] [--heads N] [--depth N] [--patch N] [--batch N]
 *                [--most K] [--rounds N]
 * Programs of 1, 2, 4 .. K trials take turns, a step each; prints one JSON object: medians of wall and processor seconds a
 * trial's step, and MiB. */
#include "bench.h"
#include "foresee.h"
#include "memory.h"
#include "rng.h"
#include "session_private.h"

#include <string.h>

enum { PACKED_MOST = 16, PROGRAMS_MOST = 10, ROUNDS_MOST = 200 };

struct settings {
    const char *method;
    int image, dim, heads, depth, patch, batch, most, rounds;
};

struct program {
    uint32_t count;
    enum run_together together;
    struct frozen *shared;
    struct session *sessions[PACKED_MOST];
    struct run *run;
    double mib, wall[ROUNDS_MOST], cpu[ROUNDS_MOST]; /* of a step, all trials */
};

static struct method *make_method(struct plugins *plugins, const struct vit *vit, const char *text)
{
    struct method *m;
    must(method_create(&m, plugins, text));
    must(method_declare(m, vit));
    return m;
}

static void make_program(struct program *p, const struct session_spec *spec, const struct feed *feed,
                         const struct recipe *recipe)
{
    struct traced steps[PACKED_MOST];
    struct run_spec specs[PACKED_MOST];
    struct session_spec each[PACKED_MOST];
    struct foresee_spec foreseen_as[PACKED_MOST];
    struct foreseen f;
    if (p->count > 1)
        must(frozen_create(&p->shared, spec->engine));
    for (uint32_t i = 0; i < p->count; i++) {
        each[i] = *spec;
        each[i].seed = i;
        each[i].shared = p->shared;
        foreseen_as[i] = (struct foresee_spec){.recipe = recipe, .images = (uint32_t)recipe->batch};
        must(session_create(&p->sessions[i], &each[i]));
        must(session_trace(
            p->sessions[i],
            &(struct program_spec){
                .feed = feed, .batch = (uint32_t)recipe->batch, .series = 1, .recipe = recipe, .update = 1},
            &steps[i]));
        specs[i] = steps[i].spec;
        specs[i].logs = &steps[i].log;
    }
    must(run_create_packed(&p->run, specs, p->count, p->together));
    must(foresee_packed(&f, each, foreseen_as, p->count, p->together));
    p->mib = (double)f.peak / (1 << 20);
    for (uint32_t i = 0; i < p->count; i++)
        session_trace_finish(&steps[i]);
}

static void step(struct program *p, const int32_t *order, int round)
{
    const float rate = 1e-5f;
    for (uint32_t i = 0; i < p->count; i++)
        must(run_begin(
            p->run, &(struct run_series){.part = i, .steps = 1, .seed = i, .order = order, .rates = &rate}));
    const double start = now(), used = processor_time();
    must(run_go(p->run, 1));
    must(run_wait(p->run, 0));
    if (round >= 0) {
        p->wall[round] = now() - start;
        p->cpu[round] = processor_time() - used;
    }
}

static void print_program(struct program *p, int rounds, int last)
{
    const struct run_counts counts = run_counts(p->run);
    printf("    {\"trials\": %u, \"together\": \"%s\", \"wall_ms_a_trial_step\": %.3f, "
           "\"cpu_ms_a_trial_step\": %.3f, "
           "\"mib\": %.1f, \"dispatches\": %u, \"barriers\": %u}%s\n",
           p->count, p->together == RUN_IN_TURN ? "in turn" : "side by side",
           1e3 * median(p->wall, rounds) / p->count, 1e3 * median(p->cpu, rounds) / p->count, p->mib,
           counts.dispatches, counts.barriers, last ? "" : ",");
}

static struct settings parse(int argc, char **argv)
{
    struct settings s = {"lora[r=8]", 32, 128, 4, 5, 8, 64, 8, 15};
    const struct {
        const char *name;
        int *to;
    } numbers[] = {{"--image", &s.image}, {"--dim", &s.dim},      {"--heads", &s.heads},
                   {"--depth", &s.depth}, {"--patch", &s.patch},  {"--batch", &s.batch},
                   {"--most", &s.most},   {"--rounds", &s.rounds}};
    for (int i = 1; i + 1 < argc; i += 2) {
        int known = !strcmp(argv[i], "--method");
        if (known)
            s.method = argv[i + 1];
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            if (!strcmp(argv[i], numbers[k].name))
                known = *numbers[k].to = atoi(argv[i + 1]);
        if (!known) {
            fprintf(stderr, "bench_packed: what is %s %s? See the head of its source\n", argv[i],
                    argv[i + 1]);
            exit(2);
        }
    }
    s.most = s.most > PACKED_MOST ? PACKED_MOST : s.most;
    s.rounds = s.rounds > ROUNDS_MOST ? ROUNDS_MOST : s.rounds;
    return s;
}

int main(int argc, char **argv)
{
    static struct program programs[PROGRAMS_MOST];
    static const char *const folders[] = {PLUGINS, NULL};
    const struct settings s = parse(argc, argv);
    const size_t pixels = (size_t)s.batch * (size_t)s.image * (size_t)s.image * 3;
    struct device *device;
    struct engine *engine;
    struct plugins *plugins;
    struct vit *vit;
    struct feed feed;
    struct rng g = {.seed = 1};
    struct recipe recipe = recipe_default;
    int n = 0;
    must(device_open(&device, &(struct device_spec){.index = -1}));
    must(engine_create(&engine, device, ENGINE_AUTO));
    must(plugins_create(&plugins, folders));
    vit = random_vit(s.image, s.patch, s.dim, s.depth, s.heads, 10);
    unsigned char *rgb = mem_alloc(pixels, 1);
    int32_t *labels = mem_alloc((size_t)s.batch, 2 * sizeof *labels), *order = labels + s.batch;
    if (!rgb || !labels)
        must(ERR_MEMORY);
    for (size_t i = 0; i < pixels; i++)
        rgb[i] = (unsigned char)rng_u32(&g);
    for (int i = 0; i < s.batch; i++)
        labels[i] = i % 10, order[i] = i;
    recipe.batch = s.batch;
    must(feed_create(&feed, engine, rgb, labels, s.batch, s.image));
    struct method *method = make_method(plugins, vit, s.method);
    const struct session_spec spec = {.engine = engine, .method = method, .vit = vit, .std = {1, 1, 1}};
    for (int count = 1; count <= s.most; count *= 2)
        for (int together = 0; together < (count > 1 ? 2 : 1); together++, n++) {
            programs[n].count = (uint32_t)count;
            programs[n].together = (enum run_together)together;
            make_program(&programs[n], &spec, &feed, &recipe);
        }
    for (int round = -3; round < s.rounds; round++) /* the first ones are measured by the run itself */
        for (int i = 0; i < n; i++)
            step(&programs[i], order, round);
    printf(
        "{\"device\": \"%s\", \"method\": \"%s\", \"image\": %d, \"dim\": %d, \"depth\": %d, \"batch\": %d, "
        "\"rounds\": %d, \"rows\": [\n",
        device_info(device)->name, s.method, s.image, s.dim, s.depth, s.batch, s.rounds);
    for (int i = 0; i < n; i++)
        print_program(&programs[i], s.rounds, i == n - 1);
    printf("]}\n");
    for (int i = 0; i < n; i++) {
        run_destroy(programs[i].run);
        for (uint32_t k = 0; k < programs[i].count; k++)
            session_destroy(programs[i].sessions[k]);
        frozen_destroy(programs[i].shared);
    }
    method_destroy(method);
    feed_destroy(&feed);
    mem_free(rgb);
    mem_free(labels);
    vit_destroy(vit);
    plugins_destroy(plugins);
    engine_destroy(engine);
    device_close(device);
    return 0;
}
