/* test_method_text.c - stacks of methods from text: what is understood, what is refused and how. */
#include "host.h"

#include "error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct plugins *plugins;

static int open_plugins(void **state)
{
    static const char *const folders[] = {"no/such/folder", PLUGIN_FOLDER, NULL};
    (void)state;
    unsetenv("VITRO_PLUGIN_PATH");
    return plugins_create(&plugins, folders);
}

static int close_plugins(void **state)
{
    (void)state;
    plugins_destroy(plugins);
    return 0;
}

#define LORA(r, alpha, dropout) \
    "lora[r=" r ",alpha=" alpha ",rslora=false,dropout=" dropout ",targets=qkv,init=kaiming]"

static void a_stack_is_spelt_out_and_reads_back_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical;
    } stacks[] = {
        {"bitfit", "bitfit"},
        {"lora", LORA("8", "0", "0.1")},
        {"lora[r=8,alpha=16]", LORA("8", "16", "0.1")},
        {"lora[r=4]+bitfit", LORA("4", "0", "0.1") "+bitfit"},
        {"vpt[dropout=1e-3+0]", NULL},
        {"adaptformer[scale=1e+1]+ssf+lora[]",
         "adaptformer[r=32,scale=10,dropout=0.1,init=lora_kaiming]+ssf+" LORA("8", "0", "0.1")},
        {"vpt[mode=first_block]", "vpt[prompts=10,mode=first_block,dropout=0.1]"},
        {PLUGIN_FOLDER "/vitro_linear.so+lora[r=1,dropout=0]",
         PLUGIN_FOLDER "/vitro_linear.so+" LORA("1", "0", "0")},
    };
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
        struct method *m = NULL, *again = NULL;
        int rc = method_create(&m, plugins, stacks[i].text);
        if (!stacks[i].canonical) {
            assert_int_equal(rc, ERR_INPUT);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_string_equal(method_text(m), stacks[i].canonical);
        assert_int_equal(method_create(&again, plugins, method_text(m)), 0);
        assert_string_equal(method_text(again), method_text(m));
        method_destroy(m);
        method_destroy(again);
    }
}

static void each_bad_text_is_refused_with_its_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"", "a method's name is missing"},
        {"+lora", "a method's name is missing"},
        {"lora+", "a method's name is missing"},
        {"[r=8]", "a method's name is missing"},
        {"lora[r=8", "method \"lora[r=8\": the options need the form name[option=value,...]"},
        {"lora[r=8]x", "method \"lora[r=8]x\": the options need the form"},
        {"lora[r=8][r=9]", "the options need the form"},
        {"lora]", "a bracket is closed that was not opened"},
        {"lora[r=0]", "lora: option r is 0; it must be between 1 and 1024"},
        {"lora[rank=8]", "lora: unknown option rank; did you mean r? (options: r, alpha, "},
        {"bitfit[r=8]", "bitfit: unknown option r; it has none"},
        {"lora[r=8]+bitfti", "no plugin bitfti in " PLUGIN_FOLDER "; did you mean bitfit?"},
        {"./lora", "./lora: there is no such plugin file"},
        {"no/such/vitro_x.so", "no/such/vitro_x.so: there is no such plugin file"},
        {PLUGIN_FOLDER, PLUGIN_FOLDER ": there is no such plugin file"},
        {"linear+linear+linear+linear+linear+linear+linear+linear+linear+linear+linear+linear+linear+linear+"
         "linear+linear"
         "+linear",
         "a stack holds at most 16 methods"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct method *m = NULL;
        assert_int_equal(method_create(&m, plugins, bad[i].text), ERR_INPUT);
        assert_null(m);
        if (!strstr(error_text(), bad[i].sentence))
            fail_msg("%s gave: %s", bad[i].text, error_text());
    }
}

static void a_text_without_end_is_refused(void **state)
{
    (void)state;
    static char text[10000];
    struct method *m = NULL;
    memset(text, 'a', sizeof text - 1);
    assert_int_equal(method_create(&m, plugins, text), ERR_INPUT);
    text[4000] = 0;
    assert_int_equal(method_create(&m, plugins, text), ERR_INPUT);
    text[200] = 0;
    memcpy(text, "lora[", 5);
    assert_int_equal(method_create(&m, plugins, text), ERR_INPUT);
}

static void the_second_of_a_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    static const struct vit_shape shape = {
        .image = 16, .patch = 8, .dim = 8, .depth = 1, .heads = 2, .hidden = 16, .classes = 2, .eps = 1e-6f};
    static const char *const names[] = {"lora", "bitfit", "lora-2", "lora-3"};
    struct method *m = NULL;
    struct method_part part;
    struct vit *vit = NULL;
    size_t count;
    assert_int_equal(vit_create(&vit, &shape), 0);
    assert_int_equal(method_create(&m, plugins, "lora+bitfit+lora[r=2]+lora[r=3]"), 0);
    assert_int_equal(method_declare(m, vit), 0);
    for (size_t i = 0; i < method_parts(m); i++) {
        assert_int_equal(method_part(m, i, &part), 0);
        assert_string_equal(part.name, names[i]);
    }
    const struct tensor *t = method_tensors(m, &count);
    assert_string_equal(t[count - 1].name, "lora-3/0/b");
    assert_string_equal(t[vit->count].name, "lora/0/a");
    assert_int_equal(method_declare(m, vit), ERR_INPUT);
    method_destroy(m);
    vit_destroy(vit);
}

static void check_grid(const struct plugin *plugin, const vitro_option *o)
{
    char words[128], text[256], *state = NULL;
    snprintf(words, sizeof words, "%s", o->grid);
    for (char *word = strtok_r(words, " ", &state); word; word = strtok_r(NULL, " ", &state)) {
        struct method *m = NULL;
        snprintf(text, sizeof text, "%s[%s=%s]", plugin->info.id, o->name, word);
        assert_int_equal(method_create(&m, plugins, text), 0);
        method_destroy(m);
    }
}

static void every_value_worth_searching_is_a_valid_one(void **state)
{
    (void)state;
    const struct plugin_card *cards = NULL;
    size_t count = 0;
    int grids = 0;
    assert_int_equal(plugins_list(plugins, &cards, &count), 0);
    for (size_t i = 0; i < count; i++) {
        assert_null(cards[i].refusal);
        for (const vitro_option *o = cards[i].plugin->options; o->name; o++) {
            assert_true(o->help && o->help[0]);
            grids += o->grid != NULL;
            if (o->grid)
                check_grid(cards[i].plugin, o);
        }
    }
    assert_true(grids >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stack_is_spelt_out_and_reads_back_the_same),
        cmocka_unit_test(each_bad_text_is_refused_with_its_sentence),
        cmocka_unit_test(a_text_without_end_is_refused),
        cmocka_unit_test(the_second_of_a_kind_has_a_name_of_its_own),
        cmocka_unit_test(every_value_worth_searching_is_a_valid_one),
    };
    return cmocka_run_group_tests(tests, open_plugins, close_plugins);
}
