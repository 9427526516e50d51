/* test_vk_loader.c - machines without a loader and without a driver. The loader stays open once it was
 * found, so the order of these tests matters. */
#include "device.h"
#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define assert_says(words)                                           \
    do {                                                             \
        if (!strstr(error_text(), words))                            \
            fail_msg("'%s' does not say '%s'", error_text(), words); \
    } while (0)

static struct device_info infos[16];

static void without_a_loader_one_sentence_says_what_to_install(void **state)
{
    (void)state;
    struct device *d;
    setenv("VITRO_VULKAN_LOADER", "libvulkan_is_not_here.so.1", 1);
    assert_int_equal(device_list(infos, 16), ERR_DEVICE);
    assert_says(
        "the Vulkan loader 'libvulkan_is_not_here.so.1' could not be opened; install it (libvulkan1)");
    assert_int_equal(device_open(&d, &(struct device_spec){.index = -1}), ERR_DEVICE);
    assert_null(d);
}

static void a_library_that_is_no_loader_is_refused(void **state)
{
    (void)state;
    setenv("VITRO_VULKAN_LOADER", "libc.so.6", 1);
    assert_int_equal(device_list(infos, 16), ERR_DEVICE);
    assert_says("'libc.so.6' is no Vulkan loader");
    unsetenv("VITRO_VULKAN_LOADER");
}

static void without_a_driver_one_sentence_says_what_to_install(void **state)
{
    (void)state;
    struct device *d;
    setenv("VK_DRIVER_FILES", "/nonexistent.json", 1);
    setenv("VK_ICD_FILENAMES", "/nonexistent.json", 1);
    assert_int_equal(device_list(infos, 16), ERR_DEVICE);
    assert_says("no Vulkan driver was found; install one (mesa-vulkan-drivers");
    assert_int_equal(device_open(&d, &(struct device_spec){.index = -1}), ERR_DEVICE);
    assert_null(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_loader_one_sentence_says_what_to_install),
        cmocka_unit_test(a_library_that_is_no_loader_is_refused),
        cmocka_unit_test(without_a_driver_one_sentence_says_what_to_install),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
