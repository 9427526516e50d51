/* shaders.h - the list of shaders: one row each, and nothing else to add. */
#ifndef VITRO_RUN_SHADERS_H
#define VITRO_RUN_SHADERS_H

/* NAME, file shaders/<name>.comp, struct of its push constants. Where a row ends in _CPU, it is the
 * CPU-device style of its namesake, with the same arguments unless it ends in _TILE_CPU; in _BF16, the same file's kernel for bf16
 * (bfloat_module.h). */
#define SHADERS(X)                                                                  \
    X(MAP, map, struct push_map)                                                    \
    X(ROW_SUM, row_sum, struct push_row_sum)                                        \
    X(COLUMN_SUM, column_sum, struct push_column_sum)                               \
    X(COLUMN_SUM_CPU, column_sum_cpu, struct push_column_sum)                       \
    X(SOFTMAX, softmax, struct push_softmax)                                        \
    X(SOFTMAX_BACK, softmax_back, struct push_softmax_back)                         \
    X(LAYERNORM, layernorm, struct push_layernorm)                                  \
    X(LAYERNORM_CPU, layernorm_cpu, struct push_layernorm)                          \
    X(LAYERNORM_BACK, layernorm_back, struct push_layernorm_back)                   \
    X(LAYERNORM_BACK_CPU, layernorm_back_cpu, struct push_layernorm_back)           \
    X(GEMM, gemm, struct push_gemm)                                                 \
    X(GEMM_CPU, gemm_cpu, struct push_gemm)                                         \
    X(GEMM_PACKED, gemm_packed, struct push_gemm)                                   \
    X(GEMM_SUBGROUP, gemm_subgroup, struct push_gemm)                               \
    X(GEMM_SUBGROUP_BF16, gemm_subgroup, struct push_gemm)                          \
    X(GEMM_WORKGROUP, gemm_workgroup, struct push_gemm)                             \
    X(GEMM_WORKGROUP_BF16, gemm_workgroup, struct push_gemm)                        \
    X(GEMM_REDUCE, gemm_reduce, struct push_gemm)                                   \
    X(NARROW, narrow, struct push_narrow)                                           \
    X(PACK, pack_cpu, struct push_pack)                                             \
    X(ATTENTION, attention, struct push_attention)                                  \
    X(ATTENTION_CPU, attention_cpu, struct push_attention)                          \
    X(ATTENTION_TILE_CPU, attention_tile_cpu, struct push_attention_tile)           \
    X(ATTENTION_MATRIX, attention_matrix, struct push_attention)                    \
    X(ATTENTION_MATRIX_BF16, attention_matrix, struct push_attention)               \
    X(ATTENTION_BACK_Q, attention_back_q, struct push_attention_back)               \
    X(ATTENTION_BACK_Q_CPU, attention_back_q_cpu, struct push_attention_back)       \
    X(ATTENTION_BACK_Q_TILE_CPU, attention_back_q_tile_cpu, struct push_attention_back_tile) \
    X(ATTENTION_MATRIX_BACK_Q, attention_matrix_back_q, struct push_attention_back) \
    X(ATTENTION_MATRIX_BACK_Q_BF16, attention_matrix_back_q, struct push_attention_back) \
    X(ATTENTION_BACK_KV, attention_back_kv, struct push_attention_back)             \
    X(ATTENTION_BACK_KV_CPU, attention_back_kv_cpu, struct push_attention_back)     \
    X(ATTENTION_BACK_KV_TILE_CPU, attention_back_kv_tile_cpu, struct push_attention_back_tile) \
    X(ATTENTION_MATRIX_BACK_KV, attention_matrix_back_kv, struct push_attention_back) \
    X(ATTENTION_MATRIX_BACK_KV_BF16, attention_matrix_back_kv, struct push_attention_back) \
    X(PATCHES, patches, struct push_patches)                                        \
    X(GATHER, gather, struct push_gather)                                           \
    X(UNFOLD, unfold, struct push_unfold)                                           \
    X(CROSS_ENTROPY, cross_entropy, struct push_cross_entropy)                      \
    X(FEED, feed, struct push_feed)                                                 \
    X(FINITE, finite, struct push_finite)                                           \
    X(RECORD, record, struct push_record)                                           \
    X(ADVANCE, advance, struct push_advance)                                        \
    X(ADAMW, adamw, struct push_adamw)

enum shader {
#define X(NAME, name, push) SHADER_##NAME,
    SHADERS(X)
#undef X
    SHADER_COUNT
};

#endif
