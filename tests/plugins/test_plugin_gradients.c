/* test_plugin_gradients.c - the derivatives that plugins write by hand against the derived ones, and
 * both against central differences, with and without dropout and drop-path, alone and stacked. */
#include "goldens.h"
#include "tiny.h"

/* Both ways compute the same sums, at most in another order. */
static const double SAME = 1e-10;
/* Differences of step h err by h^2 f''' / 6 + eps / (h f'): where a gradient is small or a kink near, one
 * of these steps is too long or too short; a wrong formula fails at all. */
static const double STEPS[] = {1e-5, 1e-4, 1e-6}, DIFFERENCED = 1e-6;
enum { ENTRIES = 1 }; /* single entries looked at per tensor, besides one random direction */

/* Besides every method of goldens.h, without dropout: with it, stacks, plugins of the tests. */
static const char *const stacks[] = {
    "lora[r=4,alpha=6,dropout=0.3]",
    "lora[r=4,targets=qv,dropout=0.3]",
    "lora[r=3,targets=q_k_v,dropout=0.3]+lora[r=2,targets=k]+lora[r=2,targets=fc1]",
    "loha[r=2,target=q_k_v]+lokr[r=2,target=q_k_v]",
    "lora[r=3,targets=all,dropout=0.3]+pissa[r=2,targets=all,dropout=0.3]",
    "vpt[prompts=5,dropout=0.3]",
    "vpt[prompts=5,mode=shallow,dropout=0.3]",
    "vpt[prompts=5,mode=first_block,dropout=0.3]",
    "vqt[queries=4,dropout=0.3]",
    "vpt[prompts=3]+vqt[queries=2]+ia3+lora[r=2]+adaptformer[r=3]",
    "vqt[queries=4,dropout=0.3]+vpt[prompts=2]",
    "adaptformer[r=5,scale=0.4,dropout=0.3]",
    "fact_tt[r=3,scale=0.7,dropout=0.3]",
    "fact_tk[r=5,scale=0.7,dropout=0.3]",
    "houlsby[r=5,scale=0.4,dropout=0.3]",
    "pfeiffer[r=5,scale=0.4,dropout=0.3]",
    "fact_tk[r=2]+houlsby[r=3,scale=0.5]+vpt[prompts=2]+difffit+fact_tt[r=2]",
    "repadapter[r=4,scale=0.7,dropout=0.3]",
    "convpass[r=5,scale=0.6,dropout=0.3]",
    "convpass[r=3,dropout=0.3]+vpt[prompts=2,dropout=0.3]",
    "arc[r=5,dropout=0.3]",
    "adapter_plus[r=5,drop_path=0.4]+vpt[prompts=2]",
    "adalora[r=5,target_r=3,dropout=0.3]",
    "dora[r=4,alpha=6,dropout=0.3]",
    "vera[r=10,dropout=0.3]",
    "dora[r=3]+lora[r=2]+loha[r=2]+lokr[r=3]+vera[r=5]",
    "oft[block=6]+boft[block=2,factors=2]+lora[r=2]+vpt[prompts=2]",
    "lora[r=4]+vpt[prompts=3]+adaptformer[r=5,scale=0.5]+ssf",
    "vpt[prompts=2,mode=shallow]+vpt[prompts=3]+ssf+bitfit+lora[r=2]+lora[r=3]",
    PROBE,
    TEMPLATE "[strength=0.7]",
    "vpt[prompts=3]+" PROBE "+lora",
};
enum { STACKS = sizeof stacks / sizeof *stacks, GOLDENS = sizeof goldens / sizeof *goldens };

static const char *stack_at(int i)
{
    return i < GOLDENS ? goldens[i].text : stacks[i - GOLDENS];
}

static const struct method_step plain = {.training = 1}, dropping = {.training = 1, .drop_path = 0.4f};

static double worst; /* of the test that runs */

static void note(const char *text, const struct tensor *t, double off, double limit)
{
    if (!(off <= limit))
        fail_msg("%s: the gradient of %s is off by %g", text, t->name, off);
    worst = off > worst ? off : worst;
}

static void compare_written_with_derived(const char *text, struct method_step step)
{
    struct tiny written, derived;
    tiny_open(&written, text, &step);
    step.derive = 1;
    tiny_open(&derived, text, &step);
    tiny_must(ref_run(written.ref));
    tiny_must(ref_run(derived.ref));
    assert_int_equal(written.count, derived.count);
    assert_true(fabs(ref_value(written.ref, written.loss)[0] - ref_value(derived.ref, derived.loss)[0]) <
                SAME);
    for (size_t i = 0; i < written.count; i++) {
        const struct tensor *t = &written.tensors[written.ids[i]];
        note(text, t,
             tiny_distance(ref_value(written.ref, written.grads[i]), ref_value(derived.ref, derived.grads[i]),
                           shape_count(t->shape)),
             SAME);
    }
    tiny_close(&written);
    tiny_close(&derived);
}

static void written_derivatives_are_the_derived_ones(void **state)
{
    (void)state;
    worst = 0;
    for (int i = 0; i < GOLDENS + STACKS; i++) {
        compare_written_with_derived(stack_at(i), plain);
        compare_written_with_derived(stack_at(i), dropping);
    }
    print_message("worst relative difference of written and derived %.1e\n", worst);
}

static void a_written_derivative_is_what_a_trace_uses(void **state)
{
    (void)state;
    struct method_step step = plain;
    for (int derive = 0; derive < 2; derive++) {
        struct tiny n;
        int hooked = 0;
        step.derive = derive;
        tiny_open(&n, "lora[r=4]", &step);
        for (value v = 1; v < tape_size(n.tape); v++)
            hooked += tape_node(n.tape, v)->op == OP_HOOKED;
        assert_int_equal(hooked, derive ? 0 : tiny_shape.depth);
        tiny_close(&n);
    }
}

/* The loss with `direction` x step added to the leaf. */
static double loss_along(struct tiny *n, struct ref *r, value leaf, const double *direction, int64_t count,
                         double step)
{
    double *x = ref_leaf(r, leaf);
    for (int64_t i = 0; i < count; i++)
        x[i] += step * direction[i];
    tiny_must(ref_run(r));
    double loss = ref_value(r, n->loss)[0];
    for (int64_t i = 0; i < count; i++)
        x[i] -= step * direction[i];
    return loss;
}

/* How far the gradient is from differences along random directions. */
static double distance_at(struct tiny *n, struct ref *r, size_t i, double step)
{
    int64_t count = shape_count(n->tensors[n->ids[i]].shape);
    const double *gradient = ref_value(n->ref, n->grads[i]);
    double found[ENTRIES + 1], wanted[ENTRIES + 1];
    double *direction = mem_alloc((size_t)count, sizeof *direction);
    struct rng g = rng_named(TINY_SEED, "directions");
    assert_non_null(direction);
    for (int k = 0; k <= ENTRIES; k++) {
        int64_t entry = rng_below(&g, (uint32_t)count);
        wanted[k] = 0;
        for (int64_t j = 0; j < count; j++) {
            direction[j] = k < ENTRIES ? j == entry : rng_normal(&g);
            wanted[k] += direction[j] * gradient[j];
        }
        double up = loss_along(n, r, n->wrt[i], direction, count, step);
        double down = loss_along(n, r, n->wrt[i], direction, count, -step);
        found[k] = (up - down) / (2 * step);
    }
    mem_free(direction);
    return tiny_distance(found, wanted, ENTRIES + 1);
}

static void check_tensor(struct tiny *n, struct ref *r, size_t i, const char *text)
{
    double off = INFINITY;
    for (size_t k = 0; k < sizeof STEPS / sizeof *STEPS && !(off <= DIFFERENCED); k++)
        off = fmin(off, distance_at(n, r, i, STEPS[k]));
    note(text, &n->tensors[n->ids[i]], off, DIFFERENCED);
}

static void check_differences(const char *text, const struct method_step *step)
{
    struct tiny n;
    struct ref *loss_only = NULL;
    tiny_open(&n, text, step);
    tiny_must(ref_run(n.ref));
    tiny_must(ref_create(&loss_only, n.tape, &n.loss, 1));
    ref_seed(loss_only, TINY_SEED, 5);
    tiny_fill(&n, loss_only);
    tiny_must(ref_run(loss_only));
    ref_hold_detached(loss_only); /* a detached value is a constant to the gradient, so to the differences */
    for (size_t i = 0; i < n.count; i++)
        check_tensor(&n, loss_only, i, text);
    ref_destroy(loss_only);
    tiny_close(&n);
}

static void gradients_are_central_differences(void **state)
{
    (void)state;
    worst = 0;
    for (int i = 0; i < GOLDENS + STACKS; i++)
        check_differences(stack_at(i), &dropping);
    print_message("worst relative difference from central differences %.1e\n", worst);
}

static void dropout_and_drop_path_vanish_outside_training(void **state)
{
    (void)state;
    struct tiny n;
    struct method_step step = {.training = 0, .drop_path = 0.4f};
    tiny_open(&n, "lora[dropout=0.5]+vpt[dropout=0.5]+adaptformer[dropout=0.5]", &step);
    for (value v = 1; v < tape_size(n.tape); v++) {
        assert_int_not_equal(tape_node(n.tape, v)->op, OP_DROPOUT);
        assert_int_not_equal(tape_node(n.tape, v)->op, OP_HOOKED);
    }
    tiny_close(&n);
}

static int has_stream(const struct tape *t, uint32_t stream)
{
    int count = 0;
    for (value v = 1; v < tape_size(t); v++)
        count += tape_node(t, v)->op == OP_DROPOUT && tape_node(t, v)->attr.dropout.stream == stream;
    return count;
}

static void adding_a_method_leaves_the_masks_of_the_others(void **state)
{
    (void)state;
    struct tiny one, two;
    tiny_open(&one, "lora", &dropping);
    tiny_open(&two, "lora+adaptformer", &dropping);
    int kept = 0;
    for (value v = 1; v < tape_size(one.tape); v++)
        if (tape_node(one.tape, v)->op == OP_DROPOUT) {
            assert_true(has_stream(two.tape, tape_node(one.tape, v)->attr.dropout.stream));
            kept++;
        }
    assert_true(kept > 0);
    tiny_close(&one);
    tiny_close(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_derivatives_are_the_derived_ones),
        cmocka_unit_test(a_written_derivative_is_what_a_trace_uses),
        cmocka_unit_test(gradients_are_central_differences),
        cmocka_unit_test(dropout_and_drop_path_vanish_outside_training),
        cmocka_unit_test(adding_a_method_leaves_the_masks_of_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
