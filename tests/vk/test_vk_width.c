/* test_vk_width.c - the vector width of lavapipe: chosen once per process, so every case runs in a child. The
 * parent itself never opens Vulkan. Other drivers have no such choice: skipped (77). */
#include "buffer.h"
#include "device.h"
#include "error.h"
#include "kernel.h"
#include "stream.h"

#include "vk_test_lanes_spv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { INVOCATIONS = 64, NOT_LAVAPIPE = 1, FAILED = 2 };

struct seen {    /* by a child */
    int outcome; /* 0, NOT_LAVAPIPE or FAILED */
    uint32_t reported, lanes, subgroups;
    char width[32], cache[512], sentence[512];
};

/* 64 invocations without a wish for a subgroup size: the same code for every width, were it compiled anew. */
static int run_lanes(struct device *d, uint32_t *word)
{
    struct kernel *k = NULL;
    struct stream *s = NULL;
    struct buffer b = {0};
    int rc;
    TRY_OUT(kernel_create(&k, d,
                          &(struct kernel_spec){.name = "lanes",
                                                .spirv = vk_test_lanes_spv,
                                                .spirv_bytes = sizeof vk_test_lanes_spv,
                                                .push_bytes = 8,
                                                .constant_count = 1,
                                                .constants = {INVOCATIONS}}));
    TRY_OUT(buffer_create(&b, d, BUFFER_DEVICE, 4 * INVOCATIONS, "lanes"));
    TRY_OUT(stream_create(&s, d, 0));
    TRY_OUT(stream_begin(s));
    stream_dispatch(s, &(struct dispatch){k, &b.address, {1, 1, 1}, "lanes", 0, 0});
    TRY_OUT(stream_end(s));
    TRY_OUT(stream_submit(s));
    TRY_OUT(stream_wait(s, 0));
    rc = buffer_read(d, &b, 0, word, sizeof *word);
out:
    stream_destroy(s);
    kernel_destroy(d, k);
    buffer_destroy(d, &b);
    return rc;
}

static void note_variable(char *out, size_t size, const char *name)
{
    const char *value = getenv(name);
    snprintf(out, size, "%s", value ? value : "");
}

static void look(struct seen *seen, int lists_later)
{
    struct device *d = NULL;
    uint32_t word = 0;
    int rc = device_open(&d, &(struct device_spec){.index = -1});
    if (rc == 0 && !device_info(d)->is_llvmpipe)
        seen->outcome = NOT_LAVAPIPE;
    if (rc == 0 && lists_later)
        rc = device_list(NULL, 0) < 0 ? ERR_DEVICE : 0;
    if (rc == 0 && seen->outcome == 0)
        rc = run_lanes(d, &word);
    if (rc < 0) {
        seen->outcome = FAILED;
        snprintf(seen->sentence, sizeof seen->sentence, "%s", error_text());
    } else {
        seen->reported = device_info(d)->subgroup_size;
        seen->lanes = word % 1000;
        seen->subgroups = word / 1000;
    }
    note_variable(seen->width, sizeof seen->width, "LP_NATIVE_VECTOR_WIDTH");
    note_variable(seen->cache, sizeof seen->cache, "MESA_SHADER_CACHE_DIR");
    device_close(d);
}

/* Runs `look` in a child with these two variables (NULL: unset). */
static struct seen look_in_child(const char *ours, const char *mesas, int lists_later)
{
    struct seen seen = {0};
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (ours)
            setenv("VITRO_VECTOR_WIDTH", ours, 1);
        if (mesas)
            setenv("LP_NATIVE_VECTOR_WIDTH", mesas, 1);
        look(&seen, lists_later);
        _exit(write(ends[1], &seen, sizeof seen) == (ssize_t)sizeof seen ? 0 : 1);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], &seen, sizeof seen);
    close(ends[0]);
    assert_true(waitpid(child, &status, 0) == child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0 && got == (ssize_t)sizeof seen);
    return seen;
}

static void assert_width(const struct seen *seen, uint32_t bits, const char *cache)
{
    if (seen->outcome == FAILED)
        fail_msg("%s", seen->sentence);
    char text[16];
    snprintf(text, sizeof text, "%u", (unsigned)bits);
    assert_string_equal(seen->width, text);
    assert_int_equal(seen->reported, bits / 32);
    assert_int_equal(seen->lanes, bits / 32); /* what the code really does */
    assert_int_equal(seen->subgroups, INVOCATIONS * 32 / bits);
    size_t length = strlen(seen->cache), tail = strlen(cache);
    assert_true(length >= tail && strcmp(seen->cache + length - tail, cache) == 0);
}

static void a_chosen_width_is_what_the_kernels_get_whatever_was_compiled_before(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct seen narrow = look_in_child("256", NULL, 0), wide = look_in_child("512", NULL, 0);
        assert_width(&narrow, 256, "/vitro/lavapipe-256");
        assert_width(&wide, 512, "/vitro/lavapipe-512");
    }
}

static void the_users_own_variable_wins(void **state)
{
    (void)state;
    struct seen seen = look_in_child("512", "256", 0);
    assert_width(&seen, 256, "/lavapipe-256");
    seen = look_in_child(NULL, "512", 0);
    assert_width(&seen, 512, "/lavapipe-512");
}

static void listing_devices_later_does_not_change_an_open_one(void **state)
{
    (void)state;
    struct seen alone = look_in_child(NULL, NULL, 0), listed = look_in_child(NULL, NULL, 1);
    assert_width(&alone, alone.reported * 32, alone.cache);
    assert_width(&listed, alone.reported * 32, alone.cache);
}

static void the_users_cache_folder_is_kept_as_the_base(void **state)
{
    (void)state;
    char folder[256];
    snprintf(folder, sizeof folder, "%s/users", getenv("XDG_CACHE_HOME"));
    setenv("MESA_SHADER_CACHE_DIR", folder, 1);
    struct seen seen = look_in_child("256", NULL, 0);
    assert_width(&seen, 256, "/users/lavapipe-256");
    setenv("MESA_SHADER_CACHE_DIR", seen.cache, 1); /* as a worker process inherits it */
    seen = look_in_child(NULL, "256", 0);
    assert_width(&seen, 256, "/users/lavapipe-256");
    unsetenv("MESA_SHADER_CACHE_DIR");
}

static void a_width_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    struct seen seen = look_in_child("511", NULL, 0);
    assert_int_equal(seen.outcome, FAILED);
    assert_string_equal(seen.sentence,
                        "the environment's VITRO_VECTOR_WIDTH is '511'; it must be 128, 256 or 512");
}

static int remove_folder(const char *folder)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chosen_width_is_what_the_kernels_get_whatever_was_compiled_before),
        cmocka_unit_test(the_users_own_variable_wins),
        cmocka_unit_test(listing_devices_later_does_not_change_an_open_one),
        cmocka_unit_test(the_users_cache_folder_is_kept_as_the_base),
        cmocka_unit_test(a_width_that_does_not_exist_is_refused),
    };
    char folder[] = "/tmp/vitro_width_XXXXXX";
    if (!mkdtemp(folder))
        return 1;
    setenv("XDG_CACHE_HOME", folder, 1);
    unsetenv("MESA_SHADER_CACHE_DIR");
    unsetenv("LP_NATIVE_VECTOR_WIDTH");
    unsetenv("VITRO_VECTOR_WIDTH");
    struct seen first = look_in_child(NULL, NULL, 0);
    int failures;
    if (first.outcome != 0) {
        print_message("not run: %s\n",
                      first.outcome == FAILED ? first.sentence : "the device is not lavapipe");
        failures = 77;
    } else {
        failures = cmocka_run_group_tests(tests, NULL, NULL);
    }
    return remove_folder(folder) == 0 ? failures : 1;
}
