/* test_custom_kernels.c - plugins' own kernels on the device: they run, they give what their equivalents give,
 * and where the device refuses one the equivalent is computed and that is said. */
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

enum { BATCH = 9, CLASSES = 7, TENSORS = 128 };
/* float32 through two blocks and back, sums in another order: some 1e-6 of the largest entry */
static const double TOLERANCE = 2e-5;
static const struct vit_shape shape = {.image = 32,
                                       .patch = 8,
                                       .dim = 24,
                                       .depth = 2,
                                       .heads = 3,
                                       .hidden = 96,
                                       .classes = CLASSES,
                                       .eps = 1e-6f};

static struct device *device;
static struct engine *engine;
static char heard[1024];
static int times;

static void hear(void *context, const char *text)
{
    (void)context;
    snprintf(heard, sizeof heard, "%s", text);
    times++;
}

static void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

struct result { /* of one batch */
    float logits[BATCH * CLASSES], loss;
    size_t count;
    struct {
        char name[64];
        int64_t size;
        float *gradient;
    } tensors[TENSORS];
};

static void release(struct result *r)
{
    for (size_t i = 0; i < r->count; i++)
        mem_free(r->tensors[i].gradient);
}

/* "ssf_kernel/0/scale.QKV" and "ssf/0/scale.QKV" are the same tensor: both are "0/scale.QKV". */
static const char *own_name(const struct tensor *t)
{
    const char *slash = t->owner < 0 ? NULL : strchr(t->name, '/');
    return slash ? slash + 1 : t->name;
}

static void fill(struct session *s, const struct tensor *tensors, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct tensor *t = &tensors[i];
        struct rng g = rng_named(3, own_name(t));
        int64_t n = shape_count(t->shape);
        int gain = strstr(t->name, "scale") || strstr(t->name, "gain") || strstr(t->name, "norm");
        double size = t->shape.rank > 1 ? 1 / sqrt((double)n / t->shape.dim[0]) : 0.2;
        float *x = mem_alloc((size_t)n, sizeof *x);
        assert_non_null(x);
        for (int64_t k = 0; k < n; k++)
            x[k] = (float)(gain + size * rng_normal(&g));
        must(session_set_tensor(s, i, x));
        mem_free(x);
    }
}

static void run_batch(struct session *s, const struct tensor *tensors, size_t count, struct result *r)
{
    static unsigned char rgb[BATCH * 32 * 32 * 3];
    int32_t labels[BATCH] = {0, 3, 6, 1, 1, 5, 2, 4, 0};
    const struct images images = {rgb, labels, BATCH};
    struct rng g = rng_named(4, "images");
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (unsigned char)rng_below(&g, 256);
    must(session_logits(s, &images, BATCH, r->logits, NULL));
    must(session_gradients(s, &images, &r->loss));
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].kind != LEAF_TRAINABLE)
            continue;
        assert_true(r->count < TENSORS);
        snprintf(r->tensors[r->count].name, sizeof r->tensors[0].name, "%s", own_name(&tensors[i]));
        int64_t n = r->tensors[r->count].size = shape_count(tensors[i].shape);
        float *gradient = r->tensors[r->count++].gradient = mem_alloc((size_t)n, sizeof *gradient);
        assert_non_null(gradient);
        must(session_gradient(s, i, gradient));
    }
}

static struct result evaluate(const char *text)
{
    struct result r = {0};
    struct vit *vit;
    struct plugins *plugins;
    struct method *method;
    struct session *session;
    size_t count;
    const char *const search[] = {PLUGIN_FOLDER, NULL};
    must(vit_create(&vit, &shape));
    must(plugins_create(&plugins, search));
    must(method_create(&method, plugins, text));
    must(method_declare(method, vit));
    must(session_create(&session, &(struct session_spec){.engine = engine,
                                                         .method = method,
                                                         .vit = vit,
                                                         .mean = {0.5f, 0.5f, 0.5f},
                                                         .std = {0.5f, 0.5f, 0.5f}}));
    const struct tensor *tensors = method_tensors(method, &count);
    fill(session, tensors, count);
    run_batch(session, tensors, count, &r);
    session_destroy(session);
    method_destroy(method);
    plugins_destroy(plugins);
    vit_destroy(vit);
    return r;
}

/* The largest difference relative to the largest entry. */
static double difference(const float *a, const float *b, int64_t count)
{
    double top = 1e-3, off = 0;
    for (int64_t i = 0; i < count; i++) {
        top = fmax(top, fabs((double)b[i]));
        off = fmax(off, fabs((double)a[i] - (double)b[i]));
    }
    return off / top;
}

/* Every gradient of a must be there in b. */
static double worst(const struct result *a, const struct result *b)
{
    double w = fmax(difference(a->logits, b->logits, BATCH * CLASSES), difference(&a->loss, &b->loss, 1));
    for (size_t i = 0; i < a->count; i++) {
        size_t k = 0;
        while (k < b->count && strcmp(a->tensors[i].name, b->tensors[k].name) != 0)
            k++;
        if (k == b->count || a->tensors[i].size != b->tensors[k].size)
            fail_msg("there is no other %s", a->tensors[i].name);
        w = fmax(w, difference(a->tensors[i].gradient, b->tensors[k].gradient, a->tensors[i].size));
    }
    return w;
}

static void the_fused_scale_and_shift_is_the_traced_one(void **state)
{
    (void)state;
    struct result own = evaluate(SSF_KERNEL);
    engine_want_custom(engine, 0);
    struct result traced = evaluate(SSF_KERNEL);
    engine_want_custom(engine, 1);
    double w = worst(&own, &traced);
    print_message("worst relative difference of logits and gradients %.1e\n", w);
    assert_true(w <= TOLERANCE);
    assert_int_equal(own.count, 2 * 8 + 2); /* and the head's two */
    assert_int_equal(times, 0);
    release(&own);
    release(&traced);
}

static void a_kernel_and_its_derivative_agree_with_the_equivalent(void **state)
{
    (void)state;
    struct result own = evaluate(KERNEL_PROBE "[k=0.8]"),
                  without = evaluate(KERNEL_PROBE "[k=0.8,way=no_vjp]");
    engine_want_custom(engine, 0);
    struct result traced = evaluate(KERNEL_PROBE "[k=0.8]");
    engine_want_custom(engine, 1);
    assert_true(worst(&own, &traced) <= TOLERANCE);
    assert_true(worst(&without, &traced) <= TOLERANCE);
    release(&own);
    release(&without);
    release(&traced);
}

/* The equivalent of `other` is three times its kernel: what comes out says which of the two ran. */
static void it_is_the_kernel_that_runs(void **state)
{
    (void)state;
    struct result good = evaluate(KERNEL_PROBE), other = evaluate(KERNEL_PROBE "[way=other]");
    assert_true(worst(&good, &other) <= TOLERANCE);
    engine_want_custom(engine, 0);
    struct result equivalent = evaluate(KERNEL_PROBE "[way=other]");
    engine_want_custom(engine, 1);
    assert_true(difference(good.logits, equivalent.logits, BATCH * CLASSES) > 1000 * TOLERANCE);
    release(&good);
    release(&other);
    release(&equivalent);
}

static void a_refused_kernel_is_said_and_its_equivalent_computed(void **state)
{
    (void)state;
    times = 0;
    struct result refused = evaluate(KERNEL_PROBE "[way=capability]"), good = evaluate(KERNEL_PROBE);
    assert_int_equal(times, 1); /* though it is dispatched in each block, for logits and for gradients */
    assert_non_null(strstr(heard, "the kernel probe is not used here"));
    assert_non_null(strstr(heard, "capability 10"));
    assert_true(worst(&refused, &good) <= TOLERANCE);
    release(&refused);
    release(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fused_scale_and_shift_is_the_traced_one),
        cmocka_unit_test(a_kernel_and_its_derivative_agree_with_the_equivalent),
        cmocka_unit_test(it_is_the_kernel_that_runs),
        cmocka_unit_test(a_refused_kernel_is_said_and_its_equivalent_computed),
    };
    if (device_open(&device, &(struct device_spec){.index = -1}) < 0 ||
        engine_create(&engine, device, ENGINE_AUTO) < 0) {
        fprintf(stderr, "%s\n", error_text());
        return 77;
    }
    engine_set_log(engine, hear, NULL);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    engine_destroy(engine);
    device_close(device);
    return rc;
}
