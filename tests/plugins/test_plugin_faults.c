/* test_plugin_faults.c - whatever operation or allocation fails while a method is set up, traced and
 * differentiated, the answer is an error with a sentence. */
#include "tiny.h"

static const char *const stacks[] = {
    "full",
    "lora",
    "ssf",
    "vpt",
    "vpt[mode=shallow]",
    "adaptformer",
    "lora+vpt+adaptformer+ssf+bitfit",
    PROBE,
    "repadapter+convpass",
    "arc+adapter_plus",
    "dora+vera[r=8]+loha[r=2]+lokr",
    "oft[block=4]+oft[block=4,cayley=exact]",
    "boft",
    "fact_tk+difffit",
    "fact_tt+houlsby+pfeiffer",
    "vqt+ia3",
};
enum { STACKS = sizeof stacks / sizeof *stacks, TRIES = 20000 };

static void every_operation_failing_in_turn_gives_an_error(void **state)
{
    (void)state;
    const struct method_step step = {.training = 1, .drop_path = 0.1f};
    for (int i = 0; i < STACKS; i++) {
        long k = 0;
        for (int rc = ERR_INPUT; rc < 0; k++) {
            struct tiny n = {0};
            tiny_must(tiny_stack(&n, stacks[i], &tiny_shape));
            rc = tiny_record(&n, &step, k);
            if (rc < 0 && !strstr(error_text(), "told to fail here by a test"))
                fail_msg("%s, operation %ld: %s", stacks[i], k, error_text());
            tiny_close(&n);
            assert_true(k < TRIES);
        }
        assert_true(k > 50); /* more operations than a network of two blocks has forward */
    }
}

static void every_operation_failing_in_a_merge_gives_an_error(void **state)
{
    (void)state;
    for (long k = 0, rc = ERR_INPUT; rc < 0; k++) {
        struct tiny n = {0};
        struct tape *t = tape_create();
        tiny_must(tiny_stack(&n, "lora+ssf+repadapter+arc+fact_tt[r=2]+fact_tk[r=2]+difffit", &tiny_shape));
        value *merged = mem_alloc(n.vit->count, sizeof *merged);
        assert_true(t && merged);
        tape_fail_after(t, k);
        rc = method_merge(n.method, t, merged);
        assert_true(rc == 0 || strstr(error_text(), "told to fail here by a test"));
        mem_free(merged);
        tape_destroy(t);
        tiny_close(&n);
        assert_true(k < TRIES);
    }
}

static void every_allocation_failing_in_turn_gives_an_error(void **state)
{
    (void)state;
    const struct method_step step = {.training = 1, .drop_path = 0.1f};
    for (long k = 0, rc = ERR_MEMORY; rc < 0; k++) {
        struct tiny n = {0};
        mem_fail_after(k);
        rc = tiny_stack(&n, "vpt[prompts=3]+lora[r=4]", &tiny_shape);
        if (rc == 0)
            rc = tiny_record(&n, &step, -1);
        mem_fail_after(-1);
        if (rc < 0 && !strstr(error_text(), "out of memory"))
            fail_msg("allocation %ld: %s", k, error_text());
        tiny_close(&n);
        assert_true(k < TRIES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_failing_in_turn_gives_an_error),
        cmocka_unit_test(every_operation_failing_in_a_merge_gives_an_error),
        cmocka_unit_test(every_allocation_failing_in_turn_gives_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
