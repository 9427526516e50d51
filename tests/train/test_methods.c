/* test_methods.c - each shipped method on the device against PyTorch: logits, loss and every gradient of a
 * two-block model (reference/make_methods_golden.py). */
#include "goldens.h"

#include "error.h"
#include "memory.h"
#include "safetensors.h"
#include "session.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BATCH = 3 };
/* float32 through two blocks and back: some 1e-6 of the largest entry; a wrong formula is off by percents */
static const double TOLERANCE = 1e-4;
static const struct vit_shape shape = {
    .image = 32, .patch = 8, .dim = 24, .depth = 2, .heads = 3, .hidden = 96, .classes = 7, .eps = 1e-6f};

static struct device *device;
static struct engine *engine;
static struct plugins *plugins;
static double worst;

static void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

static float *read_golden(const struct safetensors *f, const char *name, int64_t count)
{
    float *data = mem_alloc((size_t)count, sizeof *data);
    assert_non_null(data);
    must(safetensors_need(f, name, SAFETENSORS_F32, (size_t)count, data));
    return data;
}

/* Largest difference relative to the largest entry; a gradient that is zero must be zero to 1e-6. */
static void compare(const struct safetensors *f, const char *name, const float *ours, int64_t count)
{
    float *theirs = read_golden(f, name, count);
    double top = 1e-2, off = 0;
    for (int64_t i = 0; i < count; i++) {
        top = fmax(top, fabs((double)theirs[i]));
        off = fmax(off, fabs((double)ours[i] - (double)theirs[i]));
    }
    if (!(off <= TOLERANCE * top))
        fail_msg("%s is off by %g of %g", name, off, top);
    worst = fmax(worst, off / top);
    mem_free(theirs);
}

static void check(const struct safetensors *shared, const struct golden *g, const struct vit *vit)
{
    struct method *method;
    struct session *session;
    struct safetensors *f;
    char name[512];
    size_t count;
    golden_path(GOLDEN, g->key, name, sizeof name);
    must(safetensors_open(&f, name));
    must(method_create(&method, plugins, g->text));
    must(method_declare(method, vit));
    must(session_create(&session, &(struct session_spec){.engine = engine,
                                                         .method = method,
                                                         .vit = vit,
                                                         .mean = {0.5f, 0.5f, 0.5f},
                                                         .std = {0.5f, 0.5f, 0.5f}}));
    const struct tensor *tensors = method_tensors(method, &count);
    for (size_t i = 0; i < count; i++) {
        golden_name("param", &tensors[i], name, sizeof name);
        float *data = read_golden(tensors[i].owner < 0 ? shared : f, name, shape_count(tensors[i].shape));
        must(session_set_tensor(session, i, data));
        mem_free(data);
    }
    size_t pixels = (size_t)BATCH * (size_t)shape.image * (size_t)shape.image * 3;
    unsigned char *rgb = mem_alloc(pixels, 1);
    int32_t labels[BATCH];
    float loss, logits[BATCH * 16];
    must(safetensors_need(shared, "images", SAFETENSORS_U8, pixels, rgb));
    must(safetensors_need(shared, "labels", SAFETENSORS_I32, BATCH, labels));
    const struct images images = {rgb, labels, BATCH};
    must(session_logits(session, &images, BATCH, logits, NULL));
    compare(f, "logits", logits, BATCH * shape.classes);
    must(session_gradients(session, &images, &loss));
    compare(f, "loss", &loss, 1);
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].kind != LEAF_TRAINABLE)
            continue;
        int64_t n = shape_count(tensors[i].shape);
        float *gradient = mem_alloc((size_t)n, sizeof *gradient);
        must(session_gradient(session, i, gradient));
        golden_name("grad", &tensors[i], name, sizeof name);
        compare(f, name, gradient, n);
        mem_free(gradient);
    }
    mem_free(rgb);
    session_destroy(session);
    method_destroy(method);
    safetensors_close(f);
}

static void each_method_on_the_device_is_pytorchs(void **state)
{
    (void)state;
    struct safetensors *shared = NULL;
    struct vit *vit = NULL;
    char path[512];
    golden_path(GOLDEN, "model", path, sizeof path);
    must(safetensors_open(&shared, path));
    must(vit_create(&vit, &shape));
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        check(shared, &goldens[i], vit);
    print_message("worst relative difference from PyTorch %.1e\n", worst);
    vit_destroy(vit);
    safetensors_close(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_method_on_the_device_is_pytorchs)};
    const char *const search[] = {PLUGINS, NULL};
    if (device_open(&device, &(struct device_spec){.index = -1}) < 0 ||
        engine_create(&engine, device, ENGINE_AUTO) < 0 || plugins_create(&plugins, search) < 0) {
        fprintf(stderr, "%s\n", error_text());
        return 77;
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    plugins_destroy(plugins);
    engine_destroy(engine);
    device_close(device);
    return rc;
}
