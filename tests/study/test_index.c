/* test_index.c - the index says what the files say, and nothing that it is asked changes it. */
#include "index.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char all[] = "SELECT * FROM results ORDER BY id";
static char folder[64];

static int enter(void **state)
{
    (void)state;
    strcpy(folder, "vitro_index_XXXXXX");
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
    return system("rm -rf results index.sqlite*");
}

/* An id of 64 digits with that beginning. */
static const char *long_id(const char *beginning)
{
    static char id[65];
    memset(id, '0', 64);
    memcpy(id, beginning, strlen(beginning));
    return id;
}

static const char *result_text(const char *beginning, const char *seed)
{
    static char text[1024];
    snprintf(text, sizeof text,
             "{\"schema\": \"vitro.result/1\", \"id\": \"%s\", \"spec\": {\"schema\": \"vitro.trial/1\", "
             "\"stage\": \"tune\", \"backbone\": {\"name\": \"vit-ti\"}, \"pack\": {\"name\": \"eurosat\", "
             "\"task\": \"EuroSAT\"}, \"name\": \"lora\", \"method\": \"lora[r=8]\", \"split\": \"train\", "
             "\"training\": {\"epochs\": 10, \"lr\": 0.001, \"decay\": 0.01, \"seed\": \"%s\"}}, "
             "\"outcome\": \"done\", \"parameters\": 20480, \"accuracy\": 0.8125, \"nll\": 0.5}",
             long_id(beginning), seed);
    return text;
}

static const char run_text[] =
    "{\"schema\": \"vitro.run/1\", \"began\": \"2026-11-28T20:31:07Z\", \"seconds\": 12.5, "
    "\"host_bytes\": 3000000000, \"device_bytes\": 5, \"device\": \"llvmpipe\"}";

static struct json *parsed(const char *text)
{
    struct json *j = NULL;
    assert_int_equal(json_parse(&j, text, strlen(text), "a test's text"), 0);
    return j;
}

static int put(struct index *x, const char *beginning, const char *seed, const char *run)
{
    struct json *result = parsed(result_text(beginning, seed)), *how = run ? parsed(run) : NULL;
    int rc = index_put(x, result, how);
    json_destroy(result);
    json_destroy(how);
    return rc;
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* results/XX/ID/ with those files; NULL: without. */
static void store(const char *beginning, const char *result, const char *run)
{
    char path[256], file[300];
    snprintf(path, sizeof path, "results/%.2s/%s", beginning, long_id(beginning));
    assert_int_equal(file_make_folders(path), 0);
    snprintf(file, sizeof file, "%s/result.json", path);
    if (result)
        write_text(file, result);
    snprintf(file, sizeof file, "%s/run.json", path);
    if (run)
        write_text(file, run);
}

static struct index *opened(void)
{
    struct index *x = NULL;
    int rc = index_open(&x, "index.sqlite");
    if (rc < 0)
        print_error("%s\n", error_text());
    assert_int_equal(rc, 0);
    return x;
}

/* The answer as JSON; the caller frees it (mem_free). */
static char *answer(struct index *x, const char *sql)
{
    struct json *rows = NULL;
    int rc = index_query(x, sql, &rows);
    if (rc < 0)
        print_error("%s\n", error_text());
    assert_int_equal(rc, 0);
    char *text = json_text(rows, 0);
    json_destroy(rows);
    return text;
}

static void assert_answers(struct index *x, const char *sql, const char *expected)
{
    char *text = answer(x, sql);
    assert_string_equal(text, expected);
    mem_free(text);
}

static void a_result_is_found_with_all_that_is_asked_of_it(void **state)
{
    (void)state;
    struct index *x = opened();
    assert_int_equal(put(x, "abcd01", "7", run_text), 0);
    assert_int_equal(put(x, "abce02", "18446744073709551615", NULL), 0);
    index_close(x);
    x = opened();
    assert_answers(
        x, "SELECT stage, outcome, reason, name, method, pack, task, backbone, split FROM results LIMIT 1",
        "[{\"stage\":\"tune\",\"outcome\":\"done\",\"reason\":null,\"name\":\"lora\",\"method\":"
        "\"lora[r=8]\",\"pack\":\"eurosat\",\"task\":\"EuroSAT\",\"backbone\":\"vit-ti\",\"split\":"
        "\"train\"}]");
    assert_answers(
        x, "SELECT lr, decay, epochs, accuracy, nll, parameters FROM results WHERE seed = 7; -- one",
        "[{\"lr\":0.001,\"decay\":0.01,\"epochs\":10,\"accuracy\":0.8125,\"nll\":0.5,\"parameters\":"
        "20480}]");
    assert_answers(
        x, "SELECT seconds, host_bytes, device_bytes, device, began FROM results ORDER BY id",
        "[{\"seconds\":12.5,\"host_bytes\":3000000000,\"device_bytes\":5,\"device\":\"llvmpipe\","
        "\"began\":\"2026-11-28T20:31:07Z\"},{\"seconds\":null,\"host_bytes\":null,\"device_bytes\":null,"
        "\"device\":null,\"began\":null}]");
    assert_answers(x, "SELECT seed FROM results ORDER BY id",
                   "[{\"seed\":7},{\"seed\":\"18446744073709551615\"}]");
    index_close(x);
}

static void a_result_put_again_replaces_itself(void **state)
{
    (void)state;
    struct index *x = opened();
    assert_int_equal(put(x, "abcd", "7", NULL), 0);
    assert_int_equal(put(x, "abcd", "8", run_text), 0);
    assert_answers(x, "SELECT seed, device FROM results", "[{\"seed\":8,\"device\":\"llvmpipe\"}]");
    index_close(x);
}

static void what_is_no_result_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"{}", "[]", "{\"schema\": \"vitro.result/2\", \"id\": \"00\"}",
                                        "{\"schema\": \"vitro.result/1\"}",
                                        "{\"schema\": \"vitro.result/1\", \"id\": \"../../etc\"}"};
    struct index *x = opened();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct json *j = parsed(texts[i]);
        assert_int_equal(index_put(x, j, NULL), ERR_INPUT);
        json_destroy(j);
    }
    assert_answers(x, all, "[]");
    index_close(x);
}

static void an_index_made_anew_equals_the_one_that_grew(void **state)
{
    (void)state;
    static const char *const ids[] = {"00aa", "00ab", "7f01", "ffff"};
    struct index *x = opened();
    int bad = -1;
    assert_int_equal(index_rebuild(x, "results", &bad), 0); /* no folder yet */
    assert_int_equal(bad, 0);
    for (int i = 0; i < 4; i++) {
        const char *run = i % 2 ? run_text : NULL;
        store(ids[i], result_text(ids[i], "3"), run);
        assert_int_equal(put(x, ids[i], "3", run), 0);
    }
    char *grown = answer(x, all);
    assert_int_equal(put(x, "dead", "3", NULL), 0); /* in no file */
    assert_int_equal(index_rebuild(x, "results", &bad), 4);
    assert_int_equal(bad, 0);
    assert_answers(x, all, grown);
    index_close(x);
    assert_int_equal(index_remove("index.sqlite"), 0);
    x = opened();
    assert_int_equal(index_rebuild(x, "results", &bad), 4);
    assert_answers(x, all, grown);
    index_close(x);
    mem_free(grown);
}

static void results_that_cannot_be_read_are_counted_and_skipped(void **state)
{
    (void)state;
    struct index *x = opened();
    int bad = 0;
    store("00aa", result_text("00aa", "3"), run_text);
    store("00ab", result_text("00ac", "3"), NULL); /* another's */
    store("00ad", "{\"schema\": \"vitro.res", NULL);
    store("00ae", NULL, run_text);
    store("00af", result_text("00af", "3"), "{"); /* itself readable */
    file_make_folders("results/notes");
    write_text("results/README", "mine");
    assert_int_equal(index_rebuild(x, "results", &bad), 2);
    assert_int_equal(bad, 3);
    assert_answers(x, "SELECT substr(id, 1, 4) AS id, device FROM results ORDER BY id",
                   "[{\"id\":\"00aa\",\"device\":\"llvmpipe\"},{\"id\":\"00af\",\"device\":null}]");
    index_close(x);
}

static void an_id_is_known_by_its_beginning(void **state)
{
    (void)state;
    struct index *x = opened();
    char id[65];
    assert_int_equal(put(x, "abcd01", "7", NULL), 0);
    assert_int_equal(put(x, "abcd02", "8", NULL), 0);
    assert_int_equal(put(x, "abce", "9", NULL), 0);
    assert_int_equal(index_resolve(x, "abcd01", id), 0);
    assert_string_equal(id, long_id("abcd01"));
    assert_int_equal(index_resolve(x, "ABCE", id), 0);
    assert_string_equal(id, long_id("abce"));
    assert_int_equal(index_resolve(x, long_id("abcd02"), id), 0);
    assert_int_equal(index_resolve(x, "abcd", id), ERR_INPUT);
    assert_non_null(strstr(error_text(), "abcd01000000 (lora on eurosat, seed 7), abcd02000000"));
    assert_string_equal(id, "");
    assert_int_equal(index_resolve(x, "beef", id), ERR_INPUT);
    assert_non_null(strstr(error_text(), "no result begins with beef"));
    assert_int_equal(index_resolve(x, "abc", id), ERR_INPUT);
    assert_int_equal(index_resolve(x, "", id), ERR_INPUT);
    assert_int_equal(index_resolve(x, "abcd%", id), ERR_INPUT);
    assert_int_equal(index_resolve(x, "abcd' OR 1", id), ERR_INPUT);
    assert_int_equal(put(x, "abcd03", "8", NULL), 0);
    assert_int_equal(put(x, "abcd04", "8", NULL), 0);
    assert_int_equal(index_resolve(x, "abcd", id), ERR_INPUT);
    assert_non_null(strstr(error_text(), "many results begin with abcd"));
    index_close(x);
}

static void a_query_only_reads(void **state)
{
    (void)state;
    static const char *const refused[] = {"",
                                          "  -- nothing",
                                          "SELEC",
                                          "SELECT * FROM nowhere",
                                          "DELETE FROM results",
                                          "UPDATE results SET accuracy = 1",
                                          "INSERT INTO results (id) VALUES ('x')",
                                          "DROP TABLE results",
                                          "CREATE TABLE t (a)",
                                          "CREATE TEMP TABLE t (a)",
                                          "ATTACH 'other.sqlite' AS other",
                                          "VACUUM INTO 'copy'",
                                          "BEGIN",
                                          "BEGIN IMMEDIATE",
                                          "PRAGMA user_version = 9",
                                          "PRAGMA journal_mode = DELETE",
                                          "PRAGMA writable_schema = 1",
                                          "SELECT 1; SELECT 2",
                                          "SELECT 1; DELETE FROM results",
                                          "SELECT 1; nonsense",
                                          "WITH t AS (SELECT 1) DELETE FROM results",
                                          "EXPLAIN DELETE FROM results",
                                          "REINDEX",
                                          "SELECT load_extension('x')",
                                          "SELECT abs(-9223372036854775808)"};
    struct index *x = opened();
    struct json *rows;
    assert_int_equal(put(x, "abcd", "7", run_text), 0);
    char *before = answer(x, all);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        rows = (struct json *)&rows;
        int rc = index_query(x, refused[i], &rows);
        if (rc != ERR_INPUT)
            print_error("accepted: %s\n", refused[i]);
        assert_int_equal(rc, ERR_INPUT);
        assert_null(rows);
    }
    assert_answers(x, all, before);
    assert_false(file_exists("other.sqlite"));
    assert_false(file_exists("copy"));
    assert_answers(
        x, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n;  ",
        "[{\"i\":1},{\"i\":2},{\"i\":3}]");
    char *columns = answer(x, "PRAGMA table_info(results)");
    assert_non_null(strstr(columns, "device_bytes"));
    mem_free(columns);
    index_close(x);
    mem_free(before);
}

static void refuses_with_the_remedy(const char *what)
{
    struct index *x = NULL;
    int rc = index_open(&x, "index.sqlite");
    if (rc != ERR_INPUT || !strstr(error_text(), "vitro db rebuild"))
        print_error("%s: %d, %s\n", what, rc, error_text());
    assert_int_equal(rc, ERR_INPUT);
    assert_non_null(strstr(error_text(), "vitro db rebuild"));
    assert_null(x);
}

static void one_that_is_damaged_or_of_another_version_is_refused(void **state)
{
    (void)state;
    write_text("index.sqlite",
               "this is no database, but it is long enough to be taken for one; a header has 100 bytes, "
               "and so this text has more than that");
    refuses_with_the_remedy("a text");
    assert_int_equal(index_remove("index.sqlite"), 0);

    struct index *x = opened();
    char id[16];
    for (int i = 0; i < 200; i++) {
        snprintf(id, sizeof id, "%06x", i * 70001);
        assert_int_equal(put(x, id, "7", run_text), 0);
    }
    index_close(x);
    FILE *f = fopen("index.sqlite", "r+b");
    static const char noise[4096] = {1, 2, 3};
    fseek(f, 2 * 4096, SEEK_SET);
    for (int i = 0; i < 4; i++)
        fwrite(noise, 1, sizeof noise, f);
    fclose(f);
    refuses_with_the_remedy("pages overwritten");

    assert_int_equal(index_remove("index.sqlite"), 0);
    index_close(opened());
    f = fopen("index.sqlite", "r+b");
    fseek(f, 60, SEEK_SET); /* user_version, the last of four bytes (SQLite's file format, 1.3) */
    fwrite("\0\0\0\11", 1, 4, f);
    fclose(f);
    refuses_with_the_remedy("version 9");
}

static void many_processes_may_make_and_fill_it_at_once(void **state)
{
    (void)state;
    enum { PROCESSES = 6, EACH = 10 };
    for (int p = 0; p < PROCESSES; p++)
        if (fork() == 0) {
            struct index *x = NULL;
            char id[16];
            int rc = index_open(&x, "index.sqlite");
            for (int i = 0; i < EACH && rc == 0; i++) {
                snprintf(id, sizeof id, "%02x%02x", p, i);
                rc = put(x, id, "7", run_text);
            }
            if (rc < 0)
                print_error("%s\n", error_text());
            index_close(x);
            _exit(rc < 0);
        }
    for (int p = 0, status; p < PROCESSES; p++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    struct index *x = opened();
    assert_answers(x, "SELECT count(*) AS n FROM results", "[{\"n\":60}]");
    index_close(x);
}

static void readers_see_the_old_or_the_new_index_while_it_is_made_anew(void **state)
{
    (void)state;
    enum { RESULTS = 60, ROUNDS = 20 };
    struct index *x = opened();
    char id[16];
    int bad;
    for (int i = 0; i < RESULTS; i++) {
        snprintf(id, sizeof id, "%04x", i);
        store(id, result_text(id, "7"), NULL);
    }
    assert_int_equal(index_rebuild(x, "results", &bad), RESULTS);
    index_close(x);
    pid_t child = fork();
    if (child == 0) {
        int rc = index_open(&x, "index.sqlite");
        for (int i = 0; i < ROUNDS && rc >= 0; i++)
            rc = index_rebuild(x, "results", &bad);
        index_close(x);
        _exit(rc != RESULTS);
    }
    x = opened();
    int status;
    while (waitpid(child, &status, WNOHANG) == 0)
        assert_answers(x, "SELECT count(*) AS n FROM results", "[{\"n\":60}]");
    assert_int_equal(status, 0);
    index_close(x);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, afresh)
    const struct CMUnitTest tests[] = {
        TEST(a_result_is_found_with_all_that_is_asked_of_it),
        TEST(a_result_put_again_replaces_itself),
        TEST(what_is_no_result_is_refused),
        TEST(an_index_made_anew_equals_the_one_that_grew),
        TEST(results_that_cannot_be_read_are_counted_and_skipped),
        TEST(an_id_is_known_by_its_beginning),
        TEST(a_query_only_reads),
        TEST(one_that_is_damaged_or_of_another_version_is_refused),
        TEST(many_processes_may_make_and_fill_it_at_once),
        TEST(readers_see_the_old_or_the_new_index_while_it_is_made_anew),
    };
#undef TEST
    return cmocka_run_group_tests(tests, enter, leave);
}
