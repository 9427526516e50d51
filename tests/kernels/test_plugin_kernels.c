/* test_plugin_kernels.c - plugins' own kernels without a device: what they mean, their derivatives, and what is
 * refused. kernel_probe.c goes wrong in each way once. */
#include "tiny.h"

#include <stdlib.h>

static const double rounding = 1e-12, /* double arithmetic in another order */
    step_error = 1e-6;                /* central differences in double */

static const struct {
    const char *way, *says[2];
} wrong[] = {
    {"bad_magic", {"kernel probe", "no SPIR-V module"}},
    {"cut_short", {"kernel probe", "main is not all there"}},
    {"more_push", {"reads 36 bytes of push constants", "3 addresses and its own 8 are 32"}},
    {"odd_push", {"10 bytes of arguments", "multiple of 4"}},
    {"no_push", {"kernel probe", "lacks the arguments"}},
    {"no_groups", {"kernel probe", "1 to 65535"}},
    {"many_groups", {"kernel probe", "1 to 65535"}},
    {"wrong_shape", {"its equivalent is [51 24]", "is said to be [3 17 24]"}},
    {"wild_shape", {"its equivalent is [3 17 24]", "of no shape"}},
    {"no_value", {"kernel probe", "returned no value"}},
    {"nested", {"dispatch", "not for an equivalent"}},
    {"many_inputs", {"8 inputs", "1 to 7"}},
    {"bad_input", {"kernel probe", "input 1 is not a value"}},
    {"no_equivalent", {"lacks its equivalent", "kernel_probe at MLP_OUT of block 0"}},
    {"no_size", {"lacks its size", "dispatch"}},
    {"wrong_gradient", {"gradient of shape [51 24]", "[3 17 24]"}},
    {"bad_gradient", {"d_in[1]", "not a value"}},
    {"in_penalty", {"dispatch", "forward or a backward"}},
};

static void each_wrong_kernel_is_refused_with_one_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tiny n = {0};
        char text[512];
        snprintf(text, sizeof text, KERNEL_PROBE "[way=%s]", wrong[i].way);
        tiny_must(tiny_stack(&n, text, &tiny_shape));
        int rc = tiny_record(&n, &(struct method_step){.training = 1}, -1);
        if (rc >= 0)
            fail_msg("%s was let through", wrong[i].way);
        for (int k = 0; k < 2; k++)
            if (!strstr(error_text(), wrong[i].says[k]))
                fail_msg("%s: \"%s\" does not say \"%s\"", wrong[i].way, error_text(), wrong[i].says[k]);
        tiny_close(&n);
    }
}

static double loss_of(struct tiny *n)
{
    tiny_must(ref_run(n->ref));
    return ref_value(n->ref, n->loss)[0];
}

static void its_derivative_is_that_of_its_equivalent(void **state)
{
    (void)state;
    struct tiny n, derived, none;
    tiny_open(&n, KERNEL_PROBE, &(struct method_step){.training = 1});
    tiny_open(&derived, KERNEL_PROBE, &(struct method_step){.training = 1, .derive = 1});
    tiny_open(&none, KERNEL_PROBE "[way=no_vjp]", &(struct method_step){.training = 1});
    assert_true(fabs(loss_of(&n) - loss_of(&derived)) < rounding);
    loss_of(&none);
    for (size_t i = 0; i < n.count; i++) {
        int64_t count = shape_count(tape_shape(n.tape, n.wrt[i]));
        const double *own = ref_value(n.ref, n.grads[i]);
        assert_true(tiny_distance(own, ref_value(derived.ref, derived.grads[i]), count) < rounding);
        assert_true(tiny_distance(own, ref_value(none.ref, none.grads[i]), count) < rounding);
    }
    tiny_close(&none);
    tiny_close(&derived);
    tiny_close(&n);
}

static void its_derivative_agrees_with_differences(void **state)
{
    (void)state;
    struct tiny n;
    tiny_open(&n, KERNEL_PROBE "[k=0.7]", &(struct method_step){.training = 1});
    loss_of(&n);
    for (size_t i = 0; i < n.count; i++) {
        double *x = ref_leaf(n.ref, n.wrt[i]), kept = x[0];
        double own = ref_value(n.ref, n.grads[i])[0];
        x[0] = kept + 1e-5;
        double up = loss_of(&n);
        x[0] = kept - 1e-5;
        double down = loss_of(&n);
        x[0] = kept;
        assert_true(fabs((up - down) / 2e-5 - own) < step_error * (1 + fabs(own)));
    }
    tiny_close(&n);
}

static void a_failing_op_never_crashes_it(void **state)
{
    (void)state;
    for (long k = 0;; k++) {
        struct tiny n = {0};
        tiny_must(tiny_stack(&n, KERNEL_PROBE, &tiny_shape));
        int rc = tiny_record(&n, &(struct method_step){.training = 1}, k);
        tiny_close(&n);
        if (rc >= 0) {
            assert_true(k > 50);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_kernel_is_refused_with_one_sentence),
        cmocka_unit_test(its_derivative_is_that_of_its_equivalent),
        cmocka_unit_test(its_derivative_agrees_with_differences),
        cmocka_unit_test(a_failing_op_never_crashes_it),
    };
    unsetenv("VITRO_PLUGIN_PATH");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
