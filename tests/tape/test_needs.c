/* test_needs.c - gradients are worked out for the rows that bear on what learns, and no others. */
#include "tape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { B = 2, T = 7, P = 3, D = 6, HEADS = 2, LIVE = 256 };

struct net { /* learned tokens in front of others, up to attention */
    struct tape *t;
    value p, x, qkv;
};

static value frozen(struct net *n, struct shape s)
{
    return tape_leaf(n->t, LEAF_FROZEN, s, tape_size(n->t), "w");
}

static struct net begin(void)
{
    struct net n = {.t = tape_create()};
    n.p = tape_leaf(n.t, LEAF_TRAINABLE, SHAPE(B, P, D), 0, "p");
    n.x = tape_concat(n.t, n.p, tape_leaf(n.t, LEAF_INPUT, SHAPE(B, T, D), 1, "x"), 1);
    n.qkv = tape_matmul(n.t, tape_layernorm(n.t, n.x, frozen(&n, SHAPE(D)), frozen(&n, SHAPE(D)), 1e-6f),
                        frozen(&n, SHAPE(3 * D, D)), 0, 1);
    return n;
}

/* The gradient of the sum of y, and how many live values of op `op` it takes; their rows at most. */
static value differentiate(struct net *n, value y, enum op op, int *count, int32_t *most)
{
    value grad;
    unsigned char live[LIVE];
    uint32_t before = tape_size(n->t);
    y = tape_sum(n->t, tape_unary(n->t, y, UNARY_TANH), ~0u);
    assert_int_equal(tape_backward(n->t, y, &n->p, 1, &grad), 0);
    assert_true(tape_size(n->t) <= LIVE);
    tape_live(n->t, &grad, 1, live);
    *count = *most = 0;
    for (value v = before; v < tape_size(n->t); v++)
        if (live[v] && tape_node(n->t, v)->op == op) {
            ++*count;
            *most = tape_shape(n->t, v).dim[1] > *most ? tape_shape(n->t, v).dim[1] : *most;
        }
    return grad;
}

static void below_the_first_attention_the_learned_rows_alone_have_gradients(void **state)
{
    (void)state;
    struct net n = begin();
    int count;
    int32_t most;
    differentiate(&n, tape_attention(n.t, n.qkv, HEADS), OP_LAYERNORM_BACK, &count, &most);
    assert_int_equal(count, 1);
    assert_int_equal(most, P);
    tape_destroy(n.t);
    n = begin();
    differentiate(&n, tape_attention(n.t, n.qkv, HEADS), OP_MATMUL, &count, &most);
    assert_int_equal(count, 1);
    assert_int_equal(most, P);
    tape_destroy(n.t);
}

static void rows_that_only_ask_are_heard_of_by_nobody_else(void **state)
{
    (void)state;
    struct net n = begin();
    int count;
    int32_t most;
    value y = tape_attention_part(n.t, n.qkv, (struct attention){HEADS, 0, T + P, P});
    value grad = differentiate(&n, tape_slice(n.t, y, 1, P, T + P), OP_ATTENTION_BACK, &count, &most);
    assert_int_equal(count, 0);
    assert_true(tape_node(n.t, grad)->op == OP_FILL && tape_node(n.t, grad)->attr.fill.value == 0);
    tape_destroy(n.t);
}

static void one_learned_key_bears_on_all_who_ask(void **state)
{
    (void)state;
    struct net n = begin();
    int count;
    int32_t most;
    value y = tape_attention_part(n.t, n.qkv, (struct attention){HEADS, 0, T + P, P - 1});
    y = tape_matmul(n.t, y, frozen(&n, SHAPE(D, D)), 0, 1);
    differentiate(&n, tape_slice(n.t, y, 1, P, T + P), OP_ATTENTION_BACK, &count, &most);
    assert_int_equal(count, 1);
    tape_destroy(n.t);
}

/* What is learned by all rows makes all of them matter. */
static void a_trainable_matrix_needs_every_row(void **state)
{
    (void)state;
    struct net n = begin();
    int count;
    int32_t most;
    value w = tape_leaf(n.t, LEAF_TRAINABLE, SHAPE(D, D), 9, "w");
    n.x = tape_matmul(n.t, tape_unary(n.t, n.x, UNARY_GELU), w, 0, 1);
    n.p = w;
    differentiate(&n, n.x, OP_UNARY_BACK, &count, &most);
    assert_int_equal(count, 1);
    assert_int_equal(most, T + P);
    tape_destroy(n.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(below_the_first_attention_the_learned_rows_alone_have_gradients),
        cmocka_unit_test(rows_that_only_ask_are_heard_of_by_nobody_else),
        cmocka_unit_test(one_learned_key_bears_on_all_who_ask),
        cmocka_unit_test(a_trainable_matrix_needs_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
