/* test_lint.c - the judge against plugins that are wrong in one way each: it is seen by the check meant for it
 * and by no other, and the program goes on. */
#include "lint.h"

#include "error.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct bad {
    const char *kind, *check; /* that sees it; NULL: none does */
    enum lint_result result;
    const char *sentence; /* a part of it */
    double seconds;       /* 0: PATIENCE */
} bads[] = {
    {"good", NULL, LINT_PASS, "", 0},
#ifdef HAS_GOLD
    {"by_gold", NULL, LINT_PASS, "", 0},
#endif
    {"two_symbols", "symbols", LINT_FAIL, "it exports another_symbol besides vitro_plugin, 2 symbols in all",
     0},
    {"links_libm", "links", LINT_FAIL, "it needs the library libm.so", 0},
    {"text", "load", LINT_FAIL, "cannot be loaded", 0},
    {"crash_on_load", "load", LINT_CRASH, "Segmentation fault (signal 11), while it was opened", 0},
    {"exit_on_load", "load", LINT_CRASH, "it ended the process with status 3, while it was opened", 0},
    {"hang_on_load", "load", LINT_FAIL, "it was not done after 6 s and was ended, while it was opened", 1},
    {"slow_on_load", "scan", LINT_FAIL, "at most 100 are allowed", 0},
    {"newer_abi", "version", LINT_FAIL, "wants plugin ABI 1.9, this host speaks 1.", 0},
    {"other_file", "card", LINT_FAIL,
     "its id is another_name, so the file must be named vitro_another_name.so", 0},
    {"no_summary", "card", LINT_FAIL, "it has no summary", 0},
    {"no_paper", "card", LINT_WARN, "it names no paper", 0},
    {"no_help", "options", LINT_FAIL, "option scale has no help", 0},
    {"default_outside", "options", LINT_FAIL, "the default 99 of option r is outside of 1 to 64", 0},
    {"grid_outside", "options", LINT_FAIL,
     "the grid \"2 6 128\" of option r holds 128, which it cannot be set to", 0},
    {"same_place", "options", LINT_FAIL, "options r and mode are written to the same place", 0},
    {"bad_name", "options", LINT_FAIL, "value 1 of option mode has a sign other than letters", 0},
    {"crash_in_declare", "declare", LINT_CRASH, "signal 11), in declare, for a model 32 wide", 0},
    {"refuses_all", "declare", LINT_FAIL, "dim must be a multiple of 1000", 0},
    {"crash_in_forward", "trace", LINT_CRASH, "signal 11), while its forward was recorded", 0},
    {"hang_in_forward", "trace", LINT_FAIL,
     "it computed for 2 s without an end and was ended, while its forward was", 2},
    {"hang_in_backward", "trace", LINT_FAIL,
     "it computed for 2 s without an end and was ended, while its forward and backward", 2},
    {"hungry", "trace", LINT_CRASH, "signal 11), while its forward was recorded", 0},
    {"idle_param", "trace", LINT_WARN, "the loss does not depend on idle_param/0/idle", 0},
    {"prints_on_load", "quiet", LINT_WARN, "hello from a constructor", 0},
    {"prints_in_forward", "quiet", LINT_WARN, "block 0 block 1", 0},
    {"behind_self", "memory", LINT_FAIL, "of its instance, which has", 0},
    {"before_self", "memory", LINT_FAIL, "it touched byte -1 of its instance", 0},
    {"writes_model", "memory", LINT_FAIL, "it wrote to byte 8 of the vitro_model that the host lent it", 0},
    {"writes_site", "memory", LINT_FAIL, "it wrote to byte 20 of the vitro_site that the host lent it", 0},
    {"moody", "repeat", LINT_FAIL, "is not that of another process: \"moody/0/a", 0},
    {"shares_rank", "instances", LINT_FAIL, "beside another instance it becomes another", 0},
    {"counts_calls", "instances", LINT_FAIL, "bytes of its globals change", 0},
    {"crash_at_least", "sets", LINT_CRASH, "signal 11), with [r=0", 0},
    {"wrong_count", "count", LINT_FAIL, "param_count says 846, declared are 844", 0},
    {"wrong_count_elsewhere", "count", LINT_FAIL, "with [r=2,", 0},
    {"crash_in_finish", "finish", LINT_CRASH, "signal 11), in finish, before declare", 0},
    {"leaks", "leaks", LINT_FAIL, "bytes behind; free in finish what init took", 0},
    {"leaks_files", "leaks", LINT_FAIL, "there are 12 open files", 0},
    {"counts_tokens", "shapes", LINT_FAIL, "vpt[prompts=3]+it, a grid of 1", 0},
    {"divides", "faults", LINT_CRASH, "when operation", 0},
    {"mixes_batch", "batch", LINT_FAIL, "a result must not depend on the batch", 0},
    {"writes_nan", "training", LINT_FAIL, "begin makes entry 3 of writes_nan/kept nan", 0},
    {"dices", "training", LINT_FAIL, "from the same seed write different numbers into dices/kept", 0},
    {"root_of_zero", "differences", LINT_FAIL, "where training starts, the gradient of root_of_zero/", 0},
    {"wrong_sign", "backward", LINT_FAIL, "its gradient of wrong_sign/", 0},
    {"missing_term", "backward", LINT_FAIL, "its gradient of missing_term/0/", 0},
    {"forgets_mask", "backward", LINT_FAIL, "its gradient of forgets_mask/", 0},
    {"wrong_merge", "merge", LINT_FAIL, "the merged weights give logits that are off by", 0},
    {"not_the_backbone", "interpolate", LINT_FAIL, "at alpha 0 (by parameters) the logits are off by", 0},
    {"renamed_lora", "copy", LINT_FAIL, "it computes what lora computes", 0},
    {"reordered_lora", "copy", LINT_FAIL, "it computes what lora computes", 0},
};
static const double PATIENCE = 60; /* seconds a check may take */
enum { BADS = sizeof bads / sizeof *bads, FINDINGS = 64 };

struct findings {
    struct {
        const char *check;
        enum lint_result result;
        char text[640];
    } all[FINDINGS];
    size_t count;
};

static void keep(void *context, const struct lint_finding *f)
{
    struct findings *all = context;
    assert_true(all->count < FINDINGS);
    all->all[all->count].check = f->check->name;
    all->all[all->count].result = f->result;
    snprintf(all->all[all->count++].text, sizeof all->all->text, "%s", f->text);
}

static struct plugins *plugins;

static int open_plugins(void **state)
{
    const char *const folders[] = {FEW_FOLDER, NULL};
    (void)state;
    return plugins_create(&plugins, folders);
}

static int close_plugins(void **state)
{
    (void)state;
    plugins_destroy(plugins);
    return 0;
}

static int run_lint(const char *text, const char *const *only, size_t only_count, double seconds,
                    struct findings *out)
{
    char path[PATH_MAX];
    const struct lint_job job = {.plugins = plugins,
                                 .plugin = text,
                                 .only = only,
                                 .only_count = only_count,
                                 .seed = 1,
                                 .seconds = seconds > 0 ? seconds : PATIENCE,
                                 .found = keep,
                                 .context = out};
    *out = (struct findings){.count = 0};
    return lint_run(&job, path);
}

/* A sanitizer turns crashes into exits with a status of its own. All checks of all bad plugins would take it
 * minutes, so there only the meant one is made, with those that it needs. */
#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static int is_expected(const struct bad *b, const char *text)
{
    return strstr(text, b->sentence) ||
           (SANITIZED && b->result == LINT_CRASH && strstr(text, "ended the process"));
}

static void check_bad(const struct bad *b)
{
    static struct findings f;
    char path[512];
    int seen = 0;
    snprintf(path, sizeof path, "%s/vitro_%s.so", BAD_FOLDER, b->kind);
    size_t only = SANITIZED && b->check;
    int failed = run_lint(path, &b->check, only, b->seconds, &f);
    assert_int_equal(f.count, only ? 1 : lint_count());
    for (size_t i = 0; i < f.count; i++) {
        int meant = b->check && !strcmp(f.all[i].check, b->check);
        int good = f.all[i].result == LINT_PASS || f.all[i].result == LINT_SKIP;
        if (meant ? f.all[i].result != b->result || !is_expected(b, f.all[i].text) : !good)
            fail_msg("%s: the check %s has the result %s: %s", b->kind, f.all[i].check,
                     lint_result_names[f.all[i].result], f.all[i].text);
        assert_null(strchr(f.all[i].text, '\n'));
        seen += meant;
    }
    assert_int_equal(seen, b->check != NULL);
    assert_int_equal(failed, b->result >= LINT_FAIL);
}

/* A sanitizer brings libraries along, and leaves no room for a limit on memory. */
static int needs_plain_build(const char *kind)
{
    return !strcmp(kind, "links_libm") || !strcmp(kind, "hungry");
}

static void each_bad_plugin_is_seen_by_the_check_meant_for_it_alone(void **state)
{
    (void)state;
    for (int i = 0; i < BADS; i++)
        if (!SANITIZED || !needs_plain_build(bads[i].kind))
            check_bad(&bads[i]);
}

static void every_check_but_the_kernels_has_a_plugin_that_fails_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < lint_count(); i++) {
        int found = 0;
        for (int k = 0; k < BADS; k++)
            found |= bads[k].check && !strcmp(bads[k].check, lint_at(i)->name);
        /* start reports, and what is saved goes through parameters alone */
        if (!found && strcmp(lint_at(i)->name, "kernels") && strcmp(lint_at(i)->name, "start") &&
            strcmp(lint_at(i)->name, "save"))
            fail_msg("no bad plugin is meant for the check %s", lint_at(i)->name);
    }
}

static void the_same_seed_gives_the_same_findings(void **state)
{
    static struct findings one, two;
    (void)state;
    static const char *const only[] = {"sets", "differences", "backward", "merge"};
    assert_int_equal(run_lint("lora", only, 4, 0, &one), 0);
    assert_int_equal(run_lint("lora", only, 4, 0, &two), 0);
    assert_int_equal(one.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(one.all[i].text, two.all[i].text);
}

static void options_given_are_the_options_judged(void **state)
{
    static struct findings f;
    (void)state;
    static const char *const only[] = {"sets"};
    assert_int_equal(run_lint("lora[r=3,dropout=0]", only, 1, 0, &f), 0);
    assert_int_equal(run_lint("lora[r=0]", only, 1, 0, &f), 0); /* skipped: it cannot even be declared */
    assert_int_equal(f.all[0].result, LINT_SKIP);
    static const char *const declare[] = {"declare"};
    assert_int_equal(run_lint("lora[r=0]", declare, 1, 0, &f), 1);
    assert_non_null(strstr(f.all[0].text, "option r is 0; it must be between 1 and 1024"));
}

static void what_cannot_be_judged_is_refused(void **state)
{
    static struct findings f;
    (void)state;
    static const char *const unknown[] = {"backwards"};
    assert_int_equal(run_lint("lorra", NULL, 0, 0, &f), ERR_INPUT);
    assert_non_null(strstr(error_text(), "did you mean lora?"));
    assert_int_equal(run_lint("./vitro_nothing.so", NULL, 0, 0, &f), ERR_INPUT);
    assert_int_equal(run_lint("lora+ssf", NULL, 0, 0, &f), ERR_INPUT);
    assert_int_equal(run_lint("lora[r=1]+ssf", NULL, 0, 0, &f), ERR_INPUT);
    assert_int_equal(run_lint("lora", unknown, 1, 0, &f), ERR_INPUT);
    assert_string_equal(error_text(), "there is no check backwards; did you mean backward?");
    assert_int_equal(f.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_bad_plugin_is_seen_by_the_check_meant_for_it_alone),
        cmocka_unit_test(every_check_but_the_kernels_has_a_plugin_that_fails_it),
        cmocka_unit_test(the_same_seed_gives_the_same_findings),
        cmocka_unit_test(options_given_are_the_options_judged),
        cmocka_unit_test(what_cannot_be_judged_is_refused),
    };
    return cmocka_run_group_tests(tests, open_plugins, close_plugins);
}
