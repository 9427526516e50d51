/* test_plugin_interpolation.c - the way from the backbone to the tuned model: exact at both ends, linear
 * between them, refused where there is none. */
#include "goldens.h"
#include "tiny.h"

#include "trace.h"

/* One rounding to float per weight against a merge in double: the logits of two blocks. */
static const double ROUNDED = 1e-6;

enum { LOGITS = TINY_BATCH * 8 };
static const struct method_step judging = {.training = 0};

static void open_on_backbone(struct tiny *n, const char *text)
{
    tiny_open(n, text, &judging);
    vit_random(n->vit, 5);
}

/* What tiny_fill makes of a leaf, as the floats that a training would have left. */
static void tuned_floats(double *x, float *theta, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        theta[k] = (float)x[k];
        x[k] = (double)theta[k];
    }
}

static void set_leaf(struct tiny *n, size_t id, float alpha, double *x)
{
    size_t count = (size_t)shape_count(n->tensors[id].shape);
    float *theta = mem_alloc(count, sizeof *theta);
    assert_non_null(theta);
    tuned_floats(x, theta, count);
    if (alpha < 0)
        tiny_must(method_initial(n->method, id, TINY_SEED, theta));
    else if (alpha <= 1)
        tiny_must(method_interpolate(n->method, id, alpha, theta, theta));
    for (size_t k = 0; k < count; k++)
        x[k] = (double)theta[k];
    mem_free(theta);
}

/* Logits with every tensor at alpha; below 0: as it starts, above 1: as it is tuned. */
static void logits_at(struct tiny *n, float alpha, double out[LOGITS])
{
    struct ref *r = NULL;
    tiny_must(ref_create(&r, n->tape, &n->trace->logits, 1));
    tiny_fill(n, r);
    for (size_t i = 0; i < n->tensor_count; i++) {
        double *x = ref_leaf(r, n->trace->leaves[i]);
        if (x)
            set_leaf(n, i, alpha, x);
    }
    tiny_must(ref_run(r));
    memset(out, 0, LOGITS * sizeof *out);
    memcpy(out, ref_value(r, n->trace->logits),
           (size_t)shape_count(tape_shape(n->tape, n->trace->logits)) * sizeof *out);
    ref_destroy(r);
}

static void check_ends(struct tiny *n, const char *text, const double backbone[LOGITS])
{
    double at_0[LOGITS], at_1[LOGITS], tuned[LOGITS];
    logits_at(n, 0, at_0);
    logits_at(n, 1, at_1);
    logits_at(n, 2, tuned);
    if (memcmp(at_0, backbone, sizeof at_0) != 0)
        fail_msg("%s: alpha 0 is not the backbone", text);
    if (memcmp(at_1, tuned, sizeof at_1) != 0)
        fail_msg("%s: alpha 1 is not the tuned model", text);
    assert_memory_not_equal(at_0, at_1, sizeof at_0);
}

/* Every method of goldens.h that goes by its parameters; those by merged weights have a test of their own. */
static void both_ends_are_exact_to_the_bit(void **state)
{
    (void)state;
    enum { GOLDENS = sizeof goldens / sizeof *goldens };
    double backbone[LOGITS];
    struct tiny plain, n;
    open_on_backbone(&plain, "linear");
    logits_at(&plain, -1, backbone);
    for (int i = 0; i <= GOLDENS; i++) {
        const char *text = i < GOLDENS ? goldens[i].text : "bitfit+lora[r=2]+ssf";
        enum interpolation by;
        struct method_part part;
        open_on_backbone(&n, text);
        tiny_must(method_part(n.method, 0, &part));
        int rc = method_interpolation(n.method, &by);
        assert_int_equal(rc < 0, part.interpolates == INTERPOLATES_NOT);
        if (rc == 0 && by == INTERPOLATES_PARAMETERS)
            check_ends(&n, text, backbone);
        tiny_close(&n);
    }
    tiny_close(&plain);
}

static void a_tensor_moves_in_a_straight_line_from_its_neutral_value(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        float at_a_quarter; /* of a tensor tuned to 3 */
    } tensors[] = {
        {"lora/1/a", 3},       {"lora/1/b", 0.75f}, {"ssf/0/scale.FC1", 1.5f}, {"ssf/0/shift.FC1", 0.75f},
        {"norm.weight", 1.5f}, /* of the backbone, where it is 1 */
    };
    struct tiny n;
    open_on_backbone(&n, "lora[r=1]+ssf");
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++)
        for (size_t id = 0; id < n.tensor_count; id++) {
            float x[128] = {3, 3};
            if (strcmp(n.tensors[id].name, tensors[i].name) != 0)
                continue;
            assert_true(shape_count(n.tensors[id].shape) <= 128);
            tiny_must(method_interpolate(n.method, id, 0.25f, x, x));
            assert_memory_equal(&x[0], &tensors[i].at_a_quarter, sizeof x[0]);
            assert_memory_equal(&x[1], &tensors[i].at_a_quarter, sizeof x[1]);
        }
    tiny_close(&n);
}

static struct vit_trace plain_trace(struct tiny *n, const value *tensors)
{
    return (struct vit_trace){.tape = n->tape,
                              .vit = n->vit,
                              .images = n->images,
                              .index = n->index,
                              .tensors = tensors,
                              .mean = {0.5f, 0.5f, 0.5f},
                              .std = {0.5f, 0.5f, 0.5f}};
}

/* Fills leaf `at` of vit tensor `id` with its merged value at alpha. */
static void lead_back(struct tiny *n, size_t id, float alpha, const double *merged, double *at)
{
    size_t count = (size_t)shape_count(n->tensors[id].shape);
    float *theta = mem_alloc(count, sizeof *theta);
    assert_non_null(theta);
    for (size_t k = 0; k < count; k++)
        theta[k] = (float)merged[k];
    tiny_must(method_interpolate(n->method, id, alpha, theta, theta));
    for (size_t k = 0; k < count; k++)
        at[k] = (double)theta[k];
    mem_free(theta);
}

/* Logits of the plain network with the merged weights at alpha; `hooked` gets the tuned model's. */
static void merged_logits_at(struct tiny *n, float alpha, double out[LOGITS], double hooked[LOGITS])
{
    struct ref *r = NULL, *plain = NULL;
    value *merged = mem_alloc(n->vit->count + 1, sizeof *merged);
    assert_non_null(merged);
    tiny_must(method_merge(n->method, n->tape, merged));
    merged[n->vit->count] = n->trace->logits;
    tiny_must(ref_create(&r, n->tape, merged, n->vit->count + 1));
    tiny_fill(n, r);
    tiny_must(ref_run(r));
    struct vit_trace v = plain_trace(n, n->trace->leaves);
    value logits = vit_trace(&v);
    tiny_must(ref_create(&plain, n->tape, &logits, 1));
    tiny_fill(n, plain);
    for (size_t i = 0; i < n->vit->count; i++)
        lead_back(n, i, alpha, ref_value(r, merged[i]), ref_leaf(plain, n->trace->leaves[i]));
    tiny_must(ref_run(plain));
    size_t bytes = (size_t)shape_count(tape_shape(n->tape, logits)) * sizeof *out;
    memset(out, 0, LOGITS * sizeof *out);
    memset(hooked, 0, LOGITS * sizeof *hooked);
    memcpy(out, ref_value(plain, logits), bytes);
    memcpy(hooked, ref_value(r, n->trace->logits), bytes);
    ref_destroy(r);
    ref_destroy(plain);
    mem_free(merged);
}

static void without_a_neutral_value_the_merged_weights_lead_back(void **state)
{
    (void)state;
    double backbone[LOGITS], at_0[LOGITS], at_1[LOGITS], hooked[LOGITS];
    struct tiny n, plain;
    enum interpolation by;
    open_on_backbone(&plain, "linear");
    logits_at(&plain, -1, backbone);
    tiny_close(&plain);
    open_on_backbone(&n, KEEPER "+lora[r=2]+bitfit");
    tiny_must(method_interpolation(n.method, &by));
    assert_int_equal(by, INTERPOLATES_MERGED);
    merged_logits_at(&n, 0, at_0, hooked);
    merged_logits_at(&n, 1, at_1, hooked);
    assert_memory_equal(at_0, backbone, sizeof at_0);
    assert_true(tiny_distance(at_1, hooked, LOGITS) < ROUNDED);
    assert_true(tiny_distance(at_0, at_1, LOGITS) > 0.01);
    tiny_close(&n);
}

static void check_refusal(const char *text, const char *sentence)
{
    struct tiny n = {0};
    enum interpolation by;
    float x = 0;
    tiny_must(tiny_stack(&n, text, &tiny_shape));
    assert_int_equal(method_interpolation(n.method, &by), ERR_PLUGIN);
    assert_string_equal(error_text(), sentence);
    assert_int_equal(method_interpolate(n.method, 0, 0.5f, &x, &x), ERR_PLUGIN);
    tiny_close(&n);
}

static void what_has_no_way_back_is_refused(void **state)
{
    (void)state;
    struct tiny n = {0};
    float x[128] = {0};
    check_refusal("lora+vpt[prompts=4]",
                  "vpt cannot be interpolated with the backbone: none of its parameters has a neutral value "
                  "and it cannot be folded into the weights");
    check_refusal(
        KEEPER "+adaptformer[r=4,scale=1,dropout=0]", KEEPER
        "+adaptformer[r=4,scale=1,dropout=0,init=lora_kaiming] cannot be interpolated with the backbone: "
        "keeper has no neutral value and adaptformer cannot be folded into the weights");
    tiny_must(tiny_stack(&n, "lora", &tiny_shape));
    assert_int_equal(method_interpolate(n.method, 0, 1.5f, x, x), ERR_INPUT);
    assert_string_equal(error_text(), "alpha is 1.5; it must be between 0 (the backbone) and 1 (the tuned "
                                      "model)");
    assert_int_equal(method_interpolate(n.method, 0, NAN, x, x), ERR_INPUT);
    assert_int_equal(method_interpolate(n.method, 100000, 0.5f, x, x), ERR_INPUT);
    tiny_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_are_exact_to_the_bit),
        cmocka_unit_test(a_tensor_moves_in_a_straight_line_from_its_neutral_value),
        cmocka_unit_test(without_a_neutral_value_the_merged_weights_lead_back),
        cmocka_unit_test(what_has_no_way_back_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
