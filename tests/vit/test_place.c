/* test_place.c - where values come from, as words and back. */
#include "place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_place_reads_back_from_its_words(void **state)
{
    (void)state;
    char text[PLACE_TEXT];
    struct place p;
    assert_string_equal(place_text("lora", VITRO_AT_QKV, 3, text), "lora at QKV of block 3");
    assert_true(place_read(text, &p));
    assert_string_equal(p.who, "lora");
    assert_int_equal(p.site, VITRO_AT_QKV);
    assert_int_equal(p.block, 3);
    assert_string_equal(place_text(place_backbone, VITRO_AT_HEAD, -1, text), "backbone at HEAD");
    assert_true(place_read(text, &p));
    assert_int_equal(p.site, VITRO_AT_HEAD);
    assert_int_equal(p.block, -1);
}

static void what_a_method_does_is_still_its_own(void **state)
{
    (void)state;
    char text[PLACE_TEXT];
    struct place p;
    assert_true(place_read(place_text("lora-2's backward", VITRO_AT_FC1, 0, text), &p));
    assert_string_equal(p.who, "lora-2");
    assert_int_equal(p.site, VITRO_AT_FC1);
    assert_int_equal(p.block, 0);
    assert_true(place_read(place_text("adalora's penalty", -1, 7, text), &p));
    assert_string_equal(p.who, "adalora");
    assert_int_equal(p.site, -1);
    assert_int_equal(p.block, 7);
}

static void other_words_are_no_place(void **state)
{
    (void)state;
    struct place p;
    char long_name[2 * PLACE_TEXT + 8];
    memset(long_name, 'x', sizeof long_name);
    memcpy(long_name + 2 * PLACE_TEXT, " at QKV", 8);
    assert_false(place_read(NULL, &p));
    assert_false(place_read("loss", &p));
    assert_false(place_read(long_name, &p));
    assert_true(place_read("x at NOWHERE", &p));
    assert_int_equal(p.site, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_reads_back_from_its_words),
        cmocka_unit_test(what_a_method_does_is_still_its_own),
        cmocka_unit_test(other_words_are_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
