// gemm.comp - matrix product for GPUs: lib/gemm.glsl has the formula and the arguments.
//
// 256 invocations compute a 64 x 64 tile of C, 4 x 4 each, from 64 x 16 slices of A and B in shared memory.
// Any subgroup size, any strides. Grid: (ceil(N / 64), ceil(M / 64), batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference2 : require
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#extension GL_EXT_control_flow_attributes : require

layout(local_size_x = 16, local_size_y = 16, local_size_z = 1) in;
layout(buffer_reference, std430, buffer_reference_align = 4) buffer RF { float v; };
#include "gemm.glsl"

const uint TILE = 64, DEPTH = 16, ROW = TILE + 4; // padded against bank conflicts
shared float tile_a[DEPTH][ROW], tile_b[DEPTH][ROW];

#define FOR_4(i) [[unroll]] for (uint i = 0u; i < 4u; i++)

// The slice's numbers k .. k + 15: each invocation fetches four of A and four of B, zeros outside, in the
// order in which the operand lies in memory.
void load_slice(RF pa, RF pb, uint row, uint col, uint k)
{
    const uint me = gl_LocalInvocationIndex;
    FOR_4(i) {
        uint e = me + 256u * i;
        uint m = a_col == 1u ? e / DEPTH : e % TILE, l = a_col == 1u ? e % DEPTH : e / TILE;
        bool exists = row + m < M && k + l < K;
        tile_a[l][m] = exists ? pa[(row + m) * a_row + (k + l) * a_col].v : 0.0;
        uint n = e % TILE;
        l = e / TILE;
        exists = col + n < N && k + l < K;
        n += col;
        tile_b[l][n - col] = exists ? pb[(n / 16u) * b_panel + (k + l) * b_row + n % 16u].v : 0.0;
    }
}

void finish(uint z, uint m, uint n, float sum)
{
    const uint at = z * r_batch + m * r_row + n;
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
    c[z * c_batch + m * c_row + n].v = x;
}

void main()
{
    const uint z = gl_WorkGroupID.z;
    const uint row = gl_WorkGroupID.y * TILE, col = gl_WorkGroupID.x * TILE;
    const uint ly = gl_LocalInvocationID.y * 4u, lx = gl_LocalInvocationID.x * 4u;
    RF pa = a + z * a_batch, pb = b + z * b_batch;
    float acc[4][4];
    FOR_4(i) FOR_4(j) acc[i][j] = 0.0;
    for (uint k = 0u; k < K; k += DEPTH) {
        load_slice(pa, pb, row, col, k);
        barrier();
        [[unroll]] for (uint l = 0u; l < DEPTH; l++) {
            float y[4];
            FOR_4(j) y[j] = tile_b[l][lx + j];
            FOR_4(i) {
                float x = tile_a[l][ly + i];
                FOR_4(j) acc[i][j] = fma(x, y[j], acc[i][j]);
            }
        }
        barrier();
    }
    FOR_4(i) FOR_4(j)
        if (row + ly + i < M && col + lx + j < N)
            finish(z, row + ly + i, col + lx + j, acc[i][j]);
}
