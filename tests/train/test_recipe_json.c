/* test_recipe_json.c - a training as JSON reads back as the same training, to the bit, and what is none is refused. */
#include "recipe_json.h"

#include "error.h"
#include "memory.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void must(int rc)
{
    if (rc < 0)
        fail_msg("%s", error_text());
}

/* Through text, as a spec goes to a worker. */
static struct recipe there_and_back(const struct recipe *r)
{
    struct json *j = recipe_json(r), *parsed = NULL;
    assert_non_null(j);
    char *text = json_text(j, 1);
    must(json_parse(&parsed, text, strlen(text), "the training"));
    struct recipe out = {0};
    must(recipe_read(&out, parsed));
    mem_free(text);
    json_destroy(j);
    json_destroy(parsed);
    return out;
}

static void assert_same(const struct recipe *a, const struct recipe *b)
{
#define X(name, init, low, high, help) assert_int_equal(a->name, b->name);
    RECIPE_WHOLE(X)
#undef X
#define X(name, init, low, high, help)          \
    if (a->name < b->name || a->name > b->name) \
        fail_msg(#name " %.9g is now %.9g", (double)a->name, (double)b->name);
    RECIPE_REAL(X)
#undef X
    assert_int_equal(a->schedule, b->schedule);
    assert_int_equal(a->drop_last, b->drop_last);
    assert_true(a->seed == b->seed);
}

static void a_training_reads_back_the_same(void **state)
{
    (void)state;
    struct recipe back = there_and_back(&recipe_default);
    assert_same(&recipe_default, &back);
    struct rng g = rng_named(1, "recipes");
    for (int i = 0; i < 500; i++) {
        struct recipe r = {.schedule = i % SCHEDULE_COUNT,
                           .drop_last = i / 2 % 2,
                           .seed = (uint64_t)rng_u32(&g) << 32 | rng_u32(&g)};
#define X(name, init, low, high, help) r.name = (int32_t)(low + rng_uniform(&g) * (high - low));
        RECIPE_WHOLE(X)
#undef X
#define X(name, init, low, high, help) \
    r.name = (float)((double)(low) + rng_uniform(&g) * ((double)(high) - (double)(low)));
        RECIPE_REAL(X)
#undef X
        back = there_and_back(&r);
        assert_same(&r, &back);
    }
}

static void the_ends_of_every_range_read_back(void **state)
{
    (void)state;
    struct recipe low = recipe_default, high = recipe_default;
#define X(name, init, least, most, help) \
    low.name = least;                    \
    high.name = most;
    RECIPE_WHOLE(X)
    RECIPE_REAL(X)
#undef X
    low.seed = 0;
    high.seed = UINT64_MAX;
    struct recipe back = there_and_back(&low);
    assert_same(&low, &back);
    back = there_and_back(&high);
    assert_same(&high, &back);
    must(recipe_check(&back, 4096));
}

static int set(struct recipe *r, const char *text)
{
    struct json *j = NULL;
    must(json_parse(&j, text, strlen(text), "the test's text"));
    int rc = recipe_read(r, j);
    json_destroy(j);
    return rc;
}

static void numbers_are_written_as_people_write_them(void **state)
{
    (void)state;
    struct recipe r = recipe_default;
    r.lr = 0.1f;
    r.decay = 1e-4f;
    r.seed = 12345678901234567890u;
    struct json *j = recipe_json(&r);
    char *text = json_canonical(j);
    assert_non_null(strstr(text, "\"lr\":0.1,"));
    assert_non_null(strstr(text, "\"decay\":0.0001,"));
    assert_non_null(strstr(text, "\"seed\":\"12345678901234567890\""));
    mem_free(text);
    json_destroy(j);
    struct rng g = rng_named(2, "floats");
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = rng_u32(&g);
        float f, back;
        memcpy(&f, &bits, sizeof f);
        if (!(f - f == 0)) /* no number */
            continue;
        back = (float)float_brief(f);
        assert_memory_equal(&f, &back, sizeof f);
    }
}

static void what_an_object_does_not_name_stays(void **state)
{
    (void)state;
    struct recipe r = recipe_default;
    r.lr = 0.5f;
    must(set(&r, "{\"epochs\": 3, \"seed\": 9}"));
    assert_int_equal(r.epochs, 3);
    assert_int_equal(r.seed, 9);
    assert_true(r.lr == 0.5f);
    must(set(&r, "{}"));
    assert_int_equal(r.epochs, 3);
}

static void what_is_no_training_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const bad[][3] = {
        {"[]", "training", "object"},
        {"3", "training", "object"},
        {"{\"learning_rate\": 1}", "learning_rate", "training"},
        {"{\"epoch\": 1}", "epoch", "did you mean epochs"},
        {"{\"sed\": 1}", "sed", "did you mean seed"},
        {"{\"lr\": 0.1, \"lr\": 0.2}", "lr", "twice"},
        {"{\"seed\": 1, \"seed\": 1}", "seed", "twice"},
        {"{\"epochs\": \"3\"}", "epochs", "whole number"},
        {"{\"epochs\": 3.5}", "epochs", "whole number"},
        {"{\"epochs\": null}", "epochs", "whole number"},
        {"{\"epochs\": 0}", "epochs", "between 1 and 100000"},
        {"{\"epochs\": 100001}", "epochs", "100000"},
        {"{\"batch\": 4097}", "batch", "4096"},
        {"{\"warmup\": -1}", "warmup", "between"},
        {"{\"lr\": true}", "lr", "number"},
        {"{\"lr\": 1e999}", "lr", "number"},
        {"{\"lr\": 1000.1}", "lr", "between"},
        {"{\"beta1\": 1}", "beta1", "between"},
        {"{\"beta2\": 0.9999999}", "beta2", "between"},
        {"{\"eps\": 0}", "eps", "between"},
        {"{\"drop_last\": 1}", "drop_last", "true or false"},
        {"{\"schedule\": \"cosine\"}", "schedule", "plain"},
        {"{\"schedule\": 1}", "schedule", "study"},
        {"{\"seed\": -1}", "seed", "whole number"},
        {"{\"seed\": 1.5}", "seed", "whole number"},
        {"{\"seed\": 9007199254740993}", "seed", "string"},
        {"{\"seed\": \"\"}", "seed", "whole number"},
        {"{\"seed\": \"-1\"}", "-1", "whole number"},
        {"{\"seed\": \" -1\"}", "-1", "whole number"},
        {"{\"seed\": \"+1\"}", "+1", "whole number"},
        {"{\"seed\": \"0x10\"}", "0x10", "whole number"},
        {"{\"seed\": \"18446744073709551616\"}", "18446744073709551616", "seed"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct recipe r = recipe_default;
        if (set(&r, bad[i][0]) != ERR_INPUT)
            fail_msg("%s was taken", bad[i][0]);
        for (int k = 1; k < 3; k++)
            if (!strstr(error_text(), bad[i][k]))
                fail_msg("\"%s\" is not in: %s", bad[i][k], error_text());
    }
}

static void has_knows_the_numbers_alone(void **state)
{
    (void)state;
#define X(name, init, low, high, help) assert_true(recipe_has(#name));
    RECIPE_WHOLE(X)
    RECIPE_REAL(X)
#undef X
    assert_false(recipe_has("seed"));
    assert_false(recipe_has("schedule"));
    assert_false(recipe_has("drop_last"));
    assert_false(recipe_has("l"));
    assert_false(recipe_has(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_training_reads_back_the_same),
        cmocka_unit_test(the_ends_of_every_range_read_back),
        cmocka_unit_test(numbers_are_written_as_people_write_them),
        cmocka_unit_test(what_an_object_does_not_name_stays),
        cmocka_unit_test(what_is_no_training_is_refused_by_name),
        cmocka_unit_test(has_knows_the_numbers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
