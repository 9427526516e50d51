/* test_derive.c - every derivative against central finite differences, both through core/ref. */
#include "ref.h"

#include "rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SEED = 7, LEAVES = 4 };
/* Differences of step h err by h^2 f'''/6 + eps/h: about 1e-9 for values near 1. */
static const double STEP = 1e-5, TOLERANCE = 2e-7;

struct net { /* a tape whose loss is a fixed random weighting of one op's result */
    struct tape *t;
    value leaf[LEAVES];
    int count;
};

static value input(struct net *n, struct shape s)
{
    value v = tape_leaf(n->t, LEAF_TRAINABLE, s, (uint32_t)n->count, "x");
    n->leaf[n->count++] = v;
    return v;
}

/* a case a line */
/* clang-format off */
static value case_add(struct net *n) { return tape_add(n->t, input(n, SHAPE(2, 3, 4)), input(n, SHAPE(3, 1))); }
static value case_mul(struct net *n) { return tape_mul(n->t, input(n, SHAPE(4)), input(n, SHAPE(2, 3, 4))); }
static value case_affine(struct net *n) { return tape_affine(n->t, input(n, SHAPE(5)), 1.5f, -2); }
static value case_dropout(struct net *n) { return tape_dropout(n->t, input(n, SHAPE(3, 8)), 0.4f, 9, 2); }
static value case_matmul(struct net *n) { return tape_matmul(n->t, input(n, SHAPE(2, 3, 4)), input(n, SHAPE(4, 5)), 0, 0); }
static value case_matmul_nt(struct net *n) { return tape_matmul(n->t, input(n, SHAPE(3, 4)), input(n, SHAPE(5, 4)), 0, 1); }
static value case_matmul_tn(struct net *n) { return tape_matmul(n->t, input(n, SHAPE(4, 3)), input(n, SHAPE(4, 5)), 1, 0); }
static value case_matmul_tt(struct net *n) { return tape_matmul(n->t, input(n, SHAPE(4, 3)), input(n, SHAPE(5, 4)), 1, 1); }
static value case_matmul_batched(struct net *n) { return tape_matmul(n->t, input(n, SHAPE(2, 4, 3)), input(n, SHAPE(2, 5, 4)), 1, 1); }
static value case_matmul_plain_left(struct net *n) { return tape_matmul(n->t, input(n, SHAPE(3, 4)), input(n, SHAPE(2, 4, 5)), 0, 0); }
static value case_matmul_plain_right(struct net *n) { return tape_matmul(n->t, input(n, SHAPE(2, 4, 3)), input(n, SHAPE(4, 5)), 1, 0); }
static value case_softmax(struct net *n) { return tape_softmax(n->t, input(n, SHAPE(3, 5))); }
static value case_normalize(struct net *n) { return tape_normalize(n->t, input(n, SHAPE(3, 5)), 1e-3f); }
static value case_layernorm(struct net *n)
{
    return tape_layernorm(n->t, input(n, SHAPE(2, 3, 5)), input(n, SHAPE(5)), input(n, SHAPE(5)), 1e-3f);
}
static value case_attention(struct net *n) { return tape_attention(n->t, input(n, SHAPE(2, 5, 12)), 2); }
static value part(struct net *n, int32_t heads, int32_t q_from, int32_t q_to, int32_t k_from)
{
    return tape_attention_part(n->t, input(n, SHAPE(2, 5, 12)), (struct attention){heads, q_from, q_to, k_from});
}
static value case_attention_front(struct net *n) { return part(n, 2, 0, 2, 0); }
static value case_attention_back(struct net *n) { return part(n, 4, 2, 5, 0); }
static value case_attention_one(struct net *n) { return part(n, 1, 3, 4, 0); }
static value case_attention_few_keys(struct net *n) { return part(n, 2, 1, 4, 2); }
static value case_attention_one_key(struct net *n) { return part(n, 2, 0, 3, 4); }
static value case_dropout_part(struct net *n)
{
    return tape_dropout_part(n->t, input(n, SHAPE(2, 2, 4)), (struct dropout){0.4f, 9, 6, 1, 3, 7});
}
static value case_reshape(struct net *n) { return tape_reshape(n->t, input(n, SHAPE(3, 4)), SHAPE(2, 6)); }
static value case_permute(struct net *n)
{
    return tape_permute(n->t, input(n, SHAPE(2, 3, 4)), (const int32_t[SHAPE_RANK]){2, 0, 1});
}
static value case_expand(struct net *n) { return tape_expand(n->t, input(n, SHAPE(3, 1)), SHAPE(2, 3, 4)); }
static value case_concat(struct net *n) { return tape_concat(n->t, input(n, SHAPE(2, 1, 3)), input(n, SHAPE(2, 4, 3)), 1); }
static value case_slice(struct net *n) { return tape_slice(n->t, input(n, SHAPE(2, 5, 3)), 1, 1, 4); }
static value case_pad(struct net *n) { return tape_pad(n->t, input(n, SHAPE(2, 2, 3)), 1, 1, 5); }
static value case_sum(struct net *n) { return tape_sum(n->t, input(n, SHAPE(2, 3, 4)), 1 | 4); }
static value case_unfold(struct net *n) { return tape_unfold(n->t, input(n, SHAPE(2, 3, 4, 2)), 3); }
static value case_fold(struct net *n) { return tape_fold(n->t, input(n, SHAPE(1, 3, 2, 18)), 3); }
static value case_cross_entropy(struct net *n)
{
    value labels = tape_fill(n->t, SHAPE(4), 2);
    return tape_cross_entropy(n->t, input(n, SHAPE(4, 6)), labels);
}
/* the same value reaches the result along two ways */
static value case_twice(struct net *n)
{
    value x = input(n, SHAPE(3, 3));
    return tape_matmul(n->t, x, tape_unary(n->t, x, UNARY_TANH), 0, 1);
}
/* the norm of x as a constant factor: x enters a second time, unseen by the derivative */
static value case_detach(struct net *n)
{
    value x = input(n, SHAPE(5)), square = tape_sum(n->t, tape_mul(n->t, x, x), 1);
    return tape_mul(n->t, x, tape_detach(n->t, tape_unary(n->t, square, UNARY_SQRT)));
}
#define X(NAME, name) \
    static value case_##name(struct net *n) { return tape_unary(n->t, input(n, SHAPE(11)), UNARY_##NAME); }
UNARY_FUNCTIONS(X)
#undef X

/* clang-format on */

/* leaves: normal numbers, kept away from the kinks and inside the domains of unary functions */
static void fill_leaf(struct ref *r, struct net *n, int i, int positive)
{
    struct rng g = {.seed = SEED, .stream = (uint64_t)i};
    double *x = ref_leaf(r, n->leaf[i]);
    for (int64_t k = 0, c = shape_count(tape_shape(n->t, n->leaf[i])); k < c; k++) {
        x[k] = rng_normal(&g);
        x[k] = positive ? fabs(x[k]) + 0.3 : x[k] + copysign(0.05, x[k]);
    }
}

static double loss_at(struct ref *r, value loss)
{
    assert_int_equal(ref_run(r), 0);
    return ref_value(r, loss)[0];
}

static void check(value (*make)(struct net *), int positive)
{
    struct net n = {.t = tape_create()};
    value y = make(&n);
    assert_string_equal(tape_why(n.t) ? tape_why(n.t) : "", "");
    value weights = tape_leaf(n.t, LEAF_INPUT, tape_shape(n.t, y), 99, "weights");
    value loss = tape_sum(n.t, tape_mul(n.t, y, weights), ~0u), grad[LEAVES];
    assert_int_equal(tape_backward(n.t, loss, n.leaf, (size_t)n.count, grad), 0);
    value roots[LEAVES + 1] = {loss, grad[0], grad[1], grad[2], grad[3]};
    struct ref *r = NULL;
    assert_int_equal(ref_create(&r, n.t, roots, (size_t)n.count + 1), 0);
    ref_seed(r, SEED, 3);
    for (int i = 0; i < n.count; i++)
        fill_leaf(r, &n, i, positive);
    struct rng g = {.seed = SEED, .stream = 99};
    for (int64_t k = 0, c = shape_count(tape_shape(n.t, y)); k < c; k++)
        ref_leaf(r, weights)[k] = rng_normal(&g);
    loss_at(r, loss);
    ref_hold_detached(r);
    for (int i = 0; i < n.count; i++)
        for (int64_t k = 0, c = shape_count(tape_shape(n.t, n.leaf[i])); k < c; k++) {
            double *x = &ref_leaf(r, n.leaf[i])[k], kept = *x;
            *x = kept + STEP;
            double up = loss_at(r, loss);
            *x = kept - STEP;
            double down = loss_at(r, loss);
            *x = kept;
            loss_at(r, loss);
            double derived = ref_value(r, grad[i])[k], differenced = (up - down) / (2 * STEP);
            assert_true(fabs(derived - differenced) <= TOLERANCE * (1 + fabs(derived)));
        }
    ref_destroy(r);
    tape_destroy(n.t);
}

#define CASES(X)                                                                                          \
    X(add)                                                                                                \
    X(mul)                                                                                                \
    X(affine)                                                                                             \
    X(dropout) X(matmul) X(matmul_nt) X(matmul_tn) X(matmul_tt) X(matmul_batched) X(matmul_plain_left)    \
        X(matmul_plain_right) X(softmax) X(normalize) X(layernorm) X(attention) X(attention_front)        \
            X(attention_back) X(attention_one) X(attention_few_keys) X(attention_one_key) X(dropout_part) \
                X(reshape) X(permute) X(expand) X(concat) X(slice) X(pad) X(sum) X(unfold) X(fold)        \
                    X(cross_entropy) X(twice) X(detach) X(relu) X(gelu) X(sigmoid) X(tanh) X(exp)         \
                        X(quick_gelu) X(abs)
#define POSITIVE_CASES(X) X(sqrt) X(recip) X(log)

#define TEST(name)                                                      \
    static void derivative_of_##name##_equals_differences(void **state) \
    {                                                                   \
        (void)state;                                                    \
        check(case_##name, 0);                                          \
    }
CASES(TEST)
#undef TEST
#define TEST(name)                                                      \
    static void derivative_of_##name##_equals_differences(void **state) \
    {                                                                   \
        (void)state;                                                    \
        check(case_##name, 1);                                          \
    }
POSITIVE_CASES(TEST)
#undef TEST

/* y = x^2 with a derivative written by hand, deliberately 3 x instead of 2 x to see that it is used */
struct square {
    value x;
};

static int square_rule(void *context, struct tape *t, value y, value d_y)
{
    struct square *s = context;
    (void)y;
    tape_add_gradient(t, s->x, tape_mul(t, d_y, tape_affine(t, s->x, 3, 0)));
    return 0;
}

static void a_hooked_value_uses_its_own_derivative(void **state)
{
    (void)state;
    struct tape *t = tape_create();
    struct square s = {tape_leaf(t, LEAF_TRAINABLE, SHAPE(3), 0, "x")};
    value y = tape_hooked(t, tape_mul(t, s.x, s.x), square_rule, &s), grad;
    assert_int_equal(tape_backward(t, tape_sum(t, y, 1), &s.x, 1, &grad), 0);
    struct ref *r = NULL;
    assert_int_equal(ref_create(&r, t, &grad, 1), 0);
    for (int i = 0; i < 3; i++)
        ref_leaf(r, s.x)[i] = i + 1;
    assert_int_equal(ref_run(r), 0);
    for (int i = 0; i < 3; i++)
        assert_true(ref_value(r, grad)[i] == 3.0 * (i + 1));
    ref_destroy(r);
    tape_destroy(t);
}

static void dropout_keeps_the_share_it_promises(void **state)
{
    (void)state;
    enum { DRAWS = 40000 };
    int kept = 0;
    for (uint64_t i = 0; i < DRAWS; i++)
        kept += ref_keeps(SEED, 1, 2, i, 0.3f);
    /* five standard deviations of a binomial count */
    assert_true(fabs(kept - 0.7 * DRAWS) < 5 * sqrt(DRAWS * 0.3 * 0.7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test(derivative_of_##name##_equals_differences),
        CASES(TEST) POSITIVE_CASES(TEST)
#undef TEST
            cmocka_unit_test(a_hooked_value_uses_its_own_derivative),
        cmocka_unit_test(dropout_keeps_the_share_it_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
