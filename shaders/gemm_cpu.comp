// gemm_cpu.comp - matrix product for a CPU device: lib/gemm.glsl has the formula and the arguments.
//
// One subgroup computes an MR x (NR LANES) tile of C in registers: rows of A as uniform scalars, columns
// of B along the lanes. Rows beyond M repeat row M - 1 and store the same values again; all loads of the
// epilogue come before its stores, so accumulation in place is right. Columns beyond N are not stored.
// Grid: (ceil(N / (NR LANES)), ceil(M / MR), batch).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "lanes.glsl"
#include "gemm.glsl"

layout(constant_id = 3) const uint A_UNIT = 0; // 0: a_col is 1; 1: a_row is 1; 2: neither
layout(constant_id = 4) const uint MR = 16;
layout(constant_id = 5) const uint NR = 1;
layout(constant_id = 6) const uint KU = 16;    // steps of k in a turn of the loop

#define FOR_ROWS [[unroll]] for (uint i = 0u; i < MR; i++)
#define FOR_VECTORS [[unroll]] for (uint j = 0u; j < NR; j++)

// `steps` of k, from k on. Only k is carried from turn to turn: lavapipe keeps what a loop carries in
// vectors.
#define STEPS(steps)                                                                    \
    [[unroll]] for (uint u = 0u; u < steps; u++) {                                      \
        float y[NR];                                                                    \
        FOR_VECTORS y[j] = lane_load(pb[j] + (k + u) * b_row);                          \
        FOR_ROWS {                                                                      \
            float x = A_UNIT == 1u ? pa[0][(k + u) * a_col + i].v                       \
                                   : pa[i][A_UNIT == 0u ? k + u : (k + u) * a_col].v;   \
            FOR_VECTORS acc[i][j] = fma(x, y[j], acc[i][j]);                            \
        }                                                                               \
    }

void main()
{
    const uint z = gl_WorkGroupID.z;
    const uint row = gl_WorkGroupID.y * MR, col = gl_WorkGroupID.x * (NR * LANES);
    RF pa[MR], pb[NR];
    float acc[MR][NR];
    FOR_ROWS {
        pa[i] = a + z * a_batch + (A_UNIT == 1u ? row + i : min(row + i, M - 1u) * a_row);
        FOR_VECTORS acc[i][j] = 0.0;
    }
    FOR_VECTORS {
        uint n = min(col + j * LANES, (N - 1u) / LANES * LANES);
        pb[j] = b + z * b_batch + ((n / 16u) * b_panel + n % 16u);
    }

    uint k = 0u;
    for (; k + KU <= K; k += KU) {
        STEPS(KU)
    }
    for (; k < K; k++) {
        STEPS(1u)
    }

    if (A_UNIT == 1u) // A was read past row M - 1: those rows become copies of it after all
        [[unroll]] for (uint i = 1u; i < MR; i++)
            FOR_VECTORS acc[i][j] = mix(acc[i - 1u][j], acc[i][j], row + i < M);

    FOR_VECTORS {
        const uint n = col + j * LANES;
        float shift = (EPILOGUE & EPILOGUE_BIAS) != 0u ? lane_load(bias + (z * bias_batch + n)) : 0.0;
        FOR_ROWS {
            const uint at = z * r_batch + min(row + i, M - 1u) * r_row + n;
            float x = fma(alpha, acc[i][j], shift);
            if ((EPILOGUE & EPILOGUE_PRE) != 0u) {
                RF kept = pre + at;
                if (n + lane < N)
                    lane_store(kept, x);
            }
            if ((EPILOGUE & EPILOGUE_ACT) != 0u)
                x = unary(ACT, x);
            if ((EPILOGUE & EPILOGUE_BACK) != 0u)
                x *= unary_derivative(ACT, lane_load(pre + at));
            if ((EPILOGUE & EPILOGUE_RESIDUAL) != 0u)
                x += lane_load(residual + at);
            acc[i][j] = x;
        }
    }
    FOR_VECTORS {
        const uint n = col + j * LANES;
        RF to[MR]; // outside the branch, where addresses are scalars
        FOR_ROWS to[i] = c + (z * c_batch + min(row + i, M - 1u) * c_row + n);
        if (n + lane < N)
            FOR_ROWS lane_store(to[i], acc[i][j]);
    }
}
