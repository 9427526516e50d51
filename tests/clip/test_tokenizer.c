/* test_tokenizer.c - texts become the tokens of open_clip's tokenizer; files that are no tokenizer are refused. */
#include "error.h"
#include "file.h"
#include "json.h"
#include "tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 2048 };

static int open_golden(void **state)
{
    return tokenizer_open((struct tokenizer **)state, GOLDEN "/clip_merges.txt");
}

static int close_golden(void **state)
{
    tokenizer_close(*state);
    return 0;
}

static void texts_of_all_scripts_have_the_tokens_of_the_reference(void **state)
{
    struct json *golden = NULL;
    uint32_t ids[ROOM];
    int64_t expected;
    size_t rows = 0;
    assert_int_equal(json_read_file(&golden, GOLDEN "/clip_tokens.json"), 0);
    assert_int_equal(json_integer(json_get(golden, "size"), &expected), 0);
    assert_int_equal(tokenizer_size(*state), expected);
    for (const struct json *row = json_first(json_get(golden, "rows")); row; row = json_next(row), rows++) {
        const struct json *tokens = json_get(row, "tokens");
        const int count = tokenizer_encode(*state, json_string(json_get(row, "text")), ids, ROOM);
        assert_int_equal(count, json_count(tokens) + 2);
        assert_int_equal(ids[0], tokenizer_size(*state) - 2);
        const struct json *t = json_first(tokens);
        for (int i = 1; i + 1 < count; i++, t = json_next(t)) {
            assert_int_equal(json_integer(t, &expected), 0);
            assert_int_equal(ids[i], expected);
        }
        assert_int_equal(ids[count - 1], tokenizer_size(*state) - 1);
        for (int i = count; i < ROOM; i++)
            assert_int_equal(ids[i], 0);
    }
    assert_true(rows > 200);
    json_destroy(golden);
}

static void a_text_that_is_too_long_says_so_by_its_count(void **state)
{
    uint32_t ids[4] = {0};
    assert_int_equal(tokenizer_encode(*state, "qz qz qz", ids, 4), 8);
    assert_int_not_equal(ids[3], tokenizer_size(*state) - 1);
}

static void what_is_not_utf8_or_endless_is_refused(void **state)
{
    static char endless[TOKENIZER_TEXT_LIMIT + 2];
    uint32_t ids[8];
    assert_true(tokenizer_encode(*state, "caf\xe9", ids, 8) < 0);
    assert_non_null(strstr(error_text(), "not UTF-8"));
    memset(endless, 'a', sizeof endless - 1);
    assert_true(tokenizer_encode(*state, endless, ids, 8) < 0);
    assert_non_null(strstr(error_text(), "is longer than 16384"));
}

static void refuse(const char *name, const char *content, const char *sentence)
{
    struct tokenizer *t = NULL;
    char path[256];
    snprintf(path, sizeof path, "%s", name);
    assert_int_equal(file_write(path, content, strlen(content)), 0);
    assert_true(tokenizer_open(&t, path) < 0);
    assert_null(t);
    if (!strstr(error_text(), sentence))
        fail_msg("%s: \"%s\" is not in \"%s\"", name, sentence, error_text());
    remove(path);
}

static void files_that_are_no_tokenizer_are_refused_by_line(void **state)
{
    (void)state;
    refuse("bad_merges.txt", "title\n", "there is no merge in it");
    refuse("bad_merges.txt", "title\nt h\nth\n", "line 3: \"th\" is no pair");
    refuse("bad_merges.txt", "title\nt h\nth en\n", "line 3: \"en\" is no token that an earlier merge made");
    refuse("bad_merges.txt", "title\nt h\nt h\n", "line 3: \"th\" is made twice");
    refuse("bad.json", "{\"model\": {}}", "has no list \"merges\"");
    refuse("bad.json", "{\"model\": {\"merges\": [\"t h\", 3]}}", "merge 1: it is neither");
    refuse("bad.json", "{\"model\": {\"merges\": [\"t h\"], \"vocab\": {\"a\": 3}}}",
           "numbers 1 tokens, but its merges make 515");
    struct tokenizer *t = NULL;
    assert_true(tokenizer_open(&t, "no such file") < 0);
    assert_non_null(strstr(error_text(), "cannot be found"));
    assert_true(tokenizer_open(&t, "/") < 0);
    assert_non_null(strstr(error_text(), "holds no tokenizer"));
}

static void merges_are_the_same_as_lines_and_in_json(void **state)
{
    struct tokenizer *t = NULL;
    uint32_t ids[2][16];
    static const char text[] = "{\"model\": {\"merges\": [\"t h\", [\"th\", \"e</w>\"]]}}",
                      lines[] = "v\nt h\nth e</w>\n";
    (void)state;
    assert_int_equal(file_write("merges.json", text, strlen(text)), 0);
    assert_int_equal(file_write("merges.lines", lines, strlen(lines)), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(tokenizer_open(&t, i ? "merges.json" : "merges.lines"), 0);
        assert_int_equal(tokenizer_encode(t, "the THEN", ids[i], 16), 6);
        tokenizer_close(t);
    }
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_int_equal(ids[0][1], 513);
    remove("merges.json");
    remove("merges.lines");
}

/* The whole vocabulary, where the assets are at hand. */
static void the_published_vocabulary_gives_the_published_tokens(void **state)
{
    static const uint32_t golden[] = {49406, 320, 1125, 539, 320, 2368, 269, 49407};
    const char *assets = getenv("VITRO_ASSETS");
    struct tokenizer *t = NULL;
    uint32_t ids[77];
    char path[4096];
    (void)state;
    if (!assets)
        skip();
    snprintf(path, sizeof path, "%s/clip_bpe", assets);
    if (!file_exists(path))
        skip();
    assert_int_equal(tokenizer_open(&t, path), 0);
    assert_int_equal(tokenizer_size(t), 49408);
    assert_int_equal(tokenizer_encode(t, "A photo of a  cat.", ids, 77), 8);
    assert_memory_equal(ids, golden, sizeof golden);
    tokenizer_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_all_scripts_have_the_tokens_of_the_reference),
        cmocka_unit_test(a_text_that_is_too_long_says_so_by_its_count),
        cmocka_unit_test(what_is_not_utf8_or_endless_is_refused),
        cmocka_unit_test(files_that_are_no_tokenizer_are_refused_by_line),
        cmocka_unit_test(merges_are_the_same_as_lines_and_in_json),
        cmocka_unit_test(the_published_vocabulary_gives_the_published_tokens),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
