/* test_vk_limits.c - a device that pretends to be a smaller one says so and acts so; one that only compiles
 * computes nothing. */
#include "buffer.h"
#include "device.h"
#include "error.h"
#include "stream.h"

#include "vk_test_add_spv.h"

#include "kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void limits_are_read_by_their_names(void **state)
{
    (void)state;
    struct device_limits l;
    assert_int_equal(device_limits_parse(&l, "shared_bytes=16384,max_allocation=134217728,no_fp16"), 0);
    assert_int_equal(l.shared_bytes, 16384);
    assert_int_equal(l.max_allocation, 134217728);
    assert_int_equal(l.no_fp16, 1);
    assert_int_equal(l.no_coopmat, 0);
    assert_int_equal(device_limits_parse(&l, ""), 0);
}

static void a_limit_that_does_not_exist_is_refused_with_those_that_do(void **state)
{
    (void)state;
    static const char *const wrong[] = {"shared=16384",          "shared_bytes",  "no_fp16=1",
                                        "shared_bytes=-1",       "shared_bytes=", "max_groups=4e9",
                                        "max_groups=4294967296", "no_fp16,,"};
    struct device_limits l;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(device_limits_parse(&l, wrong[i]), ERR_INPUT);
        assert_non_null(strstr(error_text(), "max_invocations=NUMBER"));
    }
}

static struct device *opened(const struct device_limits *limits, int compile_only)
{
    struct device *d;
    const struct device_spec spec = {.index = -1, .limits = limits, .compile_only = compile_only};
    if (device_open(&d, &spec) < 0)
        fail_msg("%s", error_text());
    return d;
}

static void a_smaller_device_is_reported(void **state)
{
    (void)state;
    const struct device_limits limits = {.shared_bytes = 16384,
                                         .max_invocations = 256,
                                         .max_groups = 65535,
                                         .max_allocation = 128 << 20,
                                         .no_fp16 = 1,
                                         .no_coopmat = 1,
                                         .no_subgroup_arithmetic = 1,
                                         .no_timestamps = 1,
                                         .backwards = 1};
    struct device *d = opened(&limits, 0);
    const struct device_info *info = device_info(d);
    struct buffer b;
    struct stream *s;
    assert_int_equal(info->shared_bytes, 16384);
    assert_int_equal(info->max_invocations, 256);
    assert_true(info->max_groups[1] <= 65535);
    assert_int_equal(info->max_allocation, 128 << 20);
    assert_true(info->backwards);
    assert_false(info->has_fp16 || info->has_coopmat || info->has_subgroup_sums);
    assert_int_equal(buffer_create(&b, d, BUFFER_DEVICE, (size_t)129 << 20, "too large"), ERR_DEVICE);
    assert_int_equal(buffer_create(&b, d, BUFFER_DEVICE, (size_t)100 << 20, "fits"), 0);
    assert_int_equal(stream_create(&s, d, 1), ERR_DEVICE); /* no profile without timestamps */
    buffer_destroy(d, &b);
    device_close(d);
}

static void the_environment_can_ask_for_it(void **state)
{
    (void)state;
    assert_int_equal(setenv("VITRO_PRETEND", "max_invocations=99", 1), 0);
    struct device *d = opened(NULL, 0);
    assert_int_equal(device_info(d)->max_invocations, 99);
    device_close(d);
    struct device_info info;
    assert_true(device_list(&info, 1) >= 1);
    assert_int_equal(info.max_invocations, 99);
    assert_int_equal(setenv("VITRO_PRETEND", "wonders", 1), 0);
    assert_int_equal(device_open(&d, &(struct device_spec){.index = -1}), ERR_INPUT);
    assert_non_null(strstr(error_text(), "VITRO_PRETEND"));
    unsetenv("VITRO_PRETEND");
}

static void a_device_that_only_compiles_computes_nothing(void **state)
{
    (void)state;
    struct device *d = opened(NULL, 1);
    struct buffer a, b;
    struct kernel *k;
    struct stream *s;
    struct kernel_statistic statistics[8];
    unsigned char push[KERNEL_PUSH_MAX] = {0};
    const struct kernel_spec spec = {
        .name = "add", .spirv = vk_test_add_spv, .spirv_bytes = sizeof vk_test_add_spv, .push_bytes = 32};
    float x = 3;
    uint64_t peak;
    assert_int_equal(buffer_create(&a, d, BUFFER_DEVICE, (size_t)1 << 40, "a TiB"), 0);
    assert_int_equal(buffer_create(&b, d, BUFFER_HOST, 4, "another"), 0);
    assert_true(a.address != 0 && b.address > a.address + a.size);
    assert_true(device_memory(d, &peak) > (uint64_t)1 << 40);
    assert_int_equal(kernel_create(&k, d, &spec), 0);
    assert_true(kernel_statistics(d, k, statistics, 8) >= 0);
    assert_int_equal(stream_create(&s, d, 1), 0);
    assert_int_equal(stream_begin(s), 0);
    stream_dispatch(s, &(struct dispatch){.kernel = k, .push = push, .groups = {1, 1, 1}});
    stream_barrier(s);
    stream_copy(s, &b, 0, &a, 0, 4);
    assert_int_equal(stream_end(s), 0);
    assert_int_equal(stream_submit(s), 0);
    assert_int_equal(stream_wait(s, 0), 0);
    assert_int_equal(buffer_write(d, &b, 0, &x, 4), 0);
    assert_int_equal(buffer_read(d, &b, 0, &x, 4), 0);
    assert_true(x == 0.0f);
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &a);
    buffer_destroy(d, &b);
    assert_int_equal(device_memory(d, NULL), 0);
    device_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_read_by_their_names),
        cmocka_unit_test(a_limit_that_does_not_exist_is_refused_with_those_that_do),
        cmocka_unit_test(a_smaller_device_is_reported),
        cmocka_unit_test(the_environment_can_ask_for_it),
        cmocka_unit_test(a_device_that_only_compiles_computes_nothing),
    };
    struct device_info info;
    if (device_list(&info, 1) < 1) {
        fprintf(stderr, "no device to test: %s\n", error_text());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
