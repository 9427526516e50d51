/* test_options.c - options from text into a plugin's struct and back. */
#include "options.h"

#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct made {
    int32_t rank, deep, mode;
    float scale;
};
static const char *const modes[] = {"deep", "shallow", "first_block", NULL};
static const vitro_option table[] = {
    {"rank", "", VITRO_INT, offsetof(struct made, rank), 8, 1, 1024, NULL, NULL},
    {"scale", "", VITRO_FLOAT, offsetof(struct made, scale), 0.1, 0, 1e4, NULL, NULL},
    {"deep", "", VITRO_BOOL, offsetof(struct made, deep), 1, 0, 1, NULL, NULL},
    {"mode", "", VITRO_ENUM, offsetof(struct made, mode), 0, 0, 0, modes, NULL},
    {NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL},
};
static const vitro_option empty[] = {{NULL, NULL, 0, 0, 0, 0, 0, NULL, NULL}};
static const struct plugin plugin = {.info = {.id = "made"}, .options = table},
                           bare = {.info = {.id = "bare"}, .options = empty};

static void defaults_stand_until_they_are_set(void **state)
{
    (void)state;
    struct made m = {0};
    assert_int_equal(options_parse(&plugin, "", &m), 0);
    assert_int_equal(m.rank, 8);
    assert_true(m.scale == 0.1f);
    assert_int_equal(m.deep, 1);
    assert_int_equal(m.mode, 0);
    assert_int_equal(options_parse(&plugin, "mode=first_block,rank=1024,deep=false,scale=2.5e-3", &m), 0);
    assert_int_equal(m.rank, 1024);
    assert_true(m.scale == 2.5e-3f);
    assert_int_equal(m.deep, 0);
    assert_int_equal(m.mode, 2);
}

static void each_bad_text_is_refused_with_its_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"r=8", "made: unknown option r; did you mean rank? (options: rank, scale, deep, mode)"},
        {"size=8", "made: unknown option size (options: rank, scale, deep, mode)"},
        {"rank=0", "made: option rank is 0; it must be between 1 and 1024"},
        {"rank=1025", "made: option rank is 1025; it must be between 1 and 1024"},
        {"rank=99999999999999999999",
         "made: option rank is \"99999999999999999999\"; it must be a whole number"},
        {"rank=8.5", "made: option rank is \"8.5\"; it must be a whole number"},
        {"rank=", "made: option rank is \"\"; it must be a whole number"},
        {"scale=nan", "made: option scale is \"nan\"; it must be a number"},
        {"scale=inf", "made: option scale is \"inf\"; it must be a number"},
        {"scale=-1", "made: option scale is -1; it must be between 0 and 10000"},
        {"scale=1x", "made: option scale is \"1x\"; it must be a number"},
        {"mode=shalow", "made: option mode cannot be shalow; did you mean shallow? (it is one of deep, "
                        "shallow, first_block)"},
        {"deep=2", "made: option deep cannot be 2 (it is one of false, true)"},
        {"rank", "made: \"rank\" is not of the form option=value"},
        {"=8", "made: \"=8\" is not of the form option=value"},
        {",rank=8", "made: \",rank=8\" is not of the form option=value"},
        {"rank=8,", "made: a comma ends the list of options; another must follow or the comma go"},
        {"rank=8,rank=9", "made: option rank is given twice"},
        {"rank=0000000000000000000000000000000000000000000000000000000000000000000000008",
         "made: the value of option rank is longer than 63 letters"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct made m;
        assert_int_equal(options_parse(&plugin, bad[i].text, &m), ERR_INPUT);
        assert_string_equal(error_text(), bad[i].sentence);
    }
    assert_int_equal(options_parse(&bare, "x=1", NULL), ERR_INPUT);
    assert_string_equal(error_text(), "bare: unknown option x; it has none");
}

static void formatted_options_read_back_as_the_same_bytes(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "rank=3,scale=0.3", "scale=1e-7",
                                        "scale=0.123456789,mode=shallow,deep=false"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct made a = {0}, b = {0};
        char text[128];
        assert_int_equal(options_parse(&plugin, texts[i], &a), 0);
        size_t wanted = options_format(&plugin, &a, NULL, 0);
        assert_int_equal(options_format(&plugin, &a, text, sizeof text), wanted);
        assert_int_equal(strlen(text), wanted);
        assert_int_equal(options_parse(&plugin, text, &b), 0);
        assert_memory_equal(&a, &b, sizeof a);
    }
}

static void the_format_spells_out_every_option_briefly(void **state)
{
    (void)state;
    struct made m = {0};
    char text[128];
    assert_int_equal(options_parse(&plugin, "scale=0.10", &m), 0);
    options_format(&plugin, &m, text, sizeof text);
    assert_string_equal(text, "rank=8,scale=0.1,deep=true,mode=deep");
    options_format(&plugin, &m, text, 10); /* cut, with its end */
    assert_string_equal(text, "rank=8,sc");
    options_format(&bare, NULL, text, sizeof text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_until_they_are_set),
        cmocka_unit_test(each_bad_text_is_refused_with_its_sentence),
        cmocka_unit_test(formatted_options_read_back_as_the_same_bytes),
        cmocka_unit_test(the_format_spells_out_every_option_briefly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
