/* small.c - see small.h. */
#include "small.h"

#include "check.h"
#include "error.h"
#include "memory.h"
#include "rng.h"
#include "session.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGE = 32, IMAGES = 24, BATCH = 8, STEPS = 3, CLASSES = 7 };

/* The least that asks for every kernel: a NULL ends the list. */
static const char *const cases[] = {"add row",
                                    "quick_gelu",
                                    "dropout samples",
                                    "permute heads",
                                    "concat tokens",
                                    "sum last",
                                    "sum of products 7x21",
                                    "gather 64",
                                    "unfold 3x3",
                                    "softmax 3",
                                    "softmax backward",
                                    "layernorm 83",
                                    "layernorm backward 83",
                                    "matmul nt 13",
                                    "matmul tn 13",
                                    "matmul batched nn",
                                    "attention 2x5",
                                    "attention 3x37",
                                    "cross-entropy 64",
                                    NULL};

/* Losses of the same steps by other kernels: sums in another order, whose rounding AdamW amplifies; where operands
 * are rounded to fp16, some fall to the other side. */
static const struct training {
    const char *method;
    enum number number;
    double tolerance;
} trainings[SMALL_TRAININGS] = {
    {"lora[dropout=0]", NUMBER_FP32, 1e-4},
    {"full", NUMBER_FP16, 2e-3},
    {"vpt[dropout=0]", NUMBER_FP32, 1e-4},
};
static float usual[SMALL_TRAININGS][STEPS];

/* Kernels that only some shapes, precisions and devices ask for. */
static const char *const optional[] = {"gemm_packed",
                                       "gemm_subgroup",
                                       "gemm_workgroup",
                                       "attention_matrix",
                                       "attention_matrix_back_q",
                                       "attention_matrix_back_kv",
                                       "gemm_reduce",
                                       "narrow",
                                       "attention_tile_cpu",
                                       "attention_back_q_tile_cpu",
                                       "attention_back_kv_tile_cpu"};
static const char *const kernel_names[SHADER_COUNT] = {
#define X(NAME, name, push) #name,
    SHADERS(X)
#undef X
};

static int is_optional(const char *name)
{
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
        if (!strcmp(optional[i], name))
            return 1;
    return 0;
}

/* Names that end in _cpu are of the CPU-device style, and their namesakes of GPUs. */
static int is_of_style(const char *name, int cpu_style)
{
    static const char ending[] = "_cpu";
    size_t length = strlen(name), end = sizeof ending - 1;
    if (length > end && !strcmp(name + length - end, ending))
        return cpu_style;
    for (int i = 0; i < SHADER_COUNT; i++)
        if (!strncmp(kernel_names[i], name, length) && !strcmp(kernel_names[i] + length, ending))
            return !cpu_style;
    return 1;
}

static int train_in(struct engine *engine, struct plugins *plugins, struct vit *vit, const struct training *t,
                    const struct train_spec *spec)
{
    struct method *method = NULL;
    struct session *session = NULL;
    struct train_result result = {0};
    int rc = method_create(&method, plugins, t->method);
    if (rc == 0)
        rc = method_declare(method, vit);
    if (rc == 0)
        rc = session_create(&session, &(struct session_spec){.engine = engine,
                                                             .method = method,
                                                             .vit = vit,
                                                             .number = t->number,
                                                             .mean = {0.5f, 0.5f, 0.5f},
                                                             .std = {0.5f, 0.5f, 0.5f}});
    if (rc == 0)
        rc = session_train(session, spec, &result);
    if (rc == 0 && result.steps != STEPS)
        rc = (fail)(ERR_DEVICE, /* not the macro of CMocka */
                    "%s: %u steps instead of %d", t->method, (unsigned)result.steps, STEPS);
    session_destroy(session);
    method_destroy(method);
    return rc;
}

static int train(struct engine *engine, const struct training *t, float losses[STEPS])
{
    static const char *const search[] = {PLUGINS, NULL};
    const struct vit_shape shape = {.image = IMAGE,
                                    .patch = 8,
                                    .dim = 48,
                                    .depth = 2,
                                    .heads = 3,
                                    .hidden = 96,
                                    .classes = CLASSES,
                                    .eps = 1e-6f};
    static unsigned char rgb[IMAGES * IMAGE * IMAGE * 3];
    int32_t labels[IMAGES];
    struct plugins *plugins = NULL;
    struct vit *vit = NULL;
    struct rng g = {.seed = 3};
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (unsigned char)rng_u32(&g);
    for (int i = 0; i < IMAGES; i++)
        labels[i] = i % CLASSES;
    struct train_spec spec = {
        .recipe = recipe_default,
        .images = {.rgb = rgb, .labels = labels, .count = IMAGES},
        .losses = losses,
    };
    spec.recipe.epochs = 1;
    spec.recipe.warmup = 0;
    spec.recipe.batch = BATCH;
    spec.recipe.drop_path = 0;
    spec.recipe.precision = (int32_t)t->number;
    int rc = plugins_create(&plugins, search);
    if (rc == 0)
        rc = vit_create(&vit, &shape);
    if (rc == 0) {
        vit_random(vit, 1);
        rc = train_in(engine, plugins, vit, t, &spec);
    }
    vit_destroy(vit);
    plugins_destroy(plugins);
    return rc;
}

int small_learn(void)
{
    struct device *device = NULL;
    struct engine *engine = NULL;
    int rc = device_open(&device, &(struct device_spec){.index = -1, .limits = &(struct device_limits){0}});
    if (rc == 0)
        rc = engine_create(&engine, device, ENGINE_AUTO);
    for (int i = 0; rc == 0 && i < SMALL_TRAININGS; i++)
        rc = train(engine, &trainings[i], usual[i]);
    engine_destroy(engine);
    device_close(device);
    return rc;
}

static void report(void *context, const struct check_result *r)
{
    ++*(int *)context;
    if (r->rc < 0)
        print_error("%-32s %s\n", r->name, error_text());
    else if (!r->passed)
        print_error("%-32s error %.2g above %.2g\n", r->name, r->error, r->tolerance);
}

static void see(void *context, const struct kernel *kernel, const uint32_t *constants, uint32_t count)
{
    int *seen = context;
    (void)constants;
    (void)count;
    for (int i = 0; i < SHADER_COUNT; i++)
        seen[i] |= !strcmp(kernel_names[i], kernel_name(kernel));
}

void small_all_ran(struct engine *engine)
{
    int seen[SHADER_COUNT] = {0};
    engine_kernels(engine, see, seen);
    for (int i = 0; i < SHADER_COUNT; i++) {
        const char *name = kernel_names[i];
        if (!seen[i] && is_of_style(name, engine_cpu_style(engine)) && !is_optional(name))
            fail_msg("the kernel %s did not run; a case for it is missing in %s", name, __FILE__);
    }
}

void small_kernels(struct engine *engine)
{
    for (const char *const *filter = cases; *filter; filter++) {
        int seen = 0;
        assert_int_equal(check_ops(engine, *filter, 0, report, &seen), 0);
        assert_true(seen > 0);
    }
}

void small_trainings(struct engine *engine, int count)
{
    for (int t = 0; t < SMALL_TRAININGS && t < count; t++) {
        float losses[STEPS];
        if (train(engine, &trainings[t], losses) < 0)
            fail_msg("%s: %s", trainings[t].method, error_text());
        for (int i = 0; i < STEPS; i++)
            if (!(fabs((double)losses[i] - (double)usual[t][i]) <= trainings[t].tolerance))
                fail_msg("%s %s: the loss of step %d is %.9g and usually %.9g", trainings[t].method,
                         number_names[trainings[t].number], i, (double)losses[i], (double)usual[t][i]);
    }
}
