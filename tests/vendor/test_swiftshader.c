/* test_swiftshader.c - every kernel, and a few training steps, on Google's software driver: subgroups of 4, no integers
 * but those of 32 bits, another compiler altogether. */
#include "error.h"
#include "small.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void kernels_and_trainings_are_right_on_swiftshader(void **state)
{
    struct device *device;
    struct engine *engine;
    (void)state;
    /* the loader is open already, so by the names that it asks for with every instance */
    assert_int_equal(setenv("VK_DRIVER_FILES", SWIFTSHADER, 1) | setenv("VK_ICD_FILENAMES", SWIFTSHADER, 1),
                     0);
    if (device_open(&device, &(struct device_spec){.index = 0}) < 0 ||
        engine_create(&engine, device, ENGINE_AUTO) < 0)
        fail_msg("%s", error_text());
    assert_non_null(strstr(device_info(device)->name, "SwiftShader"));
    assert_int_equal(engine_lanes(engine), 4);
    small_kernels(engine);
    small_trainings(engine, 2);
    small_all_ran(engine);
    engine_destroy(engine);
    device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kernels_and_trainings_are_right_on_swiftshader)};
    FILE *manifest = fopen(SWIFTSHADER, "r");
    if (!manifest) {
        printf("skipped: there is no " SWIFTSHADER "; scripts/other_drivers.sh brings it\n");
        return 77;
    }
    fclose(manifest);
    if (small_learn() < 0) { /* on the usual driver, before the test turns to the other */
        fprintf(stderr, "no device to compare with: %s\n", error_text());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
