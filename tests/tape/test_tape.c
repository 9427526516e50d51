/* test_tape.c - recording, poison, simplification, liveness, memory plan. */
#include "plan.h"
#include "tape.h"

#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void equal_operations_are_one_value(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value x = tape_leaf(t, LEAF_INPUT, SHAPE(2, 3), 0, "x");
    assert_int_equal(tape_affine(t, x, 2, 1), tape_affine(t, x, 2, 1));
    assert_int_not_equal(tape_affine(t, x, 2, 1), tape_affine(t, x, 2, 0));
    tape_destroy(t);
}

static void thousands_of_values_stay_apart(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value x = tape_leaf(t, LEAF_INPUT, SHAPE(2), 0, "x");
    for (int i = 0; i < 5000; i++)
        assert_int_equal(tape_affine(t, x, 2, (float)(i + 1)), x + 1 + (value)i);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(tape_affine(t, x, 2, (float)(i + 1)), x + 1 + (value)i);
    tape_destroy(t);
}

static void a_bad_operand_poisons_and_the_first_reason_stays(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    tape_place(t, "lora at qkv of block 3");
    value a = tape_leaf(t, LEAF_INPUT, SHAPE(2, 16), 0, "a"),
          b = tape_leaf(t, LEAF_INPUT, SHAPE(5, 2), 1, "b");
    value bad = tape_matmul(t, a, b, 0, 0);
    assert_int_equal(bad, 0);
    assert_int_equal(tape_add(t, bad, a), 0);
    assert_int_equal(tape_reshape(t, a, SHAPE(7)), 0);
    assert_string_equal(tape_why(t), "lora at qkv of block 3: matmul: shapes [2 16] and [5 2] do not fit");
    tape_destroy(t);
}

static void what_changes_nothing_is_not_recorded(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value x = tape_leaf(t, LEAF_INPUT, SHAPE(2, 3), 0, "x");
    assert_int_equal(tape_affine(t, x, 1, 0), x);
    assert_int_equal(tape_reshape(t, tape_reshape(t, x, SHAPE(6)), SHAPE(2, 3)), x);
    assert_int_equal(tape_add(t, x, tape_fill(t, SHAPE(2, 3), 0)), x);
    assert_int_equal(tape_slice(t, x, 1, 0, 3), x);
    assert_int_equal(tape_dropout(t, x, 0, 5, ~0u), x);
    assert_int_equal(tape_permute(t, x, (const int32_t[SHAPE_RANK]){0, 1}), x);
    tape_destroy(t);
}

static void a_frozen_weight_gets_no_gradient_work(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value x = tape_leaf(t, LEAF_INPUT, SHAPE(4, 3), 0, "x"),
          w = tape_leaf(t, LEAF_FROZEN, SHAPE(5, 3), 1, "w");
    value b = tape_leaf(t, LEAF_TRAINABLE, SHAPE(5), 2, "b"), grad;
    value y = tape_add(t, tape_matmul(t, x, w, 0, 1), b);
    uint32_t before = tape_size(t);
    assert_int_equal(tape_backward(t, tape_sum(t, y, 3), &b, 1, &grad), 0);
    for (value v = before; v < tape_size(t); v++)
        assert_int_not_equal(tape_node(t, v)->op, OP_MATMUL);
    tape_destroy(t);
}

static void every_op_failing_in_turn_is_reported(void **state)
{
    (void)state;
    for (long k = 0; k < 12; k++) {
        struct tape *t = tape_create();
        value x = tape_leaf(t, LEAF_TRAINABLE, SHAPE(2, 5, 12), 0, "x"), grad;
        tape_fail_after(t, k);
        value y = tape_unary(t, tape_softmax(t, tape_attention(t, x, 2)), UNARY_GELU);
        value loss = tape_sum(t, y, ~0u);
        int rc = tape_backward(t, loss, &x, 1, &grad);
        assert_true(rc < 0 || k > 9);
        assert_true(rc == 0 || strstr(tape_why(t), "told to fail"));
        tape_destroy(t);
    }
}

static void what_no_root_needs_is_dead(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value x = tape_leaf(t, LEAF_INPUT, SHAPE(2), 0, "x"), y = tape_affine(t, x, 2, 0),
          z = tape_affine(t, x, 3, 0);
    unsigned char live[8];
    tape_live(t, &y, 1, live);
    assert_true(live[x] && live[y] && !live[z]);
    tape_destroy(t);
}

static void spans_alive_together_never_overlap(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    struct rng g = {.seed = 3};
    struct span s[COUNT];
    uint64_t total, sum = 0;
    for (int i = 0; i < COUNT; i++) {
        int32_t first = (int32_t)rng_below(&g, 200);
        s[i] = (struct span){
            .size = rng_below(&g, 5000), .first = first, .last = first + (int32_t)rng_below(&g, 30)};
        sum += s[i].size;
    }
    assert_int_equal(plan_offsets(s, COUNT, 0, &total), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_true(s[i].offset % PLAN_ALIGN == 0 && s[i].offset + s[i].size <= total);
        for (int j = 0; j < i; j++) {
            int in_time = s[i].first <= s[j].last && s[j].first <= s[i].last;
            int in_space = s[i].offset < s[j].offset + s[j].size && s[j].offset < s[i].offset + s[i].size;
            assert_false(in_time && in_space && s[i].size && s[j].size);
        }
    }
    assert_true(total < sum / 3); /* a tenth of the spans is alive at a time */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_operations_are_one_value),
        cmocka_unit_test(thousands_of_values_stay_apart),
        cmocka_unit_test(a_bad_operand_poisons_and_the_first_reason_stays),
        cmocka_unit_test(what_changes_nothing_is_not_recorded),
        cmocka_unit_test(a_frozen_weight_gets_no_gradient_work),
        cmocka_unit_test(every_op_failing_in_turn_is_reported),
        cmocka_unit_test(what_no_root_needs_is_dead),
        cmocka_unit_test(spans_alive_together_never_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
