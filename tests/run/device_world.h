/* device_world.h - what tests on this machine's first device share: the device, and the group that runs on it. */
#ifndef VITRO_TESTS_RUN_DEVICE_WORLD_H
#define VITRO_TESTS_RUN_DEVICE_WORLD_H

#include "device.h"
#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct device *device;

static inline void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

static inline void the_validation_layers_have_nothing_to_say(void **state)
{
    (void)state;
    assert_int_equal(device_check(device), 0);
}

/* The device as it is, watched by the validation layers where the environment asks for them. */
static inline struct device_spec as_it_is(void)
{
    return (struct device_spec){.index = -1, .validate = getenv("VITRO_VALIDATE") != NULL};
}

/* Lavapipe's vectors are 256 bits wide from here on, unless the environment says more; before the first device. */
static inline void with_vectors_of_256_bits(void)
{
    if (setenv("VITRO_VECTOR_WIDTH", "256", 0) != 0)
        abort();
}

/* As it is for tests of matrix units: cooperative matrices crash lavapipe (Mesa 26.1) with vectors of 512 bits. */
static inline struct device_spec with_matrix_units(void)
{
    with_vectors_of_256_bits();
    return as_it_is();
}

static inline void need_units(void)
{
    if (!device_info(device)->has_coopmat) {
        print_message("skipped: the device has no matrix units\n");
        skip();
    }
}

/* The program's result; 77 without a device: there is nothing to test. */
static inline int run_on_device(struct device_spec spec, const char *name, const struct CMUnitTest *tests,
                                size_t count)
{
    if (device_open(&device, &spec) < 0) {
        fprintf(stderr, "no device to test: %s\n", error_text());
        return 77;
    }
    printf("device: %s, %s, subgroups of %u\n", device_info(device)->name, device_info(device)->driver,
           device_info(device)->subgroup_size);
    int rc = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    device_close(device);
    return rc;
}
#define RUN_ON_DEVICE(spec, tests) run_on_device(spec, #tests, tests, sizeof(tests) / sizeof *(tests))

#endif
