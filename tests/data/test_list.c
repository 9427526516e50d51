/* test_list.c - data sets are read from folders and archives, and hostile ones are refused by name. */
#include "error.h"
#include "list.h"
#include "scratch.h"
#include "source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int enter(void **state)
{
    return scratch_enter(state) == 0 ? scratch_make_set() : -1;
}

static int restore(void **state)
{
    (void)state;
    return system("rm -rf set *.tar*") == 0 ? scratch_make_set() : -1;
}

static int read_lists(struct lists *lists, const char *path)
{
    struct source *s = NULL;
    *lists = (struct lists){0};
    int rc = source_open(&s, path, LIST_LANDMARK);
    if (rc == 0)
        rc = lists_read(lists, s);
    source_close(s);
    return rc;
}

static void assert_the_set(const char *path)
{
    struct lists lists;
    if (read_lists(&lists, path) < 0)
        fail_msg("%s: %s", path, error_text());
    assert_int_equal(lists.split[LIST_TRAIN].count, 3);
    assert_int_equal(lists.split[LIST_VAL].count, 2);
    assert_int_equal(lists.split[LIST_TEST].count, 2);
    assert_string_equal(lists.split[LIST_TRAIN].items[1].path, "images/no 1.png");
    assert_int_equal(lists.split[LIST_TEST].items[0].label, 2);
    assert_int_equal(lists.class_count, 3);
    assert_string_equal(lists.class_names[1], "big dog");
    lists_finish(&lists);
}

static void assert_refused(int code, const char *word)
{
    struct lists lists;
    int rc = read_lists(&lists, "set");
    if (rc != code || !strstr(error_text(), word))
        fail_msg("wanted %d and \"%s\", got %d: %s", code, word, rc, error_text());
    assert_null(lists.arena.blocks);
}

static void a_folder_is_read(void **state)
{
    (void)state;
    assert_the_set("set");
    assert_the_set("./set/");
}

static void an_archive_is_read_with_any_leading_folders_and_compression(void **state)
{
    (void)state;
    static const char *const commands[] = {"tar cf a.tar set",
                                           "tar cf a.tar -C set .",
                                           "cd set && tar cf ../a.tar *",
                                           "tar czf a.tar.gz set",
                                           "tar cJf a.tar.xz set",
                                           "tar cf a.tar --format=v7 set",
                                           "tar cf a.tar --format=pax ./set",
                                           "mkdir -p x/y && cp -r set x/y && tar cf a.tar x && rm -r x"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        assert_int_equal(system(commands[i]), 0);
        assert_the_set(strstr(commands[i], "gz")   ? "a.tar.gz"
                       : strstr(commands[i], "xz") ? "a.tar.xz"
                                                   : "a.tar");
    }
}

static void an_archives_file_has_the_bytes_of_the_folders(void **state)
{
    (void)state;
    assert_int_equal(system("tar cf a.tar set && tar czf a.tar.gz set"), 0);
    static const char *const paths[] = {"set", "a.tar", "a.tar.gz"};
    char *wanted = NULL;
    size_t size = 0;
    assert_int_equal(file_read("set/images/no 4.png", 1 << 20, &wanted, &size), 0);
    for (int i = 0; i < 3; i++) {
        struct source *s = NULL;
        struct source_bytes b;
        assert_int_equal(source_open(&s, paths[i], LIST_LANDMARK), 0);
        assert_int_equal(source_get(s, "images/no 4.png", &b), 0);
        assert_int_equal(b.size, size);
        assert_memory_equal(b.bytes, wanted, size);
        source_release(&b);
        source_close(s);
    }
    mem_free(wanted);
}

static void classes_may_be_numbered_or_absent(void **state)
{
    (void)state;
    assert_int_equal(scratch_text("set/classes.txt", "0 cat\n1 big dog\n2 fish\n"), 0);
    assert_the_set("set");
    struct lists lists;
    assert_int_equal(unlink("set/classes.txt"), 0);
    assert_int_equal(read_lists(&lists, "set"), 0);
    assert_int_equal(lists.class_count, 3);
    assert_string_equal(lists.class_names[2], "2");
    lists_finish(&lists);
}

static void lines_that_are_not_path_and_label_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"", "empty"},
        {"\n \n", "empty"},
        {"images/no 0.png 0\nimages/no 1.png\n", "line 2"},
        {"images/no1.png", "not a path followed by a label"},
        {"images/no 0.png -1\n", "not a whole number"},
        {"images/no 0.png 1.5\n", "not a whole number"},
        {"images/no 0.png 99999999999999999999\n", "at most"},
        {"images/no 0.png 3\n", "names 3 classes"},
        {"images/no 9.png 0\n", "no 9.png"},
        {"images 0\n", "not a plain file"},
        {"/etc/passwd 0\n", "leaves"},
        {"../set/images/no 0.png 0\n", "leaves"},
        {"images/../../set/images/no 0.png 0\n", "leaves"},
        {"images/.. 0\n", "leaves"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(scratch_text("set/train800.txt", bad[i].text), 0);
        assert_refused(ERR_INPUT, bad[i].word);
    }
    assert_int_equal(scratch_bytes("set/train800.txt", "a\0b 0\n", 6), 0);
    assert_refused(ERR_INPUT, "zero byte");
}

static void a_missing_list_is_named(void **state)
{
    (void)state;
    static const char *const names[] = {"train800.txt", "val200.txt", "test.txt"};
    for (int i = 0; i < 3; i++) {
        char path[64], text[64];
        snprintf(path, sizeof path, "set/%s", names[i]);
        snprintf(text, sizeof text, "images/no 0.png 0\n");
        assert_int_equal(unlink(path), 0);
        assert_refused(ERR_INPUT, names[i]);
        assert_int_equal(scratch_text(path, text), 0);
    }
}

static void a_link_out_of_the_folder_is_refused(void **state)
{
    (void)state;
    assert_int_equal(scratch_text("outside.png", "x"), 0);
    assert_int_equal(symlink("../../outside.png", "set/images/link.png"), 0);
    assert_int_equal(symlink("no 0.png", "set/images/inside.png"), 0);
    assert_int_equal(scratch_text("set/train800.txt", "images/inside.png 0\nimages/link.png 0\n"), 0);
    assert_refused(ERR_INPUT, "through a link");
    assert_non_null(strstr(error_text(), "line 2"));
    struct lists lists;
    assert_int_equal(system("tar cf a.tar set"), 0);
    assert_int_equal(read_lists(&lists, "a.tar"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "is a link"));
    unlink("outside.png");
}

static void the_joint_list_must_hold_the_same_items(void **state)
{
    (void)state;
    const char joint[] = "set/train800val200.txt";
    assert_int_equal(scratch_text(joint, "images/no 3.png 1\nimages/no 4.png 0\nimages/no 1.png 1\n"
                                         "images/no 0.png 0\nimages/no 2.png 2\n"),
                     0);
    assert_the_set("set");
    assert_int_equal(scratch_text(joint, "images/no 3.png 1\n"), 0);
    assert_refused(ERR_INPUT, "1 items");
    assert_int_equal(scratch_text(joint, "images/no 3.png 1\nimages/no 4.png 0\nimages/no 1.png 1\n"
                                         "images/no 0.png 0\nimages/no 2.png 1\n"),
                     0);
    assert_refused(ERR_INPUT, "first that differs");
}

static void damaged_archives_are_refused(void **state)
{
    (void)state;
    struct lists lists;
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(system("tar cf a.tar set && tar czf a.tar.gz set && tar cf twice.tar set set"), 0);
    assert_int_equal(read_lists(&lists, "twice.tar"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "twice"));
    static const char *const paths[] = {"a.tar", "a.tar.gz"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(file_read(paths[i], 1 << 20, &bytes, &size), 0);
        for (size_t n = 0; n < size; n += 1 + size / 50) { /* cuts */
            assert_int_equal(scratch_bytes("cut.tar", bytes, n), 0);
            int rc = read_lists(&lists, "cut.tar");
            /* behind the last file a tar has only zeros, which nobody needs */
            assert_true(rc == ERR_INPUT || (i == 0 && rc == 0 && n > size / 3));
            lists_finish(&lists);
        }
        for (size_t at = 0; at < size; at += 1 + size / 400) { /* flipped bytes */
            bytes[at] ^= 0x55;
            assert_int_equal(scratch_bytes("cut.tar", bytes, size), 0);
            int rc = read_lists(&lists, "cut.tar");
            assert_true(rc == 0 || rc == ERR_INPUT);
            lists_finish(&lists);
            bytes[at] ^= 0x55;
        }
        mem_free(bytes);
    }
    assert_int_equal(scratch_text("plain.tar", "this is no archive"), 0);
    assert_int_equal(read_lists(&lists, "plain.tar"), ERR_INPUT);
    assert_non_null(strstr(error_text(), "tar archive"));
    assert_int_equal(read_lists(&lists, "nowhere"), ERR_IO);
    assert_int_equal(read_lists(&lists, "/dev/null"), ERR_INPUT);
}

static void running_out_of_memory_is_an_error_like_any_other(void **state)
{
    (void)state;
    assert_int_equal(system("tar cf a.tar set && tar czf a.tar.gz set"), 0);
    static const char *const paths[] = {"set", "a.tar", "a.tar.gz"};
    for (int i = 0; i < 3; i++) {
        int rc = ERR_MEMORY;
        for (long after = 0; rc < 0; after++) {
            struct lists lists;
            mem_fail_after(after);
            rc = read_lists(&lists, paths[i]);
            mem_fail_after(-1);
            assert_true(rc == 0 || rc == ERR_MEMORY);
            lists_finish(&lists);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_folder_is_read, restore),
        cmocka_unit_test_setup(an_archive_is_read_with_any_leading_folders_and_compression, restore),
        cmocka_unit_test_setup(an_archives_file_has_the_bytes_of_the_folders, restore),
        cmocka_unit_test_setup(classes_may_be_numbered_or_absent, restore),
        cmocka_unit_test_setup(lines_that_are_not_path_and_label_are_refused, restore),
        cmocka_unit_test_setup(a_missing_list_is_named, restore),
        cmocka_unit_test_setup(a_link_out_of_the_folder_is_refused, restore),
        cmocka_unit_test_setup(the_joint_list_must_hold_the_same_items, restore),
        cmocka_unit_test_setup(damaged_archives_are_refused, restore),
        cmocka_unit_test_setup(running_out_of_memory_is_an_error_like_any_other, restore),
    };
    return cmocka_run_group_tests(tests, enter, scratch_leave);
}
