/* test_bad_plugins.c - each way in which a plugin can be wrong is refused with one clear sentence, at
 * the stage where it shows. */
#include "tiny.h"

#include <stdlib.h>

enum stage { LOAD, DECLARE, TRACE, DIFFERENTIATE, MERGE, NONE };

static const struct bad {
    const char *kind;
    enum stage stage;
    const char *sentence; /* a part of it */
} bads[] = {
    {"wrong_major", LOAD, "vitro_wrong_major.so: wants plugin ABI 7.0, this host speaks 1."},
    {"newer_minor", LOAD, "vitro_newer_minor.so: wants plugin ABI 1.9, this host speaks 1."},
    {"no_symbol", LOAD, "vitro_no_symbol.so: it exports no vitro_plugin"},
    {"text", LOAD, "vitro_text.so: cannot be loaded:"},
    {"missing", LOAD, "vitro_missing.so: there is no such plugin file"},
    {"short", LOAD, "vitro_short.so: its descriptor has 48 bytes"},
    {"old", MERGE, "old cannot be folded into the weights"}, /* its descriptor ends before that slot */
    {"no_declare", LOAD, "lacks the mandatory declare"},
    {"no_id", LOAD, "lacks the mandatory id"},
    {"bad_id", LOAD, "its id is not 1 to 31 of a-z, 0-9 and _"},
    {"default_outside", LOAD, "the default 9 of option count is outside of 0 to 8"},
    {"option_outside", LOAD, "option other at byte 12 lies outside of the instance's 12 bytes"},
    {"option_twice", LOAD, "option count is listed twice"},
    {"lonely_backward", LOAD, "it has a backward but no forward"},
    {"init_fails", LOAD, "init_fails: the moon is in the wrong quarter"},
    {"init_silent", LOAD, "init_silent: init returned -1 without saying why"},
    {"declare_fails", DECLARE, "declare_fails: dim must be a multiple of 1000"},
    {"empty_param", DECLARE, "empty_param: axis 0 of parameter p has size 0"},
    {"param_twice", DECLARE, "param_twice: parameter p is declared twice"},
    {"param_unnamed", DECLARE, "param_unnamed: a parameter's name is missing"},
    {"no_fans", DECLARE, "no_fans: parameter p has one axis, so no fans"},
    {"bad_blocks", DECLARE, "bad_blocks: blocks from 2 (1 of them) are not all there; the model has 2"},
    {"hook_alone", DECLARE, "hook_alone: it hooks sites but has no forward"},
    {"wrong_shape", TRACE, "wrong_shape at MLP_OUT of block 0: it was given [3 17 24] and returned [3 3 24]"},
    {"half_way", TRACE, "half_way at MLP_OUT of block 1: block 1 is too much"},
    {"fails_aloud", TRACE, "fails_aloud at MLP_OUT of block 0: cannot go on"},
    {"nothing", TRACE, "nothing at MLP_OUT of block 0: it returned no value"},
    {"stale", TRACE, "stale at MLP_OUT of block 0: it returned no value"},
    {"bad_operand", TRACE, "bad_operand at MLP_OUT of block 0: 4000000000 is not a value"},
    {"huge_shape", TRACE, "huge_shape at MLP_OUT of block 0: a shape with 4 axes"},
    {"bad_param", TRACE, "bad_param at MLP_OUT of block 0: 77 is not a parameter"},
    {"other_block", TRACE, "other_block at MLP_OUT of block 0: parameter last is not declared for block 0"},
    {"later_site", TRACE, "later_site at MLP_OUT of block 0: at: BLOCK_OUT is not an earlier site"},
    {"bad_slot", TRACE, "bad_slot at MLP_OUT of block 0: there is no slot 16; the last is 15"},
    {"empty_slot", TRACE, "empty_slot at MLP_OUT of block 0: saved cannot be used in a forward"},
    {"back_forward", TRACE, "back_forward at MLP_OUT of block 0: grad cannot be used in a forward"},
    {"replaces_forward", TRACE,
     "replaces_forward at MLP_OUT of block 0: replace cannot be used in a forward"},
    {"bad_dropout", TRACE, "bad_dropout at MLP_OUT of block 0: dropout: p is 1.5"},
    {"keeps_tokens", TRACE, "keeps_tokens put on 2 tokens and never takes them off"},
    {"takes_tokens", TRACE,
     "takes_tokens at BLOCK_OUT of block 0: it takes off 3 tokens, but those in front are the model's"},
    {"takes_more", TRACE, "takes_more at BLOCK_OUT of block 0: it put on 2 tokens and takes off 3"},
    {"keys_alone", TRACE,
     "block 0 has keys of 19 tokens and values of 17; what adds tokens at K or takes them off does the same "
     "at V"},
    {"takes_keys", TRACE,
     "takes_keys at K of block 0: it takes off 3 tokens, but those in front are the model's own"},
    {"fewer_queries", TRACE,
     "fewer_queries at Q of block 0: it was given [3 17 24] and returned [3 14 24]; a hook keeps the shape"},
    {"bad_penalty", TRACE, "bad_penalty's penalty at no site: it is not a single number"},
    {"wrong_gradient", DIFFERENTIATE,
     "wrong_gradient's backward at MLP_OUT of block 1: its gradient is [3 3 24], its input was [3 17 24]"},
    {"no_gradient", DIFFERENTIATE, "no_gradient's backward at MLP_OUT of block 1: it returned no gradient"},
    {"gradient_of_later", DIFFERENTIATE,
     "gradient_of_later's backward at MLP_OUT of block 1: gradient of a value"},
    {"redrops", DIFFERENTIATE,
     "redrops's backward at MLP_OUT of block 1: redrop: the forward here had 0 dropouts"},
    {"drops_backward", DIFFERENTIATE,
     "drops_backward's backward at MLP_OUT of block 1: dropout cannot be used in a backward"},
    {"merge_fails", MERGE, "merge_fails: merge returned -1 without saying why"},
    {"merge_shape", MERGE, "merge_shape's merge at no site: replace: NORM is [24] and cannot become [7 24]"},
};
enum { BADS = sizeof bads / sizeof *bads };

static int merge(struct tiny *n)
{
    struct tape *t = tape_create();
    value *merged = mem_alloc(n->vit->count, sizeof *merged);
    assert_true(t && merged);
    int rc = method_merge(n->method, t, merged);
    mem_free(merged);
    tape_destroy(t);
    return rc;
}

/* Goes through a plugin's life until something is refused. */
static enum stage live(struct tiny *n, const char *text)
{
    const char *const folders[] = {BAD_FOLDER, NULL};
    const struct method_step step = {.training = 1};
    tiny_must(vit_create(&n->vit, &tiny_shape));
    tiny_must(plugins_create(&n->plugins, folders));
    if (method_create(&n->method, n->plugins, text) < 0)
        return LOAD;
    if (method_declare(n->method, n->vit) < 0)
        return DECLARE;
    n->tensors = method_tensors(n->method, &n->tensor_count);
    if (tiny_record(n, &step, -1) < 0)
        return n->trace ? DIFFERENTIATE : TRACE;
    return merge(n) < 0 ? MERGE : NONE;
}

static void each_bad_plugin_is_refused_with_one_sentence(void **state)
{
    (void)state;
    for (int i = 0; i < BADS; i++) {
        struct tiny n = {0};
        char path[512];
        snprintf(path, sizeof path, BAD_FOLDER "/vitro_%s.so", bads[i].kind);
        enum stage stage = live(&n, path);
        if (stage != bads[i].stage || (stage != NONE && !strstr(error_text(), bads[i].sentence)))
            fail_msg("%s ended at stage %d with: %s", bads[i].kind, (int)stage, error_text());
        assert_null(strchr(stage == NONE ? "" : error_text(), '\n'));
        tiny_close(&n);
    }
}

static void keys_that_another_put_on_are_not_taken_off(void **state)
{
    (void)state;
    struct tiny n = {0};
    const char *stack = PLUGIN_FOLDER "/vitro_vpt.so[prompts=3]+" BAD_FOLDER "/vitro_takes_keys.so";
    assert_int_equal(live(&n, stack), TRACE);
    assert_string_equal(error_text(), "takes_keys at K of block 0: it takes off 3 tokens, but those in front "
                                      "are put there by vpt");
    tiny_close(&n);
}

static void a_plugins_failure_is_a_plugin_error(void **state)
{
    (void)state;
    struct tiny n = {0};
    assert_int_equal(live(&n, BAD_FOLDER "/vitro_half_way.so"), TRACE);
    struct tape *t = tape_create();
    struct method_trace *trace = NULL;
    value images = tape_leaf(t, LEAF_IMAGES, SHAPE(3, 32, 32, 3), 0, "images");
    struct method_step step = {.tape = t,
                               .images = images,
                               .index = tape_leaf(t, LEAF_INPUT, SHAPE(3), 0, "index"),
                               .std = {1, 1, 1}};
    assert_int_equal(method_trace(&trace, n.method, &step), ERR_PLUGIN);
    tape_destroy(t);
    tiny_close(&n);
}

static void a_descriptor_from_before_a_slot_has_that_slot_empty(void **state)
{
    (void)state;
    const struct plugin *plugin = NULL;
    const char *const folders[] = {BAD_FOLDER, NULL};
    struct plugins *p = NULL;
    tiny_must(plugins_create(&p, folders));
    tiny_must(plugins_load(p, "old", &plugin));
    assert_non_null(plugin->info.backward);
    assert_null(plugin->info.penalty);
    assert_null(plugin->info.merge);
    plugins_destroy(p);
}

static void a_file_named_otherwise_than_its_id_is_refused(void **state)
{
    (void)state;
    const struct plugin *plugin = NULL;
    const char *const folders[] = {BAD_FOLDER, NULL};
    struct plugins *p = NULL;
    tiny_must(plugins_create(&p, folders));
    assert_int_equal(plugins_load(p, "other_name", &plugin), ERR_PLUGIN);
    assert_non_null(
        strstr(error_text(), "says its id is somebody_else; the file must be named vitro_somebody_else.so"));
    plugins_destroy(p);
}

static void the_list_shows_every_candidate_with_its_card_or_its_refusal(void **state)
{
    (void)state;
    const char *const folders[] = {BAD_FOLDER, NULL};
    const struct plugin_card *cards = NULL;
    struct plugins *p = NULL;
    size_t count = 0;
    int accepted = 0, refused = 0;
    tiny_must(plugins_create(&p, folders));
    tiny_must(plugins_list(p, &cards, &count));
    for (size_t i = 0; i < count; i++) {
        assert_true(!cards[i].plugin != !cards[i].refusal);
        accepted += cards[i].plugin != NULL;
        refused += cards[i].refusal && strstr(cards[i].refusal, cards[i].path);
        assert_true(i == 0 || strcmp(cards[i - 1].path, cards[i].path) < 0);
    }
    int expected = 1 - 3; /* other_name, but no file is missing here and no init runs */
    for (int i = 0; i < BADS; i++)
        expected += bads[i].stage == LOAD;
    assert_int_equal(refused, expected);
    assert_int_equal(accepted + refused, (int)count);
    plugins_destroy(p);
}

static void two_files_of_one_id_are_refused_by_both_names(void **state)
{
    (void)state;
    const struct plugin *plugin = NULL;
    struct plugins *p = NULL;
    setenv("VITRO_PLUGIN_PATH", PLUGIN_FOLDER ":" TWIN_FOLDER, 1);
    const char *const folders[] = {BAD_FOLDER, NULL};
    tiny_must(plugins_create(&p, folders));
    assert_int_equal(plugins_load(p, "lora", &plugin), ERR_PLUGIN);
    assert_non_null(strstr(error_text(), PLUGIN_FOLDER "/vitro_lora.so"));
    assert_non_null(strstr(error_text(), TWIN_FOLDER "/vitro_lora.so"));
    tiny_must(plugins_load(p, "ssf", &plugin)); /* the path replaces the defaults */
    assert_int_equal(plugins_load(p, "old", &plugin), ERR_INPUT);
    plugins_destroy(p);
    unsetenv("VITRO_PLUGIN_PATH");
}

static void a_mistyped_id_is_answered_with_the_nearest(void **state)
{
    (void)state;
    const struct plugin *plugin = NULL;
    const char *const folders[] = {PLUGIN_FOLDER, NULL}, *const none[] = {NULL};
    struct plugins *p = NULL;
    tiny_must(plugins_create(&p, folders));
    assert_int_equal(plugins_load(p, "lorra", &plugin), ERR_INPUT);
    assert_string_equal(error_text(), "no plugin lorra in " PLUGIN_FOLDER "; did you mean lora?");
    plugins_destroy(p);
    tiny_must(plugins_create(&p, none));
    assert_int_equal(plugins_load(p, "lora", &plugin), ERR_INPUT);
    assert_string_equal(error_text(), "no plugin lora: there is no plugin folder; set VITRO_PLUGIN_PATH");
    plugins_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bad_plugin_is_refused_with_one_sentence),
        cmocka_unit_test(keys_that_another_put_on_are_not_taken_off),
        cmocka_unit_test(a_plugins_failure_is_a_plugin_error),
        cmocka_unit_test(a_descriptor_from_before_a_slot_has_that_slot_empty),
        cmocka_unit_test(a_file_named_otherwise_than_its_id_is_refused),
        cmocka_unit_test(the_list_shows_every_candidate_with_its_card_or_its_refusal),
        cmocka_unit_test(two_files_of_one_id_are_refused_by_both_names),
        cmocka_unit_test(a_mistyped_id_is_answered_with_the_nearest),
    };
    unsetenv("VITRO_PLUGIN_PATH");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
