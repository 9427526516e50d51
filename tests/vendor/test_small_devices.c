/* test_small_devices.c - kernels on a device that pretends to lack what others lack. */
#include "check.h"
#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void report(void *context, const struct check_result *r)
{
    ++*(int *)context;
    if (r->rc < 0)
        print_error("%-32s %s\n", r->name, error_text());
    else if (!r->passed)
        print_error("%-32s error %.2g above %.2g\n", r->name, r->error, r->tolerance);
}

/* Softmax and its derivative add up over lanes, take maxima over them, and reach memory in every way. */
static void works(const struct device_limits *limits)
{
    struct device *device;
    struct engine *engine;
    int seen = 0;
    if (device_open(&device, &(struct device_spec){.index = -1, .limits = limits}) < 0)
        fail_msg("%s", error_text());
    assert_int_equal(engine_create(&engine, device, ENGINE_AUTO), 0);
    assert_int_equal(check_ops(engine, "softmax", 0, report, &seen), 0);
    assert_true(seen > 0);
    engine_destroy(engine);
    device_close(device);
}

static void kernels_do_without_subgroup_arithmetic(void **state)
{
    (void)state;
    works(&(struct device_limits){.no_subgroup_arithmetic = 1});
}

static void addresses_need_no_64_bit_integers(void **state)
{
    (void)state;
    works(&(struct device_limits){.no_int64 = 1});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_do_without_subgroup_arithmetic),
        cmocka_unit_test(addresses_need_no_64_bit_integers),
    };
    struct device_info info;
    if (device_list(&info, 1) < 1) {
        fprintf(stderr, "no device to test: %s\n", error_text());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
