/* test_rows.c - slices moved down and gradients of few rows change no number: the same network with its rows
 * cut early, with its rows cut late, and central differences. */
#include "ref.h"

#include "rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SEED = 5, LEAVES = 12, HOOKS = 4, B = 2, T = 6, D = 8, P = 3, ENTRIES = 6 };
/* The same sums in double, in another order. */
static const double SAME = 1e-12;
/* Differences of step h err by h^2 f'''/6 + eps/h: about 1e-9 for values near 1. */
static const double STEP = 1e-5, TOLERANCE = 2e-7;

struct net;
struct hook { /* y = x g, or x with the first `off` tokens taken off, differentiated by hand */
    struct net *net;
    value x, g;
    int32_t off;
};

struct net {
    struct tape *t;
    value leaf[LEAVES], given[LEAVES]; /* trainable and not */
    int count, given_count;
    struct hook hooks[HOOKS];
    int hook_count;
    int late; /* every value that will be sliced has another user: it is computed whole */
};

static value leaf(struct net *n, struct shape s)
{
    value v = tape_leaf(n->t, LEAF_TRAINABLE, s, (uint32_t)n->count, "x");
    n->leaf[n->count++] = v;
    return v;
}

static value given(struct net *n, struct shape s)
{
    value v = tape_leaf(n->t, LEAF_INPUT, s, (uint32_t)(LEAVES + n->given_count), "given");
    n->given[n->given_count++] = v;
    return v;
}

/* The same rows, cut out of the whole value or computed by themselves. */
static value rows(struct net *n, value x, int32_t from, int32_t to)
{
    if (n->late)
        tape_affine(n->t, x, 2, (float)n->count);
    return tape_slice(n->t, x, 1, from, to);
}

static int scale_rule(void *context, struct tape *t, value y, value d_y)
{
    struct hook *h = context;
    struct shape s = tape_shape(t, h->x);
    value d_g = tape_sum(t, tape_reshape(t, tape_mul(t, d_y, h->x), SHAPE(s.dim[0] * s.dim[1], s.dim[2])), 1);
    (void)y;
    tape_add_gradient(t, h->x, tape_mul(t, d_y, h->g));
    tape_add_gradient(t, h->g, tape_reshape(t, d_g, SHAPE(s.dim[2])));
    return 0;
}

static int take_off_rule(void *context, struct tape *t, value y, value d_y)
{
    struct hook *h = context;
    struct shape s = tape_shape(t, h->x);
    (void)y;
    s.dim[1] = h->off;
    tape_add_gradient(t, h->x, tape_concat(t, tape_fill(t, s, 0), d_y, 1));
    return 0;
}

static value scaled(struct net *n, value x)
{
    struct hook *h = &n->hooks[n->hook_count++];
    *h = (struct hook){n, x, leaf(n, SHAPE(tape_shape(n->t, x).dim[2])), 0};
    return tape_hooked(n->t, tape_mul(n->t, x, h->g), scale_rule, h);
}

static value taken_off(struct net *n, value x, int32_t off)
{
    struct hook *h = &n->hooks[n->hook_count++];
    *h = (struct hook){n, x, 0, off};
    return tape_hooked(n->t, rows(n, x, off, tape_shape(n->t, x).dim[1]), take_off_rule, h);
}

static value linear(struct net *n, value x, int32_t out)
{
    return tape_matmul(n->t, x, leaf(n, SHAPE(out, tape_shape(n->t, x).dim[2])), 0, 1);
}

/* One block of a Vision Transformer, its norms without gains, narrow in the middle. */
static value block(struct net *n, value x, int hooked)
{
    struct tape *t = n->t;
    value qkv = linear(n, tape_normalize(t, x, 1e-3f), 3 * D);
    value branch = tape_dropout(t, linear(n, tape_attention(t, qkv, 2), D), 0.4f, 1, 1);
    value mid = tape_add(t, x, branch);
    branch = tape_unary(t, linear(n, tape_normalize(t, mid, 1e-3f), 3), UNARY_GELU);
    branch = tape_dropout(t, linear(n, hooked ? scaled(n, branch) : branch, D), 0.3f, 2, ~0u);
    return tape_add(t, mid, branch);
}

/* a case a line */
/* clang-format off */
static value one_token(struct net *n) { return rows(n, block(n, leaf(n, SHAPE(B, T, D)), 0), 0, 1); }
static value last_tokens(struct net *n) { return rows(n, block(n, leaf(n, SHAPE(B, T, D)), 0), 3, T); }
static value one_token_hooked(struct net *n) { return rows(n, block(n, leaf(n, SHAPE(B, T, D)), 1), 0, 1); }
static value tokens_of_a_middle(struct net *n) { return rows(n, rows(n, block(n, leaf(n, SHAPE(B, T, D)), 1), 1, 5), 1, 3); }
static value halves(struct net *n)
{
    value y = block(n, leaf(n, SHAPE(B, T, D)), 1), front = rows(n, y, 0, 2), back = rows(n, y, 2, T);
    return tape_concat(n->t, tape_unary(n->t, back, UNARY_TANH), front, 1);
}
static value prompts(struct net *n)
{
    value x = tape_concat(n->t, leaf(n, SHAPE(B, P, D)), leaf(n, SHAPE(B, T, D)), 1);
    return rows(n, rows(n, block(n, x, 0), P, P + T), 0, 1);
}
static value prompts_hooked(struct net *n)
{
    value x = tape_concat(n->t, leaf(n, SHAPE(B, P, D)), leaf(n, SHAPE(B, T, D)), 1);
    return rows(n, taken_off(n, block(n, x, 1), P), 0, 1);
}
static value chunks(struct net *n)
{
    value x = scaled(n, tape_unary(n->t, leaf(n, SHAPE(B, T, D)), UNARY_TANH));
    x = linear(n, tape_reshape(n->t, x, SHAPE(B, 2 * T, D / 2)), 3);
    x = tape_softmax(n->t, tape_reshape(n->t, x, SHAPE(B, T, 6)));
    return rows(n, scaled(n, tape_add(n->t, x, leaf(n, SHAPE(T, 1)))), 2, 4);
}
static value padded(struct net *n)
{
    value x = tape_pad(n->t, leaf(n, SHAPE(B, 2, D)), 1, 1, T);
    return rows(n, tape_add(n->t, scaled(n, x), leaf(n, SHAPE(B, T, 1))), 1, 4);
}
/* clang-format on */

/* Attention whose keys and values miss the first P tokens, or have P more. */
static value keys(struct net *n, int more, int hooked)
{
    struct tape *t = n->t;
    value qkv = linear(n, leaf(n, SHAPE(B, T, D)), 3 * D), p[3];
    tape_attention_split(t, qkv, p);
    for (int i = 1; i < 3; i++)
        if (more)
            p[i] = tape_concat(t, leaf(n, SHAPE(B, P, D)), hooked ? scaled(n, p[i]) : p[i], 1);
        else
            p[i] = hooked ? taken_off(n, p[i], P) : rows(n, p[i], P, T);
    return rows(n, linear(n, tape_attention_joined(t, qkv, p[0], p[1], p[2], 2), D), 1, 4);
}
static value fewer_keys(struct net *n)
{
    return keys(n, 0, 0);
}
static value fewer_keys_hooked(struct net *n)
{
    return keys(n, 0, 1);
}
static value more_keys(struct net *n)
{
    return keys(n, 1, 0);
}
static value more_keys_hooked(struct net *n)
{
    return keys(n, 1, 1);
}
/* which look as if they had not been hooked, but for a factor */
static value fewer_keys_scaled(struct net *n)
{
    struct tape *t = n->t;
    value qkv = linear(n, leaf(n, SHAPE(B, T, D)), 3 * D), p[3];
    tape_attention_split(t, qkv, p);
    p[0] = scaled(n, p[0]);
    return tape_attention_joined(t, qkv, p[0], taken_off(n, p[1], P), rows(n, p[2], P, T), 2);
}

/* Learned tokens before given ones: first asking only, then also asked. */
static value learned_tokens(struct net *n, int asked, int hooked)
{
    struct tape *t = n->t;
    value x = tape_concat(t, leaf(n, SHAPE(B, P, D)), given(n, SHAPE(B, T, D)), 1), p[3];
    value qkv = tape_matmul(t, tape_normalize(t, x, 1e-3f), given(n, SHAPE(3 * D, D)), 0, 1);
    tape_attention_split(t, qkv, p);
    for (int i = 1; i < 3 && !asked; i++)
        p[i] = hooked ? taken_off(n, p[i], P) : rows(n, p[i], P, P + T);
    value out = tape_attention_joined(t, qkv, p[0], p[1], p[2], 2);
    x = tape_add(t, x, tape_matmul(t, out, given(n, SHAPE(D, D)), 0, 1));
    value front = rows(n, x, 0, P), back = hooked ? taken_off(n, x, P) : rows(n, x, P, P + T);
    back = tape_unary(t, tape_matmul(t, back, given(n, SHAPE(D, D)), 0, 1), UNARY_GELU);
    return tape_concat(t, tape_pad(t, back, 1, 1, T + 2), front, 1);
}
static value queries(struct net *n)
{
    return learned_tokens(n, 0, 0);
}
static value queries_hooked(struct net *n)
{
    return learned_tokens(n, 0, 1);
}
static value asked_tokens(struct net *n)
{
    return learned_tokens(n, 1, 0);
}
static value asked_tokens_hooked(struct net *n)
{
    return learned_tokens(n, 1, 1);
}

#define CASES(X)                                                                                   \
    X(one_token)                                                                                   \
    X(last_tokens)                                                                                 \
    X(one_token_hooked)                                                                            \
    X(tokens_of_a_middle) X(halves) X(prompts) X(prompts_hooked) X(chunks) X(padded) X(fewer_keys) \
        X(fewer_keys_hooked) X(more_keys) X(more_keys_hooked) X(fewer_keys_scaled) X(queries)      \
            X(queries_hooked) X(asked_tokens) X(asked_tokens_hooked)

struct done { /* a net with its loss and gradients, evaluated */
    struct net n;
    value loss, grads[LEAVES];
    struct ref *ref;
};

static void fill(struct done *d, value v, uint64_t stream)
{
    struct rng g = {.seed = SEED, .stream = stream};
    for (int64_t k = 0; k < shape_count(tape_shape(d->n.t, v)); k++)
        ref_leaf(d->ref, v)[k] = 0.7 * rng_normal(&g);
}

static void run(struct done *d, value (*make)(struct net *), int late)
{
    *d = (struct done){.n = {.t = tape_create(), .late = late}};
    value y = make(&d->n), roots[LEAVES + 1];
    assert_string_equal(tape_why(d->n.t) ? tape_why(d->n.t) : "", "");
    value weights = tape_leaf(d->n.t, LEAF_INPUT, tape_shape(d->n.t, y), 99, "weights");
    d->loss = tape_sum(d->n.t, tape_mul(d->n.t, y, weights), ~0u);
    assert_int_equal(tape_backward(d->n.t, d->loss, d->n.leaf, (size_t)d->n.count, d->grads), 0);
    for (int i = 0; i < d->n.count; i++)
        roots[i] = d->grads[i];
    roots[d->n.count] = d->loss;
    assert_int_equal(ref_create(&d->ref, d->n.t, roots, (size_t)d->n.count + 1), 0);
    ref_seed(d->ref, SEED, 3);
    for (int i = 0; i < d->n.count; i++)
        fill(d, d->n.leaf[i], (uint64_t)i);
    for (int i = 0; i < d->n.given_count; i++)
        fill(d, d->n.given[i], (uint64_t)(LEAVES + i));
    fill(d, weights, 2 * LEAVES);
    assert_int_equal(ref_run(d->ref), 0);
}

static void finish(struct done *d)
{
    ref_destroy(d->ref);
    tape_destroy(d->n.t);
}

static double loss_with(struct done *d, int i, int64_t k, double change)
{
    ref_leaf(d->ref, d->n.leaf[i])[k] += change;
    assert_int_equal(ref_run(d->ref), 0);
    ref_leaf(d->ref, d->n.leaf[i])[k] -= change;
    return ref_value(d->ref, d->loss)[0];
}

static void check_differences(struct done *d, int i)
{
    int64_t count = shape_count(tape_shape(d->n.t, d->n.leaf[i]));
    for (int64_t k = 0; k < count; k += 1 + count / ENTRIES) {
        double differenced = (loss_with(d, i, k, STEP) - loss_with(d, i, k, -STEP)) / (2 * STEP);
        assert_int_equal(ref_run(d->ref), 0);
        double derived = ref_value(d->ref, d->grads[i])[k];
        assert_true(fabs(derived - differenced) <= TOLERANCE * (1 + fabs(derived)));
    }
}

static void check(value (*make)(struct net *))
{
    struct done early, late;
    run(&early, make, 0);
    run(&late, make, 1);
    double a = ref_value(early.ref, early.loss)[0], b = ref_value(late.ref, late.loss)[0];
    assert_true(fabs(a - b) <= SAME * (1 + fabs(b)));
    for (int i = 0; i < early.n.count; i++) {
        const double *x = ref_value(early.ref, early.grads[i]), *y = ref_value(late.ref, late.grads[i]);
        for (int64_t k = 0; k < shape_count(tape_shape(early.n.t, early.n.leaf[i])); k++)
            assert_true(fabs(x[k] - y[k]) <= SAME * (1 + fabs(y[k])));
    }
    for (int i = 0; i < early.n.count; i++)
        check_differences(&early, i);
    finish(&early);
    finish(&late);
}

#define TEST(name)                                                       \
    static void name##_early_late_and_by_differences_agree(void **state) \
    {                                                                    \
        (void)state;                                                     \
        check(name);                                                     \
    }
CASES(TEST)
#undef TEST

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test(name##_early_late_and_by_differences_agree),
        CASES(TEST)
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
