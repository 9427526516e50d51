/* test_attention_choice.c - attention's workgroups are chosen, tuned and told as products' kernels are: what a tuning says
 * is taken where the device has it, the numbers stay right, and the fingerprint of results tells one choice from another. */
#include "check.h"
#include "listening.h"
#include "products.h"
#include "tuning.h"

#include <unistd.h>

static const char *const some_attention = "attention 2x5, 3x8";
static const char *const passes[] = {"attention forward 2x5x3x8, 5 of 5, fp32",
                                     "attention back_q 2x5x3x8, 5 of 5, fp32",
                                     "attention back_kv 2x5x3x8, 5 of 5, fp32"};
enum { PASSES = sizeof passes / sizeof *passes };

static void note(void *context, const struct check_result *r)
{
    int *ran = context;
    ++*ran;
    if (!r->passed)
        print_message("%s: error %g, allowed %g\n", r->name, r->error, r->tolerance);
}

/* Attention computed, and right, with these choices; what was asked for is in `digest`. */
static void compute(struct engine *e, const struct json *choices, char digest[HASH_TEXT])
{
    int ran = 0;
    products_set_tuning(e, choices);
    assert_int_equal(check_ops(e, some_attention, 0, note, &ran), 0);
    assert_true(ran > 0);
    must(products_digest(e, digest));
}

static uint32_t asked(const struct engine *e, const char *name)
{
    for (uint32_t i = 0; i < products_count(e); i++)
        if (!strcmp(products_name(e, i), name))
            return i;
    fail_msg("%s was not asked for", name);
    return 0;
}

static const char *const kernels[PASSES] = {"attention", "attention_back_q", "attention_back_kv"};

struct wanted { /* a pass's kernel with the constants of a choice's text */
    const char *kernel;
    unsigned owned, step, group;
    int made;
};

static void look_for(void *context, const struct kernel *kernel, const uint32_t *constants, uint32_t count)
{
    struct wanted *w = context;
    if (!strcmp(kernel_name(kernel), w->kernel) && count == 5)
        w->made |= constants[1] == w->step && constants[2] == w->group &&
                   constants[3] * w->group / (w->step / 4) == w->owned;
}

static int was_made(const struct engine *e, int pass, const char *choice)
{
    struct wanted w = {.kernel = kernels[pass]};
    assert_int_equal(sscanf(choice, "tiled %ux%u by %u", &w.owned, &w.step, &w.group), 3);
    engine_kernels(e, look_for, &w);
    return w.made;
}

static void a_choice_is_taken_and_told(void **state)
{
    char untuned[HASH_TEXT], digest[HASH_TEXT], again[HASH_TEXT], list[PRODUCTS_CANDIDATES][LADDER_TEXT];
    (void)state;
    struct engine *e = make_engine(ENGINE_GPU);
    compute(e, NULL, untuned);
    for (int pass = 0; pass < PASSES; pass++) {
        const uint32_t count = products_candidates(e, asked(e, passes[pass]), list);
        assert_true(count > 1 || pass == ATTENTION_BACK_KV);
        if (count == 1)
            continue;
        struct json *choices = json_object();
        must(json_set_string(choices, passes[pass], list[count - 1]));
        for (int i = 0; i < 2; i++) {
            struct engine *tuned = make_engine(ENGINE_GPU);
            compute(tuned, choices, i == 0 ? digest : again);
            assert_true(was_made(tuned, pass, list[count - 1]) && !was_made(e, pass, list[count - 1]));
            engine_destroy(tuned);
        }
        assert_string_equal(digest, again);
        assert_string_not_equal(digest, untuned);
        json_destroy(choices);
    }
    engine_destroy(e);
}

/* As from a file of a device with more shared memory, had it the same name. */
static void what_the_device_has_not_is_passed_over(void **state)
{
    static const char *const none[] = {"tiled 4096x32 by 128", "subgroup 64x32 by 128", "cpu in rows", ""};
    char untuned[HASH_TEXT], digest[HASH_TEXT];
    (void)state;
    struct engine *e = make_engine(ENGINE_GPU);
    compute(e, NULL, untuned);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct json *choices = json_object();
        must(json_set_string(choices, passes[0], none[i]));
        compute(e, choices, digest);
        assert_string_equal(digest, untuned);
        products_set_tuning(e, NULL);
        json_destroy(choices);
    }
    engine_destroy(e);
}

static void the_cpu_style_has_one_choice(void **state)
{
    char digest[HASH_TEXT], list[PRODUCTS_CANDIDATES][LADDER_TEXT];
    (void)state;
    struct engine *e = make_engine(ENGINE_CPU);
    compute(e, NULL, digest);
    for (int pass = 0; pass < PASSES; pass++) {
        assert_int_equal(products_candidates(e, asked(e, passes[pass]), list), 1);
        assert_memory_equal(list[0], "cpu in ", 7);
    }
    engine_destroy(e);
}

static int see_row(void *context, const struct tuning_row *row)
{
    int *seen = context;
    for (int pass = 0; pass < PASSES; pass++)
        if (!strcmp(row->product, passes[pass])) {
            ++*seen;
            assert_true(row->best_seconds > 0 && row->best_seconds <= row->first_seconds);
        }
    return 0;
}

static void the_tuner_times_every_pass(void **state)
{
    static const char path[] = "test_attention_choice.tuning";
    char digest[HASH_TEXT];
    int seen = 0;
    struct tuning *t;
    (void)state;
    struct engine *e = make_engine(ENGINE_GPU);
    unlink(path);
    compute(e, NULL, digest);
    must(tuning_make(e, path, 1, see_row, &seen));
    assert_int_equal(seen, PASSES);
    assert_string_equal(said, "");
    must(tuning_read(&t, e, path));
    assert_non_null(t);
    tuning_use(t, e);
    int ran = 0;
    assert_int_equal(check_ops(e, some_attention, 0, note, &ran), 0);
    engine_destroy(e);
    tuning_destroy(t);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_choice_is_taken_and_told),
        cmocka_unit_test(what_the_device_has_not_is_passed_over),
        cmocka_unit_test(the_cpu_style_has_one_choice),
        cmocka_unit_test(the_tuner_times_every_pass),
        cmocka_unit_test(the_validation_layers_have_nothing_to_say),
    };
    /* a small device, which few workgroups fit, and none of 16 lanes: each is compiled for each tuning */
    const struct device_limits small = {
        .shared_bytes = 1920, .max_invocations = 8, .no_fp16 = 1, .no_coopmat = 1};
    with_vectors_of_256_bits();
    return RUN_ON_DEVICE(((struct device_spec){.index = -1, .limits = &small}), tests);
}
