// gemm_subgroup.comp - the product on the matrix units of subgroups (VK_KHR_cooperative_matrix). Operands are
// fp16. A workgroup of (ROWS / MI) (COLUMNS / NI) subgroups computes a tile, each MI x NI numbers of it,
// from slices of A and B in shared memory, while the next slices are on their way into registers. Operands stay
// as they lie in memory: matrices are loaded along or across. Sums go through shared memory, matrix by matrix,
// into the epilogue, as what an invocation holds of a matrix is the driver's affair.
// Grid: (ceil(N / COLUMNS), ceil(M / ROWS), batches x shares).
//
// core/run makes the same kernel for bf16 of it, by exchanging its one type of 16 bits (bfloat_module.h).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#include "gemm_gpu.glsl"

layout(constant_id = 14) const uint MM = 16; // a matrix: MM x KK times KK x NN
layout(constant_id = 15) const uint NN = 16;
layout(constant_id = 16) const uint KK = 16;

// A row of a slice is a row of the operand, in eights of 16 bytes, and one more against bank conflicts.
const bool A_ACROSS = (A_KIND & KIND_ACROSS) != 0u, B_ACROSS = (B_KIND & KIND_ACROSS) != 0u;
const uint A_INNER = (A_ACROSS ? ROWS : DEPTH) / 8, A_PITCH = A_INNER + 1, A_SLICE = (A_ACROSS ? DEPTH : ROWS) * A_PITCH;
const uint B_INNER = (B_ACROSS ? COLUMNS : DEPTH) / 8, B_PITCH = B_INNER + 1, B_SLICE = (B_ACROSS ? DEPTH : COLUMNS) * B_PITCH;
shared uvec4 slice_a[BUFFERS * A_SLICE], slice_b[BUFFERS * B_SLICE];
const uint A_EIGHTS = ROWS * DEPTH / 8 / INVOCATIONS, B_EIGHTS = COLUMNS * DEPTH / 8 / INVOCATIONS; // each fetches

const uint DOWN = MI / MM, ACROSS = NI / NN; // matrices of a subgroup
shared vec4 stash[INVOCATIONS / LANES * MM * NN / 4];

#define FETCH_SLICE(raw, count, inner, p, start, kind, first, k, stride, end)                                          \
    [[unroll]] for (uint i = 0u; i < count; i++) {                                                              \
        const uint u = gl_LocalInvocationIndex + i * INVOCATIONS, o = u / inner, in_ = u % inner * 8u;          \
        [[unroll]] for (uint h = 0u; h < 2u; h++)                                                               \
            raw[2u * i + h] = (kind & KIND_ACROSS) != 0u                                                        \
                                  ? fetch(p, start, kind, (k) + o, first + in_ + 4u * h, stride, k_end, end)           \
                                  : fetch(p, start, kind, first + o, (k) + in_ + 4u * h, stride, end, k_end);          \
    }

uvec2 packed4(uint kind, uvec4 raw)
{
    if ((kind & KIND_HALF) != 0u)
        return raw.xy;
    vec4 x = uintBitsToFloat(raw);
    return uvec2(narrow2(NUMBER, x.xy), narrow2(NUMBER, x.zw));
}

#define STASH_SLICE(raw, count, inner, pitch, slice, kind, base)                                          \
    [[unroll]] for (uint i = 0u; i < count; i++) {                                                        \
        const uint u = gl_LocalInvocationIndex + i * INVOCATIONS;                                         \
        slice[base + u / inner * pitch + u % inner] =                                                     \
            uvec4(packed4(kind, raw[2u * i]), packed4(kind, raw[2u * i + 1u]));                           \
    }

void main()
{
    const uint z = batch_of_group(), k_end = end_of_share();
    const uint row = gl_WorkGroupID.y * ROWS, column = gl_WorkGroupID.x * COLUMNS;
    const uint my_row = gl_SubgroupID / (COLUMNS / NI) * MI, my_column = gl_SubgroupID % (COLUMNS / NI) * NI;
    const uint a_stride = A_ACROSS ? a_col : a_row;
    uvec4 raw_a[2 * A_EIGHTS], raw_b[2 * B_EIGHTS];
    coopmat<float, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator> acc[DOWN][ACROSS];
    [[unroll]] for (uint i = 0u; i < DOWN; i++)
        [[unroll]] for (uint j = 0u; j < ACROSS; j++)
            acc[i][j] = coopmat<float, gl_ScopeSubgroup, MM, NN, gl_MatrixUseAccumulator>(0.0);

    uint buffer_of_slice = 0u, k = first_of_share();
    FETCH_SLICE(raw_a, A_EIGHTS, A_INNER, a, z * a_batch, A_KIND, row, k, a_stride, M)
    FETCH_SLICE(raw_b, B_EIGHTS, B_INNER, b, z * b_batch, B_KIND, column, k, b_row, N)
    STASH_SLICE(raw_a, A_EIGHTS, A_INNER, A_PITCH, slice_a, A_KIND, 0u)
    STASH_SLICE(raw_b, B_EIGHTS, B_INNER, B_PITCH, slice_b, B_KIND, 0u)
    barrier();
    for (; k < k_end; k += DEPTH) {
        const bool more = k + DEPTH < k_end;
        const uint at_a = buffer_of_slice * A_SLICE, at_b = buffer_of_slice * B_SLICE;
        if (more) {
            FETCH_SLICE(raw_a, A_EIGHTS, A_INNER, a, z * a_batch, A_KIND, row, k + DEPTH, a_stride, M)
            FETCH_SLICE(raw_b, B_EIGHTS, B_INNER, b, z * b_batch, B_KIND, column, k + DEPTH, b_row, N)
        }
        for (uint l = 0u; l < DEPTH; l += KK) {
            coopmat<float16_t, gl_ScopeSubgroup, MM, KK, gl_MatrixUseA> x[DOWN];
            coopmat<float16_t, gl_ScopeSubgroup, KK, NN, gl_MatrixUseB> y;
            [[unroll]] for (uint i = 0u; i < DOWN; i++) {
                const uint m = my_row + i * MM;
                if (A_ACROSS)
                    coopMatLoad(x[i], slice_a, at_a + l * A_PITCH + m / 8u, A_PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                else
                    coopMatLoad(x[i], slice_a, at_a + m * A_PITCH + l / 8u, A_PITCH, gl_CooperativeMatrixLayoutRowMajor);
            }
            [[unroll]] for (uint j = 0u; j < ACROSS; j++) {
                const uint n = my_column + j * NN;
                if (B_ACROSS)
                    coopMatLoad(y, slice_b, at_b + l * B_PITCH + n / 8u, B_PITCH, gl_CooperativeMatrixLayoutRowMajor);
                else
                    coopMatLoad(y, slice_b, at_b + n * B_PITCH + l / 8u, B_PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0u; i < DOWN; i++)
                    acc[i][j] = coopMatMulAdd(x[i], y, acc[i][j]);
            }
        }
        if (BUFFERS == 1u)
            barrier();
        buffer_of_slice ^= BUFFERS - 1u;
        if (more) {
            STASH_SLICE(raw_a, A_EIGHTS, A_INNER, A_PITCH, slice_a, A_KIND, buffer_of_slice * A_SLICE)
            STASH_SLICE(raw_b, B_EIGHTS, B_INNER, B_PITCH, slice_b, B_KIND, buffer_of_slice * B_SLICE)
        }
        barrier();
    }
    const uint mine = gl_SubgroupID * (MM * NN / 4u);
    [[unroll]] for (uint i = 0u; i < DOWN; i++)
        [[unroll]] for (uint j = 0u; j < ACROSS; j++) {
            coopMatStore(acc[i][j], stash, mine, NN / 4u, gl_CooperativeMatrixLayoutRowMajor);
            subgroupBarrier();
            for (uint u = gl_SubgroupInvocationID; u < MM * NN / 4u; u += LANES) {
                const uint m = row + my_row + i * MM + u / (NN / 4u);
                const uint n = column + my_column + j * NN + u % (NN / 4u) * 4u;
                if (m < M && n < N)
                    finish(m, n, stash[mine + u]);
            }
            subgroupBarrier();
        }
}
