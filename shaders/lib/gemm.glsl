// gemm.glsl - what the matrix products gemm_cpu.comp and gemm.comp have in common: arguments and epilogue.
//
//     C[z][m][n] = act(alpha sum_k A[z][m][k] B[z][k][n] + bias[z][n]) + residual[z][m][n]
//
// or, with EPILOGUE_BACK, (alpha sum + bias) act'(pre[z][m][n]) + residual[z][m][n]. gemm_cpu.comp can add a second, short
// product to alpha sum (SECOND).
// A[m][k] is a[m a_row + k a_col]. B[k][n] is b[(n / 16) b_panel + k b_row + n % 16]: packed panels of 16
// columns (pack.comp) have b_panel = 16 K, b_row = 16; a row-major matrix b_panel = 16, b_row = its width.
// `residual` and `pre` lie as C does.
// All strides count floats; a batch stride of 0 lends one operand to the whole batch.
#include "unary.glsl"

layout(push_constant) uniform Push {
    RF a, b, c, bias, residual, pre, second_a, second_b;      // unused ones may be 0
    uint M, N, K;
    uint a_row, a_col, b_panel, b_row, c_row;
    uint a_batch, b_batch, c_batch, bias_batch;               // strides over gl_WorkGroupID.z
    float alpha, second_alpha;
    uint batches, k_share;                                    // of gl_WorkGroupID.z: see lib/gemm_gpu.glsl
};

const uint EPILOGUE_BIAS = 1;     // add bias[n]
const uint EPILOGUE_RESIDUAL = 2; // add residual[m][n]
const uint EPILOGUE_PRE = 4;      // keep the value before the activation in pre[m][n]
const uint EPILOGUE_ACT = 8;      // apply unary(ACT, .)
const uint EPILOGUE_BACK = 16;    // multiply by the derivative of unary(ACT, .) at pre[m][n]
layout(constant_id = 1) const uint EPILOGUE = 0;
layout(constant_id = 2) const uint ACT = UNARY_GELU;
