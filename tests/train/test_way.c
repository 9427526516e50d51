/* test_way.c - the way from the backbone to a trained model on the device: exact at both ends, whatever head alpha 0
 * has, by parameters and by merged weights; and what has none says so. */
#include "way.h"

#include "error.h"
#include "memory.h"
#include "rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 5, SIDE = 32, CLASSES = 7, DIM = 64, LOGITS = IMAGES * CLASSES, SHIPPED = 29 };
/* Merged weights are rounded to float once, and the network adds them up in another order. */
static const double MERGED = 2e-5;
/* At a neutral value a hook adds an exact zero or multiplies by one, but may keep the network from a fused kernel. */
static const double NEUTRAL = 1e-5;

static struct device *device;
static struct engine *engine;
static struct plugins *plugins;
static struct vit *vit;
static unsigned char rgb[IMAGES * SIDE * SIDE * 3];
static const struct images images = {.rgb = rgb, .count = IMAGES};

static void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

struct trained {
    struct method *method, *plain;
    struct session *session;
    struct way_spec spec;
};

/* A method as training might have left it: every trained number moved. */
static struct trained train(const char *text)
{
    struct trained t = {0};
    size_t count;
    struct rng r = rng_named(3, text);
    must(method_create(&t.method, plugins, text));
    must(method_declare(t.method, vit));
    must(method_create(&t.plain, plugins, "linear"));
    must(method_declare(t.plain, vit));
    const struct session_spec spec = {.engine = engine, .method = t.method, .vit = vit, .std = {1, 1, 1}};
    must(session_create(&t.session, &spec));
    const struct tensor *tensors = method_tensors(t.method, &count);
    for (size_t i = 0; i < count; i++) {
        if (tensors[i].kind != LEAF_TRAINABLE)
            continue;
        const size_t n = (size_t)shape_count(tensors[i].shape);
        float *x = mem_alloc(n, sizeof *x);
        must(session_tensor(t.session, i, x));
        for (size_t k = 0; k < n; k++)
            x[k] += (float)(0.05 * rng_normal(&r));
        must(session_set_tensor(t.session, i, x));
        mem_free(x);
    }
    t.spec = (struct way_spec){.engine = engine,
                               .method = t.method,
                               .plain = t.plain,
                               .vit = vit,
                               .tuned = t.session,
                               .std = {1, 1, 1}};
    return t;
}

static void finish(struct trained *t)
{
    session_destroy(t->session);
    method_destroy(t->plain);
    method_destroy(t->method);
}

static double distance(const float *a, const float *b)
{
    double most = 0;
    for (int i = 0; i < LOGITS; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void check_ends(const char *text, enum way_head head, const float *weight, const float *bias)
{
    struct trained t = train(text);
    struct way *w = NULL;
    float tuned[LOGITS], at_0[LOGITS], at_1[LOGITS], anchor[LOGITS], between[LOGITS], after[LOGITS];
    must(session_logits(t.session, &images, IMAGES, tuned, NULL));
    t.spec.head = head;
    t.spec.weight = weight;
    t.spec.bias = bias;
    must(way_create(&w, &t.spec));
    assert_null(way_refusal(w));
    must(way_logits(w, 0.5f, &images, IMAGES, between));
    must(way_logits(w, 0, &images, IMAGES, at_0));
    must(way_logits(w, 1, &images, IMAGES, at_1));
    must(way_anchor(w, &images, IMAGES, anchor));
    const double off = distance(at_0, anchor), far = distance(at_1, tuned);
    print_message("  %-20s by %s, alpha 0 off by %.0e, alpha 1 by %.0e\n", text,
                  way_by(w) == INTERPOLATES_PARAMETERS ? "parameters" : "merged weights", off, far);
    if (way_by(w) == INTERPOLATES_PARAMETERS ? memcmp(at_1, tuned, sizeof tuned) != 0 : far > MERGED)
        fail_msg("%s: alpha 1 is off by %g", text, far);
    if (off > (way_by(w) == INTERPOLATES_PARAMETERS ? NEUTRAL : 0))
        fail_msg("%s: alpha 0 is off by %g from the backbone", text, off);
    if (strcmp(text, "linear") != 0 || head != WAY_TUNED) {
        assert_true(distance(between, at_0) > 1e-4);
        assert_true(distance(between, at_1) > 1e-4);
    }
    way_destroy(w);
    must(session_logits(t.session, &images, IMAGES, after, NULL)); /* as it was */
    assert_memory_equal(after, tuned, sizeof tuned);
    finish(&t);
}

static void both_ends_are_exact_for_every_kind_of_method(void **state)
{
    (void)state;
    static const char *const texts[] = {"linear", "full", "ssf", "convpass", "lora[r=2]+bitfit", "dora[r=4]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (int head = WAY_OWN; head < WAY_HEADS; head += 2)
            check_ends(texts[i], (enum way_head)head, NULL, NULL);
}

static void every_shipped_method_has_both_ends_or_says_why_not(void **state)
{
    (void)state;
    int without = 0;
    const struct plugin_file *files;
    size_t count;
    must(plugins_files(plugins, &files, &count));
    assert_true(count >= SHIPPED);
    for (size_t i = 0; i < count; i++) {
        const char *name = files[i].id;
        if (strcmp(name, "vpt") == 0 || strcmp(name, "vqt") == 0) { /* shown by the test below */
            without++;
            continue;
        }
        check_ends(name, WAY_OWN, NULL, NULL);
    }
    assert_int_equal(without, 2);
}

static void alpha_0_has_the_probes_head(void **state)
{
    (void)state;
    float weight[CLASSES * DIM], bias[CLASSES], anchor[LOGITS], direct[LOGITS];
    struct rng r = rng_named(9, "probe");
    for (int i = 0; i < CLASSES * DIM; i++)
        weight[i] = (float)rng_normal(&r);
    for (int i = 0; i < CLASSES; i++)
        bias[i] = (float)rng_normal(&r);
    check_ends("lora[r=4]", WAY_PROBE, weight, bias);
    check_ends("full", WAY_PROBE, weight, bias);
    check_ends("dora[r=4]", WAY_PROBE, weight, bias);

    struct trained t = train("bitfit"), probe = train("linear");
    struct way *w = NULL;
    size_t count;
    const struct tensor *tensors = method_tensors(probe.method, &count);
    for (size_t i = 0; i < count; i++)
        if (tensors[i].is_head)
            must(session_set_tensor(probe.session, i, strstr(tensors[i].name, "bias") ? bias : weight));
    must(session_logits(probe.session, &images, IMAGES, direct, NULL));
    t.spec.head = WAY_PROBE;
    assert_int_equal(way_create(&w, &t.spec), ERR_INPUT); /* without a head */
    t.spec.weight = weight;
    t.spec.bias = bias;
    must(way_create(&w, &t.spec));
    must(way_anchor(w, &images, IMAGES, anchor));
    assert_memory_equal(anchor, direct, sizeof direct); /* the linear probe itself */
    way_destroy(w);
    finish(&probe);
    finish(&t);
}

static void what_has_no_way_back_says_so_and_still_has_an_anchor(void **state)
{
    (void)state;
    static const char *const texts[] = {"vpt[prompts=2]", "vqt"};
    for (int i = 0; i < 2; i++) {
        struct trained t = train(texts[i]);
        struct way *w = NULL;
        float logits[LOGITS], tuned[LOGITS];
        must(session_logits(t.session, &images, IMAGES, tuned, NULL));
        must(way_create(&w, &t.spec));
        assert_non_null(strstr(way_refusal(w), "cannot be interpolated with the backbone"));
        assert_int_equal(way_logits(w, 0.5f, &images, IMAGES, logits), ERR_PLUGIN);
        must(way_anchor(w, &images, IMAGES, logits));
        assert_true(distance(logits, tuned) > 1e-3);
        way_destroy(w);
        finish(&t);
    }
}

int main(void)
{
    static const struct vit_shape shape = {.image = SIDE,
                                           .patch = 8,
                                           .dim = DIM,
                                           .depth = 2,
                                           .heads = 4,
                                           .hidden = 4 * DIM, /* what FacT needs */
                                           .classes = CLASSES,
                                           .eps = 1e-6f};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_are_exact_for_every_kind_of_method),
        cmocka_unit_test(every_shipped_method_has_both_ends_or_says_why_not),
        cmocka_unit_test(alpha_0_has_the_probes_head),
        cmocka_unit_test(what_has_no_way_back_says_so_and_still_has_an_anchor),
    };
    const char *const search[] = {PLUGINS, NULL};
    struct rng r = rng_named(1, "pixels");
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (unsigned char)rng_below(&r, 256);
    if (device_open(&device, &(struct device_spec){.index = -1}) < 0 ||
        engine_create(&engine, device, ENGINE_AUTO) < 0 || plugins_create(&plugins, search) < 0 ||
        vit_create(&vit, &shape) < 0) {
        fprintf(stderr, "%s\n", error_text());
        return 77;
    }
    vit_random(vit, 5);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    vit_destroy(vit);
    plugins_destroy(plugins);
    engine_destroy(engine);
    device_close(device);
    return rc;
}
