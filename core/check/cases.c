/* cases.c - the cases: every op at shapes that a Vision Transformer has and at awkward ones (odd widths,
 * single rows, one element past a multiple), and the epilogues of matrix products. */
#include "check_private.h"

#include <stddef.h>

/* Relative to the largest number: float rounding (6e-8) grows with the square root of the additions. */
#define EXACT 0.0
#define ROUNDED 1e-7   /* one operation */
#define ELEMENT 1e-6   /* a few operations, or a polynomial good to some units in the last place */
#define ROWS 4e-6      /* sums of up to some hundred terms and a reciprocal root */
#define PRODUCT 4e-6   /* inner products of up to 768 terms */
#define FP16 1e-3      /* a number on the way is rounded to 11 bits: chained_tolerance in products.c */
#define BF16 8e-3      /* to 8 bits */
#define ATTENTION 2e-5 /* two products, an exponential, a division; the backward one doubles them */

/* a case a line */
/* clang-format off */
#define IN(...) check_input(n, SHAPE(__VA_ARGS__))
#define OUT(v) check_output(n, v)
#define CASE(id) static void id(struct check_net *n)

CASE(add_same) { OUT(tape_add(n->tape, IN(3, 17, 21), IN(3, 17, 21))); }
CASE(add_row) { OUT(tape_add(n->tape, IN(5, 7, 33), IN(33))); }
CASE(add_column) { OUT(tape_add(n->tape, IN(4, 9, 1), IN(9, 50))); }
CASE(add_large) { OUT(tape_add(n->tape, IN(64, 37, 192), IN(64, 37, 192))); }
CASE(mul_row) { OUT(tape_mul(n->tape, IN(64, 37, 192), IN(192))); }
CASE(mul_scalar) { OUT(tape_mul(n->tape, IN(13, 11), IN(1))); }
CASE(scale_shift) { OUT(tape_add(n->tape, tape_mul(n->tape, IN(5, 37, 33), IN(33)), IN(33))); }
CASE(scale_shift_columns) { OUT(tape_add(n->tape, tape_mul(n->tape, IN(5, 9, 33), IN(9, 1)), IN(9, 1))); }
CASE(mul_add_same) { OUT(tape_add(n->tape, IN(64, 37, 20), tape_mul(n->tape, IN(64, 37, 20), IN(37, 20)))); }
CASE(unary_mul) { OUT(tape_mul(n->tape, tape_unary(n->tape, IN(3, 1000), UNARY_TANH), IN(3, 1000))); }
CASE(three_in_a_row)
{
    value x = tape_affine(n->tape, IN(3, 41), 0.5f, 1), y = tape_mul(n->tape, x, IN(3, 41));
    OUT(tape_add(n->tape, y, IN(3, 41)));
}
CASE(sum_of_two)
{
    value x = tape_affine(n->tape, IN(3, 41), 0.5f, 1), y = tape_unary(n->tape, IN(3, 41), UNARY_RELU);
    OUT(tape_add(n->tape, x, y));
}
CASE(dropout_add) { OUT(tape_add(n->tape, IN(8, 37, 24), tape_dropout(n->tape, IN(8, 37, 24), 0.3f, 82, 1))); }
CASE(affine) { OUT(tape_affine(n->tape, IN(1, 4097), -1.5f, 0.25f)); }

static void unary_case(struct check_net *n, enum unary_fn fn, double low, double high)
{
    value x = check_ranged(n, SHAPE(3, 1000), low, high);
    OUT(tape_unary(n->tape, x, fn));
    OUT(tape_unary_back(n->tape, x, IN(3, 1000), fn));
}
CASE(relu) { unary_case(n, UNARY_RELU, -3.5, 3.25); }
CASE(gelu) { unary_case(n, UNARY_GELU, -6.5, 6.25); }
CASE(sigmoid) { unary_case(n, UNARY_SIGMOID, -9.5, 9.25); }
CASE(tanh_) { unary_case(n, UNARY_TANH, -4.5, 4.25); }
CASE(exp_) { unary_case(n, UNARY_EXP, -9.5, 3.25); }
CASE(sqrt_) { unary_case(n, UNARY_SQRT, 0.25, 7.5); }
CASE(recip) { unary_case(n, UNARY_RECIP, 0.25, 7.5); }
CASE(quick_gelu) { unary_case(n, UNARY_QUICK_GELU, -6.5, 6.25); }
CASE(log_) { unary_case(n, UNARY_LOG, 0.25, 7.5); }
CASE(abs_) { unary_case(n, UNARY_ABS, -3.5, 3.25); }

CASE(dropout_all) { OUT(tape_dropout(n->tape, IN(3, 37, 65), 0.1f, 77, ~0u)); }
CASE(dropout_samples) { OUT(tape_dropout(n->tape, IN(64, 3, 5), 0.5f, 78, 1)); }
CASE(dropout_middle) { OUT(tape_dropout(n->tape, IN(3, 70, 5), 0.3f, 79, 2)); }

CASE(dropout_rows) { OUT(tape_dropout_part(n->tape, IN(3, 20, 65), (struct dropout){0.3f, 80, 7, 1, 11, 37})); }
CASE(dropout_rows_in_fours) { OUT(tape_dropout_part(n->tape, IN(3, 20, 64), (struct dropout){0.3f, 83, 7, 1, 11, 37})); }
CASE(dropout_columns) { OUT(tape_dropout_part(n->tape, IN(3, 5, 30), (struct dropout){0.3f, 81, 4, 2, 7, 65})); }

CASE(permute) { OUT(tape_permute(n->tape, IN(3, 5, 7, 19), (const int32_t[SHAPE_RANK]){0, 2, 1, 3})); }
CASE(permute_last) { OUT(tape_permute(n->tape, IN(3, 33, 20), (const int32_t[SHAPE_RANK]){0, 2, 1})); }
CASE(expand) { OUT(tape_expand(n->tape, IN(10, 24), SHAPE(7, 10, 24))); }
CASE(expand_last) { OUT(tape_expand(n->tape, IN(7, 3, 1), SHAPE(7, 3, 45))); }
CASE(concat) { OUT(tape_concat(n->tape, IN(4, 3, 25), IN(4, 9, 25), 1)); }
CASE(concat_last) { OUT(tape_concat(n->tape, IN(4, 3, 25), IN(4, 3, 7), 2)); }
CASE(slice) { OUT(tape_slice(n->tape, IN(5, 11, 24), 1, 3, 9)); }
CASE(slice_class_token) { OUT(tape_slice(n->tape, IN(8, 197, 192), 1, 0, 1)); }
CASE(pad) { OUT(tape_pad(n->tape, IN(5, 4, 24), 1, 3, 9)); }
CASE(reshape)
{
    value x = IN(6, 8);
    OUT(tape_affine(n->tape, tape_reshape(n->tape, x, SHAPE(4, 12)), 2, 0));
}

CASE(sum_rows) { OUT(tape_sum(n->tape, IN(9, 130), 2)); }
CASE(sum_columns) { OUT(tape_sum(n->tape, IN(64, 37, 192), 3)); }
CASE(sum_batch) { OUT(tape_sum(n->tape, IN(64, 10, 33), 1)); }
CASE(sum_middle) { OUT(tape_sum(n->tape, IN(6, 77, 21), 2)); }
CASE(sum_apart) { OUT(tape_sum(n->tape, IN(6, 17, 21), 5)); }
CASE(sum_all) { OUT(tape_sum(n->tape, IN(6, 17, 21), 7)); }

CASE(sum_products) { OUT(tape_sum(n->tape, tape_mul(n->tape, IN(64, 37, 192), IN(64, 37, 192)), 3)); }
CASE(sum_products_odd) { OUT(tape_sum(n->tape, tape_mul(n->tape, IN(7, 21), IN(7, 21)), 1)); }

CASE(gather) { OUT(tape_gather(n->tape, IN(37, 5, 83), check_ranged(n, SHAPE(64), 0, 37))); }
CASE(gather_long) { OUT(tape_gather(n->tape, IN(9, 5003), check_ranged(n, SHAPE(4), 0, 9))); }
CASE(gather_numbers) { OUT(tape_gather(n->tape, IN(9), check_ranged(n, SHAPE(5), 0, 9))); }

CASE(unfold) { OUT(tape_unfold(n->tape, IN(2, 6, 5, 8), 3)); }
CASE(fold) { OUT(tape_fold(n->tape, IN(2, 6, 5, 72), 3)); }
CASE(unfold_wide) { OUT(tape_unfold(n->tape, IN(1, 7, 7, 35), 5)); }

CASE(softmax) { OUT(tape_softmax(n->tape, IN(30, 197))); }
CASE(softmax_odd) { OUT(tape_softmax(n->tape, IN(7, 3))); }
CASE(softmax_back) { OUT(tape_softmax_back(n->tape, tape_softmax(n->tape, IN(9, 101)), IN(9, 101))); }
CASE(normalize) { OUT(tape_normalize(n->tape, IN(3, 37, 192), 1e-6f)); }
CASE(normalize_back) { OUT(tape_normalize_back(n->tape, IN(5, 50), IN(5, 50), 1e-6f)); }
CASE(layernorm) { OUT(tape_layernorm(n->tape, IN(8, 197, 192), IN(192), IN(192), 1e-6f)); }
CASE(layernorm_odd) { OUT(tape_layernorm(n->tape, IN(3, 5, 83), IN(83), IN(83), 1e-6f)); }
CASE(layernorm_many) { OUT(tape_layernorm(n->tape, IN(1040, 50), IN(50), IN(50), 1e-6f)); }
CASE(layernorm_many_odd) { OUT(tape_layernorm(n->tape, IN(1030, 83), IN(83), IN(83), 1e-6f)); }
CASE(layernorm_back)
{
    OUT(tape_layernorm_back(n->tape, IN(8, 197, 192), IN(192), IN(8, 197, 192), 1e-6f));
}
CASE(layernorm_back_many) { OUT(tape_layernorm_back(n->tape, IN(1040, 70), IN(70), IN(1040, 70), 1e-6f)); }
CASE(layernorm_back_odd) { OUT(tape_layernorm_back(n->tape, IN(3, 5, 83), IN(83), IN(3, 5, 83), 1e-6f)); }

CASE(layernorm_back_sum)
{
    value x = IN(3, 5, 83), d = tape_layernorm_back(n->tape, x, IN(83), IN(3, 5, 83), 1e-6f);
    OUT(tape_add(n->tape, x, d));
}
CASE(normalize_back_sum)
{
    value d = tape_normalize_back(n->tape, IN(5, 50), IN(5, 50), 1e-6f);
    OUT(tape_add(n->tape, d, IN(5, 50)));
}

/* what one kernel does in the GPU style: the sum before and its norm; the gradients of all operands */
CASE(norm_of_sum)
{
    value x = tape_add(n->tape, IN(3, 37, 192), IN(3, 37, 192));
    OUT(tape_layernorm(n->tape, x, IN(192), IN(192), 1e-6f));
    OUT(tape_affine(n->tape, x, 2, 0));
}
CASE(norm_of_sum_odd)
{
    value x = tape_add(n->tape, IN(5, 83), IN(5, 83));
    OUT(tape_normalize(n->tape, x, 1e-6f));
    OUT(x);
}
static void norm_gradients(struct check_net *n, int32_t batch, int32_t rows, int32_t width, int residual)
{
    value x = IN(batch, rows, width), d = IN(batch, rows, width);
    value dx = tape_layernorm_back(n->tape, x, IN(width), d, 1e-6f);
    OUT(residual ? tape_add(n->tape, dx, IN(batch, rows, width)) : dx);
    OUT(tape_sum(n->tape, tape_mul(n->tape, d, tape_normalize(n->tape, x, 1e-6f)), 3));
    OUT(tape_sum(n->tape, d, 3));
}
CASE(norm_gradients_all) { norm_gradients(n, 64, 37, 192, 1); }
CASE(norm_gradients_odd) { norm_gradients(n, 3, 5, 83, 0); }
CASE(norm_gradient_bias)
{
    value x = IN(7, 64), d = IN(7, 64);
    OUT(tape_layernorm_back(n->tape, x, IN(64), d, 1e-6f));
    OUT(tape_sum(n->tape, d, 1));
}

static void product(struct check_net *n, struct shape a, struct shape b, int a_t, int b_t)
{
    OUT(tape_matmul(n->tape, check_input(n, a), check_input(n, b), a_t, b_t));
}
CASE(matmul_nn) { product(n, SHAPE(197, 192), SHAPE(192, 576), 0, 0); }
CASE(matmul_nt) { product(n, SHAPE(197, 192), SHAPE(576, 192), 0, 1); }
CASE(matmul_tn) { product(n, SHAPE(1576, 192), SHAPE(1576, 576), 1, 0); }
CASE(matmul_nn_edge) { product(n, SHAPE(1000, 136), SHAPE(136, 72), 0, 0); } /* ends inside a tile, and on a vector */
CASE(matmul_tn_edge) { product(n, SHAPE(1200, 104), SHAPE(1200, 72), 1, 0); }
CASE(matmul_tn_odd) { product(n, SHAPE(2000, 90), SHAPE(2000, 51), 1, 0); }
CASE(matmul_tt_edge) { product(n, SHAPE(1500, 104), SHAPE(56, 1500), 1, 1); }
CASE(matmul_tt) { product(n, SHAPE(40, 24), SHAPE(56, 40), 1, 1); }
CASE(matmul_odd_nn) { product(n, SHAPE(13, 19), SHAPE(19, 37), 0, 0); }
CASE(matmul_odd_nt) { product(n, SHAPE(13, 19), SHAPE(37, 19), 0, 1); }
CASE(matmul_odd_tn) { product(n, SHAPE(19, 13), SHAPE(19, 37), 1, 0); }
CASE(matmul_odd_tt) { product(n, SHAPE(19, 13), SHAPE(37, 19), 1, 1); }
CASE(matmul_thin) { product(n, SHAPE(2368, 192), SHAPE(8, 192), 0, 1); }
CASE(matmul_thin_back) { product(n, SHAPE(2368, 8), SHAPE(2368, 192), 1, 0); }
CASE(matmul_vector) { product(n, SHAPE(1, 192), SHAPE(1, 192), 0, 1); }
CASE(matmul_one) { product(n, SHAPE(1, 1), SHAPE(1, 1), 0, 0); }
CASE(matmul_batched) { product(n, SHAPE(6, 37, 40), SHAPE(6, 40, 19), 0, 0); }
CASE(matmul_batched_nt) { product(n, SHAPE(6, 37, 40), SHAPE(6, 19, 40), 0, 1); }
CASE(matmul_plain_left) { product(n, SHAPE(13, 40), SHAPE(6, 40, 19), 0, 0); }
/* large enough for compiled-in strides, with rests along every axis */
CASE(matmul_known_rests) { product(n, SHAPE(333, 211), SHAPE(211, 131), 0, 0); }
CASE(matmul_known_batched) { product(n, SHAPE(3, 101, 130), SHAPE(3, 301, 130), 0, 1); }
CASE(matmul_known_pairs) { product(n, SHAPE(333, 256), SHAPE(160, 256), 0, 1); } /* columns are pairs of panels, not threes */
CASE(matmul_known_pairs_tn) { product(n, SHAPE(2000, 160), SHAPE(2000, 64), 1, 0); }
CASE(matmul_large) { product(n, SHAPE(1576, 768), SHAPE(768, 768), 0, 1); }

static value linear(struct check_net *n, int32_t rows, int32_t in, int32_t out)
{
    value x = IN(2, rows, in), w = IN(out, in);
    return tape_matmul(n->tape, x, w, 0, 1);
}
CASE(epilogue_bias) { OUT(tape_add(n->tape, linear(n, 37, 96, 100), IN(100))); }
CASE(epilogue_gelu)
{
    OUT(tape_unary(n->tape, tape_add(n->tape, linear(n, 37, 96, 100), IN(100)), UNARY_GELU));
}
CASE(epilogue_gelu_kept)
{
    value pre = tape_add(n->tape, linear(n, 37, 96, 100), IN(100)), y = tape_unary(n->tape, pre, UNARY_GELU);
    OUT(tape_unary_back(n->tape, pre, y, UNARY_GELU));
    OUT(y);
}
CASE(epilogue_known)
{
    value pre = tape_add(n->tape, linear(n, 197, 131, 181), IN(181)), y = tape_unary(n->tape, pre, UNARY_GELU);
    OUT(tape_unary_back(n->tape, pre, y, UNARY_GELU));
    OUT(tape_add(n->tape, tape_add(n->tape, linear(n, 197, 131, 181), IN(181)), y));
}
CASE(epilogue_known_back)
{
    OUT(tape_unary_back(n->tape, IN(2, 197, 192), linear(n, 197, 131, 192), UNARY_GELU));
}
CASE(epilogue_residual)
{
    value x = IN(2, 37, 100);
    OUT(tape_add(n->tape, x, tape_add(n->tape, linear(n, 37, 96, 100), IN(100))));
}
CASE(epilogue_scaled_sum)
{
    value x = IN(2, 37, 100);
    OUT(tape_add(n->tape, tape_affine(n->tape, linear(n, 37, 8, 100), 0.5f, 0), x));
}
CASE(epilogue_gelu_back) { OUT(tape_unary_back(n->tape, IN(2, 37, 100), linear(n, 37, 96, 100), UNARY_GELU)); }
CASE(epilogue_two_products) { OUT(tape_add(n->tape, linear(n, 37, 16, 100), linear(n, 37, 24, 100))); }
CASE(epilogue_wanted_twice)
{
    value y = linear(n, 9, 16, 20);
    OUT(tape_add(n->tape, y, IN(20)));
    OUT(y);
}

/* What only products and sums read stays in panels in the style of CPU devices: here pre, h, d_pre and, below, d_qkv. The
 * rank-8 product is added by the long one's kernel, and its gradient walks down the panels of d_pre. */
static void weight_gradient(struct check_net *n, value d, value x)
{
    const struct shape to = tape_shape(n->tape, d), from = tape_shape(n->tape, x);
    const int32_t rows = (int32_t)shape_count(from) / from.dim[2];
    OUT(tape_matmul(n->tape, tape_reshape(n->tape, d, SHAPE(rows, to.dim[2])),
                    tape_reshape(n->tape, x, SHAPE(rows, from.dim[2])), 1, 0));
}
CASE(mlp_with_backward)
{
    value x = IN(2, 701, 32), up = IN(192, 32), a = IN(8, 32), b = IN(192, 8), down = IN(32, 192), d = IN(2, 701, 32);
    value low = tape_matmul(n->tape, x, a, 0, 1),
          update = tape_affine(n->tape, tape_matmul(n->tape, low, b, 0, 1), 0.5f, 0);
    value pre = tape_add(n->tape, tape_add(n->tape, tape_matmul(n->tape, x, up, 0, 1), IN(192)), update);
    value h = tape_unary(n->tape, pre, UNARY_GELU);
    value d_pre = tape_unary_back(n->tape, pre, tape_matmul(n->tape, d, down, 0, 0), UNARY_GELU);
    OUT(tape_matmul(n->tape, h, down, 0, 1));
    OUT(tape_add(n->tape, tape_matmul(n->tape, d_pre, up, 0, 0),
                 tape_matmul(n->tape, tape_matmul(n->tape, d_pre, b, 0, 0), a, 0, 0)));
    weight_gradient(n, d_pre, x);
    weight_gradient(n, d_pre, low);
    weight_gradient(n, d, h);
    OUT(tape_sum(n->tape, d_pre, 3));
}

static void attention_part(struct check_net *n, struct shape tokens, int32_t width, struct attention part)
{
    struct shape d = SHAPE(tokens.dim[0], part.q_to - part.q_from, part.heads * width);
    value qkv = IN(tokens.dim[0], tokens.dim[1], 3 * part.heads * width);
    value out = tape_attention_part(n->tape, qkv, part), lse = tape_attention_lse(n->tape, qkv, part);
    OUT(out);
    OUT(lse);
    OUT(tape_attention_back(n->tape, qkv, out, lse, check_input(n, d), part));
}
static void attention(struct check_net *n, int32_t batch, int32_t tokens, int32_t heads, int32_t width)
{
    attention_part(n, SHAPE(batch, tokens), width, (struct attention){heads, 0, tokens, 0});
}
CASE(attention_tiny) { attention(n, 2, 197, 3, 64); }
CASE(attention_small) { attention(n, 3, 37, 3, 64); }
CASE(attention_prompts) { attention(n, 2, 47, 2, 32); }
CASE(attention_odd) { attention(n, 2, 5, 3, 8); }
CASE(attention_wide) { attention(n, 1, 50, 2, 80); }
CASE(attention_widest) { attention(n, 1, 20, 1, 128); }
CASE(attention_one_token) { attention(n, 2, 1, 2, 16); }
CASE(attention_class_token) { attention_part(n, SHAPE(2, 197), 64, (struct attention){3, 0, 1, 0}); }
CASE(attention_last_asks) { attention_part(n, SHAPE(2, 67), 16, (struct attention){2, 66, 67, 0}); }
CASE(attention_no_prompts) { attention_part(n, SHAPE(2, 207), 64, (struct attention){3, 10, 207, 0}); }
CASE(attention_front) { attention_part(n, SHAPE(3, 37), 8, (struct attention){3, 0, 19, 0}); }
CASE(attention_middle) { attention_part(n, SHAPE(2, 101), 32, (struct attention){1, 7, 95, 11}); }
CASE(attention_fewer_keys) { attention_part(n, SHAPE(2, 83), 32, (struct attention){2, 0, 83, 17}); }
CASE(attention_one_key) { attention_part(n, SHAPE(2, 21), 12, (struct attention){2, 3, 20, 20}); }
CASE(attention_apart) { attention_part(n, SHAPE(2, 90), 24, (struct attention){2, 0, 40, 45}); }
CASE(attention_two_parts)
{
    value qkv = IN(2, 23, 96), left, right;
    struct attention front = {2, 0, 9, 0}, back = {2, 9, 23, 4};
    left = tape_attention_lse(n->tape, qkv, front);
    right = tape_attention_lse(n->tape, qkv, back);
    OUT(tape_concat(n->tape, tape_attention_part(n->tape, qkv, front),
                    tape_attention_part(n->tape, qkv, back), 1));
    OUT(tape_concat(n->tape, left, right, 2));
}
/* Scores of some rows rise by more than 2^32 after the first keys: sums that were begun must be begun anew. */
CASE(attention_steep)
{
    const struct attention whole = {3, 0, 197, 0};
    value qkv = tape_affine(n->tape, IN(1, 197, 576), 4, 0);
    value out = tape_attention_part(n->tape, qkv, whole), lse = tape_attention_lse(n->tape, qkv, whole);
    OUT(out);
    OUT(tape_attention_back(n->tape, qkv, out, lse, IN(1, 197, 192), whole));
}
static void attention_gradients(struct check_net *n, struct attention part)
{
    value x = IN(2, 101, 64), w = IN(192, 64), qkv = tape_affine(n->tape, tape_matmul(n->tape, x, w, 0, 1), 0.125f, 0);
    value out = tape_attention_part(n->tape, qkv, part), lse = tape_attention_lse(n->tape, qkv, part);
    value d_qkv = tape_attention_back(n->tape, qkv, out, lse, IN(2, part.q_to - part.q_from, 64), part);
    OUT(tape_matmul(n->tape, d_qkv, w, 0, 0));
    weight_gradient(n, d_qkv, x);
    OUT(tape_sum(n->tape, d_qkv, 3));
}
CASE(attention_gradients_all) { attention_gradients(n, (struct attention){2, 0, 101, 0}); }
CASE(attention_gradients_part) { attention_gradients(n, (struct attention){2, 7, 95, 11}); }
CASE(attention_lse_alone) { OUT(tape_attention_lse(n->tape, IN(2, 19, 48), (struct attention){2, 0, 19, 0})); }

CASE(cross_entropy) { OUT(tape_cross_entropy(n->tape, IN(64, 10), check_ranged(n, SHAPE(64), 0, 10))); }
CASE(cross_entropy_wide) { OUT(tape_cross_entropy(n->tape, IN(5, 1000), check_ranged(n, SHAPE(5), 0, 1000))); }
CASE(cross_entropy_back)
{
    value logits = IN(33, 101), labels = check_ranged(n, SHAPE(33), 0, 101);
    OUT(tape_cross_entropy_back(n->tape, logits, labels, IN(33)));
}
/* What a product alone reads, a kernel for GPUs stores as halves. */
static void multiplied(struct check_net *n, enum number number, value x)
{
    const struct shape s = tape_shape(n->tape, x);
    n->number = n->inputs = number;
    OUT(tape_matmul(n->tape, x, IN(s.dim[s.rank - 1], 64), 0, 0));
}
CASE(halves_layernorm) { multiplied(n, NUMBER_FP16, tape_layernorm(n->tape, IN(8, 197, 192), IN(192), IN(192), 1e-6f)); }
CASE(halves_layernorm_bf16) { multiplied(n, NUMBER_BF16, tape_layernorm(n->tape, IN(8, 37, 200), IN(200), IN(200), 1e-6f)); }
CASE(halves_layernorm_odd) { multiplied(n, NUMBER_FP16, tape_layernorm(n->tape, IN(3, 5, 83), IN(83), IN(83), 1e-6f)); }
CASE(halves_normalize_sum) { multiplied(n, NUMBER_FP16, tape_normalize(n->tape, tape_add(n->tape, IN(3, 37, 192), IN(3, 37, 192)), 1e-6f)); }
CASE(halves_dropout) { multiplied(n, NUMBER_FP16, tape_dropout(n->tape, IN(8, 37, 192), 0.3f, 84, ~0u)); }
CASE(halves_scale_shift) { multiplied(n, NUMBER_BF16, tape_add(n->tape, tape_mul(n->tape, IN(5, 37, 30), IN(30)), IN(30))); }
CASE(halves_mul_odd) { multiplied(n, NUMBER_FP16, tape_mul(n->tape, IN(5, 37, 33), IN(33))); }
CASE(halves_permute) { multiplied(n, NUMBER_FP16, tape_permute(n->tape, IN(3, 50, 7), (const int32_t[SHAPE_RANK]){0, 2, 1})); }
CASE(halves_expand) { multiplied(n, NUMBER_FP16, tape_expand(n->tape, IN(10, 24), SHAPE(7, 10, 24))); }
CASE(halves_unfold) { multiplied(n, NUMBER_FP16, tape_unfold(n->tape, IN(2, 6, 5, 8), 3)); }
CASE(halves_gelu)
{
    value x = tape_add(n->tape, tape_matmul(n->tape, IN(197, 192), IN(384, 192), 0, 1), IN(384));
    multiplied(n, NUMBER_FP16, tape_unary(n->tape, x, UNARY_GELU));
}

CASE(fill) { OUT(tape_add(n->tape, tape_fill(n->tape, SHAPE(3, 1), 2.5f), IN(3, 21))); }

/* clang-format on */

const struct check_case check_cases[] = {
    {"add", ROUNDED, add_same},
    {"add row", ROUNDED, add_row},
    {"add column and row", ROUNDED, add_column},
    {"add 64x37x192", ROUNDED, add_large},
    {"mul row 64x37x192", ROUNDED, mul_row},
    {"mul scalar", ROUNDED, mul_scalar},
    {"affine", ROUNDED, affine},
    {"mul row + row", ELEMENT, scale_shift},
    {"mul column + column", ELEMENT, scale_shift_columns},
    {"mul rows + same", ELEMENT, mul_add_same},
    {"tanh, mul", ELEMENT, unary_mul},
    {"affine, mul, add", ELEMENT, three_in_a_row},
    {"affine + relu", ELEMENT, sum_of_two},
    {"dropout of samples + same", ELEMENT, dropout_add},
    {"relu", ROUNDED, relu},
    {"gelu", ELEMENT, gelu},
    {"sigmoid", ELEMENT, sigmoid},
    {"tanh", ELEMENT, tanh_},
    {"exp", ELEMENT, exp_},
    {"sqrt", ELEMENT, sqrt_},
    {"recip", ELEMENT, recip},
    {"quick_gelu", ELEMENT, quick_gelu},
    {"log", ELEMENT, log_},
    {"abs", ROUNDED, abs_},
    {"dropout elements", ROUNDED, dropout_all},
    {"dropout samples", ROUNDED, dropout_samples},
    {"dropout middle axis", ROUNDED, dropout_middle},
    {"dropout rows of a larger one", ROUNDED, dropout_rows},
    {"dropout rows of a larger one, in fours", ROUNDED, dropout_rows_in_fours},
    {"dropout columns of a larger one", ROUNDED, dropout_columns},
    {"permute heads", EXACT, permute},
    {"permute last", EXACT, permute_last},
    {"expand batch", EXACT, expand},
    {"expand last", EXACT, expand_last},
    {"concat tokens", EXACT, concat},
    {"concat last", EXACT, concat_last},
    {"slice tokens", EXACT, slice},
    {"slice class token", EXACT, slice_class_token},
    {"pad tokens", EXACT, pad},
    {"reshape", EXACT, reshape},
    {"sum last", ROWS, sum_rows},
    {"sum columns 2368x192", ROWS, sum_columns},
    {"sum batch", ROWS, sum_batch},
    {"sum middle", ROWS, sum_middle},
    {"sum axes apart", ROWS, sum_apart},
    {"sum all", ROWS, sum_all},
    {"sum of products 2368x192", ROWS, sum_products},
    {"sum of products 7x21", ROWS, sum_products_odd},
    {"gather 64 rows of 37", EXACT, gather},
    {"gather long rows", EXACT, gather_long},
    {"gather numbers", EXACT, gather_numbers},
    {"unfold 3x3", EXACT, unfold},
    {"fold 3x3", ELEMENT, fold},
    {"unfold 5x5", EXACT, unfold_wide},
    {"softmax 197", ROWS, softmax},
    {"softmax 3", ROWS, softmax_odd},
    {"softmax backward", ROWS, softmax_back},
    {"normalize", ROWS, normalize},
    {"normalize backward", ROWS, normalize_back},
    {"layernorm 1576x192", ROWS, layernorm},
    {"layernorm 83", ROWS, layernorm_odd},
    {"layernorm 1040x50", ROWS, layernorm_many},
    {"layernorm 1030x83", ROWS, layernorm_many_odd},
    {"layernorm backward 1040x70", ROWS, layernorm_back_many},
    {"layernorm backward 1576x192", ROWS, layernorm_back},
    {"layernorm backward 83", ROWS, layernorm_back_odd},
    {"layernorm backward + residual", ROWS, layernorm_back_sum},
    {"normalize backward + residual", ROWS, normalize_back_sum},
    {"layernorm of a sum", ROWS, norm_of_sum},
    {"normalize of a sum, 83", ROWS, norm_of_sum_odd},
    {"layernorm backward + residual, parameters 2368x192", ROWS, norm_gradients_all},
    {"layernorm backward, parameters 15x83", ROWS, norm_gradients_odd},
    {"layernorm backward, bias 7x64", ROWS, norm_gradient_bias},
    {"matmul nn 197x576x192", PRODUCT, matmul_nn},
    {"matmul nt 197x576x192", PRODUCT, matmul_nt},
    {"matmul tn 192x576x1576", PRODUCT, matmul_tn},
    {"matmul nt 333x160x256", PRODUCT, matmul_known_pairs},
    {"matmul tn 160x64x2000", PRODUCT, matmul_known_pairs_tn},
    {"matmul nn 1000x72x136", PRODUCT, matmul_nn_edge},
    {"matmul tn 104x72x1200", PRODUCT, matmul_tn_edge},
    {"matmul tn 90x51x2000", PRODUCT, matmul_tn_odd},
    {"matmul tt 104x56x1500", PRODUCT, matmul_tt_edge},
    {"matmul tt 24x56x40", PRODUCT, matmul_tt},
    {"matmul nn 13x37x19", PRODUCT, matmul_odd_nn},
    {"matmul nt 13x37x19", PRODUCT, matmul_odd_nt},
    {"matmul tn 13x37x19", PRODUCT, matmul_odd_tn},
    {"matmul tt 13x37x19", PRODUCT, matmul_odd_tt},
    {"matmul nt 2368x8x192", PRODUCT, matmul_thin},
    {"matmul tn 8x192x2368", PRODUCT, matmul_thin_back},
    {"matmul 1x1x192", PRODUCT, matmul_vector},
    {"matmul 1x1x1", PRODUCT, matmul_one},
    {"matmul batched nn", PRODUCT, matmul_batched},
    {"matmul batched nt", PRODUCT, matmul_batched_nt},
    {"matmul plain left", PRODUCT, matmul_plain_left},
    {"matmul nn 333x131x211", PRODUCT, matmul_known_rests},
    {"matmul batched nt 101x301x130", PRODUCT, matmul_known_batched},
    {"matmul nt 1576x768x768", PRODUCT, matmul_large},
    {"matmul + bias", PRODUCT, epilogue_bias},
    {"matmul + bias + gelu", PRODUCT, epilogue_gelu},
    {"matmul + bias + gelu, kept", PRODUCT, epilogue_gelu_kept},
    {"matmul + bias + gelu, kept, + residual, large", PRODUCT, epilogue_known},
    {"matmul x gelu', large", PRODUCT, epilogue_known_back},
    {"matmul + bias + residual", PRODUCT, epilogue_residual},
    {"matmul scaled + residual", PRODUCT, epilogue_scaled_sum},
    {"matmul x gelu'", PRODUCT, epilogue_gelu_back},
    {"matmul + matmul", PRODUCT, epilogue_two_products},
    {"matmul wanted twice", PRODUCT, epilogue_wanted_twice},
    {"two layers, low-rank update, all gradients", PRODUCT, mlp_with_backward},
    {"attention 2x197, 3x64", ATTENTION, attention_tiny},
    {"attention 3x37, 3x64", ATTENTION, attention_small},
    {"attention 2x47, 2x32", ATTENTION, attention_prompts},
    {"attention 2x5, 3x8", ATTENTION, attention_odd},
    {"attention 1x50, 2x80", ATTENTION, attention_wide},
    {"attention 1x20, 1x128", ATTENTION, attention_widest},
    {"attention 2x1, 2x16", ATTENTION, attention_one_token},
    {"attention 2x197, 3x64, first row asks", ATTENTION, attention_class_token},
    {"attention 2x67, 2x16, last row asks", ATTENTION, attention_last_asks},
    {"attention 2x207, 3x64, rows from 10 ask", ATTENTION, attention_no_prompts},
    {"attention 3x37, 3x8, rows to 19 ask", ATTENTION, attention_front},
    {"attention 2x101, 1x32, 7 to 95 ask from 11", ATTENTION, attention_middle},
    {"attention 2x83, 2x32, all ask from 17", ATTENTION, attention_fewer_keys},
    {"attention 2x21, 2x12, 3 to 20 ask the last", ATTENTION, attention_one_key},
    {"attention 2x90, 2x24, to 40 ask from 45", ATTENTION, attention_apart},
    {"attention of two parts of one tensor", ATTENTION, attention_two_parts},
    {"attention 1x197, 3x64, steep", ATTENTION, attention_steep},
    {"attention and the gradients before it", ATTENTION, attention_gradients_all},
    {"attention, 7 to 95 ask from 11, and the gradients before it", ATTENTION, attention_gradients_part},
    {"attention lse alone", ATTENTION, attention_lse_alone},
    {"cross-entropy 64x10", ROWS, cross_entropy},
    {"cross-entropy 5x1000", ROWS, cross_entropy_wide},
    {"cross-entropy backward", ROWS, cross_entropy_back},
    {"halves of layernorm 1576x192", FP16, halves_layernorm},
    {"halves of layernorm 296x200, bf16", BF16, halves_layernorm_bf16},
    {"halves of layernorm 15x83", FP16, halves_layernorm_odd},
    {"halves of normalize of a sum", FP16, halves_normalize_sum},
    {"halves of dropout", FP16, halves_dropout},
    {"halves of scale and shift, bf16", BF16, halves_scale_shift},
    {"halves of mul, 33", FP16, halves_mul_odd},
    {"halves of permute", FP16, halves_permute},
    {"halves of expand", FP16, halves_expand},
    {"halves of unfold", FP16, halves_unfold},
    {"halves of matmul + bias + gelu", FP16, halves_gelu},
    {"fill", ROUNDED, fill},
    {NULL, 0, NULL},
};
