/* test_slice.c - which rows a slice leaves on the tape, and where gradients that are zero but for some rows
 * go. That the numbers stay the same is tests/ref/test_rows.c's. */
#include "tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 7, D = 6, LIVE = 256 };

static value input(struct tape *t, struct shape s)
{
    return tape_leaf(t, LEAF_INPUT, s, tape_size(t), "x");
}

static value frozen(struct tape *t, struct shape s)
{
    return tape_leaf(t, LEAF_FROZEN, s, tape_size(t), "w");
}

/* How many of the values that `roots` need are of op `op`; of those the largest number of tokens. */
static int count_live(const struct tape *t, const value *roots, size_t count, enum op op, int32_t *tokens)
{
    unsigned char live[LIVE];
    int found = 0;
    assert_true(tape_size(t) <= LIVE);
    tape_live(t, roots, count, live);
    *tokens = 0;
    for (value v = 1; v < tape_size(t); v++)
        if (live[v] && tape_node(t, v)->op == op) {
            found++;
            *tokens = tape_shape(t, v).dim[1] > *tokens ? tape_shape(t, v).dim[1] : *tokens;
        }
    return found;
}

/* Two residual branches behind a token slice: one row an image is left of everything above them. */
static void rows_that_a_slice_drops_are_never_computed(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value x = input(t, SHAPE(B, T, D)), w = frozen(t, SHAPE(D, D)), g = frozen(t, SHAPE(D));
    value branch =
        tape_unary(t, tape_add(t, tape_matmul(t, tape_layernorm(t, x, g, g, 1e-6f), w, 0, 1), g), UNARY_GELU);
    value y = tape_slice(t, tape_add(t, x, tape_dropout(t, branch, 0.5f, 1, 1)), 1, 0, 1);
    assert_true(shape_equal(tape_shape(t, y), SHAPE(B, 1, D)));
    unsigned char live[LIVE];
    tape_live(t, &y, 1, live);
    for (value v = 1; v < tape_size(t); v++)
        if (live[v] && tape_node(t, v)->op != OP_LEAF)
            assert_true(shape_count(tape_shape(t, v)) == B * D);
    tape_destroy(t);
}

static void a_slice_of_attention_asks_with_fewer_queries(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value qkv = tape_matmul(t, input(t, SHAPE(B, T, D)), frozen(t, SHAPE(3 * D, D)), 0, 1);
    value y = tape_slice(t, tape_matmul(t, tape_attention(t, qkv, 2), frozen(t, SHAPE(D, D)), 0, 1), 1, 2, 4);
    const struct node *n = tape_node(t, tape_node(t, y)->in[0]);
    assert_int_equal(tape_node(t, y)->op, OP_MATMUL);
    assert_int_equal(n->op, OP_ATTENTION);
    assert_true(n->attr.attention.q_from == 2 && n->attr.attention.q_to == 4 &&
                n->attr.attention.k_from == 0);
    y = tape_slice(t, tape_attention_part(t, qkv, (struct attention){2, 3, 7, 1}), 1, 1, 2);
    n = tape_node(t, y);
    assert_true(n->attr.attention.q_from == 4 && n->attr.attention.q_to == 5 &&
                n->attr.attention.k_from == 1);
    assert_int_equal(n->in[0], qkv);
    tape_destroy(t);
}

static void attention_refuses_ranges_that_are_not_there(void **state)
{
    (void)state;
    static const struct attention bad[] = {
        {2, 3, 3, 0}, {2, -1, 3, 0}, {2, 0, 8, 0}, {2, 0, 7, 7}, {2, 0, 7, -1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct tape *t = tape_create();
        assert_int_equal(tape_attention_part(t, input(t, SHAPE(B, T, 3 * D)), bad[i]), 0);
        assert_non_null(strstr(tape_why(t), "are not parts of 7 tokens"));
        tape_destroy(t);
    }
}

/* Prompts in front, one block, prompts off again: they serve as keys and values only. */
static void rows_taken_off_again_are_keys_and_values_only(void **state)
{
    (void)state;
    enum { P = 3 };
    struct tape *t = tape_create();
    int32_t tokens;
    value x = input(t, SHAPE(B, T, D)), in = tape_concat(t, input(t, SHAPE(B, P, D)), x, 1);
    value qkv = tape_matmul(t, in, frozen(t, SHAPE(3 * D, D)), 0, 1);
    value branch = tape_matmul(t, tape_attention(t, qkv, 2), frozen(t, SHAPE(D, D)), 0, 1);
    value y = tape_slice(t, tape_add(t, in, branch), 1, P, T + P);
    assert_int_equal(tape_node(t, y)->op, OP_ADD);
    assert_int_equal(tape_node(t, y)->in[0], x);
    assert_int_equal(count_live(t, &y, 1, OP_ATTENTION, &tokens), 1);
    assert_int_equal(tokens, T);
    assert_int_equal(count_live(t, &y, 1, OP_SLICE, &tokens), 0);
    tape_destroy(t);
}

/* Elementwise dropout counts its draws by place: what is left keeps its own. */
static void rows_cut_out_of_a_dropout_know_their_place(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value x = tape_unary(t, input(t, SHAPE(B, T, D)), UNARY_TANH);
    value y = tape_slice(t, tape_slice(t, tape_dropout(t, x, 0.5f, 1, ~0u), 1, 2, 6), 1, 1, 2);
    const struct dropout *d = &tape_node(t, y)->attr.dropout;
    assert_int_equal(tape_node(t, y)->op, OP_DROPOUT);
    assert_true(d->axis == 1 && d->from == 3 && d->total == T);
    y = tape_slice(t, tape_dropout(t, x, 0.5f, 1, 1 | 4), 1, 2, 6); /* the same draws for all tokens */
    assert_int_equal(tape_node(t, y)->attr.dropout.total, 0);
    /* draws that miss rows along two axes have no such form: here the slice stays on top */
    y = tape_slice(t, tape_slice(t, tape_dropout(t, x, 0.5f, 2, ~0u), 1, 2, 6), 2, 1, 2);
    assert_int_equal(tape_node(t, y)->op, OP_SLICE);
    tape_destroy(t);
}

static void rows_that_are_there_are_not_copied(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value a = input(t, SHAPE(B, 2, D)), b = input(t, SHAPE(B, T, D)), both = tape_concat(t, a, b, 1);
    assert_int_equal(tape_slice(t, both, 1, 0, 2), a);
    assert_int_equal(tape_slice(t, both, 1, 2, T + 2), b);
    assert_int_equal(tape_slice(t, both, 1, 3, 5), tape_slice(t, b, 1, 1, 3));
    assert_int_equal(tape_slice(t, tape_slice(t, b, 1, 2, 6), 1, 1, 3), tape_slice(t, b, 1, 3, 5));
    value padded = tape_pad(t, a, 1, 3, 9);
    assert_int_equal(tape_slice(t, padded, 1, 3, 5), a);
    assert_int_equal(tape_slice(t, padded, 1, 2, 6), tape_pad(t, a, 1, 1, 4));
    assert_int_equal(tape_slice(t, padded, 1, 6, 9), tape_fill(t, SHAPE(B, 3, D), 0));
    assert_int_equal(tape_slice(t, padded, 2, 1, 3), tape_pad(t, tape_slice(t, a, 2, 1, 3), 1, 3, 9));
    tape_destroy(t);
}

static void what_is_computed_anyway_is_not_computed_again_in_parts(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value y = tape_matmul(t, input(t, SHAPE(B, T, D)), frozen(t, SHAPE(D, D)), 0, 1);
    tape_unary(t, y, UNARY_GELU);
    assert_int_equal(tape_node(t, tape_slice(t, y, 1, 0, 1))->op, OP_SLICE);
    tape_destroy(t);
}

/* y = x g with the derivative by hand, for all rows */
struct scaled {
    value x, g;
    int calls;
};

static int scaled_rule(void *context, struct tape *t, value y, value d_y)
{
    struct scaled *s = context;
    assert_true(shape_equal(tape_shape(t, y), SHAPE(B, T, D)));
    assert_true(shape_equal(tape_shape(t, d_y), SHAPE(B, T, D)));
    tape_add_gradient(t, s->x, tape_mul(t, d_y, s->g));
    value sum = tape_sum(t, tape_reshape(t, tape_mul(t, d_y, s->x), SHAPE(B * T, D)), 1);
    tape_add_gradient(t, s->g, tape_reshape(t, sum, SHAPE(D)));
    s->calls++;
    return 0;
}

static void a_hooked_value_is_cut_and_keeps_its_rule(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    int32_t tokens;
    value leaf = tape_leaf(t, LEAF_TRAINABLE, SHAPE(D), 0, "g"), grad, roots[2];
    value x = tape_matmul(t, input(t, SHAPE(B, T, D)), frozen(t, SHAPE(D, D)), 0, 1);
    struct scaled s = {tape_unary(t, x, UNARY_GELU), leaf, 0};
    value y = tape_hooked(t, tape_mul(t, s.x, s.g), scaled_rule, &s);
    roots[0] = tape_sum(t, tape_slice(t, tape_unary(t, y, UNARY_TANH), 1, 2, 3), ~0u);
    assert_int_equal(tape_backward(t, roots[0], &leaf, 1, &grad), 0);
    roots[1] = grad;
    assert_int_equal(s.calls, 1);
    assert_int_equal(count_live(t, roots, 2, OP_MATMUL, &tokens), 1);
    assert_int_equal(tokens, 1);
    assert_int_equal(count_live(t, roots, 2, OP_MUL, &tokens), 2);
    assert_int_equal(count_live(t, roots, 2, OP_PAD, &tokens), 0);
    tape_destroy(t);
}

/* y = slice(x), whose derivative by hand is all of dx: zeros and dy */
struct taken_off {
    value x;
};

static int taken_off_rule(void *context, struct tape *t, value y, value d_y)
{
    struct taken_off *s = context;
    (void)y;
    value zeros = tape_fill(t, SHAPE(B, 2, D), 0);
    tape_add_gradient(t, s->x, tape_concat(t, zeros, d_y, 1));
    return 0;
}

static void a_gradient_of_some_rows_goes_to_what_computed_them(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    int32_t tokens;
    value w = tape_leaf(t, LEAF_TRAINABLE, SHAPE(D, D), 0, "w"), grad, roots[2];
    value in = input(t, SHAPE(B, T, D)), v = frozen(t, SHAPE(D, D));
    struct taken_off s = {tape_matmul(t, tape_unary(t, tape_matmul(t, in, w, 0, 1), UNARY_GELU), v, 0, 1)};
    value y = tape_hooked(t, tape_slice(t, s.x, 1, 2, T), taken_off_rule, &s);
    roots[0] = tape_sum(t, tape_slice(t, tape_unary(t, y, UNARY_TANH), 1, 1, 4), ~0u);
    assert_int_equal(tape_backward(t, roots[0], &w, 1, &grad), 0);
    roots[1] = grad;
    unsigned char live[LIVE];
    tape_live(t, roots, 2, live);
    for (value i = 1; i < tape_size(t); i++)
        if (live[i] && tape_node(t, i)->op != OP_LEAF)
            assert_true(shape_count(tape_shape(t, i)) <= B * 3 * D); /* of B T D */
    assert_int_equal(count_live(t, roots, 2, OP_PAD, &tokens), 0);
    tape_destroy(t);
}

/* What keeps zeros apart leaves the padding outermost. */
static void operations_on_a_padded_value_are_on_its_rows(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    value d = tape_pad(t, input(t, SHAPE(B, 2, D)), 1, 3, T), x = input(t, SHAPE(B, T, D)),
          g = frozen(t, SHAPE(D)), w = frozen(t, SHAPE(D, D)), qkv = input(t, SHAPE(B, T, 3 * D));
    struct attention all = {2, 0, T, 0};
    value out = tape_attention_part(t, qkv, all), lse = tape_attention_lse(t, qkv, all);
    const value padded[] = {
        tape_affine(t, d, 2, 0),
        tape_add(t, d, tape_affine(t, d, 3, 0)),
        tape_mul(t, d, g),
        tape_mul(t, x, d),
        tape_unary_back(t, x, d, UNARY_GELU),
        tape_dropout(t, d, 0.5f, 1, ~0u),
        tape_matmul(t, d, w, 0, 0),
        tape_normalize_back(t, x, d, 1e-6f),
        tape_layernorm_back(t, x, g, d, 1e-6f),
        tape_softmax_back(t, tape_softmax(t, x), d),
        tape_sum(t, d, 4),
        tape_reshape(t, d, SHAPE(B, 2 * T, D / 2)),
    };
    for (size_t i = 0; i < sizeof padded / sizeof *padded; i++) {
        const struct node *n = tape_node(t, padded[i]);
        assert_int_equal(n->op, OP_PAD);
        assert_int_equal(n->attr.pad.axis, 1);
        assert_int_equal(n->attr.pad.before, n->shape.dim[1] == 2 * T ? 6 : 3);
    }
    const struct node *n = tape_node(t, tape_attention_back(t, qkv, out, lse, d, all));
    assert_true(n->op == OP_ATTENTION_BACK && n->attr.attention.q_from == 3 && n->attr.attention.q_to == 5);
    value rows = tape_reshape(t, d, SHAPE(B * T, D)), all_x = tape_reshape(t, x, SHAPE(B * T, D));
    n = tape_node(t, tape_matmul(t, rows, all_x, 1, 0));
    assert_true(shape_equal(tape_shape(t, n->in[0]), SHAPE(B * 2, D)));
    assert_true(shape_equal(tape_shape(t, n->in[1]), SHAPE(B * 2, D)));
    n = tape_node(t, tape_sum(t, rows, 1));
    assert_true(shape_equal(tape_shape(t, n->in[0]), SHAPE(B * 2, D)));
    assert_int_equal(tape_node(t, tape_affine(t, d, 1, 1))->op, OP_AFFINE); /* 0 does not stay 0 */
    assert_int_equal(tape_node(t, tape_add(t, d, x))->op, OP_ADD);
    assert_null(tape_why(t));
    tape_destroy(t);
}

static void every_op_failing_in_turn_under_a_slice_is_reported(void **state)
{
    (void)state;
    int reported = 0, ended = 0;
    for (long k = 0; k < 80; k++) {
        struct tape *t = tape_create();
        value g, grad;
        tape_fail_after(t, k);
        g = tape_leaf(t, LEAF_TRAINABLE, SHAPE(D), 0, "g");
        struct scaled s = {
            tape_reshape(t, tape_attention(t, input(t, SHAPE(B, T, 3 * D)), 2), SHAPE(B, T, D)), g, 0};
        value y = tape_hooked(t, tape_mul(t, tape_dropout(t, s.x, 0.5f, 1, ~0u), g), scaled_rule, &s);
        y = tape_slice(t, tape_unary(t, y, UNARY_GELU), 1, 1, 3);
        int rc = tape_backward(t, tape_sum(t, y, ~0u), &g, 1, &grad);
        reported += rc < 0 && strstr(tape_why(t), "told to fail") != NULL;
        ended += rc == 0;
        assert_int_equal(reported + ended, k + 1);
        tape_destroy(t);
    }
    assert_true(reported > 20 && ended > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_a_slice_drops_are_never_computed),
        cmocka_unit_test(a_slice_of_attention_asks_with_fewer_queries),
        cmocka_unit_test(attention_refuses_ranges_that_are_not_there),
        cmocka_unit_test(rows_taken_off_again_are_keys_and_values_only),
        cmocka_unit_test(rows_cut_out_of_a_dropout_know_their_place),
        cmocka_unit_test(rows_that_are_there_are_not_copied),
        cmocka_unit_test(what_is_computed_anyway_is_not_computed_again_in_parts),
        cmocka_unit_test(a_hooked_value_is_cut_and_keeps_its_rule),
        cmocka_unit_test(a_gradient_of_some_rows_goes_to_what_computed_them),
        cmocka_unit_test(operations_on_a_padded_value_are_on_its_rows),
        cmocka_unit_test(every_op_failing_in_turn_under_a_slice_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
