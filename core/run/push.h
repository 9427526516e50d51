/* push.h - the arguments of each shader, as its push constants lay them out. Addresses come first, so
 * that a program can patch them once memory is planned. */
#ifndef VITRO_RUN_PUSH_H
#define VITRO_RUN_PUSH_H

#include <stdint.h>

struct push_map { /* map.comp */
    uint64_t out, a, b, control, c;
    uint32_t size[4], out_stride[4], a_stride[4], b_stride[4];
    float scale, shift;
    uint32_t stream, threshold, first_draw;
};
struct push_row_sum { /* row_sum.comp */
    uint64_t out, a;
    uint32_t n;
};
struct push_column_sum { /* column_sum.comp */
    uint64_t x, y, out;
    uint32_t rows, n, rows_per_chunk, x_row, x_batch, out_batch;
};
struct push_softmax { /* softmax.comp */
    uint64_t x, y;
    uint32_t rows, n;
};
struct push_softmax_back { /* softmax_back.comp */
    uint64_t y, d_y, d_x;
    uint32_t rows, n;
};
struct push_layernorm { /* layernorm.comp */
    uint64_t x, w, b, y, add, sum;
    uint32_t rows, n;
    float eps;
};
struct push_layernorm_back { /* layernorm_back.comp */
    uint64_t x, w, d_y, add, d_x, partial;
    uint32_t rows, n;
    float eps;
    uint32_t rows_per_group;
};
struct push_gemm { /* gemm*.comp */
    uint64_t a, b, c, bias, residual, pre, second_a, second_b;
    uint32_t m, n, k;
    uint32_t a_row, a_col, b_panel, b_row, c_row;
    uint32_t a_batch, b_batch, c_batch, bias_batch;
    float alpha, second_alpha;
    uint32_t batches, k_share;
};
struct push_narrow { /* narrow.comp */
    uint64_t from, to;
    uint32_t fours;
};
struct push_pack { /* pack_cpu.comp */
    uint64_t from, panels;
    uint32_t n, k, k_stride, n_stride, from_batch, panels_batch;
};
struct push_attention { /* attention.comp, attention_cpu.comp */
    uint64_t qkv, out, lse;
    uint32_t tokens, heads;
    float scale;
    uint32_t q_from, queries, k_from;
};
struct push_attention_back { /* attention_back_q.comp, attention_back_kv.comp, and _cpu */
    uint64_t qkv, out, lse, d_out, delta, d_qkv;
    uint32_t tokens, heads;
    float scale;
    uint32_t q_from, queries, k_from;
};
struct push_attention_tile { /* attention_tile_cpu.comp */
    uint64_t qkv, out, lse, scratch;
    uint32_t tokens;
    float scale;
    uint32_t q_from, k_from;
};
struct push_attention_back_tile { /* attention_back_q_tile_cpu.comp, attention_back_kv_tile_cpu.comp */
    uint64_t qkv, out, lse, d_out, weights, d_qkv, panels;
    uint32_t tokens;
    float scale;
    uint32_t q_from, k_from, rows;
};
struct push_patches { /* patches.comp */
    uint64_t out, images, index;
    uint32_t height, width, patch;
    float scale[3], shift[3];
};
struct push_gather { /* gather.comp */
    uint64_t out, table, index;
    uint32_t n;
};
struct push_unfold { /* unfold.comp */
    uint64_t out, a;
    uint32_t channels, k;
};
struct push_cross_entropy { /* cross_entropy.comp */
    uint64_t out, logits, labels, d_loss;
    uint32_t classes;
};
struct push_feed { /* feed.comp */
    uint64_t index, labels, weights, order, all_labels, control;
    uint32_t batch;
};
struct push_record { /* record.comp */
    uint64_t log, a, control;
    uint32_t count;
};
struct push_advance { /* advance.comp */
    uint64_t control;
};
struct push_adamw { /* adamw.comp */
    uint64_t w, g, m, v, steps, factors, control;
    uint32_t blocks, each;
    float beta1, beta2, eps, decay, log_beta1, log_beta2;
};
struct push_finite { /* finite.comp */
    uint64_t g, control;
    uint32_t blocks, each;
};

#endif
