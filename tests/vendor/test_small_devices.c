/* test_small_devices.c - every kernel, and a few training steps, on devices that pretend to be smaller ones: what
 * a driver may lack or limit, the code must do without. */
#include "error.h"
#include "small.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { KERNELS, TRAININGS_TOO };

static void works(const char *pretend, int what)
{
    struct device_limits limits;
    struct device *device;
    struct engine *engine;
    if (device_limits_parse(&limits, pretend) < 0 ||
        device_open(&device, &(struct device_spec){.index = -1, .limits = &limits}) < 0 ||
        engine_create(&engine, device, ENGINE_AUTO) < 0)
        fail_msg("%s", error_text());
    if (limits.subgroup_size) /* wider ones are lanes of 16 */
        assert_int_equal(engine_lanes(engine), limits.subgroup_size < 16 ? limits.subgroup_size : 16);
    small_kernels(engine);
    if (what == TRAININGS_TOO) {
        small_trainings(engine, SMALL_TRAININGS);
        small_all_ran(engine);
    }
    engine_destroy(engine);
    device_close(device);
}

#define DEVICE(sentence, pretend, what) \
    static void sentence(void **state)  \
    {                                   \
        (void)state;                    \
        works(pretend, what);           \
    }
DEVICE(kernels_do_without_arithmetic_over_subgroups, "no_subgroup_arithmetic", TRAININGS_TOO)
DEVICE(kernels_do_without_a_choice_of_subgroup_size, "no_subgroup_control", KERNELS)
DEVICE(addresses_need_no_64_bit_integers, "no_int64", KERNELS)
DEVICE(subgroups_of_4_are_right, "subgroup_size=4,no_subgroup_arithmetic", KERNELS)
DEVICE(subgroups_of_16_are_right, "subgroup_size=16,no_subgroup_arithmetic", KERNELS)
DEVICE(subgroups_of_32_are_right, "subgroup_size=32,no_subgroup_arithmetic", KERNELS)
DEVICE(subgroups_of_64_are_right, "subgroup_size=64,no_subgroup_arithmetic", KERNELS)
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_do_without_arithmetic_over_subgroups),
        cmocka_unit_test(kernels_do_without_a_choice_of_subgroup_size),
        cmocka_unit_test(addresses_need_no_64_bit_integers),
        cmocka_unit_test(subgroups_of_4_are_right),
        cmocka_unit_test(subgroups_of_16_are_right),
        cmocka_unit_test(subgroups_of_32_are_right),
        cmocka_unit_test(subgroups_of_64_are_right),
    };
    /* lavapipe (Mesa 26.2) overruns its stack where it makes addresses of pairs of words in vectors of 512 bits */
    if (setenv("VITRO_VECTOR_WIDTH", "256", 0) != 0)
        return 1;
    if (small_learn() < 0) {
        fprintf(stderr, "no device to test: %s\n", error_text());
        return 77;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]); /* by hand: one test, or several by wildcards */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
