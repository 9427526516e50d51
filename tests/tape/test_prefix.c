/* test_prefix.c - what of a step is kept from epoch to epoch: where the cut lies, that a kept row belongs to
 * its image alone, and that the tape behind the cut computes the same, all through core/ref. */
#include "cut.h"
#include "error.h"
#include "memory.h"
#include "prefix.h"
#include "ref.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { IMAGES = 5, SIDE = 8, PATCH = 4, GRID = 4, B = 3, D = 6, CLASSES = 4, FROZEN = 8 };
enum { ID_IMAGES = 100, ID_INDEX, ID_LABELS, ID_W, ID_TABLES = 200 };
static const uint64_t no_limit = UINT64_MAX;

struct net { /* patches through a frozen map, then what a case adds */
    struct tape *t;
    value images, index, x; /* x [B GRID D] */
    uint32_t leaves;
    value frozen[FROZEN], w; /* w: trainable, 0 before it is asked for */
};

static value frozen(struct net *n, struct shape s)
{
    value v = tape_leaf(n->t, LEAF_FROZEN, s, n->leaves, "frozen");
    n->frozen[n->leaves++] = v;
    return v;
}

static struct net begin(void)
{
    static const float half[3] = {0.5f, 0.5f, 0.5f};
    struct net n = {.t = tape_create()};
    n.images = tape_leaf(n.t, LEAF_IMAGES, SHAPE(IMAGES, SIDE, SIDE, 3), ID_IMAGES, "images");
    n.index = tape_leaf(n.t, LEAF_INPUT, SHAPE(B), ID_INDEX, "index");
    value patches = tape_patches(n.t, n.images, n.index, PATCH, half, half);
    n.x = tape_matmul(n.t, patches, frozen(&n, SHAPE(D, 3 * PATCH * PATCH)), 0, 1);
    return n;
}

static value trainable(struct net *n, struct shape s)
{
    n->w = tape_leaf(n->t, LEAF_TRAINABLE, s, ID_W, "w");
    return n->w;
}

static struct prefix found(const struct net *n, const value *roots, size_t count, uint64_t limit)
{
    struct prefix p;
    assert_string_equal(tape_why(n->t) ? tape_why(n->t) : "", "");
    const struct prefix_spec spec = {n->t, roots, count, n->index, limit};
    assert_int_equal(prefix_find(&p, &spec), 0);
    return p;
}

/* Asserts that exactly `wanted` is kept; 0: nothing. */
static void kept_is(const struct net *n, value root, uint64_t limit, value wanted)
{
    struct prefix p = found(n, &root, 1, limit);
    assert_int_equal(p.count, wanted != 0);
    if (wanted)
        assert_int_equal(p.cut[0], wanted);
    prefix_finish(&p);
}

/* --- where the cut lies */

static value class_features(struct net *n)
{
    return tape_reshape(n->t, tape_slice(n->t, tape_normalize(n->t, n->x, 1e-6f), 1, 0, 1), SHAPE(B, D));
}

static void a_frozen_network_is_kept_at_the_features_of_its_head(void **state)
{
    (void)state;
    struct net n = begin();
    value features = class_features(&n);
    value logits = tape_matmul(n.t, features, trainable(&n, SHAPE(CLASSES, D)), 0, 1);
    struct prefix p = found(&n, &logits, 1, no_limit);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.image_bytes, D * sizeof(float));
    assert_int_equal(shape_count(tape_shape(n.t, p.cut[0])), B * D);
    assert_true(p.saved > 0.8 && p.saved < 1);
    prefix_finish(&p);
    tape_destroy(n.t);
}

static void a_draw_or_a_trainable_tensor_ends_it(void **state)
{
    (void)state;
    struct net n = begin();
    value y = tape_unary(n.t, tape_matmul(n.t, n.x, frozen(&n, SHAPE(D, D)), 0, 0), UNARY_GELU);
    value w = frozen(&n, SHAPE(D, D));
    kept_is(&n, tape_matmul(n.t, tape_dropout(n.t, y, 0.5f, 1, 1), w, 0, 0), no_limit, y);
    kept_is(&n, tape_matmul(n.t, tape_mul(n.t, y, trainable(&n, SHAPE(D))), w, 0, 0), no_limit, y);
    kept_is(&n, tape_mul(n.t, y, tape_leaf(n.t, LEAF_INPUT, SHAPE(B, 1, 1), ID_LABELS, "weights")), no_limit,
            y);
    kept_is(&n, tape_mul(n.t, trainable(&n, SHAPE(D)), w), no_limit, 0);
    tape_destroy(n.t);
}

/* A residual branch: the sum is cheap to have again from its narrow operand, the product is not. */
static void what_is_cheap_is_computed_again(void **state)
{
    (void)state;
    enum { WIDE = 64 };
    struct net n = begin();
    value x = tape_matmul(n.t, n.x, frozen(&n, SHAPE(D, WIDE)), 0, 0);
    x = tape_matmul(n.t, x, frozen(&n, SHAPE(WIDE, WIDE)), 0, 0);
    value normal = tape_normalize(n.t, x, 1e-6f);
    value y = tape_add(n.t, x, tape_matmul(n.t, normal, trainable(&n, SHAPE(WIDE, WIDE)), 0, 0));
    kept_is(&n, y, no_limit, x);
    tape_destroy(n.t);
}

static void a_smaller_limit_keeps_a_narrower_value(void **state)
{
    (void)state;
    enum { NARROW = 2, WIDE = 512 };
    struct net n = begin();
    value wide = tape_matmul(n.t, n.x, frozen(&n, SHAPE(D, WIDE)), 0, 0);
    wide = tape_matmul(n.t, wide, frozen(&n, SHAPE(WIDE, WIDE)), 0, 0);
    value narrow = tape_matmul(n.t, wide, frozen(&n, SHAPE(WIDE, NARROW)), 0, 0);
    value again = tape_matmul(n.t, narrow, frozen(&n, SHAPE(NARROW, WIDE)), 0, 0);
    again = tape_matmul(n.t, again, frozen(&n, SHAPE(WIDE, WIDE)), 0, 0);
    value y = tape_mul(n.t, again, trainable(&n, SHAPE(WIDE)));
    kept_is(&n, y, no_limit, again);
    kept_is(&n, y, GRID * WIDE * sizeof(float), again);
    kept_is(&n, y, GRID * WIDE * sizeof(float) - 1, narrow);
    kept_is(&n, y, GRID * NARROW * sizeof(float), narrow);
    kept_is(&n, y, GRID * NARROW * sizeof(float) - 1, 0);
    kept_is(&n, y, 0, 0);
    tape_destroy(n.t);
}

static void little_is_not_worth_it(void **state)
{
    (void)state;
    enum { WIDE = 256 };
    struct net n = begin();
    value y = tape_matmul(n.t, n.x, trainable(&n, SHAPE(D, WIDE)), 0, 0);
    kept_is(&n, tape_matmul(n.t, y, frozen(&n, SHAPE(WIDE, WIDE)), 0, 0), no_limit, 0);
    tape_destroy(n.t);
}

static void what_nobody_needs_is_not_kept(void **state)
{
    (void)state;
    struct net n = begin();
    value features = class_features(&n), w = trainable(&n, SHAPE(CLASSES, D));
    value logits = tape_matmul(n.t, features, w, 0, 1);
    tape_mul(n.t, n.x, trainable(&n, SHAPE(D))); /* would want x */
    struct prefix p = found(&n, &logits, 1, no_limit);
    assert_int_equal(p.image_bytes, D * sizeof(float));
    prefix_finish(&p);
    tape_destroy(n.t);
}

/* --- a kept row belongs to its image alone */

/* y as a kernel from outside of x */
static value by_kernel(struct net *n, value y, value x)
{
    static const struct custom call = {.name = "kernel", .inputs = 1};
    return tape_custom(n->t, y, &x, &call, NULL, NULL);
}

/* Each case makes a value from x; `rows` says whether it may be kept. */
/* clang-format off */
#define T n->t
#define X n->x
#define F(...) frozen(n, SHAPE(__VA_ARGS__))
static value plus_row(struct net *n) { return tape_add(T, X, F(D)); }
static value plus_positions(struct net *n) { return tape_add(T, F(GRID, D), X); }
static value plus_place_in_the_batch(struct net *n) { return tape_add(T, X, F(B, 1, D)); }
static value plus_constant(struct net *n) { return tape_add(T, X, tape_fill(T, SHAPE(B, 1, 1), 2)); }
static value plus_token(struct net *n) { return tape_concat(T, tape_expand(T, F(1, 1, D), SHAPE(B, 1, D)), X, 1); }
static value plus_tokens_by_place(struct net *n) { return tape_concat(T, F(B, 2, D), X, 1); }
static value behind_one_another(struct net *n) { return tape_concat(T, X, X, 0); }
static value plus_sum_of_batch(struct net *n) { return tape_add(T, X, tape_sum(T, X, 1)); }
static value sum_of_tokens(struct net *n) { return tape_sum(T, X, 2); }
static value times_matrix(struct net *n) { return tape_matmul(T, X, F(D, 7), 0, 0); }
static value times_transposed(struct net *n) { return tape_matmul(T, X, F(GRID, 7), 1, 0); }
static value flat_times_matrix(struct net *n) { return tape_reshape(T, tape_matmul(T, tape_reshape(T, X, SHAPE(B * GRID, D)), F(D, 7), 0, 0), SHAPE(B, GRID, 7)); }
static value flat_times_transposed(struct net *n) { return tape_matmul(T, tape_reshape(T, X, SHAPE(B * GRID, D)), F(B * GRID, 7), 1, 0); }
static value matrix_times(struct net *n) { return tape_matmul(T, F(7, GRID), X, 0, 0); }
static value matrices_by_place(struct net *n) { return tape_matmul(T, X, F(B, D, 7), 0, 0); }
static value scores(struct net *n) { return tape_softmax(T, tape_matmul(T, X, X, 0, 1)); }
static value scores_of_all(struct net *n) { value x = tape_reshape(T, X, SHAPE(B * GRID, D)); return tape_matmul(T, x, x, 0, 1); }
static value softmax_over_batch(struct net *n) { return tape_softmax(T, tape_reshape(T, tape_sum(T, X, 6), SHAPE(B))); }
static value attention(struct net *n) { return tape_attention(T, tape_matmul(T, X, F(D, 12), 0, 0), 2); }
static value layernorm(struct net *n) { return tape_layernorm(T, X, F(D), F(D), 1e-6f); }
static value turned(struct net *n) { return tape_permute(T, X, (const int32_t[SHAPE_RANK]){0, 2, 1}); }
static value batch_turned(struct net *n) { return tape_permute(T, X, (const int32_t[SHAPE_RANK]){1, 0, 2}); }
static value sliced(struct net *n) { return tape_slice(T, X, 1, 1, 3); }
static value batch_sliced(struct net *n) { return tape_slice(T, X, 0, 0, 2); }
static value padded(struct net *n) { return tape_unary(T, tape_pad(T, X, 2, 1, 9), UNARY_TANH); }
static value batch_padded(struct net *n) { return tape_unary(T, tape_pad(T, X, 0, 1, 5), UNARY_TANH); }
static value unfolded(struct net *n) { return tape_sum(T, tape_unfold(T, tape_reshape(T, X, SHAPE(B, 2, 2, D)), 3), 6); }
static value across(struct net *n) { return tape_reshape(T, X, SHAPE(GRID, B, D)); }
static value across_and_back(struct net *n) { return tape_affine(T, tape_reshape(T, tape_affine(T, tape_reshape(T, X, SHAPE(2, B * 2 * D)), 2, 0), SHAPE(B, GRID, D)), 3, 1); }
static value stretched(struct net *n) { return tape_sum(T, tape_unary(T, tape_expand(T, tape_sum(T, X, 2), SHAPE(B, 7, D)), UNARY_TANH), 6); }
static value stretched_in_front(struct net *n) { return tape_expand(T, tape_reshape(T, tape_sum(T, X, 7), SHAPE(1)), SHAPE(B, 4)); }
static value detached(struct net *n) { return tape_detach(T, tape_unary(T, X, UNARY_TANH)); }
static value gathered(struct net *n) { return tape_add(T, tape_gather(T, F(IMAGES, GRID, D), n->index), X); }
static value times_draws(struct net *n) { return tape_mul(T, X, tape_dropout(T, F(D), 0.5f, 3, 1)); }
static value with_a_kernel_of_its_own(struct net *n) { return by_kernel(n, tape_matmul(T, X, F(D, 7), 0, 0), X); }
static value a_kernel_of_what_is_drawn(struct net *n) { return by_kernel(n, tape_affine(T, X, 2, 0), tape_dropout(T, X, 0.5f, 3, 1)); }
#undef T
#undef X
#undef F
static const struct { const char *name; value (*make)(struct net *); int rows; } cases[] = {
#define KEPT(id) {#id, id, 1}
#define NOT_KEPT(id) {#id, id, 0}
    KEPT(plus_row), KEPT(plus_positions), NOT_KEPT(plus_place_in_the_batch), KEPT(plus_constant), KEPT(plus_token),
    NOT_KEPT(plus_tokens_by_place), NOT_KEPT(behind_one_another), NOT_KEPT(plus_sum_of_batch), KEPT(sum_of_tokens),
    KEPT(times_matrix), KEPT(times_transposed), KEPT(flat_times_matrix), NOT_KEPT(flat_times_transposed),
    KEPT(matrix_times), NOT_KEPT(matrices_by_place), KEPT(scores), NOT_KEPT(scores_of_all),
    NOT_KEPT(softmax_over_batch), KEPT(attention), KEPT(layernorm), KEPT(turned), NOT_KEPT(batch_turned), KEPT(sliced),
    NOT_KEPT(batch_sliced), KEPT(padded), NOT_KEPT(batch_padded), KEPT(unfolded), NOT_KEPT(across),
    NOT_KEPT(across_and_back), KEPT(stretched), NOT_KEPT(stretched_in_front), KEPT(detached), KEPT(gathered),
    NOT_KEPT(times_draws), KEPT(with_a_kernel_of_its_own), NOT_KEPT(a_kernel_of_what_is_drawn),
};
/* clang-format on */

static void fill(struct ref *r, const struct net *n, const int *index)
{
    double *data = ref_leaf(r, n->images);
    struct rng g = {.seed = 1};
    for (int i = 0; data && i < IMAGES * SIDE * SIDE * 3; i++)
        data[i] = rng_below(&g, 256);
    data = ref_leaf(r, n->index);
    for (int i = 0; data && i < B; i++)
        data[i] = index[i];
    for (uint32_t k = 0; k < n->leaves; k++) {
        struct rng h = {.seed = 2, .stream = k};
        data = ref_leaf(r, n->frozen[k]);
        for (int64_t i = 0; data && i < shape_count(tape_shape(n->t, n->frozen[k])); i++)
            data[i] = rng_normal(&h);
    }
    struct rng h = {.seed = 3};
    data = n->w ? ref_leaf(r, n->w) : NULL;
    for (int64_t i = 0; data && i < shape_count(tape_shape(n->t, n->w)); i++)
        data[i] = rng_normal(&h);
}

/* The piece of v that belongs to image 2, in a batch where it stands at `at`. */
static void piece(const struct net *n, value v, const int *index, int at, double *out)
{
    struct ref *r;
    assert_int_equal(ref_create(&r, n->t, &v, 1), 0);
    fill(r, n, index);
    assert_int_equal(ref_run(r), 0);
    int64_t each = shape_count(tape_shape(n->t, v)) / B;
    memcpy(out, ref_value(r, v) + at * each, (size_t)each * sizeof *out);
    ref_destroy(r);
}

static int renames_rows(const struct node *n)
{
    return n->op == OP_DETACH || (n->op == OP_RESHAPE && n->shape.dim[0] == B);
}

static void a_kept_row_depends_on_its_image_alone(void **state)
{
    (void)state;
    static const int first[B] = {2, 0, 1}, second[B] = {4, 3, 2};
    static double a[512], b[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct net n = begin();
        value y = cases[i].make(&n), root = tape_mul(n.t, y, trainable(&n, SHAPE(1)));
        struct prefix p = found(&n, &root, 1, no_limit);
        for (size_t k = 0; k < p.count; k++) {
            value v = p.cut[k];
            int64_t each = shape_count(tape_shape(n.t, v)) / B;
            assert_true(each <= 512);
            piece(&n, v, first, 0, a);
            piece(&n, v, second, 2, b);
            assert_memory_equal(a, b, (size_t)each * sizeof *a);
        }
        const struct node *node = tape_node(n.t, y);
        int kept = p.count == 1 && (p.cut[0] == y || (renames_rows(node) && p.cut[0] == node->in[0]));
        if (cases[i].rows != kept)
            fail_msg("%s: %zu values kept, %g of the work", cases[i].name, p.count, p.saved);
        prefix_finish(&p);
        tape_destroy(n.t);
    }
}

/* --- the tape behind the cut */

struct step { /* a whole training step */
    struct net n;
    value labels, roots[2]; /* loss and gradient */
};

static struct step training_step(void)
{
    struct step s = {.n = begin()};
    struct tape *t = s.n.t;
    value hidden =
        tape_unary(t, tape_matmul(t, class_features(&s.n), frozen(&s.n, SHAPE(D, D)), 0, 0), UNARY_GELU);
    value logits = tape_matmul(t, hidden, trainable(&s.n, SHAPE(CLASSES, D)), 0, 1);
    s.labels = tape_leaf(t, LEAF_INPUT, SHAPE(B), ID_LABELS, "labels");
    s.roots[0] = tape_sum(t, tape_cross_entropy(t, logits, s.labels), ~0u);
    assert_int_equal(tape_backward(t, s.roots[0], &s.n.w, 1, &s.roots[1]), 0);
    return s;
}

static void the_tape_behind_the_cut_computes_the_same(void **state)
{
    (void)state;
    static const int index[B] = {4, 1, 4}, in_order[2][B] = {{0, 1, 2}, {3, 4, 0}};
    struct step s = training_step();
    struct prefix p = found(&s.n, s.roots, 2, no_limit);
    const struct prefix_spec spec = {s.n.t, s.roots, 2, s.n.index, no_limit};
    value *map = mem_alloc(tape_size(s.n.t), sizeof *map), table = 0;
    struct tape *behind;
    assert_int_equal(p.count, 1);
    assert_int_equal(prefix_rebuild(&p, &spec, IMAGES, ID_TABLES, &behind, map, &table), 0);
    assert_true(shape_equal(tape_shape(behind, table), SHAPE(IMAGES, D)));
    assert_int_equal(tape_node(behind, table)->attr.leaf.id, ID_TABLES);
    assert_int_equal(map[s.n.images], 0);

    struct ref *whole, *rest;
    assert_int_equal(ref_create(&whole, s.n.t, s.roots, 2), 0);
    const value roots[2] = {map[s.roots[0]], map[s.roots[1]]};
    assert_int_equal(ref_create(&rest, behind, roots, 2), 0);
    for (int k = 0; k < 2; k++) { /* all images, batch by batch */
        fill(whole, &s.n, in_order[k]);
        assert_int_equal(ref_run(whole), 0);
        int images = k == 0 ? B : IMAGES - B;
        memcpy(ref_leaf(rest, table) + k * B * D, ref_value(whole, p.cut[0]),
               (size_t)(images * D) * sizeof(double));
    }
    fill(whole, &s.n, index);
    for (int i = 0; i < B; i++) {
        ref_leaf(rest, map[s.n.index])[i] = index[i];
        ref_leaf(whole, s.labels)[i] = ref_leaf(rest, map[s.labels])[i] = i;
    }
    memcpy(ref_leaf(rest, map[s.n.w]), ref_leaf(whole, s.n.w), CLASSES * D * sizeof(double));
    assert_int_equal(ref_run(whole), 0);
    assert_int_equal(ref_run(rest), 0);
    assert_memory_equal(ref_value(whole, s.roots[0]), ref_value(rest, roots[0]), sizeof(double));
    assert_memory_equal(ref_value(whole, s.roots[1]), ref_value(rest, roots[1]),
                        CLASSES * D * sizeof(double));
    assert_true(ref_value(rest, roots[0])[0] > 0);
    ref_destroy(whole);
    ref_destroy(rest);
    tape_destroy(behind);
    mem_free(map);
    prefix_finish(&p);
    tape_destroy(s.n.t);
}

static void every_allocation_failing_in_turn_is_reported(void **state)
{
    (void)state;
    struct step s = training_step();
    const struct prefix_spec spec = {s.n.t, s.roots, 2, s.n.index, no_limit};
    value *map = mem_alloc(tape_size(s.n.t), sizeof *map), table;
    int failed = 0, rc = -1;
    for (long k = 0; rc < 0 && k < 100; k++) {
        struct prefix p = {0};
        struct tape *behind = NULL;
        mem_fail_after(k);
        rc = prefix_find(&p, &spec);
        if (rc == 0)
            rc = prefix_rebuild(&p, &spec, IMAGES, ID_TABLES, &behind, map, &table);
        mem_fail_after(-1);
        failed += rc < 0;
        if (rc == 0)
            tape_destroy(behind);
        prefix_finish(&p);
    }
    assert_int_equal(rc, 0);
    assert_true(failed > 10);
    mem_free(map);
    tape_destroy(s.n.t);
}

/* --- the cut alone */

enum { NODES = 8 };
struct graph {
    uint64_t cost[NODES][NODES];
};

static uint64_t cost_of(const struct graph *g, const unsigned char *near)
{
    uint64_t sum = 0;
    for (int i = 0; i < NODES; i++)
        for (int k = 0; k < NODES; k++)
            sum += near[i] && !near[k] ? g->cost[i][k] : 0;
    return sum;
}

static void the_cut_is_the_cheapest_of_all(void **state)
{
    (void)state;
    struct rng g = {.seed = 4};
    for (int trial = 0; trial < 200; trial++) {
        struct graph graph = {0};
        struct cut *c;
        unsigned char near[NODES], other[NODES];
        assert_int_equal(cut_create(&c, NODES), 0);
        for (int i = 0; i < NODES; i++)
            for (uint32_t k = 0; k < NODES; k++)
                if ((uint32_t)i != k && rng_below(&g, 3) == 0) {
                    graph.cost[i][k] = rng_below(&g, 100);
                    assert_int_equal(cut_arc(c, (uint32_t)i, k, graph.cost[i][k]), 0);
                }
        cut_solve(c, 0, NODES - 1, near);
        assert_true(near[0] && !near[NODES - 1]);
        uint64_t best = UINT64_MAX;
        for (uint32_t set = 0; set < 1u << (NODES - 2); set++) {
            for (uint32_t i = 0; i < NODES; i++)
                other[i] = i == 0 || (i < NODES - 1 && (set >> (i - 1) & 1));
            uint64_t cost = cost_of(&graph, other);
            best = cost < best ? cost : best;
        }
        assert_int_equal(cost_of(&graph, near), best);
        cut_destroy(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frozen_network_is_kept_at_the_features_of_its_head),
        cmocka_unit_test(a_draw_or_a_trainable_tensor_ends_it),
        cmocka_unit_test(what_is_cheap_is_computed_again),
        cmocka_unit_test(a_smaller_limit_keeps_a_narrower_value),
        cmocka_unit_test(little_is_not_worth_it),
        cmocka_unit_test(what_nobody_needs_is_not_kept),
        cmocka_unit_test(a_kept_row_depends_on_its_image_alone),
        cmocka_unit_test(the_tape_behind_the_cut_computes_the_same),
        cmocka_unit_test(every_allocation_failing_in_turn_is_reported),
        cmocka_unit_test(the_cut_is_the_cheapest_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
