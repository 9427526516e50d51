/* test_json.c - JSON in and out: values survive the trip bit for bit, hostile text is refused. */
#include "error.h"
#include "json.h"
#include "memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int parse(struct json **out, const char *text)
{
    return json_parse(out, text, strlen(text), "the text");
}

static void values_are_found_by_key_and_type(void **state)
{
    (void)state;
    struct json *j = NULL;
    assert_int_equal(parse(&j, " {\"name\": \"caf\\u00e9\", \"n\": 42, \"x\": 1.5, \"on\": true,"
                               " \"list\": [1, 2, 3], \"none\": null} \n"),
                     0);
    assert_true(json_is_object(j));
    assert_string_equal(json_string(json_get(j, "name")), "caf\xc3\xa9");
    int64_t n = 0;
    double x = 0;
    int on = 0;
    assert_int_equal(json_integer(json_get(j, "n"), &n), 0);
    assert_int_equal(n, 42);
    assert_int_equal(json_number(json_get(j, "x"), &x), 0);
    assert_true(x == 1.5);
    assert_int_equal(json_integer(json_get(j, "x"), &n), -1);
    assert_int_equal(json_bool(json_get(j, "on"), &on), 0);
    assert_int_equal(on, 1);
    assert_int_equal(json_bool(json_get(j, "n"), &on), -1);
    assert_null(json_get(j, "Name"));
    assert_null(json_string(json_get(j, "absent")));
    const struct json *list = json_get(j, "list");
    assert_true(json_is_array(list));
    assert_int_equal(json_count(list), 3);
    int64_t sum = 0;
    for (const struct json *i = json_first(list); i; i = json_next(i)) {
        assert_int_equal(json_integer(i, &n), 0);
        sum += n;
    }
    assert_int_equal(sum, 6);
    assert_string_equal(json_key(json_first(j)), "name");
    json_destroy(j);
}

static void numbers_read_back_as_the_same_doubles(void **state)
{
    (void)state;
    const double values[] = {0.1,
                             1.0 / 3,
                             1e-300,
                             5e-324,
                             1.7976931348623157e308,
                             9007199254740991.0,
                             -0.0,
                             123456789012345678.0,
                             0.30000000000000004,
                             2.5e15,
                             -7,
                             1e22};
    struct json *list = json_array();
    assert_non_null(list);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_int_equal(json_append_number(list, values[i]), 0);
    char *text = json_text(list, 0);
    assert_non_null(text);
    struct json *back = NULL;
    assert_int_equal(parse(&back, text), 0);
    const struct json *item = json_first(back);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++, item = json_next(item)) {
        double x = 0;
        assert_int_equal(json_number(item, &x), 0);
        assert_memory_equal(&x, &values[i], sizeof x);
    }
    json_destroy(list);
    json_destroy(back);
    mem_free(text);
}

static void text_keeps_order_escapes_and_replaces(void **state)
{
    (void)state;
    struct json *j = json_object();
    assert_int_equal(json_set_string(j, "z", "a\"b\\c\n\x01"), 0);
    assert_int_equal(json_set_integer(j, "a", 7), 0);
    assert_int_equal(json_set_number(j, "nan", NAN), 0);
    assert_int_equal(json_set_bool(j, "b", 0), 0);
    assert_int_equal(json_set_string(j, "z", "a\"b\\c\n\x01/"), 0);
    struct json *list = json_array();
    assert_int_equal(json_append_string(list, "x"), 0);
    assert_int_equal(json_take(j, "list", list), 0);
    char *text = json_text(j, 0);
    assert_string_equal(
        text, "{\"z\":\"a\\\"b\\\\c\\n\\u0001/\",\"a\":7,\"nan\":null,\"b\":false,\"list\":[\"x\"]}");
    mem_free(text);
    text = json_text(j, 1);
    assert_non_null(strstr(text, "{\n  \"z\": "));
    assert_non_null(strstr(text, "\"list\": [\n    \"x\"\n  ]\n}\n"));
    mem_free(text);
    json_destroy(j);
}

static void hostile_text_is_refused_with_a_sentence(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       " ",    "{",       "[1,",         "{\"a\":}",    "{\"a\" 1}", "[1] x", "nul",
        "\"open", "[1,]", "{'a':1}", "\"\\u0000\"", "\"\\ud800\"", "{}{}",      "]",     "\"\\q\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json *j = (struct json *)&i;
        assert_int_equal(parse(&j, bad[i]), ERR_INPUT);
        assert_null(j);
        assert_non_null(strstr(error_text(), "the text"));
    }
    struct json *j = NULL;
    assert_int_equal(json_parse(&j, "[1\0]", 4, "the text"), ERR_INPUT);
}

static void nesting_beyond_64_levels_is_refused(void **state)
{
    (void)state;
    static char deep[200000];
    struct json *j = NULL;
    for (int levels = 64; levels <= 65; levels++) {
        memset(deep, '[', (size_t)levels);
        memset(deep + levels, ']', (size_t)levels);
        int rc = json_parse(&j, deep, 2 * (size_t)levels, "the text");
        assert_int_equal(rc, levels == 64 ? 0 : ERR_INPUT);
        json_destroy(j);
    }
    memset(deep, '[', sizeof deep);
    assert_int_equal(json_parse(&j, deep, sizeof deep, "the text"), ERR_INPUT);
}

static void every_cut_of_a_document_is_refused(void **state)
{
    (void)state;
    static const char whole[] = "{\"k\":[1.25e3,true,null,\"s\\n\\u0041\"],\"o\":{\"p\":-1}}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char *copy = mem_alloc(n ? n : 1, 1); /* exact size: a read beyond it is seen by ASan */
        memcpy(copy, whole, n);
        struct json *j = NULL;
        assert_int_equal(json_parse(&j, copy, n, "the text"), ERR_INPUT);
        mem_free(copy);
    }
}

static void a_missing_file_is_named(void **state)
{
    (void)state;
    struct json *j = NULL;
    assert_int_equal(json_read_file(&j, "/nowhere/config.json"), ERR_IO);
    assert_non_null(strstr(error_text(), "/nowhere/config.json"));
}

static struct json *parsed(const char *text)
{
    struct json *j = NULL;
    assert_int_equal(json_parse(&j, text, strlen(text), "the text"), 0);
    return j;
}

static void assert_canonical(const char *text, const char *wanted)
{
    struct json *j = parsed(text);
    char *canonical = json_canonical(j);
    assert_string_equal(canonical, wanted);
    struct json *again = parsed(canonical); /* what is canonical stays as it is */
    char *twice = json_canonical(again);
    assert_string_equal(twice, wanted);
    mem_free(canonical);
    mem_free(twice);
    json_destroy(j);
    json_destroy(again);
}

static void equal_documents_have_one_canonical_text(void **state)
{
    (void)state;
    assert_canonical("{\"b\": 1, \"a\": {\"d\": [3, 1, 2], \"c\": null}}",
                     "{\"a\":{\"c\":null,\"d\":[3,1,2]},\"b\":1}");
    assert_canonical(" {\n\"a\":{\"c\":null ,\"d\":[ 3,1,2]},\t\"b\" : 1.0e0}",
                     "{\"a\":{\"c\":null,\"d\":[3,1,2]},\"b\":1}");
    assert_canonical("{\"ab\":1,\"a\":2,\"B\":3,\"\":4,\"\xc3\xa9\":5,\"z\":6}",
                     "{\"\":4,\"B\":3,\"a\":2,\"ab\":1,\"z\":6,\"\xc3\xa9\":5}");
    assert_canonical("[true,false,null,\"x\\ny\",0.1,1e-3,100,-0.5,1e300]",
                     "[true,false,null,\"x\\ny\",0.1,0.001,100,-0.5,1e+300]");
    assert_canonical("[{\"b\":1,\"a\":1},{},[]]", "[{\"a\":1,\"b\":1},{},[]]");
}

static void a_copy_is_whole_and_its_own(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":{\"c\":null,\"d\":[3,1,{\"e\":\"x\"}]},\"b\":true}";
    struct json *j = parsed(text), *copy = json_copy(j), *inner = json_copy(json_get(j, "a"));
    assert_int_equal(json_set_integer(j, "b", 7), 0);
    json_destroy(j);
    char *written = json_text(copy, 0);
    assert_string_equal(written, text);
    mem_free(written);
    written = json_text(inner, 0);
    assert_string_equal(written, "{\"c\":null,\"d\":[3,1,{\"e\":\"x\"}]}");
    mem_free(written);
    json_destroy(copy);
    json_destroy(inner);
}

/* A member remembers its key; an array's items have none. */
static void a_copied_member_can_become_an_item(void **state)
{
    (void)state;
    struct json *j = parsed("{\"a\": 1}"), *array = json_array();
    assert_int_equal(json_append_take(array, json_copy(json_get(j, "a"))), 0);
    char *text = json_text(array, 0);
    assert_string_equal(text, "[1]");
    mem_free(text);
    json_destroy(j);
    json_destroy(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_by_key_and_type),
        cmocka_unit_test(numbers_read_back_as_the_same_doubles),
        cmocka_unit_test(text_keeps_order_escapes_and_replaces),
        cmocka_unit_test(hostile_text_is_refused_with_a_sentence),
        cmocka_unit_test(nesting_beyond_64_levels_is_refused),
        cmocka_unit_test(every_cut_of_a_document_is_refused),
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(equal_documents_have_one_canonical_text),
        cmocka_unit_test(a_copy_is_whole_and_its_own),
        cmocka_unit_test(a_copied_member_can_become_an_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
