/* test_cache_file.c - files that vouch for themselves, and folders of them that do not grow without end. */
#include "cache_file.h"
#include "error.h"
#include "file.h"
#include "memory.h"
#include "sweep.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/vitro_test_XXXXXX";
static const char magic[] = "test 1 ";

static int enter_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct cache_file f;
    assert_int_equal(cache_file_write("a", magic, "some data", 9), 0);
    cache_file_read(&f, "a", magic, 1000);
    assert_int_equal(f.size, 9);
    assert_memory_equal(f.data, "some data", 9);
    assert_int_equal(strlen(f.hash), HASH_TEXT - 1);
    cache_file_free(&f);
    assert_null(f.data);
    unlink("a");
}

static void assert_nothing(const char *path, const char *with, size_t limit)
{
    struct cache_file f;
    cache_file_read(&f, path, with, limit);
    assert_null(f.data);
    assert_null(f.bytes);
    assert_int_equal(f.size, 0);
    assert_string_equal(f.hash, "");
}

static void any_other_byte_or_length_counts_as_absent(void **state)
{
    (void)state;
    char *bytes;
    size_t size;
    assert_nothing("absent", magic, 1000);
    assert_int_equal(cache_file_write("a", magic, "some data", 9), 0);
    assert_nothing("a", "test 2 ", 1000);
    assert_nothing("a", magic, 20); /* longer than it may be */
    assert_int_equal(file_read("a", 1000, &bytes, &size), 0);
    assert_int_equal(size, sizeof magic - 1 + HASH_TEXT + 9);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 1;
        assert_int_equal(file_write("a", bytes, size), 0);
        assert_nothing("a", magic, 1000);
        bytes[i] ^= 1;
        assert_int_equal(file_write("a", bytes, i), 0);
        assert_nothing("a", magic, 1000);
    }
    mem_free(bytes);
    unlink("a");
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    struct cache_file f;
    assert_int_equal(cache_file_write("a", magic, "old", 3), 0);
    for (long after = 0; after < 4; after++) {
        file_fail_after(after);
        assert_int_equal(cache_file_write("a", magic, "new", 3), ERR_IO);
        file_fail_after(-1);
        cache_file_read(&f, "a", magic, 1000);
        assert_int_equal(f.size, 3);
        assert_memory_equal(f.data, "old", 3);
        cache_file_free(&f);
    }
    unlink("a");
}

/* A file of 100 bytes that is so many seconds old. */
static void make_old(const char *name, long seconds)
{
    static const char bytes[100];
    const struct timespec times[2] = {{.tv_sec = 1000000 - seconds}, {.tv_sec = 1000000 - seconds}};
    assert_int_equal(file_write(name, bytes, sizeof bytes), 0);
    assert_int_equal(utimensat(AT_FDCWD, name, times, 0), 0);
}

static void the_oldest_files_of_a_full_folder_go(void **state)
{
    (void)state;
    static const char *const names[] = {"e", "a", "c", "b", "d"}; /* the oldest last */
    mkdir("kept", 0777);
    for (int i = 0; i < 5; i++)
        make_old(names[i], i);
    sweep_folder(".", 500); /* not too much yet */
    for (int i = 0; i < 5; i++)
        assert_true(file_exists(names[i]));
    sweep_folder(".", 499); /* to at most 249 */
    for (int i = 0; i < 5; i++)
        assert_int_equal(file_exists(names[i]), i < 2);
    assert_true(file_exists("kept")); /* folders are not counted, and stay */
    sweep_folder("absent", 0);
    unlink("e");
    unlink("a");
    rmdir("kept");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(any_other_byte_or_length_counts_as_absent),
        cmocka_unit_test(a_failed_write_leaves_the_old_file),
        cmocka_unit_test(the_oldest_files_of_a_full_folder_go),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
