/* test_child.c - whatever a child process does, its parent learns how it ended. */
#include "child.h"
#include "clock.h"
#include "error.h"
#include "memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const double long_enough = 60, /* seconds, even on a busy machine */
    short_time = 0.3;

static int answers(void *context, int answer)
{
    size_t bytes = *(size_t *)context;
    char *text = malloc(bytes);
    memset(text, 'x', bytes);
    int rc = child_write(answer, text, bytes);
    free(text);
    return rc < 0 ? rc : 7;
}

static int refuses(void *context, int answer)
{
    (void)context, (void)answer;
    return (fail)(ERR_INPUT, "spoons: there are 3; 4 are needed");
}

static int aborts(void *context, int answer)
{
    (void)context, (void)answer;
    abort();
}

static int leaves(void *context, int answer)
{
    (void)context;
    (void)!write(answer, "half", 4);
    exit(0);
}

static int hangs(void *context, int answer)
{
    (void)context, (void)answer;
    for (;;)
        pause();
    return 0;
}

static int leaves_a_child_behind(void *context, int answer)
{
    (void)context, (void)answer;
    if (fork() == 0)
        for (;;)
            pause();
    return 0;
}

static int prints(void *context, int answer)
{
    (void)context;
    printf("this must not be seen\n");
    fflush(stdout);
    return child_write(answer, "ok", 2);
}

static void the_answer_comes_back_whole(void **state)
{
    (void)state;
    struct child_end end;
    const size_t sizes[] = {0, 1, 4095, 4096, 100000, 3000000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t bytes = sizes[i];
        assert_int_equal(child_run(&end, answers, &bytes, long_enough), 0);
        assert_int_equal(end.fate, CHILD_DONE);
        assert_int_equal(end.code, 7);
        assert_int_equal(end.size, bytes);
        for (size_t k = 0; k < bytes; k += 997)
            assert_int_equal(end.answer[k], 'x');
        assert_true(!end.answer || end.answer[bytes] == 0);
        mem_free(end.answer);
    }
}

static void a_refusal_keeps_its_code_and_its_sentence(void **state)
{
    (void)state;
    struct child_end end;
    assert_int_equal(child_run(&end, refuses, NULL, long_enough), 0);
    assert_int_equal(end.fate, CHILD_REFUSED);
    assert_int_equal(end.code, ERR_INPUT);
    assert_string_equal(end.text, "spoons: there are 3; 4 are needed");
    assert_null(end.answer);
}

static void a_crash_and_an_exit_are_told(void **state)
{
    (void)state;
    struct child_end end;
    assert_int_equal(child_run(&end, aborts, NULL, long_enough), 0);
    assert_int_equal(end.fate, CHILD_CRASHED);
    assert_non_null(strstr(end.text, "signal 6"));
    assert_int_equal(child_run(&end, leaves, NULL, long_enough), 0);
    assert_int_equal(end.fate, CHILD_CRASHED);
    assert_non_null(strstr(end.text, "status 0"));
    assert_null(end.answer);
}

static void what_hangs_is_ended_in_time(void **state)
{
    (void)state;
    struct child_end end;
    double start = clock_seconds();
    assert_int_equal(child_run(&end, hangs, NULL, short_time), 0);
    assert_int_equal(end.fate, CHILD_HUNG);
    assert_non_null(strstr(end.text, "0.3 s"));
    assert_int_equal(child_run(&end, leaves_a_child_behind, NULL, short_time), 0);
    assert_int_equal(end.fate, CHILD_HUNG); /* whoever holds the pipe is part of the work */
    assert_true(clock_seconds() - start < long_enough);
}

static void its_output_is_not_ours(void **state)
{
    (void)state;
    struct child_end end;
    char path[] = "vitro_child_XXXXXX";
    int file = mkstemp(path), old = dup(1);
    fflush(stdout);
    dup2(file, 1);
    int rc = child_run(&end, prints, NULL, long_enough);
    dup2(old, 1);
    close(old);
    off_t size = lseek(file, 0, SEEK_END);
    close(file);
    unlink(path);
    assert_int_equal(rc, 0);
    assert_int_equal(end.fate, CHILD_DONE);
    assert_string_equal(end.answer, "ok");
    assert_int_equal(size, 0);
    mem_free(end.answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_comes_back_whole),
        cmocka_unit_test(a_refusal_keeps_its_code_and_its_sentence),
        cmocka_unit_test(a_crash_and_an_exit_are_told),
        cmocka_unit_test(what_hangs_is_ended_in_time),
        cmocka_unit_test(its_output_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
