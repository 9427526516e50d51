/* test_file.c - files are read whole or refused, and written whole or not at all. */
#include "error.h"
#include "file.h"
#include "memory.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int enter_folder(void **state)
{
    (void)state;
    strcpy(folder, "vitro_file_XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return chdir("..") == 0 && system(command) == 0 ? 0 : -1;
}

static int entries(void)
{
    int n = 0;
    DIR *d = opendir(".");
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void a_file_reads_back_with_a_final_zero(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(file_write("a", "hello", 5), 0);
    assert_int_equal(file_read("a", 5, &bytes, &size), 0);
    assert_int_equal(size, 5);
    assert_string_equal(bytes, "hello");
    mem_free(bytes);
    assert_int_equal(file_read("a", 4, &bytes, &size), ERR_INPUT);
    assert_non_null(strstr(error_text(), "longer than the 4 bytes"));
    assert_null(bytes);
    assert_int_equal(file_write("empty", "", 0), 0);
    assert_int_equal(file_read("empty", 0, &bytes, &size), 0);
    assert_int_equal(size, 0);
    mem_free(bytes);
    unlink("a");
    unlink("empty");
}

static void a_file_without_a_size_is_read_to_its_end(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(file_read("/proc/self/maps", 1 << 24, &bytes, &size), 0);
    assert_true(size > 100);
    assert_int_equal(strlen(bytes), size);
    mem_free(bytes);
}

static void missing_files_and_folders_are_refused_by_name(void **state)
{
    (void)state;
    char *bytes = NULL;
    size_t size = 0;
    struct file_map map;
    assert_int_equal(file_read("absent", 10, &bytes, &size), ERR_IO);
    assert_non_null(strstr(error_text(), "absent"));
    assert_int_equal(file_read(".", 10, &bytes, &size), ERR_IO);
    assert_non_null(strstr(error_text(), "folder"));
    assert_int_equal(file_map(&map, "absent"), ERR_IO);
    assert_null(map.bytes);
    file_unmap(&map);
}

static void a_map_shows_the_file(void **state)
{
    (void)state;
    struct file_map map;
    assert_int_equal(file_write("m", "0123456789", 10), 0);
    assert_int_equal(file_map(&map, "m"), 0);
    assert_int_equal(map.size, 10);
    assert_memory_equal(map.bytes, "0123456789", 10);
    file_unmap(&map);
    assert_null(map.bytes);
    assert_int_equal(file_write("m", "", 0), 0);
    assert_int_equal(file_map(&map, "m"), 0);
    assert_int_equal(map.size, 0);
    file_unmap(&map);
    unlink("m");
}

static void a_full_disk_leaves_the_old_file_whole(void **state)
{
    (void)state;
    assert_int_equal(file_write("kept", "old", 3), 0);
    for (long after = 0; after < 3; after++) {
        struct file_writer *w = NULL;
        assert_int_equal(file_begin(&w, "kept"), 0);
        file_fail_after(after);
        int rc = 0;
        for (int i = 0; i < 3; i++)
            rc = file_put(w, "new", 3);
        assert_int_equal(rc, ERR_IO);
        (fail)(ERR_INPUT, "another sentence"); /* CMocka has a macro of this name */
        assert_int_equal(file_commit(w), ERR_IO);
        assert_non_null(strstr(error_text(), "kept"));
        assert_non_null(strstr(error_text(), "No space left"));
        assert_int_equal(entries(), 1);
        char *bytes = NULL;
        size_t size = 0;
        assert_int_equal(file_read("kept", 100, &bytes, &size), 0);
        assert_string_equal(bytes, "old");
        mem_free(bytes);
    }
    file_fail_after(-1);
    unlink("kept");
}

static void an_abandoned_write_leaves_nothing(void **state)
{
    (void)state;
    struct file_writer *w = NULL;
    assert_int_equal(file_begin(&w, "gone"), 0);
    assert_int_equal(file_put(w, "x", 1), 0);
    file_abandon(w);
    file_abandon(NULL);
    assert_int_equal(entries(), 0);
    assert_false(file_exists("gone"));
    assert_int_equal(file_begin(&w, "no/such/folder/file"), ERR_IO);
    assert_null(w);
}

static void folders_are_made_with_their_parents(void **state)
{
    (void)state;
    struct stat about;
    assert_int_equal(file_make_folders("x/y//z/"), 0);
    assert_int_equal(file_make_folders("x/y/z"), 0);
    assert_int_equal(stat("x/y/z", &about), 0);
    assert_true(S_ISDIR(about.st_mode));
    assert_int_equal(file_write("x/f", "", 0), 0);
    assert_int_equal(file_make_folders("x/f/g"), ERR_IO);
    assert_int_equal(file_make_folders(""), ERR_INPUT);
    assert_int_equal(system("rm -r x"), 0);
}

static void the_cache_folder_follows_the_environment(void **state)
{
    (void)state;
    char here[512], wanted[600], out[600];
    assert_non_null(getcwd(here, sizeof here));
    setenv("XDG_CACHE_HOME", here, 1);
    assert_int_equal(file_cache_folder(out, sizeof out), 0);
    snprintf(wanted, sizeof wanted, "%s/vitro", here);
    assert_string_equal(out, wanted);
    assert_true(file_exists("vitro"));
    setenv("XDG_CACHE_HOME", "relative", 1);
    setenv("HOME", here, 1);
    assert_int_equal(file_cache_folder(out, sizeof out), 0);
    assert_true(file_exists(".cache/vitro"));
    assert_int_equal(file_cache_folder(out, 4), ERR_IO);
    assert_int_equal(system("rm -r vitro .cache"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_reads_back_with_a_final_zero),
        cmocka_unit_test(a_file_without_a_size_is_read_to_its_end),
        cmocka_unit_test(missing_files_and_folders_are_refused_by_name),
        cmocka_unit_test(a_map_shows_the_file),
        cmocka_unit_test(a_full_disk_leaves_the_old_file_whole),
        cmocka_unit_test(an_abandoned_write_leaves_nothing),
        cmocka_unit_test(folders_are_made_with_their_parents),
        cmocka_unit_test(the_cache_folder_follows_the_environment),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
