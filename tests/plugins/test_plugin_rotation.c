/* test_plugin_rotation.c - the rotations of oft and boft are what they say: read off the merged weight of a
 * projection that was the identity. */
#include "tiny.h"

enum { WIDTH = 64, BLOCK = 32, HALF = BLOCK / 2 };
static const struct vit_shape shape = {
    .image = 16, .patch = 8, .dim = WIDTH, .depth = 1, .heads = 2, .hidden = 64, .classes = 2, .eps = 1e-6f};

/* Rounding of some thirty products of 32 x 32 matrices. */
static const double ROUNDING = 1e-12;
/* What eight steps leave at norm 4, and all singular values but two being that: (62 / 64)^256. */
static const double AT_FOUR = 4e-4;

static size_t tensor_at(const struct tiny *n, const char *name)
{
    for (size_t i = 0; i < n->tensor_count; i++)
        if (!strcmp(n->tensors[i].name, name))
            return i;
    fail_msg("there is no tensor %s", name);
    return 0;
}

/* R [WIDTH, WIDTH] of a method for the given contents of its parameter: with W = (I; 0; 0), W RT is
 * (RT; 0; 0). */
static void rotation(const char *text, const char *param, const double *contents, double *out)
{
    struct tiny n = {0};
    struct ref *r = NULL;
    tiny_must(tiny_stack(&n, text, &shape));
    value *merged = mem_alloc(n.vit->count, sizeof *merged);
    n.tape = tape_create();
    assert_true(merged && n.tape);
    tiny_must(method_merge(n.method, n.tape, merged));
    value w = merged[tensor_at(&n, "blocks.0.attn.qkv.weight")];
    tiny_must(ref_create(&r, n.tape, &w, 1));
    for (value v = 1; v < tape_size(n.tape); v++) {
        const struct node *leaf = tape_node(n.tape, v);
        double *x = leaf->op == OP_LEAF ? ref_leaf(r, v) : NULL;
        if (!x)
            continue;
        for (int64_t i = 0, count = shape_count(leaf->shape); i < count; i++)
            x[i] = !strcmp(leaf->name, param)    ? contents[i]
                   : strstr(leaf->name, "scale") ? 1
                                                 : i / WIDTH == i % WIDTH;
    }
    tiny_must(ref_run(r));
    for (int i = 0; i < WIDTH; i++)
        for (int j = 0; j < WIDTH; j++)
            out[j * WIDTH + i] = ref_value(r, w)[i * WIDTH + j];
    ref_destroy(r);
    mem_free(merged);
    tiny_close(&n);
}

/* |A B - C|, entry by entry; all [WIDTH, WIDTH], B transposed where asked. */
static double residual(const double *a, const double *b, int b_t, const double *c)
{
    double worst = 0;
    for (int i = 0; i < WIDTH; i++)
        for (int j = 0; j < WIDTH; j++) {
            double sum = 0;
            for (int k = 0; k < WIDTH; k++)
                sum += a[i * WIDTH + k] * (b_t ? b[j * WIDTH + k] : b[k * WIDTH + j]);
            worst = fmax(worst, fabs(sum - c[i * WIDTH + j]));
        }
    return worst;
}

/* Upper triangles of the two blocks; in the first, channel i > 0 turns with i + HALF: all singular values but
 * two are `norm`, the hardest case. In the second a random matrix of at most that norm. */
static void fill_q(double norm, double *q, double *full)
{
    struct rng g = rng_named(TINY_SEED, "rotation");
    double size = 0;
    memset(full, 0, WIDTH * WIDTH * sizeof *full);
    for (int b = 0, at = 0; b < 2; b++)
        for (int i = 0; i < BLOCK; i++)
            for (int j = i + 1; j < BLOCK; j++, at++) {
                q[at] = b ? rng_normal(&g) : i && j == i + HALF ? norm : 0;
                size += b ? q[at] * q[at] : 0;
            }
    for (int b = 0, at = 0; b < 2; b++)
        for (int i = 0; i < BLOCK; i++)
            for (int j = i + 1; j < BLOCK; j++, at++) {
                q[at] *= b ? norm / sqrt(size) : 1;
                full[(b * BLOCK + i) * WIDTH + b * BLOCK + j] = q[at];
                full[(b * BLOCK + j) * WIDTH + b * BLOCK + i] = -q[at];
            }
}

static double q[BLOCK * (BLOCK - 1)], full[WIDTH * WIDTH], r[WIDTH * WIDTH], eye[WIDTH * WIDTH];
static double plus[WIDTH * WIDTH], minus[WIDTH * WIDTH];

static void fill_sums(void)
{
    for (int i = 0; i < WIDTH * WIDTH; i++) {
        eye[i] = i / WIDTH == i % WIDTH;
        plus[i] = eye[i] + full[i];
        minus[i] = eye[i] - full[i];
    }
}

/* Largest errors of R (I + Q) = I - Q and of R RT = I. */
static double exact_error(double norm)
{
    fill_q(norm, q, full);
    fill_sums();
    rotation("oft[cayley=exact]", "oft/0/q", q, r);
    double cayley = residual(r, plus, 0, minus), orthogonal = residual(r, r, 1, eye);
    print_message("exact, |Q| = %.1f: R (I + Q) - (I - Q) %.1e, R RT - I %.1e\n", norm, cayley, orthogonal);
    return fmax(cayley, orthogonal);
}

static void the_exact_rotation_is_cayleys_up_to_norm_two(void **state)
{
    (void)state;
    static const double norms[] = {0, 0.1, 0.5, 1, 2};
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
        assert_true(exact_error(norms[i]) <= ROUNDING);
}

static void beyond_that_it_is_near_and_never_diverges(void **state)
{
    (void)state;
    assert_true(exact_error(4) <= 8 * AT_FOUR); /* times |I + Q| and |R| */
    for (double norm = 8; norm <= 1024; norm *= 4)
        assert_true(exact_error(norm) <= 1 + ROUNDING); /* as a product of matrices of norm one has */
}

static void the_sense_of_exact_is_minus_that_of_neumann(void **state)
{
    (void)state;
    static double other[WIDTH * WIDTH];
    fill_q(0.01, q, full);
    rotation("oft[cayley=exact]", "oft/0/q", q, r);
    rotation("oft[cayley=neumann]", "oft/0/q", q, other);
    fill_sums();
    assert_true(residual(r, other, 0, eye) <= 1e-7); /* one undoes the other, but for |Q|^4 */
    const double *row = r + WIDTH + 1 + HALF,
                 *back = other + WIDTH + 1 + HALF; /* channel 1 with its partner */
    assert_true(fabs(*row + 0.02) <= 1e-4 && fabs(*back - 0.02) <= 1e-4);
}

static void the_neumann_rotation_is_orthogonal_but_for_the_fourth_power(void **state)
{
    (void)state;
    for (double norm = 0.05; norm <= 0.5; norm *= 2) {
        fill_q(norm, q, full);
        fill_sums();
        rotation("oft", "oft/0/q", q, r);
        double off = residual(r, r, 1, eye), fourth = norm * norm * norm * norm;
        print_message("neumann, |Q| = %.2f: R RT - I %.1e\n", norm, off);
        assert_true(off <= 2.5 * fourth && off >= 0.5 * fourth);
    }
    fill_q(1, q, full);
    rotation("oft", "oft/0/q", q, r);
    for (int i = 0; i < BLOCK; i++) /* at norm one it forgets what it should turn: 1 + 2 i - 2 - 2 i + 1 */
        for (int j = 0; j < BLOCK; j++)
            assert_true(i % HALF == 0 || fabs(r[i * WIDTH + j]) <= ROUNDING);
}

/* What is orthogonal has an orthogonal product, and butterflies reach beyond a block: with blocks of 4 and m
 * factors a channel mixes with 4 2^(m-1) others. */
static void butterflies_are_orthogonal_and_reach_further_with_each_factor(void **state)
{
    (void)state;
    static const char *const texts[] = {"boft[block=4,factors=1]", "boft[block=4,factors=3]"};
    static double m[3 * WIDTH * 4];
    struct rng g = rng_named(TINY_SEED, "butterflies");
    memset(full, 0, sizeof full);
    fill_sums();
    for (int i = 0; i < 3 * WIDTH * 4; i++)
        m[i] = 0.4 * rng_normal(&g);
    for (int t = 0; t < 2; t++) {
        int reach = 0;
        rotation(texts[t], "boft/0/m", m, r);
        assert_true(residual(r, r, 1, eye) <= ROUNDING);
        for (int j = 0; j < WIDTH; j++)
            reach += fabs(r[j]) > ROUNDING;
        assert_int_equal(reach, t ? 16 : 4);
    }
}

static void blocks_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"oft[block=24]", "boft[block=24]", "boft[block=4,factors=6]",
                                        "boft[block=3,factors=1]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct tiny n = {0};
        assert_int_equal(tiny_stack(&n, texts[i], &shape), ERR_PLUGIN);
        assert_non_null(strstr(error_text(), "must divide the model's channels"));
        tiny_close(&n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_rotation_is_cayleys_up_to_norm_two),
        cmocka_unit_test(beyond_that_it_is_near_and_never_diverges),
        cmocka_unit_test(the_sense_of_exact_is_minus_that_of_neumann),
        cmocka_unit_test(the_neumann_rotation_is_orthogonal_but_for_the_fourth_power),
        cmocka_unit_test(butterflies_are_orthogonal_and_reach_further_with_each_factor),
        cmocka_unit_test(blocks_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
