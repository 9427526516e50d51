/* test_ledger.c - every opening of a test split is on record, once, and the record cannot be changed unseen. */
#include "ledger.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static int enter(void **state)
{
    (void)state;
    strcpy(folder, "vitro_ledger_XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return chdir("..") == 0 && system(command) == 0 ? 0 : -1;
}

static int afresh(void **state)
{
    (void)state;
    unlink("ledger.jsonl");
    return 0;
}

static struct ledger_line opening(const char *method, uint64_t seed, const char *trial)
{
    return (struct ledger_line){.study = "first \"study\"\n",
                                .method = method,
                                .pack = "eurosat",
                                .backbone = "vit-ti",
                                .test = "f00d",
                                .model = "beef",
                                .seed = seed,
                                .trial = trial,
                                .reason = ""};
}

static int append(const struct ledger_line *line)
{
    struct ledger *l = NULL;
    int rc = ledger_open(&l, "ledger.jsonl");
    if (rc == 0)
        rc = ledger_append(l, line);
    ledger_close(l);
    return rc;
}

static void make_three_lines(void)
{
    const char *const methods[] = {"linear", "lora", "vpt"}, *const trials[] = {"aa", "bb", "cc"};
    for (int i = 0; i < 3; i++) {
        const struct ledger_line line = opening(methods[i], 7, trials[i]);
        assert_int_equal(append(&line), 0);
    }
}

/* Returns how many lines; *break_at 0: intact. */
static size_t look(uint64_t *break_at)
{
    struct ledger *l = NULL;
    assert_int_equal(ledger_open(&l, "ledger.jsonl"), 0);
    size_t count = ledger_count(l);
    int intact = ledger_intact(l, break_at);
    assert_int_equal(intact, *break_at == 0);
    ledger_close(l);
    return count;
}

static char *contents(size_t *size)
{
    struct file_map map;
    assert_int_equal(file_map(&map, "ledger.jsonl"), 0);
    char *bytes = calloc(map.size + 1, 1);
    assert_non_null(bytes);
    memcpy(bytes, map.bytes, map.size);
    *size = map.size;
    file_unmap(&map);
    return bytes;
}

static void rewrite(const char *bytes, size_t size)
{
    FILE *f = fopen("ledger.jsonl", "wb");
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static void a_ledger_that_is_not_there_is_empty_and_intact(void **state)
{
    (void)state;
    uint64_t break_at;
    assert_int_equal(look(&break_at), 0);
    assert_int_equal(break_at, 0);
    assert_false(file_exists("ledger.jsonl"));
}

static void what_was_recorded_is_read_again(void **state)
{
    (void)state;
    struct ledger *l = NULL;
    struct ledger_line line = opening("lora[r=8]", UINT64_MAX, "aa");
    assert_int_equal(append(&line), 0);
    assert_int_equal(ledger_open(&l, "ledger.jsonl"), 0);
    line = opening("vpt", 3, "bb");
    assert_int_equal(ledger_append(l, &line), 0);
    assert_int_equal(ledger_count(l), 2);
    const struct ledger_line *first = ledger_at(l, 0), *second = ledger_at(l, 1);
    assert_int_equal(first->number, 1);
    assert_true(first->seed == UINT64_MAX);
    assert_string_equal(first->study, "first \"study\"\n");
    assert_string_equal(first->method, "lora[r=8]");
    assert_string_equal(first->pack, "eurosat");
    assert_string_equal(first->backbone, "vit-ti");
    assert_string_equal(first->test, "f00d");
    assert_string_equal(first->model, "beef");
    assert_string_equal(first->trial, "aa");
    assert_string_equal(first->reason, "");
    assert_int_equal(strlen(first->when), sizeof "2026-11-28T20:31:07Z" - 1);
    assert_int_equal(second->number, 2);
    assert_string_equal(second->method, "vpt");
    assert_null(ledger_at(l, 2));
    assert_true(ledger_intact(l, NULL));
    ledger_close(l);
}

static void a_second_opening_is_refused_unless_a_reason_is_given(void **state)
{
    (void)state;
    struct ledger *l = NULL;
    struct ledger_line line = opening("lora", 7, "aa"), other = opening("lora", 7, "bb");
    line.reason = "given for a whole study"; /* nothing was opened before: not on record */
    assert_int_equal(append(&line), 0);
    assert_int_equal(ledger_open(&l, "ledger.jsonl"), 0);
    assert_int_equal(ledger_append(l, &other), ERR_INPUT);
    assert_non_null(strstr(error_text(), "lora on eurosat with seed 7"));
    assert_non_null(strstr(error_text(), ledger_at(l, 0)->when));
    assert_non_null(strstr(error_text(), "--again REASON"));
    other.reason = " \n";
    assert_int_equal(ledger_append(l, &other), ERR_INPUT);
    assert_int_equal(ledger_count(l), 1);
    other.reason = "the weights were saved wrongly";
    assert_int_equal(ledger_append(l, &other), 0);
    assert_int_equal(ledger_count(l), 2);
    assert_string_equal(ledger_at(l, 0)->reason, "");
    assert_string_equal(ledger_at(l, 1)->reason, "the weights were saved wrongly");
    ledger_close(l);
}

static void another_method_seed_split_or_model_is_another_opening(void **state)
{
    (void)state;
    struct ledger_line line = opening("lora", 7, "aa");
    uint64_t break_at;
    assert_int_equal(append(&line), 0);
    line = opening("vpt", 7, "bb");
    assert_int_equal(append(&line), 0);
    line = opening("lora", 8, "cc");
    assert_int_equal(append(&line), 0);
    line = opening("lora", 7, "dd");
    line.test = "cafe";
    assert_int_equal(append(&line), 0);
    line = opening("lora", 7, "ee");
    line.model = "cafe";
    assert_int_equal(append(&line), 0);
    assert_int_equal(look(&break_at), 5);
}

static void the_same_trial_again_adds_nothing(void **state)
{
    (void)state;
    size_t before, after;
    make_three_lines();
    char *old = contents(&before);
    const struct ledger_line line = opening("lora", 7, "bb");
    assert_int_equal(append(&line), 0);
    char *new = contents(&after);
    assert_int_equal(before, after);
    assert_memory_equal(old, new, before);
    free(old);
    free(new);
}

/* The line in which a byte stands, from 1. */
static uint64_t line_of(const char *bytes, size_t at)
{
    uint64_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += bytes[i] == '\n';
    return line;
}

static void a_single_byte_changed_anywhere_shows(void **state)
{
    (void)state;
    static const char others[] = {'\n', '0', ' ', 0, (char)0x80};
    size_t size;
    uint64_t break_at;
    make_three_lines();
    char *bytes = contents(&size);
    for (size_t i = 0; i < size; i++)
        for (size_t k = 0; k <= sizeof others; k++) {
            char old = bytes[i], new = k < sizeof others ? others[k] : (char)(old ^ 1);
            if (new == old)
                continue;
            bytes[i] = new;
            rewrite(bytes, size);
            bytes[i] = old;
            size_t count = look(&break_at);
            if (i + 1 == size) /* the last newline: the line is one that was never finished */
                assert_int_equal(count, 2);
            else
                assert_true(break_at == line_of(bytes, i));
        }
    free(bytes);
}

static void a_line_taken_out_doubled_or_moved_shows(void **state)
{
    (void)state;
    static const int orders[][4] = {{2, 3, 0, 0}, {1, 3, 0, 0}, {1, 3, 2, 0},
                                    {2, 1, 3, 0}, {1, 1, 2, 3}, {3, 0, 0, 0}};
    static const uint64_t breaks[] = {1, 2, 2, 1, 2, 1};
    size_t size;
    uint64_t break_at;
    make_three_lines();
    char *bytes = contents(&size);
    const char *starts[4] = {bytes, strchr(bytes, '\n') + 1, NULL, bytes + size};
    starts[2] = strchr(starts[1], '\n') + 1;
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
        FILE *f = fopen("ledger.jsonl", "wb");
        for (int k = 0; k < 4 && orders[i][k]; k++)
            fwrite(starts[orders[i][k] - 1], 1, (size_t)(starts[orders[i][k]] - starts[orders[i][k] - 1]), f);
        fclose(f);
        look(&break_at);
        assert_true(break_at == breaks[i]);
    }
    free(bytes);
}

static void a_broken_ledger_goes_on_and_stays_broken(void **state)
{
    (void)state;
    size_t size;
    uint64_t break_at;
    make_three_lines();
    char *bytes = contents(&size);
    *strstr(bytes, "linear") = 'L';
    rewrite(bytes, size);
    const struct ledger_line line = opening("full", 7, "dd");
    assert_int_equal(append(&line), 0);
    assert_int_equal(look(&break_at), 4);
    assert_true(break_at == 1);
    free(bytes);
}

static void a_half_written_last_line_is_cut_off_and_no_break(void **state)
{
    (void)state;
    size_t size;
    uint64_t break_at;
    const struct ledger_line line = opening("full", 7, "dd");
    make_three_lines();
    char *bytes = contents(&size);
    size_t second = (size_t)(strrchr(bytes, '}') - bytes);
    while (bytes[second - 1] != '\n')
        second--;
    for (size_t cut = second; cut < size; cut += 61) {
        rewrite(bytes, cut);
        assert_int_equal(look(&break_at), 2);
        assert_true(break_at == 0);
        assert_int_equal(append(&line), 0);
        assert_int_equal(look(&break_at), 3);
        assert_true(break_at == 0);
    }
    free(bytes);
}

static void many_processes_at_once_keep_the_chain(void **state)
{
    (void)state;
    enum { PROCESSES = 8, EACH = 10 };
    uint64_t break_at;
    for (int p = 0; p < PROCESSES; p++)
        if (fork() == 0) {
            struct ledger *l = NULL;
            char trial[16];
            int rc = ledger_open(&l, "ledger.jsonl");
            for (int i = 0; i < EACH && rc == 0; i++) {
                snprintf(trial, sizeof trial, "%d", p * EACH + i);
                const struct ledger_line line = opening("lora", (uint64_t)(p * EACH + i), trial);
                rc = ledger_append(l, &line);
                if (rc == 0 && i % 3 == 0)
                    rc = ledger_append(l, &line); /* adds nothing, whatever the others did meanwhile */
            }
            ledger_close(l);
            _exit(rc < 0);
        }
    for (int p = 0, status; p < PROCESSES; p++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    assert_int_equal(look(&break_at), PROCESSES * EACH);
    assert_true(break_at == 0);
}

static void of_two_trials_at_once_one_opens(void **state)
{
    (void)state;
    enum { PROCESSES = 6 };
    uint64_t break_at;
    int opened = 0;
    for (int p = 0; p < PROCESSES; p++)
        if (fork() == 0) {
            char trial[16];
            snprintf(trial, sizeof trial, "%d", p);
            const struct ledger_line line = opening("lora", 7, trial);
            _exit(append(&line) < 0);
        }
    for (int p = 0, status; p < PROCESSES; p++) {
        assert_true(wait(&status) > 0);
        opened += status == 0;
    }
    assert_int_equal(opened, 1);
    assert_int_equal(look(&break_at), 1);
}

static void a_full_disk_leaves_the_ledger_as_it_was(void **state)
{
    (void)state;
    size_t before, after;
    struct rlimit limit, unlimited;
    const struct ledger_line line = opening("full", 7, "dd");
    make_three_lines();
    char *old = contents(&before);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &unlimited);
    limit = unlimited;
    for (size_t more = 0; more < 300; more += 100) {
        limit.rlim_cur = before + more;
        setrlimit(RLIMIT_FSIZE, &limit);
        int rc = append(&line);
        setrlimit(RLIMIT_FSIZE, &unlimited);
        assert_int_equal(rc, ERR_IO);
        assert_non_null(strstr(error_text(), "cannot be written"));
        char *new = contents(&after);
        assert_int_equal(after, before);
        assert_memory_equal(old, new, before);
        free(new);
    }
    assert_int_equal(append(&line), 0);
    free(old);
}

static void memory_that_runs_out_costs_the_call_and_not_the_ledger(void **state)
{
    (void)state;
    uint64_t break_at;
    const struct ledger_line line = opening("full", 7, "dd");
    int rc = -1;
    make_three_lines();
    for (long k = 0; rc < 0; k += 3) {
        mem_fail_after(k);
        rc = append(&line);
        mem_fail_after(-1);
        size_t count = look(&break_at);
        assert_true(break_at == 0 && count >= 3 && count <= 4);
        assert_true(k < 1000);
    }
    assert_int_equal(look(&break_at), 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, afresh)
    const struct CMUnitTest tests[] = {
        TEST(a_ledger_that_is_not_there_is_empty_and_intact),
        TEST(what_was_recorded_is_read_again),
        TEST(a_second_opening_is_refused_unless_a_reason_is_given),
        TEST(another_method_seed_split_or_model_is_another_opening),
        TEST(the_same_trial_again_adds_nothing),
        TEST(a_single_byte_changed_anywhere_shows),
        TEST(a_line_taken_out_doubled_or_moved_shows),
        TEST(a_broken_ledger_goes_on_and_stays_broken),
        TEST(a_half_written_last_line_is_cut_off_and_no_break),
        TEST(many_processes_at_once_keep_the_chain),
        TEST(of_two_trials_at_once_one_opens),
        TEST(a_full_disk_leaves_the_ledger_as_it_was),
        TEST(memory_that_runs_out_costs_the_call_and_not_the_ledger),
    };
#undef TEST
    return cmocka_run_group_tests(tests, enter, leave);
}
