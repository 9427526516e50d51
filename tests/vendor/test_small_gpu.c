/* test_small_gpu.c - every kernel for GPUs, and a few training steps, on a device with no more than Vulkan promises: 16 KiB
 * of shared memory, 256 invocations in a workgroup, buffers of 128 MiB, no fp16 and no matrix units. */
#include "error.h"
#include "small.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const char least[] =
    "shared_bytes=16384,max_invocations=256,max_groups=65535,max_allocation=134217728,"
    "max_storage_range=134217728,no_fp16,no_coopmat,no_timestamps";

static void kernels_for_gpus_and_trainings_are_right_with_what_vulkan_promises(void **state)
{
    struct device_limits limits;
    struct device *device;
    struct engine *engine;
    (void)state;
    if (device_limits_parse(&limits, least) < 0 ||
        device_open(&device, &(struct device_spec){.index = -1, .limits = &limits}) < 0 ||
        engine_create(&engine, device, ENGINE_GPU) < 0)
        fail_msg("%s", error_text());
    assert_int_equal(device_info(device)->shared_bytes, 16384);
    assert_false(engine_cpu_style(engine));
    small_kernels(engine);
    small_trainings(engine, SMALL_TRAININGS);
    small_all_ran(engine);
    engine_destroy(engine);
    device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_for_gpus_and_trainings_are_right_with_what_vulkan_promises),
    };
    if (small_learn() < 0) {
        fprintf(stderr, "no device to test: %s\n", error_text());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
