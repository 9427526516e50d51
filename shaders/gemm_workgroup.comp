// gemm_workgroup.comp - the product on the matrix units of a whole workgroup (VK_NV_cooperative_matrix2): the
// driver stages the operands. Both are stored as fp16, and a row of either is a whole number of eights. The
// epilogue goes number by number. Grid: (ceil(N / COLUMNS), ceil(M / ROWS), batches x shares).
//
// core/run makes the same kernel for bf16 of it, by exchanging its one type of 16 bits (bfloat_module.h).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_NV_cooperative_matrix2 : require
#extension GL_KHR_memory_scope_semantics : require
#include "gemm_gpu.glsl"

layout(buffer_reference, std430, buffer_reference_align = 16) buffer RC { float16_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 2) buffer RS { uint16_t v; };

float finish_one(const in uint i, const in uint j, const in float sum)
{
    const uint m = gl_WorkGroupID.y * ROWS + i, n = gl_WorkGroupID.x * COLUMNS + j, z = gl_WorkGroupID.z;
    if (m >= M || n >= N)
        return sum;
    const uint at = z * c_batch + m * c_row + n;
    float x = alpha * sum;
    if ((EPILOGUE & EPILOGUE_BIAS) != 0u)
        x += bias[z * bias_batch + n].v;
    if ((EPILOGUE & EPILOGUE_PRE) != 0u)
        pre[at].v = x;
    if ((EPILOGUE & EPILOGUE_ACT) != 0u)
        x = unary(ACT, x);
    if ((EPILOGUE & EPILOGUE_BACK) != 0u)
        x *= unary_derivative(ACT, pre[at].v);
    if ((EPILOGUE & EPILOGUE_RESIDUAL) != 0u)
        x += residual[at].v;
    if ((C_KIND & KIND_HALF) != 0u) // by bits: how a conversion rounds is the driver's affair
        RS(uint64_t(c) + 2ul * at).v = uint16_t(narrow1(NUMBER, x));
    else
        c[at].v = x;
    return sum;
}

void main()
{
    const uint z = batch_of_group(), k_end = end_of_share();
    const uint row = gl_WorkGroupID.y * ROWS, column = gl_WorkGroupID.x * COLUMNS;
    const bool a_across = (A_KIND & KIND_ACROSS) != 0u, b_across = (B_KIND & KIND_ACROSS) != 0u;
    RC pa = RC(uint64_t(a) + 2ul * (z * a_batch)), pb = RC(uint64_t(b) + 2ul * (z * b_batch));
    tensorLayoutNV<2, gl_CooperativeMatrixClampModeConstantNV> la =
        createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    tensorLayoutNV<2, gl_CooperativeMatrixClampModeConstantNV> lb =
        createTensorLayoutNV(2, gl_CooperativeMatrixClampModeConstantNV);
    tensorViewNV<2, false, 1, 0> turned = createTensorViewNV(2, false, 1, 0);
    la = a_across ? setTensorLayoutDimensionNV(la, k_end, M) : setTensorLayoutDimensionNV(la, M, k_end);
    la = setTensorLayoutStrideNV(la, a_across ? a_col : a_row, 1u);
    lb = b_across ? setTensorLayoutDimensionNV(lb, k_end, N) : setTensorLayoutDimensionNV(lb, N, k_end);
    lb = setTensorLayoutStrideNV(lb, b_row, 1u);
    coopmat<float, gl_ScopeWorkgroup, ROWS, COLUMNS, gl_MatrixUseAccumulator> acc =
        coopmat<float, gl_ScopeWorkgroup, ROWS, COLUMNS, gl_MatrixUseAccumulator>(0.0);
    for (uint k = first_of_share(); k < k_end; k += DEPTH) {
        coopmat<float16_t, gl_ScopeWorkgroup, ROWS, DEPTH, gl_MatrixUseA> x;
        coopmat<float16_t, gl_ScopeWorkgroup, DEPTH, COLUMNS, gl_MatrixUseB> y;
        if (a_across)
            coopMatLoadTensorNV(x, pa.v, 0u, sliceTensorLayoutNV(la, k, DEPTH, row, ROWS), turned);
        else
            coopMatLoadTensorNV(x, pa.v, 0u, sliceTensorLayoutNV(la, row, ROWS, k, DEPTH));
        if (b_across)
            coopMatLoadTensorNV(y, pb.v, 0u, sliceTensorLayoutNV(lb, k, DEPTH, column, COLUMNS));
        else
            coopMatLoadTensorNV(y, pb.v, 0u, sliceTensorLayoutNV(lb, column, COLUMNS, k, DEPTH), turned);
        acc = coopMatMulAdd(x, y, acc);
    }
    coopMatPerElementNV(acc, acc, finish_one);
}
