// gemm_reduce.comp - the shares of a product whose k was cut, added up in order, and its epilogue (lib/gemm.glsl):
// a holds [K][batches][M][N] parts. Each invocation takes four numbers of a row.
// Grid: (ceil(M ceil(N / 4) / INVOCATIONS), 1, batches).
#version 450
#extension GL_GOOGLE_include_directive : require
#include "gemm_gpu.glsl"

void main()
{
    const uint fours = (N + 3u) / 4u, at = gl_GlobalInvocationID.x, m = at / fours, n = at % fours * 4u;
    if (m >= M)
        return;
    const uint from = (gl_WorkGroupID.z * M + m) * N + n, step = batches * M * N;
    vec4 sum = load4(a, from);
    for (uint share = 1u; share < K; share++)
        sum += load4(a, from + share * step);
    finish(m, n, sum);
}
