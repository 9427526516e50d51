/* vk_group.h - a program's tests, run four times over: on the device as it is, with device memory that
 * cannot be mapped, and both under the validation layer. */
#ifndef VITRO_TESTS_VK_GROUP_H
#define VITRO_TESTS_VK_GROUP_H

#include "buffer.h"
#include "device.h"
#include "error.h"
#include "vk_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define assert_ok(expr)                              \
    do {                                             \
        if ((expr) < 0)                              \
            fail_msg("%s: %s", #expr, error_text()); \
    } while (0)
#define assert_says(words)                                           \
    do {                                                             \
        if (!strstr(error_text(), words))                            \
            fail_msg("'%s' does not say '%s'", error_text(), words); \
    } while (0)

static struct device *d; /* the group's device */

static struct buffer make(enum buffer_kind kind, size_t size, const char *name)
{
    struct buffer b;
    assert_ok(buffer_create(&b, d, kind, size, name));
    return b;
}

static void nothing_was_reported_and_nothing_leaked(void **state)
{
    (void)state;
    assert_ok(device_check(d));
    transfer_drop_staging(d); /* the buffers that the device keeps */
    assert_int_equal(device_memory(d, NULL), 0);
}

static int run_group(const char *name, const struct device_spec *spec, const struct CMUnitTest *tests,
                     size_t count)
{
    if (device_open(&d, spec) < 0) {
        print_message("%s: not run: %s\n", name, error_text());
        return 77;
    }
    print_message("%s: %s (%s), subgroups of %u\n", name, d->info.name, d->info.driver,
                  d->info.subgroup_size);
    int failures = _cmocka_run_group_tests(name, tests, count, NULL, NULL);
    device_close(d);
    d = NULL;
    return failures;
}

/* The program's result: without a device there is nothing to test (77); without the layer the first two
 * groups count. */
static int run_groups(const struct CMUnitTest *tests, size_t count)
{
    int failures = run_group("mapped", &(struct device_spec){.index = -1}, tests, count);
    if (failures == 77)
        return 77;
    failures += run_group("staged", &(struct device_spec){.index = -1, .stage_copies = 1}, tests, count);
    int checked = run_group("validated", &(struct device_spec){.index = -1, .validate = 1}, tests, count);
    if (checked != 77)
        failures += checked + run_group("validated and staged",
                                        &(struct device_spec){.index = -1, .validate = 1, .stage_copies = 1},
                                        tests, count);
    return failures ? 1 : 0;
}

#endif
