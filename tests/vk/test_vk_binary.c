/* test_vk_binary.c - kernels kept between runs as the driver's binaries. Skipped where the driver has none. */
#include "cache_file.h"
#include "vk_add.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char cache[] = "/tmp/vitro_test_XXXXXX", path[2048]; /* of the one file in the folder */

/* How many binaries are kept, `path` the last of them. */
static int kept(void)
{
    DIR *folder = opendir(d->binaries.folder);
    int count = 0;
    assert_non_null(folder);
    for (struct dirent *e; (e = readdir(folder));)
        if (e->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", d->binaries.folder, e->d_name);
            count++;
        }
    closedir(folder);
    return count;
}

static void forget(void)
{
    while (kept())
        assert_int_equal(unlink(path), 0);
}

static ino_t inode(void) /* a file that was replaced has another */
{
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    return about.st_ino;
}

static void a_kernel_is_kept_and_computes_the_same_from_what_was_kept(void **state)
{
    (void)state;
    forget();
    adds_right(0.5f, -3);
    assert_int_equal(kept(), 1);
    ino_t first = inode();
    adds_right(0.5f, -3);
    assert_int_equal(kept(), 1);
    assert_true(inode() == first);
}

static void another_constant_is_another_kernel(void **state)
{
    (void)state;
    forget();
    adds_right(0.5f, -3);
    adds_right(0.5f, 4);
    adds_right(2.0f, 4);
    assert_int_equal(kept(), 3);
    adds_right(0.5f, -3);
    adds_right(0.5f, 4);
    assert_int_equal(kept(), 3);
}

/* A file's damages: nothing left, cut short, another byte at its begin, in the fingerprint, in the driver's data. */
static void damage(int how)
{
    static const long places[] = {0, 30, 90};
    if (how < 2) {
        assert_int_equal(truncate(path, how ? 200 : 0), 0);
        return;
    }
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, places[how - 2], SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, places[how - 2], SEEK_SET), 0);
    fputc(c ^ 1, f);
    assert_int_equal(fclose(f), 0);
}

static void a_damaged_binary_is_replaced(void **state)
{
    (void)state;
    struct cache_file file;
    forget();
    for (int how = 0; how < 5; how++) {
        adds_right(0.5f, -3);
        assert_int_equal(kept(), 1);
        damage(how);
        cache_file_read(&file, path, "vitro kernel 1 ", 1 << 24);
        assert_null(file.data);
        adds_right(0.5f, -3);
        assert_int_equal(kept(), 1);
        cache_file_read(&file, path, "vitro kernel 1 ", 1 << 24);
        assert_non_null(file.data);
        cache_file_free(&file);
    }
}

/* As another build of the driver would leave it, if the folder's name did not tell the two apart. */
static void a_binary_that_the_driver_refuses_is_replaced(void **state)
{
    (void)state;
    static const char foreign[256] = "not what this driver writes";
    struct cache_file file;
    forget();
    adds_right(0.5f, -3);
    assert_int_equal(kept(), 1);
    assert_ok(cache_file_write(path, "vitro kernel 1 ", foreign, sizeof foreign));
    adds_right(0.5f, -3);
    cache_file_read(&file, path, "vitro kernel 1 ", 1 << 24);
    assert_non_null(file.data);
    assert_true(file.size != sizeof foreign || memcmp(file.data, foreign, sizeof foreign));
    cache_file_free(&file);
}

static void a_folder_that_cannot_be_written_costs_only_time(void **state)
{
    (void)state;
    char folder[sizeof d->binaries.folder];
    memcpy(folder, d->binaries.folder, sizeof folder);
    snprintf(d->binaries.folder, sizeof d->binaries.folder, "%s/absent", cache);
    adds_right(0.5f, -3);
    memcpy(d->binaries.folder, folder, sizeof folder);
}

static void without_a_folder_there_are_pipelines(void **state)
{
    (void)state;
    struct device *with = d;
    forget();
    setenv("VITRO_KERNEL_CACHE", "", 1);
    assert_ok(device_open(&d, &with->spec));
    setenv("VITRO_KERNEL_CACHE", cache, 1);
    assert_false(d->binaries.on);
    adds_right(0.5f, -3);
    assert_ok(device_check(d));
    device_close(d);
    d = with;
    assert_int_equal(kept(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_is_kept_and_computes_the_same_from_what_was_kept),
        cmocka_unit_test(another_constant_is_another_kernel),
        cmocka_unit_test(a_damaged_binary_is_replaced),
        cmocka_unit_test(a_binary_that_the_driver_refuses_is_replaced),
        cmocka_unit_test(a_folder_that_cannot_be_written_costs_only_time),
        cmocka_unit_test(without_a_folder_there_are_pipelines),
        cmocka_unit_test(nothing_was_reported_and_nothing_leaked),
    };
    if (!mkdtemp(cache) || setenv("VITRO_KERNEL_CACHE", cache, 1) ||
        device_open(&d, &(struct device_spec){.index = -1}))
        return 77;
    int on = d->binaries.on, failures = 77;
    if (on)
        forget();
    device_close(d);
    if (on)
        failures = run_groups(tests, sizeof tests / sizeof tests[0]);
    char command[64];
    snprintf(command, sizeof command, "rm -r '%s'", cache);
    return system(command) ? 1 : failures;
}
