/* test_pace.c - submits of bounded length: kernels are right when its dispatches are divided and
 * each part is a submit of its own. */
#include "check.h"
#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct device *device;
static struct engine *engine;

static void note(void *context, const struct check_result *r)
{
    int *ran = context;
    ++*ran;
    if (!r->passed)
        print_message("%s: error %g, allowed %g\n", r->name, r->error, r->tolerance);
}

static void divided_into_single_submits_kernels_are_right(void **state)
{
    (void)state;
    static const char *const some[] = {"matmul nt", "attention", "layernorm", "softmax", "sum", "unfold"};
    int ran = 0;
    const struct engine_pace usual = engine_pace(engine);
    engine_set_pace(engine, (struct engine_pace){.submit_seconds = 0, .parts = 2});
    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        assert_int_equal(check_ops(engine, some[i], 0, note, &ran), 0);
    assert_true(ran > 10);
    engine_set_pace(engine, usual);
}

static void a_software_driver_has_nothing_to_divide_for(void **state)
{
    (void)state;
    assert_true(device_info(device)->is_cpu == (engine_pace(engine).parts == 1));
    assert_true(engine_pace(engine).submit_seconds > 0 && engine_pace(engine).submit_seconds <= 0.2);
}

static void a_shader_that_counts_workgroups_is_not_divided(void **state)
{
    (void)state;
    const struct kernel *k = NULL;
    assert_int_equal(engine_kernel_in_parts(engine, SHADER_PATCHES, NULL, 0, &k), 0);
    assert_null(k);
    assert_int_equal(engine_kernel_in_parts(engine, SHADER_ADVANCE, NULL, 0, &k), 1);
    assert_non_null(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(divided_into_single_submits_kernels_are_right),
        cmocka_unit_test(a_software_driver_has_nothing_to_divide_for),
        cmocka_unit_test(a_shader_that_counts_workgroups_is_not_divided),
    };
    if (device_open(&device, &(struct device_spec){.index = -1}) < 0 ||
        engine_create(&engine, device, ENGINE_AUTO) < 0) {
        fprintf(stderr, "%s\n", error_text());
        return 77;
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    engine_destroy(engine);
    device_close(device);
    return rc;
}
