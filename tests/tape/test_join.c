/* test_join.c - queries, keys and values one by one: what is still part of one tensor is not joined again,
 * and gradients go back the way the values came. */
#include "tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 7, D = 6, HEADS = 2, LIVE = 256 };

struct net {
    struct tape *t;
    value w, qkv, three[3];
};

static struct net begin(void)
{
    struct net n = {.t = tape_create()};
    n.w = tape_leaf(n.t, LEAF_TRAINABLE, SHAPE(3 * D, D), 0, "w");
    n.qkv = tape_matmul(n.t, tape_leaf(n.t, LEAF_INPUT, SHAPE(B, T, D), 0, "x"), n.w, 0, 1);
    tape_attention_split(n.t, n.qkv, n.three);
    return n;
}

static value joined(struct net *n, value q, value k, value v)
{
    return tape_attention_joined(n->t, n->qkv, q, k, v, HEADS);
}

static value without_front(struct net *n, value x, int32_t off)
{
    return tape_slice(n->t, x, 1, off, tape_shape(n->t, x).dim[1]);
}

static void slices_are_slices_whatever_they_are_of(void **state)
{
    (void)state;
    struct net n = begin();
    value three[3];
    n.qkv = tape_add(n.t, n.qkv, tape_affine(n.t, n.qkv, 3, 0)); /* which a slice would go below */
    tape_attention_split(n.t, n.qkv, three);
    for (int i = 0; i < 3; i++) {
        const struct node *node = tape_node(n.t, three[i]);
        assert_true(node->op == OP_SLICE && node->in[0] == n.qkv && node->attr.slice.from == i * D);
    }
    tape_destroy(n.t);
}

static void untouched_they_are_what_they_were(void **state)
{
    (void)state;
    struct net n = begin();
    assert_int_equal(joined(&n, n.three[0], n.three[1], n.three[2]), tape_attention(n.t, n.qkv, HEADS));
    tape_destroy(n.t);
}

static void tokens_left_away_in_front_are_a_range(void **state)
{
    (void)state;
    struct net n = begin();
    value y = joined(&n, n.three[0], without_front(&n, n.three[1], 2), without_front(&n, n.three[2], 2));
    assert_int_equal(y, tape_attention_part(n.t, n.qkv, (struct attention){HEADS, 0, T, 2}));
    tape_destroy(n.t);
}

static void what_was_changed_is_joined_behind_zeros(void **state)
{
    (void)state;
    enum { P = 3 };
    struct net n = begin();
    value p = tape_leaf(n.t, LEAF_TRAINABLE, SHAPE(B, P, D), 1, "p");
    value y = joined(&n, n.three[0], tape_concat(n.t, p, n.three[1], 1),
                     tape_concat(n.t, tape_affine(n.t, p, 2, 0), n.three[2], 1));
    const struct node *node = tape_node(n.t, y);
    struct attention a = node->attr.attention;
    assert_true(shape_equal(node->shape, SHAPE(B, T, D)));
    assert_true(shape_equal(tape_shape(n.t, node->in[0]), SHAPE(B, T + P, 3 * D)));
    assert_true(a.q_from == P && a.q_to == T + P && a.k_from == 0);
    y = joined(&n, n.three[0], tape_affine(n.t, without_front(&n, n.three[1], 1), 2, 0),
               without_front(&n, n.three[2], 1));
    a = tape_node(n.t, y)->attr.attention;
    assert_true(a.q_from == 0 && a.q_to == T && a.k_from == 1);
    assert_int_not_equal(tape_node(n.t, y)->in[0], n.qkv);
    tape_destroy(n.t);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct net n = begin();
    assert_int_equal(joined(&n, n.three[0], n.three[1], without_front(&n, n.three[2], 1)), 0);
    assert_string_equal(tape_why(n.t), "attention: shapes [2 7 6] and [2 6 6] do not fit");
    tape_destroy(n.t);
}

/* k without its first tokens, with the derivative by hand: zeros for them */
struct taken_off {
    value x;
    int calls;
};

static int taken_off_rule(void *context, struct tape *t, value y, value d_y)
{
    struct taken_off *s = context;
    (void)y;
    s->calls++;
    tape_add_gradient(t, s->x, tape_concat(t, tape_fill(t, SHAPE(B, 2, D), 0), d_y, 1));
    return 0;
}

static void a_derivative_by_hand_between_is_called_and_costs_no_copies(void **state)
{
    (void)state;
    struct net n = begin();
    struct taken_off s[2] = {{n.three[1], 0}, {n.three[2], 0}};
    value cut[2], grad, roots[2];
    for (int i = 0; i < 2; i++)
        cut[i] = tape_hooked(n.t, without_front(&n, n.three[i + 1], 2), taken_off_rule, &s[i]);
    value y = joined(&n, n.three[0], cut[0], cut[1]);
    assert_int_equal(tape_node(n.t, y)->attr.attention.k_from, 2);
    roots[0] = tape_sum(n.t, y, ~0u);
    assert_int_equal(tape_backward(n.t, roots[0], &n.w, 1, &grad), 0);
    assert_true(s[0].calls == 1 && s[1].calls == 1);
    roots[1] = grad;
    unsigned char live[LIVE];
    assert_true(tape_size(n.t) <= LIVE);
    tape_live(n.t, roots, 2, live);
    for (value v = 1; v < tape_size(n.t); v++) {
        enum op op = tape_node(n.t, v)->op;
        assert_false(live[v] && (op == OP_SLICE || op == OP_PAD || op == OP_CONCAT || op == OP_ADD));
    }
    tape_destroy(n.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_slices_whatever_they_are_of),
        cmocka_unit_test(untouched_they_are_what_they_were),
        cmocka_unit_test(tokens_left_away_in_front_are_a_range),
        cmocka_unit_test(what_was_changed_is_joined_behind_zeros),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_derivative_by_hand_between_is_called_and_costs_no_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
