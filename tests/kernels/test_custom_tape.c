/* test_custom_tape.c - a kernel from outside on a tape: it means its equivalent, and needs it only where that is
 * computed. */
#include "error.h"
#include "memory.h"
#include "prefix.h"
#include "ref.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t module[] = {1, 2, 3};
static const struct custom call = {
    .name = "outside", .spirv = module, .spirv_bytes = sizeof module, .inputs = 2, .groups = {1, 2, 3}};

struct small { /* y = custom(a b; a, b), loss = sum y */
    struct tape *t;
    value index, a, b, product, y, loss;
};

static int rule(void *context, struct tape *t, value y, value d_y)
{
    struct small *s = context;
    assert_int_equal(y, s->y);
    tape_add_gradient(t, s->a, tape_affine(t, d_y, 7, 0)); /* not the true one, to be told from it */
    return 0;
}

static void open_small(struct small *s, int with_rule)
{
    s->t = tape_create();
    assert_non_null(s->t);
    s->index = tape_leaf(s->t, LEAF_INPUT, SHAPE(2), 9, "index");
    s->a = tape_leaf(s->t, LEAF_TRAINABLE, SHAPE(2, 3), 0, "a");
    s->b = tape_leaf(s->t, LEAF_TRAINABLE, SHAPE(2, 3), 1, "b");
    s->product = tape_mul(s->t, s->a, s->b);
    s->y = tape_custom(s->t, s->product, (const value[]){s->a, s->b}, &call, with_rule ? rule : NULL, s);
    s->loss = tape_reshape(s->t, tape_sum(s->t, s->y, 3), (struct shape){0});
    assert_int_not_equal(s->loss, 0);
}

/* d loss / d a at (0, 0), where b is 5 */
static double gradient_of(struct small *s)
{
    struct ref *r;
    value grads[2];
    const value wrt[] = {s->a, s->b};
    assert_int_equal(tape_backward(s->t, s->loss, wrt, 2, grads), 0);
    const value roots[] = {s->loss, grads[0], grads[1]};
    assert_int_equal(ref_create(&r, s->t, roots, 3), 0);
    for (int i = 0; i < 6; i++) {
        ref_leaf(r, s->a)[i] = i + 1;
        if (ref_leaf(r, s->b))
            ref_leaf(r, s->b)[i] = 5;
    }
    assert_int_equal(ref_run(r), 0);
    assert_true(ref_value(r, s->loss)[0] == 5 * 21);
    double d = ref_value(r, grads[0])[0];
    ref_destroy(r);
    return d;
}

static void it_means_its_equivalent_and_has_its_derivative(void **state)
{
    (void)state;
    struct small s;
    open_small(&s, 0);
    assert_true(gradient_of(&s) == 5);
    tape_destroy(s.t);
}

static void a_rule_takes_the_derivatives_place(void **state)
{
    (void)state;
    struct small s;
    open_small(&s, 1);
    assert_true(gradient_of(&s) == 7);
    tape_destroy(s.t);
}

static void its_equivalent_is_needed_only_without_the_kernel(void **state)
{
    (void)state;
    struct small s;
    unsigned char live[64], kernels[64] = {0};
    open_small(&s, 0);
    assert_true(tape_size(s.t) <= sizeof live);
    tape_live(s.t, &s.loss, 1, live);
    assert_true(live[s.product] && live[s.a] && live[s.b] && live[s.y]);
    kernels[s.y] = 1;
    tape_live_with(s.t, &s.loss, 1, kernels, live);
    assert_true(!live[s.product] && live[s.a] && live[s.b] && live[s.y]);
    tape_destroy(s.t);
}

static void a_rebuilt_tape_keeps_the_call(void **state)
{
    (void)state;
    struct small s;
    struct tape *copy;
    value map[64], tables[1];
    const struct prefix nothing = {0};
    open_small(&s, 1);
    const struct prefix_spec spec = {.tape = s.t, .roots = &s.loss, .root_count = 1, .index = s.index};
    assert_int_equal(prefix_rebuild(&nothing, &spec, 10, 5, &copy, map, tables), 0);
    value y = map[s.y];
    tape_destroy(s.t);
    const struct node *n = tape_node(copy, y);
    assert_int_equal(n->op, OP_CUSTOM);
    assert_memory_equal(tape_call(copy, n), &call, sizeof call);
    tape_destroy(copy);
}

static void a_failed_allocation_is_poison(void **state)
{
    (void)state;
    struct small s;
    open_small(&s, 0);
    for (long k = 0; k < 2; k++) {
        mem_fail_after(k);
        value y = tape_custom(s.t, s.product, (const value[]){s.a, s.b}, &call, rule, &s);
        mem_fail_after(-1);
        if (k == 0 || !y)
            assert_int_equal(y, 0);
    }
    assert_non_null(tape_why(s.t));
    tape_destroy(s.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_means_its_equivalent_and_has_its_derivative),
        cmocka_unit_test(a_rule_takes_the_derivatives_place),
        cmocka_unit_test(its_equivalent_is_needed_only_without_the_kernel),
        cmocka_unit_test(a_rebuilt_tape_keeps_the_call),
        cmocka_unit_test(a_failed_allocation_is_poison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
