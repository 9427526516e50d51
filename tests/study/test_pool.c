/* test_pool.c - whatever workers do, each job's end is told once, with the right reason. Workers are shell scripts:
 * $1 is the job's argument. */
#include "pool.h"

#include "clock.h"
#include "error.h"
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const double long_enough = 60, /* seconds, even on a busy machine */
    short_time = 0.4;

static char folder[64];

static int enter(void **state)
{
    (void)state;
    strcpy(folder, "vitro_pool_XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return chdir("..") == 0 && system(command) == 0 ? 0 : -1;
}

static void pause_for(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
}

/* The next ENDED; *heard counts the progress before it and *share is the last. */
static void wait_for_end(struct pool *p, struct pool_event *event, int *heard, double *share)
{
    double until = clock_seconds() + long_enough;
    for (;;) {
        assert_true(clock_seconds() < until);
        int rc = pool_wait(p, 1, event);
        assert_true(rc >= 0);
        if (rc && event->kind == POOL_ENDED)
            return;
        if (rc && heard)
            ++*heard;
        if (rc && share)
            *share = event->share;
    }
}

/* One job of that script under those limits, to its end. */
static struct pool_event end_of(const char *script, struct pool_spec limits)
{
    const char *const command[] = {"/bin/sh", "-c", script, "worker", NULL};
    struct pool *p = NULL;
    struct pool_event event;
    limits.workers = 1;
    limits.command = command;
    assert_int_equal(pool_create(&p, &limits), 0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "argument", .log = "log", .tag = &limits}),
                     0);
    assert_int_equal(pool_running(p), 1);
    wait_for_end(p, &event, NULL, NULL);
    assert_ptr_equal(event.tag, &limits);
    assert_int_equal(pool_running(p), 0);
    pool_destroy(p);
    return event;
}

static const struct pool_spec no_limits = {0};

static void what_a_worker_returns_and_says_last_is_told(void **state)
{
    (void)state;
    struct pool_event e = end_of("exit 0", no_limits);
    assert_int_equal(e.fate, POOL_EXITED);
    assert_int_equal(e.status, 0);
    assert_string_equal(e.sentence, "");
    e = end_of("echo first >&2; echo \"vitro: $1: there are 3 spoons; 4 are needed\" >&2; echo >&2; exit 5",
               no_limits);
    assert_int_equal(e.fate, POOL_EXITED);
    assert_int_equal(e.status, 5);
    assert_false(e.spoke || e.gave_up);
    assert_string_equal(e.sentence,
                        "it ended with status 5; it said last: argument: there are 3 spoons; 4 are needed");
    e = end_of("echo progress 0; echo failed there are 3 spoons; echo noise >&2; exit 5", no_limits);
    assert_true(e.spoke && e.gave_up);
    assert_int_equal(e.status, 5);
    assert_string_equal(e.sentence, "there are 3 spoons");
    e = end_of("exit 7", no_limits); /* the log of the jobs before is not this one's */
    assert_string_equal(e.sentence, "it ended with status 7 and did not say why");
    e = end_of("head -c 100000 /dev/zero | tr '\\0' '\\303' >&2; exit 1", no_limits);
    assert_true(strlen(e.sentence) < sizeof e.sentence);
}

static void a_crash_and_a_kill_from_outside_are_told_apart(void **state)
{
    (void)state;
    struct pool_event e = end_of("echo 'about to' >&2; kill -SEGV $$", no_limits);
    assert_int_equal(e.fate, POOL_CRASHED);
    assert_int_equal(e.signal, SIGSEGV);
    assert_non_null(strstr(e.sentence, "it crashed"));
    assert_non_null(strstr(e.sentence, "about to"));
    e = end_of("kill -TERM $$", no_limits);
    assert_int_equal(e.fate, POOL_KILLED);
    e = end_of("kill -KILL $$", no_limits);
    assert_int_equal(e.fate, POOL_KILLED);
    assert_int_equal(e.signal, SIGKILL);
    assert_non_null(strstr(e.sentence, "killed from outside"));
}

static void one_that_hangs_or_takes_too_long_is_ended(void **state)
{
    (void)state;
    struct pool_event e = end_of("trap '' TERM; sleep 1000", (struct pool_spec){.stall_seconds = short_time});
    assert_int_equal(e.fate, POOL_HUNG);
    assert_true(e.seconds >= short_time && e.seconds < long_enough);
    e = end_of("while :; do echo alive; sleep 0.05; done",
               (struct pool_spec){.stall_seconds = long_enough, .limit_seconds = short_time});
    assert_int_equal(e.fate, POOL_LATE);
    e = end_of("for i in 1 2 3 4 5 6; do echo alive; sleep 0.4; done",
               (struct pool_spec){.stall_seconds = 2}); /* 2.4 s in all, and never 2 s without a word */
    assert_int_equal(e.fate, POOL_EXITED);
    e = end_of("exec >&-; exec sleep 1000", (struct pool_spec){.stall_seconds = short_time});
    assert_int_equal(e.fate, POOL_HUNG);
}

static void one_that_closes_its_stdout_may_live_on(void **state)
{
    (void)state;
    struct pool_event e = end_of("exec >&-; sleep 0.5; exit 3", no_limits);
    assert_int_equal(e.fate, POOL_EXITED);
    assert_int_equal(e.status, 3);
    assert_true(e.seconds >= 0.5);
}

static void memory_is_measured_and_limited(void **state)
{
    (void)state;
    const uint64_t limit = 64u << 20;
    struct pool_event e = end_of("exec awk 'BEGIN { for (;;) a[i++] = sprintf(\"%1000s\", \"x\") }'",
                                 (struct pool_spec){.memory_bytes = limit});
    assert_int_equal(e.fate, POOL_GREEDY);
    assert_true(e.peak_bytes > limit);
    assert_non_null(strstr(e.sentence, "more than the 64 MiB"));
    e = end_of("exec awk 'BEGIN { while (i < 40000) a[i++] = sprintf(\"%1000s\", \"x\") }'", no_limits);
    assert_int_equal(e.fate, POOL_EXITED);
    assert_true(e.peak_bytes > 40000000 && e.peak_bytes < 400000000);
}

static void progress_is_told_and_garbage_is_not(void **state)
{
    (void)state;
    static const char script[] =
        "echo progress 0.25 epoch 2 of 8; echo progress 2 no; echo progress; echo progress x;"
        "echo progress nan no; printf 'progress 0.5 \\001\\377\\n';"
        "head -c 3000000 /dev/urandom; echo; printf 'progress 1 last'";
    const char *const command[] = {"/bin/sh", "-c", script, "worker", NULL};
    const struct pool_spec spec = {.workers = 1, .command = command, .stall_seconds = long_enough};
    struct pool *p = NULL;
    struct pool_event event;
    int heard = 0;
    double share = 0;
    assert_int_equal(pool_create(&p, &spec), 0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "", .log = "log", .tag = NULL}), 0);
    wait_for_end(p, &event, &heard, &share);
    assert_int_equal(event.fate, POOL_EXITED);
    assert_true(heard >= 1);
    assert_true(share == 1);
    pool_destroy(p);
}

static void a_flood_neither_hangs_the_pool_nor_starves_others(void **state)
{
    (void)state;
    static const char script[] = "case $1 in zeros) exec cat /dev/zero;; lines) exec yes progress 0.5 still;;"
                                 "*) sleep 0.3; exit 3;; esac";
    const char *const command[] = {"/bin/sh", "-c", script, "worker", NULL};
    const struct pool_spec spec = {.workers = 3, .command = command, .stall_seconds = 2, .limit_seconds = 4};
    struct pool *p = NULL;
    struct pool_event event;
    char tags[3];
    int heard = 0;
    assert_int_equal(pool_create(&p, &spec), 0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "zeros", .log = "log1", .tag = &tags[0]}),
                     0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "lines", .log = "log2", .tag = &tags[1]}),
                     0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "brief", .log = "log3", .tag = &tags[2]}),
                     0);
    assert_int_equal(pool_free(p), 0);
    assert_true(pool_start(p, &(struct pool_job){.argument = "brief", .log = "log4", .tag = NULL}) < 0);
    wait_for_end(p, &event, &heard, NULL);
    assert_ptr_equal(event.tag, &tags[2]);
    assert_true(heard >= 1);
    wait_for_end(p, &event, NULL, NULL); /* a line without an end is no sign of life */
    assert_ptr_equal(event.tag, &tags[0]);
    assert_int_equal(event.fate, POOL_HUNG);
    wait_for_end(p, &event, NULL, NULL);
    assert_ptr_equal(event.tag, &tags[1]);
    assert_int_equal(event.fate, POOL_LATE);
    pool_destroy(p);
}

/* The process whose number is in the file; 0 while there is no whole number. */
static pid_t number_in(const char *path)
{
    long number = 0;
    char end = 0;
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%ld%c", &number, &end) != 2)
        number = 0;
    if (f)
        fclose(f);
    return end == '\n' ? (pid_t)number : 0;
}

static pid_t wait_for_number(const char *path)
{
    double until = clock_seconds() + long_enough;
    pid_t pid = 0;
    while (!(pid = number_in(path)) && clock_seconds() < until)
        pause_for(0.01);
    assert_true(pid > 0);
    return pid;
}

/* Whether the process still does something: it is neither gone nor a zombie that its new parent has yet to reap. */
static int lives(pid_t pid)
{
    char path[48], state = 'X';
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    if (f)
        fclose(f);
    return state != 'X' && state != 'Z';
}

static void assert_ends(pid_t pid)
{
    double until = clock_seconds() + long_enough;
    while (lives(pid) && clock_seconds() < until)
        pause_for(0.01);
    assert_false(lives(pid));
}

static void what_a_worker_leaves_behind_ends_with_it(void **state)
{
    (void)state;
    double began = clock_seconds();
    struct pool_event e = end_of("sleep 1000 & echo $! >left; exit 4", no_limits);
    assert_int_equal(e.fate, POOL_EXITED);
    assert_int_equal(e.status, 4);
    assert_ends(wait_for_number("left"));
    /* one in a session of its own gets away, with the pipe: the pool does not wait for it */
    e = end_of(
        "setsid sh -c 'echo $$ >away; exec sleep 1000' & while ! [ -s away ]; do sleep 0.01; done; exit 6",
        no_limits);
    assert_int_equal(e.status, 6);
    assert_true(clock_seconds() - began < long_enough);
    kill(wait_for_number("away"), SIGKILL);
}

static void stopping_is_asked_for_and_then_made(void **state)
{
    (void)state;
    static const char script[] =
        "case $1 in good) trap 'echo \"vitro: stopped at step 7\" >&2; exit 9' TERM;;"
        "bad) trap '' TERM;; esac; echo progress 0 ready; while :; do sleep 0.05; done";
    const char *const command[] = {"/bin/sh", "-c", script, "worker", NULL};
    const struct pool_spec spec = {.workers = 2, .command = command};
    struct pool *p = NULL;
    struct pool_event event;
    int good, ready = 0;
    assert_int_equal(pool_create(&p, &spec), 0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "good", .log = "good", .tag = &good}), 0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "bad", .log = "bad", .tag = NULL}), 0);
    while (ready < 2) {
        assert_int_equal(pool_wait(p, long_enough, &event), 1);
        ready++;
    }
    pool_stop(p, 1);
    wait_for_end(p, &event, NULL, NULL);
    assert_ptr_equal(event.tag, &good);
    assert_int_equal(event.fate, POOL_STOPPED);
    assert_int_equal(event.status, 9);
    assert_non_null(strstr(event.sentence, "stopped at step 7"));
    wait_for_end(p, &event, NULL, NULL);
    assert_int_equal(event.fate, POOL_STOPPED);
    assert_int_equal(event.signal, SIGKILL);
    assert_int_equal(pool_running(p), 0);
    pool_destroy(p);
}

static void one_that_is_done_before_it_could_stop_counts_as_done(void **state)
{
    (void)state;
    static const char script[] = "trap '' TERM; echo progress 1 nearly; sleep 0.3; exit 0";
    const char *const command[] = {"/bin/sh", "-c", script, "worker", NULL};
    const struct pool_spec spec = {.workers = 1, .command = command};
    struct pool *p = NULL;
    struct pool_event event;
    assert_int_equal(pool_create(&p, &spec), 0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "", .log = "log", .tag = NULL}), 0);
    assert_int_equal(pool_wait(p, long_enough, &event), 1);
    pool_stop(p, long_enough);
    wait_for_end(p, &event, NULL, NULL);
    assert_int_equal(event.fate, POOL_EXITED);
    assert_int_equal(event.status, 0);
    pool_destroy(p);
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        count++;
    closedir(d);
    return count;
}

static void of_many_jobs_none_is_lost_or_told_twice(void **state)
{
    (void)state;
    enum { JOBS = 200, WORKERS = 4 };
    const char *const command[] = {"/bin/sh", "-c", "echo progress 0.5 half; exit $1", "worker", NULL};
    const struct pool_spec spec = {.workers = WORKERS, .command = command};
    struct pool *p = NULL;
    struct pool_event event;
    int told[JOBS] = {0}, descriptors = open_descriptors();
    char argument[16];
    assert_int_equal(pool_create(&p, &spec), 0);
    for (int started = 0, ended = 0; ended < JOBS;) {
        while (started < JOBS && pool_free(p)) {
            snprintf(argument, sizeof argument, "%d", started % 100);
            assert_int_equal(
                pool_start(p, &(struct pool_job){.argument = argument, .log = "log", .tag = &told[started]}),
                0);
            started++;
        }
        assert_int_equal(pool_wait(p, long_enough, &event), 1);
        if (event.kind == POOL_ENDED) {
            int *mine = event.tag;
            assert_int_equal(event.status, (mine - told) % 100);
            ++*mine;
            ended++;
        }
    }
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(told[i], 1);
    assert_int_equal(pool_wait(p, 0.1, &event), 0);
    pool_destroy(p);
    assert_int_equal(open_descriptors(), descriptors);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie: there is no child at all */
    assert_int_equal(errno, ECHILD);
}

static void workers_have_their_own_environment_and_no_descriptors_of_ours(void **state)
{
    (void)state;
    const char *const ours[] = {"VITRO_POOL_TEST=new", "VITRO_POOL_MORE=1", NULL};
    setenv("VITRO_POOL_TEST", "old", 1);
    setenv("VITRO_POOL_KEPT", "kept", 1);
    (void)!dup(0); /* open, and not marked to be closed */
    struct pool_event e =
        end_of("[ $VITRO_POOL_TEST$VITRO_POOL_MORE$VITRO_POOL_KEPT = new1kept ] || exit 2;"
               "[ $(env | grep -c VITRO_POOL_TEST=) = 1 ] || exit 3; for f in 3 4 5 6 7 8 9; do"
               "  if { true <&$f; } 2>/dev/null; then exit 4; fi; done; read line && exit 5; exit 0",
               (struct pool_spec){.environment = ours});
    assert_int_equal(e.status, 0);
    assert_string_equal(getenv("VITRO_POOL_TEST"), "old");
}

static void a_program_that_is_not_there_is_refused(void **state)
{
    (void)state;
    const char *const command[] = {"/nowhere/vitro", NULL};
    const struct pool_spec spec = {.workers = 1, .command = command},
                           none = {.workers = 0, .command = command};
    struct pool *p = NULL;
    int descriptors = open_descriptors();
    assert_true(pool_create(&p, &none) < 0);
    assert_int_equal(pool_create(&p, &spec), 0);
    assert_true(pool_start(p, &(struct pool_job){.argument = "", .log = "log", .tag = NULL}) < 0);
    assert_non_null(strstr(error_text(), "/nowhere/vitro cannot be started: No such file"));
    assert_true(pool_start(p, &(struct pool_job){.argument = "", .log = "no/folder/log", .tag = NULL}) < 0);
    assert_non_null(strstr(error_text(), "no/folder/log"));
    assert_int_equal(pool_running(p), 0);
    pool_destroy(p);
    assert_int_equal(open_descriptors(), descriptors);
}

static void destroying_the_pool_ends_its_workers(void **state)
{
    (void)state;
    const char *const command[] = {"/bin/sh", "-c", "trap '' TERM; echo $$ >pid; sleep 1000 & wait", "worker",
                                   NULL};
    const struct pool_spec spec = {.workers = 1, .command = command};
    struct pool *p = NULL;
    unlink("pid");
    assert_int_equal(pool_create(&p, &spec), 0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "", .log = "log", .tag = NULL}), 0);
    pid_t pid = wait_for_number("pid");
    pool_destroy(p);
    assert_int_equal(kill(pid, 0), -1); /* reaped */
}

static _Noreturn void be_a_driver(void)
{
    const char *const command[] = {"/bin/sh", "-c", "echo $$ >$1; exec sleep 1000", "worker", NULL};
    const struct pool_spec spec = {.workers = 2, .command = command};
    struct pool *p = NULL;
    struct pool_event event;
    if (pool_create(&p, &spec) < 0 ||
        pool_start(p, &(struct pool_job){.argument = "one", .log = "log", .tag = NULL}) < 0 ||
        pool_start(p, &(struct pool_job){.argument = "two", .log = "log", .tag = NULL}) < 0)
        _exit(1);
    for (;;)
        pool_wait(p, 1, &event);
}

static void workers_end_with_a_parent_that_is_killed(void **state)
{
    (void)state;
    pid_t driver = fork();
    if (driver == 0)
        be_a_driver();
    pid_t one = wait_for_number("one"), two = wait_for_number("two");
    assert_true(lives(one) && lives(two));
    kill(driver, SIGKILL);
    waitpid(driver, NULL, 0);
    assert_ends(one);
    assert_ends(two);
}

static void ends_are_heard_of_even_where_the_parent_ignored_them(void **state)
{
    (void)state;
    signal(SIGCHLD, SIG_IGN);
    struct pool_event e = end_of("exit 6", no_limits);
    signal(SIGCHLD, SIG_DFL);
    assert_int_equal(e.fate, POOL_EXITED);
    assert_int_equal(e.status, 6);
}

static void on_alarm(int number)
{
    (void)number;
}

static void a_signal_to_this_process_ends_the_wait_early(void **state)
{
    (void)state;
    const char *const command[] = {"/bin/sh", "-c", "exec sleep 1000", "worker", NULL};
    const struct pool_spec spec = {.workers = 1, .command = command};
    struct pool *p = NULL;
    struct pool_event event;
    double began = clock_seconds();
    signal(SIGALRM, on_alarm);
    assert_int_equal(pool_create(&p, &spec), 0);
    assert_int_equal(pool_start(p, &(struct pool_job){.argument = "", .log = "log", .tag = NULL}), 0);
    alarm(1);
    while (pool_wait(p, 2 * long_enough, &event) != 0)
        continue;
    assert_true(clock_seconds() - began < long_enough);
    pool_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_worker_returns_and_says_last_is_told),
        cmocka_unit_test(a_crash_and_a_kill_from_outside_are_told_apart),
        cmocka_unit_test(one_that_hangs_or_takes_too_long_is_ended),
        cmocka_unit_test(one_that_closes_its_stdout_may_live_on),
        cmocka_unit_test(memory_is_measured_and_limited),
        cmocka_unit_test(progress_is_told_and_garbage_is_not),
        cmocka_unit_test(a_flood_neither_hangs_the_pool_nor_starves_others),
        cmocka_unit_test(what_a_worker_leaves_behind_ends_with_it),
        cmocka_unit_test(stopping_is_asked_for_and_then_made),
        cmocka_unit_test(one_that_is_done_before_it_could_stop_counts_as_done),
        cmocka_unit_test(of_many_jobs_none_is_lost_or_told_twice),
        cmocka_unit_test(workers_have_their_own_environment_and_no_descriptors_of_ours),
        cmocka_unit_test(a_program_that_is_not_there_is_refused),
        cmocka_unit_test(destroying_the_pool_ends_its_workers),
        cmocka_unit_test(workers_end_with_a_parent_that_is_killed),
        cmocka_unit_test(ends_are_heard_of_even_where_the_parent_ignored_them),
        cmocka_unit_test(a_signal_to_this_process_ends_the_wait_early),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
